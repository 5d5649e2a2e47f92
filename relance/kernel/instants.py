"""Instants are integer milliseconds since 1970 UTC inside, RFC 3339 outside."""

from datetime import UTC, datetime, timedelta

__all__ = ["format_ms", "parse_ms", "to_ms"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def parse_ms(text: str) -> int:
    """Milliseconds of an RFC 3339 instant; finer digits are cut off. Raises ValueError without a zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        message = f"{text!r} has no time zone"
        raise ValueError(message)
    return to_ms(instant)


def to_ms(instant: datetime) -> int:
    """Whole milliseconds of an aware datetime, rounded down."""
    return (instant - _EPOCH) // _MS


def format_ms(ms: int) -> str:
    """RFC 3339 UTC with milliseconds: ``2026-11-22T10:00:00.000Z``."""
    return (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
