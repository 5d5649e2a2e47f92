"""Delivery modes: what each costs, when it arrives, whom it does not serve; the cheapest is known before the contact.

Days are working days as carriers count them: no Saturday, Sunday or national holiday.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import PARIS, Holidays, rolled
from relance.rules.law.terms import parameters
from services.checkout.domain.cart import Line, goods_minor
from services.checkout.domain.outcomes import Refusal

__all__ = [
    "Books", "Destination", "Mode", "OfferedFee", "Quote", "cheapest", "choose", "least_fee_minor", "offered", "quotes",
]  # fmt: skip


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """A mode as the shop runs it. `standard`: counts for the cap of refunds, which pick-up never does. `cut_off`: until
    when on a working day (Paris) an order still leaves that day. `not_to`: how postcodes begin that it does not serve.
    """

    id: str
    kind: Literal["home", "relay", "collect", "express"]
    fee_minor: int
    free_from_minor: int | None = None
    standard: bool = False
    cut_off: time = time(12)
    working_days: int
    countries: frozenset[str] = frozenset({"FR"})
    not_to: tuple[str, ...] = ()
    weight_max_g: int | None = None

    @property
    def caps_refunds(self) -> bool:
        """Whether its fee may be the cheapest standard delivery of a refund."""
        return self.standard and self.kind != "collect"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where to; the shop's default zone until the shopper has said it."""

    country: str = "FR"
    postcode: str = ""


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A mode for this cart and place. `refused` is empty when it can be chosen."""

    mode: Mode
    fee_minor: int
    expected_on: date
    refused: str = ""


class OfferedFee(msgspec.Struct, frozen=True, kw_only=True):
    """What a mode cost when the order was placed, kept for refunds. `full_fee_minor`: without free delivery, which
    begins at `free_from_minor` of goods; `standard`: it counts for the cap.
    """

    mode: str
    kind: Literal["home", "relay", "collect", "express"]
    fee_minor: int
    full_fee_minor: int
    free_from_minor: int | None
    standard: bool


class Books(msgspec.Struct, frozen=True):
    """The least fee for new books, below a sum of them; above it, a cent (loi 81-766 art. 1)."""

    below_minor: int
    fee_minor: int


def quotes(
    modes: Sequence[Mode],
    lines: Sequence[Line],
    to: Destination,
    at: datetime,
    law: tuple[Book, date],
    weight_g: int = 0,
) -> tuple[Quote, ...]:
    """All modes with fee and date, in the shop's order; those that do not serve this cart or place say why."""
    book, day = law
    holidays = parameters(book, "B01", day, Holidays)
    goods = goods_minor(lines)
    return tuple(
        Quote(
            mode=mode,
            fee_minor=_fee(mode, goods, lines, law),
            expected_on=_expected_on(mode, at, holidays),
            refused=_refused(mode, to, weight_g),
        )
        for mode in modes
    )


def offered(found: Sequence[Quote]) -> tuple[OfferedFee, ...]:
    """Those that could be chosen, as a refund asks for them later."""
    return tuple(
        OfferedFee(
            mode=quote.mode.id,
            kind=quote.mode.kind,
            fee_minor=quote.fee_minor,
            full_fee_minor=quote.mode.fee_minor,
            free_from_minor=quote.mode.free_from_minor,
            standard=quote.mode.caps_refunds,
        )
        for quote in found
        if not quote.refused
    )


def cheapest(found: Sequence[Quote]) -> Quote | None:
    """The cheapest that can be chosen, of two the earlier; for the cart page."""
    served = [quote for quote in found if not quote.refused]
    return min(served, key=lambda quote: (quote.fee_minor, quote.expected_on), default=None)


def choose(found: Sequence[Quote], mode: str) -> Quote | Refusal:
    """The quote of the chosen mode."""
    quote = next((one for one in found if one.mode.id == mode), None)
    if quote is None:
        return Refusal("delivery.chosen", f"{mode} is not offered", "A06", "L221-14 al. 3")
    if quote.refused:
        return Refusal("delivery.chosen", quote.refused, "A06", "L221-14 al. 3")
    return quote


def least_fee_minor(lines: Sequence[Line], law: tuple[Book, date]) -> int:
    """What the delivery of a cart costs at least: new books are never delivered for nothing (D20)."""
    book, day = law
    worth = goods_minor([line for line in lines if line.new_book])
    if not worth or "D20" not in book.on(day):
        return 0
    limits = parameters(book, "D20", day, Books)
    return limits.fee_minor if worth < limits.below_minor else 1


def _fee(mode: Mode, goods: int, lines: Sequence[Line], law: tuple[Book, date]) -> int:
    allowed = all(line.may_travel_free for line in lines)
    free = allowed and mode.free_from_minor is not None and goods >= mode.free_from_minor
    fee = 0 if free else mode.fee_minor
    return fee if mode.kind == "collect" else max(fee, least_fee_minor(lines, law))


def _expected_on(mode: Mode, at: datetime, holidays: Holidays) -> date:
    """Leaves today before the cut-off of a working day, else on the next one; then so many working days."""
    local = at.astimezone(PARIS)
    today = local.date()
    leaves = rolled(today, holidays)
    if leaves == today and local.time() >= mode.cut_off:
        leaves = rolled(today + timedelta(days=1), holidays)
    for _ in range(mode.working_days):
        leaves = rolled(leaves + timedelta(days=1), holidays)
    return leaves


def _refused(mode: Mode, to: Destination, weight_g: int) -> str:
    if to.country not in mode.countries:
        return f"does not deliver to {to.country}"
    if to.postcode and to.postcode.startswith(mode.not_to):
        return f"does not deliver to {to.postcode}"
    if mode.weight_max_g is not None and weight_g > mode.weight_max_g:
        return f"takes at most {mode.weight_max_g} g"
    return ""
