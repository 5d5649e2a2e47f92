"""What a browser may say. Its key is public, so everyone can say it: nothing that moves money, or speaks for
somebody else.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from relance.events.catalog import CODE
from relance.events.envelope import shop_of
from relance.events.faults import Problem
from relance.kernel.instants import parse_ms
from services.tracking.api.bodies import Slice
from services.tracking.api.problems import Refused

__all__ = ["ALLOWED_TYPES", "Page", "allowed", "open_page"]

_DAY_MS: Final = 86_400_000
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


def allowed(value: Slice, shop: str, now_ms: int) -> tuple[Slice, Problem | None]:
    """The event as it may be taken from a browser, or why it may not.

    It is written anew, so that no later reader sees another event in the same bytes (two members of one name, say). A
    `personid` is left out: a page cannot vouch for who somebody is; the shop's server says it with `identity.linked`.
    `source` becomes `/shops/<shop>/browser`: source and id identify an event, and a page that guesses the ids of the
    server's events must not make those look like duplicates. A `time` far ahead would keep a session alive for as long.
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
    if "senttime" not in event and _is_ahead(event.get("time"), now_ms):
        return value, Problem("time", "is more than a day ahead")
    event.pop("personid", None)
    if isinstance(event.get("source"), str) and _shop(event["source"]) == shop:
        event["source"] = f"/shops/{shop}/browser"
    return msgspec.json.encode(event), None


def _is_ahead(time: object, now_ms: int) -> bool:
    try:
        return isinstance(time, str) and parse_ms(time) > now_ms + _DAY_MS
    except (ValueError, OverflowError):
        return False  # the encoder says what is wrong with it


def _shop(source: str) -> str | None:
    try:
        return shop_of(source)
    except ValueError:
        return None  # the encoder says what is wrong with it
