"""Pure detection: a partition's live sessions and what the passage of stream time makes of them (docs/detection.md)."""

from pathlib import Path

from services import keep_kernels

keep_kernels(Path(__file__).parent)

from services.session.domain import buckets, hashing, running  # noqa: E402 - where they are kept has just been said

__all__ = ["buckets", "hashing", "running"]
