"""How a service shows itself: JSON logs, metrics, health, and an orderly end."""
