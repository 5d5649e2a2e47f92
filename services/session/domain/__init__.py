"""Pure detection: a partition's live sessions and what the passage of stream time makes of them (docs/detection.md)."""
