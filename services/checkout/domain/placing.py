"""The click: one transition of everything that it touches, or a refusal that touches nothing."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from relance.rules.law.book import Book
from services.checkout.domain import checkouts, coupons, lifecycle, stock, tenders
from services.checkout.domain.checkouts import Checkout, Press
from services.checkout.domain.coupons import Coupon, OwnUses, Taken, Uses, own_uses
from services.checkout.domain.orders import Order, OrderLine, OrderTerms
from services.checkout.domain.outcomes import Moved, Refusal
from services.checkout.domain.recap import Recap, check_words, digest
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Purse

__all__ = ["Again", "Placed", "Shelf", "buyer", "order_now"]


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """What shoppers race for, as read in the transaction that stores the result: by sku, code, `own_uses` and ref."""

    levels: Mapping[str, Level] = {}
    uses: Mapping[str, Uses] = {}
    own: Mapping[str, OwnUses] = {}
    purses: Mapping[str, Purse] = {}


class Placed(NamedTuple):
    """All that is stored together. Each level, uses and purse replaces the one of the version before."""

    checkout: Moved[Checkout]
    order: Moved[Order]
    levels: tuple[Level, ...]
    uses: tuple[Taken, ...]
    purses: tuple[Purse, ...]


class Again(NamedTuple):
    """The same button pressed again: the order that it made."""

    order_id: UUID


def order_now(
    checkout: Checkout,
    press: Press,
    present: Recap,
    granted: Sequence[Coupon],
    shelf: Shelf,
    *,
    terms: OrderTerms,
    law: tuple[Book, date],
    pay_within_days: int = 0,
    at: datetime,
) -> Placed | Again | Refusal:
    """The order of a recap that still holds: `present` is composed anew from what lines, fees and texts are now.

    Fifty clicks, or tabs, make one order: its id follows from the checkout and the recap's hash.
    """
    order_id = checkouts.order_id(checkout.id, press.recap_hash)
    if checkout.state == "ordered" and checkout.recap_hash == press.recap_hash:
        return Again(order_id)
    ordered = checkouts.step(checkout, press, at)
    if isinstance(ordered, Refusal):
        return ordered
    if digest(present) != press.recap_hash:
        reason = "something has changed since: look at the recap again"
        return Refusal("recap.hash", reason, "A07", "Code civil, 1127-2 al. 1")
    if refused := check_words(present, law):
        return refused
    order = lifecycle.place(_placement(checkout, press, present, terms, pay_within_days), at)
    if isinstance(order, Refusal):
        return order
    levels = stock.reserve(shelf.levels, str(order_id), _wanted(present), order.state.deadline)
    if isinstance(levels, Refusal):
        return levels
    uses = _used(granted, shelf, str(order_id), buyer(checkout))
    if isinstance(uses, Refusal):
        return uses
    purses = _held(present, shelf, str(order_id))
    return purses if isinstance(purses, Refusal) else Placed(ordered, order, levels, uses, purses)


def buyer(checkout: Checkout) -> str:
    """Whose uses of a coupon are counted: the person, or a guest by the hash of his address."""
    if checkout.context.person_id or checkout.contact is None:
        return checkout.context.person_id
    return sha256(checkout.contact.contact.email.strip().casefold().encode()).hexdigest()


def _placement(
    checkout: Checkout, press: Press, recap: Recap, terms: OrderTerms, pay_within_days: int
) -> lifecycle.Placement:
    return lifecycle.Placement(
        order_id=checkouts.order_id(checkout.id, press.recap_hash),
        checkout_id=str(checkout.id),
        recap_hash=press.recap_hash,
        context=checkout.context,
        lines=tuple(
            OrderLine(
                id=line.id,
                product_id=line.product_id,
                name=line.name,
                sku=line.sku,
                quantity=line.quantity,
                unit_minor=line.unit_minor,
                net_minor=line.net_minor,
            )
            for line in recap.lines
        ),
        tenders=recap.tenders,
        delivery_minor=recap.delivery_minor,
        discount_minor=recap.discount_minor,
        total_minor=recap.total_minor,
        pay_within_days=pay_within_days,
        terms=terms,
    )


def _wanted(recap: Recap) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for line in recap.lines:
        if line.sku:
            wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    return wanted


def _used(granted: Sequence[Coupon], shelf: Shelf, order_id: str, person: str) -> tuple[Taken, ...] | Refusal:
    changed: list[Taken] = []
    for coupon in granted:
        id_ = own_uses(coupon.code, person)
        before = Taken(
            shelf.uses.get(coupon.code, Uses(code=coupon.code)), shelf.own.get(id_, OwnUses(id=id_))
        )  # fmt: skip
        after = coupons.reserve(coupon, before, order_id)
        if isinstance(after, Refusal):
            return after
        if after is not before:
            changed.append(after)
    return tuple(changed)


def _held(recap: Recap, shelf: Shelf, order_id: str) -> tuple[Purse, ...] | Refusal:
    changed: list[Purse] = []
    for place, tender in enumerate(recap.tenders):
        if tender.state != "held":
            continue
        purse = shelf.purses.get(tender.ref)
        if purse is None:
            return Refusal(f"payment.purses.{place}", "there is no such card or voucher")
        after = tenders.hold(purse, order_id, tender.amount_minor)
        if isinstance(after, Refusal):
            return after
        if after is not purse:
            changed.append(after)
    return tuple(changed)
