"""An event of any spelling becomes a row, in plain Python: the strict decoder's word is final, and this is its row."""

from typing import Final
from urllib.parse import unquote_plus

import msgspec

from relance.events.batch import ABSENT, FLAG_PERSON, FLAG_RETURNING, FLAG_RETURNING_GIVEN
from relance.events.catalog import CHANNEL_BIT, CODE, DEVICES, EVENT_TYPES, Stage
from relance.events.codec import Event, EventError
from relance.events.envelope import Data
from relance.events.faults import Problem
from relance.events.money import currency_code
from relance.events.person import ConsentData
from relance.kernel.instants import to_ms
from services.tracking.domain.hashing import cart_hash, event_hash

__all__ = ["Row", "corrected_ms", "path_of", "row_of", "type_name", "utm_campaign"]

_PAGE_MAX: Final = 200
_CAMPAIGN_MAX: Final = 100
_YEAR_1_MS: Final = -62_135_596_800_000
_FAR_MS: Final = 253_402_300_800_000  # the year 10000
_PRODUCT_TYPES: Final = frozenset(kind.name for kind in EVENT_TYPES if kind.stage is Stage.PRODUCT)
FACT_TYPES: Final = frozenset(kind.name for kind in EVENT_TYPES if kind.fact)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of `relance.events.batch.SCHEMA` that an event alone decides; not visitor, shop and arrival."""

    type: int
    time: int
    event_hash: int
    cart_hash: int
    total_minor: int
    value_minor: int
    top_price_minor: int
    items: int
    currency: int
    device: int
    flags: int
    consent_granted: int
    consent_denied: int
    product: str
    page: str
    campaign: str


def type_name(event: Event) -> str:
    """The event's type."""
    return str(event.__struct_config__.tag)


def corrected_ms(event: Event, received_ms: int | None) -> int:
    """The event's time, corrected by what its sender's clock was wrong. Raises EventError when that leads nowhere.

    In UTC it lies in the years 1 to 9999, whatever its zone: an instant outside them has no text, and the session
    service would make a dead letter of the whole batch.
    """
    time_ms = to_ms(event.time)
    if not _YEAR_1_MS <= time_ms < _FAR_MS:
        raise EventError((Problem("time", "is outside the years 1 to 9999 in UTC"),))
    if event.senttime is None or received_ms is None:
        return time_ms
    corrected = time_ms + received_ms - to_ms(event.senttime)
    if not 0 <= corrected < _FAR_MS:
        raise EventError((Problem("senttime", "is so wrong that the time of the event cannot be told"),))
    return corrected


def row_of(event: Event, time_ms: int) -> Row:
    """What the session service reads of an event that happened at `time_ms`."""
    data = event.data
    granted, denied = _consent(data, type_name(event))
    items, value_minor, top_price_minor = _items(data)
    return Row(
        type=CODE[type_name(event)],
        time=time_ms,
        event_hash=event_hash(event.source, event.id),
        cart_hash=0 if data.cart_id is None else cart_hash(data.cart_id),
        total_minor=ABSENT if data.total_minor is None else data.total_minor,
        value_minor=value_minor,
        top_price_minor=top_price_minor,
        items=items,
        currency=0 if data.currency is None else currency_code(data.currency),
        device=DEVICES[event.device] if event.device else 0,
        flags=_flags(event),
        consent_granted=granted,
        consent_denied=denied,
        product=_product(data) if type_name(event) in _PRODUCT_TYPES else "",
        page=(data.page or path_of(data.url or ""))[:_PAGE_MAX],
        campaign=(data.campaign or utm_campaign(data.url or ""))[:_CAMPAIGN_MAX],
    )


def _flags(event: Event) -> int:
    flags = 0 if event.personid is None else FLAG_PERSON
    if event.returning is not None:
        flags |= FLAG_RETURNING_GIVEN | (FLAG_RETURNING if event.returning else 0)
    return flags


def _items(data: Data) -> tuple[int, int, int]:
    """Sum of quantities, value, highest price."""
    if data.items is None:
        return -1, ABSENT, ABSENT
    quantities = [1 if item.quantity is None else item.quantity for item in data.items]
    prices = [item.price_minor for item in data.items]
    known = [price for price in prices if price is not None]
    value = ABSENT
    if len(known) == len(prices):
        value = sum(quantity * price for quantity, price in zip(quantities, known, strict=True))
    return sum(quantities), value, max(known, default=ABSENT)


def _consent(data: Data, name: str) -> tuple[int, int]:
    """Bits of the channels said granted, and of those said not granted."""
    said = {channel: value is True or value == "granted" for channel, value in (data.consent or {}).items()}
    if name == "consent.changed" and isinstance(data, ConsentData):
        said[data.channel] = data.status == "granted"
    granted = sum(CHANNEL_BIT[channel] for channel, yes in said.items() if yes and channel in CHANNEL_BIT)
    denied = sum(CHANNEL_BIT[channel] for channel, yes in said.items() if not yes and channel in CHANNEL_BIT)
    return granted, denied


def _product(data: Data) -> str:
    if data.product_id is not None:
        return data.product_id
    return data.items[0].product_id if data.items else ""


def path_of(url: str) -> str:
    """The path of a URL, or of a reference that begins with its path; ``/`` where the URL has an authority only."""
    rest = url.split("#", 1)[0].split("?", 1)[0]
    mark = rest.find("//")
    if mark < 0 or (mark > 0 and rest[mark - 1] != ":"):
        return rest
    begin = rest.find("/", mark + 2)
    return "/" if begin < 0 else rest[begin:]


def utm_campaign(url: str) -> str:
    """The first utm_campaign of a URL's query that is not empty."""
    query = url.split("#", 1)[0].partition("?")[2]
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "utm_campaign" and value:
            return unquote_plus(value).replace("\0", "")
    return ""
