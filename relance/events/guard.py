"""What is refused before an event is decoded: forms on which JSON readers disagree, or choke."""

from typing import Final

__all__ = ["MAX_BYTES", "MAX_DEPTH", "guard", "guard_depth"]

MAX_BYTES: Final = 262_144  # of one event; a record of `tracking.facts.v1` holds it whole
MAX_DEPTH: Final = 64  # of nested arrays and objects; any JSON reader downstream can follow

_NOT_STRUCTURE: Final = bytes(sorted(set(range(256)) - set(b'[]{}"')))
_ROUND: Final = bytes.maketrans(b"[]{}", b"()()")


def guard(raw: bytes, max_bytes: int = MAX_BYTES) -> None:
    """Raise ValueError for one event (or a whole body) that no decoder should see.

    That is: more than `max_bytes`; bytes that are not UTF-8, for which a decoder that skips an unknown field does not
    look; the character NUL, which no SQL text column holds.
    """
    if len(raw) > max_bytes:
        message = f"has {len(raw)} bytes; at most {max_bytes} are taken"
        raise ValueError(message)
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            message = f"is not UTF-8 (byte {error.start})"
            raise ValueError(message) from None
    if b"\\" in raw and b"\\u0000" in raw.replace(rb"\\", b""):
        message = "holds the character NUL"
        raise ValueError(message)


def guard_depth(raw: bytes) -> None:
    """Raise ValueError when arrays and objects nest deeper than MAX_DEPTH.

    For events that are passed on whole: a reader with a deeper stack than ours would choke on what ours still took.
    """
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _is_deep(raw):
        message = f"is nested deeper than {MAX_DEPTH}"
        raise ValueError(message)


def _is_deep(raw: bytes) -> bool:
    """Whether brackets outside of strings nest deeper than MAX_DEPTH; each round takes the innermost pairs away."""
    bare = raw.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_STRUCTURE)
    brackets = b"".join(bare.split(b'"')[::2]).translate(_ROUND)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"()", b"")
    return bool(brackets)
