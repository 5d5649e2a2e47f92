"""Programs that use Relance from outside."""
