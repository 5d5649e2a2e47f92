"""What detection reads of an event, in plain words, and how it comes from a CloudEvents line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

__all__ = ["EPOCH", "Event", "Item", "append_ms_of", "event_of", "ms_of", "text_of"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Item:
    """One line of a cart."""

    quantity: int = 1
    price_minor: int | None = None


@dataclass(frozen=True)
class Event:
    """One event. `items` is None where data.items is absent, empty where it is an empty list."""

    id: str
    type: str
    time: int  # ms since 1970 UTC
    shop: str
    visitor: UUID
    source: str = "/shops/demo"
    arrival: int | None = None  # ms; the raw topic's append time
    person: bool = False
    device: str | None = None
    returning: bool | None = None
    consent: Mapping[str, bool] = field(default_factory=dict)
    items: tuple[Item, ...] | None = None
    total_minor: int | None = None
    currency: str | None = None

    @property
    def quantity(self) -> int:
        """Sum of the items' quantities."""
        return sum(item.quantity for item in self.items or ())

    @property
    def value_minor(self) -> int | None:
        """Sum of quantity x price, or None as soon as one item has no price."""
        total = 0
        for item in self.items or ():
            if item.price_minor is None:
                return None
            total += item.quantity * item.price_minor
        return total

    @property
    def top_price_minor(self) -> int | None:
        """Highest price among the items that have one."""
        return max((item.price_minor for item in self.items or () if item.price_minor is not None), default=None)


def ms_of(text: str) -> int:
    """Milliseconds since 1970 UTC of an RFC 3339 time; finer digits are cut off."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def text_of(ms: int) -> str:
    """RFC 3339 UTC with milliseconds."""
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def append_ms_of(line: Mapping[str, Any]) -> int:
    """A file's line is appended at `receivedtime`, or else at `time`."""
    return ms_of(line.get("receivedtime") or line["time"])


def event_of(line: Mapping[str, Any]) -> Event | None:
    """The event of one CloudEvents line; None where there is no visitor (such events go to facts only)."""
    if not line.get("visitorid"):
        return None
    data = line.get("data") or {}
    shop = line["source"].removeprefix("/shops/").split("/")[0]
    items = data.get("items")
    return Event(
        id=line["id"],
        type=line["type"],
        time=ms_of(line["time"]),
        shop=shop,
        visitor=_visitor(shop, line["visitorid"]),
        source=line["source"],
        arrival=ms_of(line["arrivedtime"]) if line.get("arrivedtime") else None,
        person=bool(line.get("personid")),
        device=line.get("device"),
        returning=line.get("returning"),
        consent=_consent(line["type"], data),
        items=None if items is None else tuple(Item(i.get("quantity", 1), i.get("price_minor")) for i in items),
        total_minor=data.get("total_minor"),
        currency=data.get("currency"),
    )


def _visitor(shop: str, visitorid: str) -> UUID:
    if len(visitorid) == 36 and visitorid.count("-") == 4:
        return UUID(visitorid)
    return uuid5(uuid5(NAMESPACE_URL, "/shops/" + shop), visitorid)


def _consent(kind: str, data: Mapping[str, Any]) -> dict[str, bool]:
    said = {channel: word is True or word == "granted" for channel, word in (data.get("consent") or {}).items()}
    if kind == "consent.changed" and data.get("channel"):
        said[data["channel"]] = data.get("status") == "granted"
    return said
