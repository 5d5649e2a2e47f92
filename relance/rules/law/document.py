"""A checkout as the law sees it: facts of the shop, its lines and offers, what the pages show, and what was done.

As gRPC `Checkout` in JSON: snake_case names, money in euro cents, times RFC 3339, dates ISO. A section that is absent
does not exist yet; `stage` says how far the checkout is, and with that which rules it is held against.
"""

from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec

from relance.kernel.errors import InputError
from relance.rules.law.acts import Attempt, Order, Refund
from relance.rules.law.faults import place_and_words
from relance.rules.law.goods import Extra, Line
from relance.rules.law.pages import Contact, Coupon, Delivery, Display, Payment, Recap
from relance.rules.law.shop import Fact, Instant, Legal, Trader

__all__ = ["STAGES", "Document", "decode"]

Stage = Literal["shop", "cart", "recap", "order"]
LINES_MAX: Final = 1000  # of one cart
STAGES: Final[dict[str, int]] = {"shop": 0, "cart": 1, "recap": 2, "order": 3}


class Document(Fact, frozen=True, kw_only=True):
    """One checkout at one instant. `shop`: legal pages only; `cart`: the first page; `recap`: the page with the
    order button, all that comes before the click; `order`: after it.
    """

    stage: Stage = "recap"
    at: Instant
    language: Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")] = "fr"
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] = "FR"
    channel: Literal["web", "phone_outbound", "phone_inbound"] = "web"  # how the consumer accepts
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "EUR"
    trader: Trader
    legal: Legal
    lines: Annotated[tuple[Line, ...], msgspec.Meta(max_length=LINES_MAX)] = ()
    extras: tuple[Extra, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    delivery: Delivery | None = None
    payment: Payment | None = None
    contact: Contact | None = None
    recap: Recap | None = None
    display: Display = Display()
    attempts: tuple[Attempt, ...] = ()
    order: Order | None = None
    refunds: tuple[Refund, ...] = ()

    @property
    def contract_on(self) -> date | None:
        """The Paris date on which the contract was concluded, None before."""
        return self.order.concluded_on if self.order is not None else None


def decode(data: bytes | str | dict[str, Any]) -> Document:
    """The document of JSON text or of plain values. Raises InputError with the field and the reason."""
    try:
        if isinstance(data, dict):
            return msgspec.convert(data, Document)
        return msgspec.json.decode(data, type=Document)
    except msgspec.DecodeError as error:  # a ValidationError is one; its text ends in the path of the field
        place, words = place_and_words(str(error))
        raise InputError(f"not a checkout document: {place}{': ' if place else ''}{words}") from None
