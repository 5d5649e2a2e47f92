"""What is kept outside any database: the log of checkpoints, which only grows, and secrets."""
