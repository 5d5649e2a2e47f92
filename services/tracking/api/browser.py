"""What a browser may say. Its key is public, so everyone can say it: nothing that moves money, or speaks for
somebody else.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from relance.events.catalog import CODE
from relance.events.faults import Problem
from services.tracking.api.bodies import Slice
from services.tracking.api.problems import Refused

__all__ = ["ALLOWED_TYPES", "Page", "allowed", "open_page"]

_SERVER_ONLY: Final = (
    "order.", "payment.", "refund.", "withdrawal.", "identity.", "product.stock_changed", "product.price_changed",
)  # fmt: skip
ALLOWED_TYPES: Final = frozenset(
    name for name in CODE if not name.startswith(_SERVER_ONLY) or name == "payment.info_entered"
)


class Page(msgspec.Struct):
    """What a page sends at once: `{"key": ..., "events": [...]}`; or one event, or an array of them."""

    events: list[msgspec.Raw] | None = None
    key: str | None = None


_PAGE: Final = msgspec.json.Decoder(Page)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])


def open_page(body: bytes, events_max: int) -> tuple[str | None, Sequence[Slice]]:
    """The key in the body, if any, and the bytes of each event. Raises Refused: 400 when it is no JSON, 413 for too
    many.
    """
    try:
        page = Page(_ARRAY.decode(body)) if body.lstrip()[:1] == b"[" else _PAGE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is neither an event nor an array of events: {error}") from None
    values: Sequence[Slice] = (body,) if page.events is None else page.events
    if len(values) > events_max:
        raise Refused(413, f"the body holds {len(values)} events, at most {events_max} are taken")
    return page.key, values


def allowed(value: Slice) -> tuple[Slice, Problem | None]:
    """The event as it may be taken from a browser, or why it may not.

    It is written anew, so that no later reader sees another event in the same bytes (two members of one name, say). A
    `personid` is left out: a page cannot vouch for who somebody is; the shop's server says it with `identity.linked`.
    """
    try:
        event = msgspec.json.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return value, None  # the encoder says what is wrong with it
    if not isinstance(event, dict):
        return value, None
    name, data = event.get("type"), event.get("data")
    if isinstance(name, str) and name in CODE and name not in ALLOWED_TYPES:
        return value, Problem("type", f"{name} is taken from a shop's server only (secret key)")
    if name == "consent.changed" and isinstance(data, dict):
        subject = data.get("subject")
        if subject is not None and subject != event.get("visitorid"):
            return value, Problem("data.subject", "a browser may speak for its own visitor only")
    event.pop("personid", None)
    return msgspec.json.encode(event), None
