"""Pure: JSON events in, rows of `relance.events.batch.SCHEMA`, facts and refusals out."""

from pathlib import Path

from services import keep_kernels

keep_kernels(Path(__file__).parent, with_tables=True)

from services.tracking.domain import hashing, kernel, rows  # noqa: E402 - where they are kept has just been said

__all__ = ["hashing", "kernel", "rows"]
