"""Offers: prices with their history, and what may be announced of a reduction.

A history only grows. A reduction is announced from the lowest price charged to all in the days before (L112-1-1), or
not at all; a price set for one person by an automated decision is said to be so (D06).
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import Moment
from relance.rules.law.prices import Prior, PriorTerms, Reduction, Step, prior_price
from relance.rules.law.terms import parameters
from services.checkout.domain.outcomes import Refusal

__all__ = ["Charged", "History", "Price", "announce", "charged", "personalised_notice", "put"]

replace = msgspec.structs.replace


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A price from an instant on. `person` is set exactly for an individual price, which may end; `automated`: set by
    an automated decision. `campaign`: steps of one uninterrupted campaign have the same.
    """

    id: str
    since: datetime
    price_minor: int
    scope: Literal["all", "individual"] = "all"
    person: str = ""
    until: datetime | None = None
    automated: bool = False
    campaign: str = ""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All prices of one article, in the order in which they were put."""

    sku: str
    prices: tuple[Price, ...] = ()
    version: int = 0


class Charged(NamedTuple):
    """What one person is charged at an instant, by which offer."""

    price_minor: int
    offer_id: str
    individual: bool
    automated: bool


def put(history: History, price: Price, at: datetime) -> History | Refusal:
    """The history with one price more; the same when it has it already. The past is never rewritten: a price to all
    holds from the instant at which it is put, or later, and after those before it.
    """
    known = next((one for one in history.prices if one.id == price.id), None)
    if known is not None:
        return history if known == price else Refusal("offer.id", f"{price.id} is another price")
    if price.price_minor < 0:
        return Refusal("offer.price_minor", "a price is not negative")
    if (price.scope == "individual") != bool(price.person):
        return Refusal("offer.person", "an individual price is one person's, another is everybody's")
    if price.scope == "all" and price.until is not None:
        return Refusal("offer.until", "a price to all holds until the next one: put that one")
    if price.until is not None and price.until <= price.since:
        return Refusal("offer.until", "it would end before it starts")
    if history.prices and price.since < at:
        return Refusal("offer.since", "a price is not changed for the past", "D01", "L112-1-1 I")
    if price.scope == "all" and any(one.since > price.since for one in history.prices if one.scope == "all"):
        return Refusal("offer.since", "a later price to all is known already", "D01", "L112-1-1 I")
    return replace(history, prices=(*history.prices, price), version=history.version + 1)


def charged(history: History, person: str, at: datetime) -> Charged | None:
    """The price for this person: his own while it holds and is lower, else that to all. None before the first."""
    current = [one for one in history.prices if one.scope == "all" and one.since <= at]
    own = [
        one
        for one in history.prices
        if one.person and one.person == person and one.since <= at and (one.until is None or at < one.until)
    ]
    to_all = max(current, key=lambda one: one.since, default=None)
    best = min(own, key=lambda one: one.price_minor, default=None)
    if to_all is None:
        return None  # what is sold to nobody else has no price to compare with
    if best is not None and best.price_minor < to_all.price_minor:
        return Charged(best.price_minor, best.id, individual=True, automated=best.automated)
    return Charged(to_all.price_minor, to_all.id, individual=False, automated=False)


def announce(
    history: History, at: datetime, announced_percent: Decimal | None, law: tuple[Book, date]
) -> Prior | Refusal:
    """The prior price that must stand beside the present one when a reduction is announced, and the percentage at most.

    Refused when there is no price to all before it, when it is none, or when more is announced than it is.
    """
    book, day = law
    shown = [one for one in history.prices if one.scope == "all" and one.since <= at]
    if not shown:
        return Refusal("offer", "it is not for sale", "D01", "L112-1-1 I")
    present = max(shown, key=lambda one: one.since)
    reduction = Reduction(
        start=Moment(present.since), price_minor=present.price_minor, campaign=present.campaign or None
    )
    found = prior_price(_steps(shown), reduction, announced_percent, parameters(book, "D01", day, PriorTerms))
    if found.prior_minor is None:
        return Refusal("reduction.history", "no price of the days before is known", "D01", "L112-1-1 I")
    if not found.allowed:
        rule, article = ("D03", "L112-1-1 I al. 3") if found.in_campaign else ("D02", "L112-1-1 I")
        reason = f"from the prior price of {found.prior_minor} cents it is {found.percent} percent"
        return Refusal("reduction.percent", reason, rule, article)
    return found


def personalised_notice(book: Book, day: date, prices: Sequence[Charged]) -> str:
    """The words that the recap must carry when a price was set by an automated decision; empty when none was."""
    if not any(price.automated for price in prices):
        return ""
    return book.rule("D06", day).wordings["notice"].text or ""


def _steps(prices: Sequence[Price]) -> list[Step]:
    return [
        Step(start=Moment(one.since), price_minor=one.price_minor, scope=one.scope, campaign=one.campaign or None)
        for one in prices
    ]
