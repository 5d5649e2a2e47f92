"""Instants are integer milliseconds since 1970 UTC inside, RFC 3339 outside."""

from datetime import UTC, datetime, timedelta

__all__ = ["format_ms", "parse_ms", "to_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_YEAR_1_MS = -62_135_596_800_000
_YEAR_10000_MS = 253_402_300_800_000


def parse_ms(text: str) -> int:
    """Milliseconds of an RFC 3339 instant; finer digits are cut off.

    Raises ValueError without a zone, and outside the years 1 to 9999 in UTC: such an instant has no text.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        message = f"{text!r} has no time zone"
        raise ValueError(message)
    ms = to_ms(instant)
    if not _YEAR_1_MS <= ms < _YEAR_10000_MS:
        message = f"{text!r} is outside the years 1 to 9999 in UTC"
        raise ValueError(message)
    return ms


def to_ms(instant: datetime) -> int:
    """Whole milliseconds of an aware datetime, rounded down."""
    return (instant - _EPOCH) // _MS


def format_ms(ms: int) -> str:
    """RFC 3339 UTC with milliseconds: ``2026-11-22T10:00:00.000Z``."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
