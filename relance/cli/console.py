"""What a person reads: results on standard output, everything else on standard error."""

from typing import Final

from rich.console import Console

__all__ = ["NOTES", "OUT"]

OUT: Final = Console(highlight=False, soft_wrap=True)
NOTES: Final = Console(stderr=True, highlight=False, soft_wrap=True)
