"""What notification keeps in SQL: on SQLite as it is, on PostgreSQL in production."""
