"""What evidence rests on outside any database: the log of checkpoints, which only grows."""
