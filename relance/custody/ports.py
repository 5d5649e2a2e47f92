"""Where checkpoints go: any place that only grows, and that whoever can change the database cannot change."""

from collections.abc import Sequence
from typing import Protocol

from relance.evidence.checkpoints import Checkpoint

__all__ = ["CheckpointSink"]


class CheckpointSink(Protocol):
    """An append-only keeper of checkpoints. May block: its shell calls it once a minute, off the event loop."""

    def last(self) -> Checkpoint | None:
        """The newest checkpoint, None before the first."""

    def append(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint for good before this returns. Raises NotNow when it does not follow the newest."""

    def lines(self) -> Sequence[bytes]:
        """All checkpoints, oldest first, as they were written."""
