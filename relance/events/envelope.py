"""The envelope: attributes of a CloudEvent, and the fields of `data` that every event may carry.

Constraints stand in the types, so that decoding is validating. Two cannot without costing more than all the others
together (a regular expression each): the forms of `source` and of `currency`. `relance.events.codec` checks them by
cached look-up.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from relance.events.money import currency_code

__all__ = [
    "MAX_ITEMS", "Contact", "Count", "Currency", "Data", "Envelope", "Id", "Instant", "Item", "Minor", "Quantity",
    "Source", "Text", "Url", "shop_of",
]  # fmt: skip

MAX_ITEMS: Final = 500  # with the bounds of Quantity and Minor, a cart's value stays within 63 bits

_SOURCE: Final = re.compile(r"^/shops/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(/[!-~]*)?$(?!\n)")

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=4096)]
Url = Annotated[str, Meta(max_length=8192)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Quantity = Annotated[int, Meta(ge=1, le=10_000)]
Minor = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Instant = Annotated[datetime, Meta(tz=True)]
Source = Annotated[
    str,
    Meta(
        min_length=7,
        max_length=256,
        description="/shops/<shop>, and after it any path; with id it identifies the event",
        extra_json_schema={"pattern": _SOURCE.pattern},
    ),
]
Currency = Annotated[
    str,
    Meta(min_length=3, max_length=3, description="ISO 4217", extra_json_schema={"pattern": "^[A-Z]{3}$"}),
]


@lru_cache(maxsize=65_536)
def shop_of(source: str) -> str:
    """The shop in `/shops/<shop>` or `/shops/<shop>/<any path>`. Raises ValueError when `source` has another form."""
    found = _SOURCE.match(source)
    if found is None:
        message = "must be /shops/<shop> or /shops/<shop>/<path>; a shop is 1 to 64 letters, digits, '.', '_', '-'"
        raise ValueError(message)
    return found[1]


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One line of a cart, a list or an order. Without `price_minor` the price is unknown, which is not zero."""

    product_id: Id
    name: Text | None = None
    quantity: Quantity | None = None
    price_minor: Minor | None = None
    sku: Text | None = None
    variant: Text | None = None
    variant_id: Text | None = None
    brand: Text | None = None
    category: Text | None = None
    coupon: Text | None = None
    position: Count | None = None
    url: Url | None = None
    image_url: Url | None = None


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Personal data; nowhere else in an event."""

    email: Annotated[str, Meta(max_length=320)] | None = None
    phone: Annotated[str, Meta(max_length=32)] | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    locale: Text | None = None


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What any event may carry; a type's own Struct adds fields, or makes some of these obligatory."""

    one_of: ClassVar[tuple[str, ...]] = ()  # at least one of these fields must be given

    cart_id: Id | None = None
    currency: Currency | None = None
    total_minor: Annotated[int, Meta(ge=0, le=1_000_000_000_000_000)] | None = None
    items: Annotated[tuple[Item, ...], Meta(max_length=MAX_ITEMS)] | None = None
    product_id: Id | None = None
    page: Text | None = None
    url: Url | None = None
    campaign: Text | None = None
    referrer: Url | None = None
    title: Text | None = None
    consent: Annotated[
        dict[str, Any],
        Meta(description="snapshot: channel to true or 'granted'; anything else says that consent was not given"),
    ] | None = None  # fmt: skip
    contact: Contact | None = None
    recovery_link_id: Id | None = None

    def check(self) -> None:
        """Raise ValueError when the currency has another form, or none of `one_of` is given."""
        if self.currency is not None:
            currency_code(self.currency)
        if self.one_of and all(getattr(self, name) is None for name in self.one_of):
            message = f"one of {', '.join(self.one_of)} is required"
            raise ValueError(message)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="type"):
    """The attributes; unknown ones are ignored, null means unset, times carry a zone."""

    specversion: Literal["1.0"]
    id: Id
    source: Source
    time: Instant
    visitorid: Id | None = None
    personid: Id | None = None
    device: Literal["desktop", "mobile", "tablet"] | None = None
    returning: bool | None = None
    senttime: Instant | None = None
    subject: Text | None = None
    datacontenttype: Text | None = None
    dataschema: Text | None = None
    partitionkey: Text | None = None
    traceparent: Text | None = None
