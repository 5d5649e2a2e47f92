"""What a browser may say. Its key is public, so everyone can say it: nothing that moves money, or speaks for
somebody else.
"""

from collections.abc import Sequence
from typing import Any, Final

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


class _Consent(msgspec.Struct):
    subject: Any = None


class _Peek(msgspec.Struct):
    """Only what decides whether a browser may say it; the encoder checks the rest."""

    type: Any = None
    visitorid: Any = None
    personid: Any = None
    data: msgspec.Raw | None = None


_PAGE: Final = msgspec.json.Decoder(Page)
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw])
_PEEK: Final = msgspec.json.Decoder(_Peek)
_CONSENT: Final = msgspec.json.Decoder(_Consent)


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

    A `personid` is taken out: a page cannot vouch for who somebody is; the shop's server says it with
    `identity.linked`.
    """
    try:
        peek = _PEEK.decode(value)
        if peek.type == "consent.changed" and peek.data is not None:
            subject = _CONSENT.decode(peek.data).subject
            if subject is not None and subject != peek.visitorid:
                return value, Problem("data.subject", "a browser may speak for its own visitor only")
        if isinstance(peek.type, str) and peek.type in CODE and peek.type not in ALLOWED_TYPES:
            return value, Problem("type", f"{peek.type} is taken from a shop's server only (secret key)")
        if peek.personid is not None:
            event = msgspec.json.decode(value)
            del event["personid"]
            return msgspec.json.encode(event), None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the encoder says what is wrong with it
    return value, None
