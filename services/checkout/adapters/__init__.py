"""The checkout's ways to the outside."""
