"""Facts: events that go on whole, under the key that keeps a person's facts in order."""

from collections.abc import Iterable
from typing import Final

import msgspec

from relance.kernel.instants import format_ms

__all__ = ["key_of", "link_fact", "rewritten", "spliced"]

_NOBODY: Final = b"-"


def key_of(visitor: str | None, person: str | None, product: str | None) -> bytes:
    """Key of a fact: the visitor's UUID, else the person, else the product."""
    return (visitor or person or product or "").encode() or _NOBODY


def spliced(event: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The event with the bytes from start to end of each edit replaced; edits do not overlap."""
    parts: list[bytes] = []
    at = 0
    for start, end, text in sorted(edits):
        parts += [event[at:start], text]
        at = end
    return b"".join([*parts, event[at:]])


def rewritten(event: bytes, visitor: str | None, corrected_ms: int | None) -> bytes:
    """The event with its visitor's UUID, and, where it was corrected, its true time and no `senttime`."""
    value = msgspec.json.decode(event)
    if visitor is not None:
        value["visitorid"] = visitor
    if corrected_ms is not None:
        value["time"] = format_ms(corrected_ms)
        value["senttime"] = None
    return msgspec.json.encode(value)


def link_fact(shop: str, visitorid: str, visitor: str, time_ms: int) -> bytes:
    """The fact that `visitor` stands for `visitorid`; written again, it is the same fact by its id."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"linked-{visitor}",
            "source": f"/shops/{shop}",
            "type": "identity.linked",
            "time": format_ms(time_ms),
            "visitorid": visitor,
            "data": {"anonymous_id": visitorid, "visitor": visitor},
        }
    )
