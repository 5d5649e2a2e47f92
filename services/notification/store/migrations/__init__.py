"""The history of the tables: each step is written once and never changed."""
