"""The legal guarantee of goods: until when it lasts, what of an order can be claimed, and which claims are late."""

from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import after_months, paris_date
from relance.rules.law.terms import parameters
from services.checkout.domain.aftercare import Aftercare, Claim
from services.checkout.domain.orders import Order, OrderLine

__all__ = [
    "OPEN", "LateClaim", "Remedy", "choices", "claimable", "guarantee_until", "held_units", "late_claims",
    "presumed_until", "right_until",
]  # fmt: skip

OPEN: Final = frozenset({"opened", "taken"})  # claims that are not answered for good

Remedy = Literal["repair", "replacement", "reduction", "resolution"]


class _Terms(msgspec.Struct, frozen=True):
    years: int
    used_presumption_months: int
    repair_months: int
    replacement_years: int
    right_days: int


class LateClaim(NamedTuple):
    """A claim that was not put right in time: since then the price may be reduced, or the sale ended."""

    claim: Claim
    right_until: date
    days: int


def guarantee_until(line_id: str, order: Order, after: Aftercare, book: Book) -> date | None:
    """The last day of the legal guarantee of a line's goods; None before they are received, and of what are no goods.

    Two years from the last receipt (L217-3); a repair adds six months and the days for which they were away, a
    replacement begins the two years anew (L217-13), in the order in which they came back.
    """
    received = _received_on(line_id, order, after)
    if received is None:
        return None
    law = _terms(order, book)
    until = after_months(received, 12 * law.years)
    done = [one for one in after.claims if one.line_id == line_id and one.back_on is not None]
    for claim in sorted(done, key=lambda one: one.back_on or received):
        assert claim.back_on is not None
        if claim.state == "replaced":
            until = max(until, after_months(claim.back_on, 12 * law.replacement_years))
        elif claim.state == "repaired":
            away = claim.back_on - claim.out_from if claim.out_from is not None else timedelta()
            until = after_months(until, law.repair_months) + max(timedelta(), away)
    return until


def presumed_until(line_id: str, order: Order, after: Aftercare, book: Book) -> date | None:
    """Until when a defect is presumed to have been there at delivery: as long as the guarantee, twelve months for used
    goods (L217-7).
    """
    sold, received = after.line(line_id), _received_on(line_id, order, after)
    if sold is None or received is None or not sold.used:
        return guarantee_until(line_id, order, after, book)
    return after_months(received, _terms(order, book).used_presumption_months)


def right_until(claim: Claim, order: Order, book: Book) -> date:
    """The last day on which goods are to be repaired or replaced."""
    return paris_date(claim.opened_at) + timedelta(days=_terms(order, book).right_days)


def choices(claim: Claim, order: Order, on: date, book: Book) -> tuple[Remedy, ...]:
    """What the consumer may ask for: repair or replacement first, the price or the contract once that was refused, or
    was not done in time.
    """
    if claim.state == "refused" or (claim.state in OPEN and on > right_until(claim, order, book)):
        return ("repair", "replacement", "reduction", "resolution")
    return ("repair", "replacement") if claim.state in OPEN else ()


def claimable(order: Order, after: Aftercare) -> dict[str, int]:
    """Units by line that the consumer has and could find fault with."""
    kinds = {sold.id: sold.kind for sold in after.sold}
    found = {line.id: held_units(line, after) for line in order.lines if kinds.get(line.id, "goods") == "goods"}
    return {line_id: count for line_id, count in found.items() if count > 0}


def late_claims(order: Order, after: Aftercare, on: date, book: Book) -> tuple[LateClaim, ...]:
    """Claims that were neither put right nor refused within their days."""
    found = [(claim, right_until(claim, order, book)) for claim in after.claims if claim.state in OPEN]
    return tuple(LateClaim(claim, until, (on - until).days) for claim, until in found if on > until)


def _terms(order: Order, book: Book) -> _Terms:
    return parameters(book, "C10", paris_date(order.concluded_at or order.placed_at), _Terms)


def _received_on(line_id: str, order: Order, after: Aftercare) -> date | None:
    """The day of the last receipt of goods of a line."""
    sold = after.line(line_id)
    if sold is None or sold.kind != "goods":
        return None
    times = (parcel.received_at for parcel in order.parcels if parcel.units.get(line_id))
    return max((paris_date(one) for one in times if one is not None), default=None)


def held_units(line: OrderLine, after: Aftercare, besides: str = "") -> int:
    """Units that were received and have not gone back, without those of open claims. What was withdrawn before it left
    was never here.
    """
    gone = max(0, line.withdrawn + line.ended - (line.quantity - line.received))
    pending = sum(
        one.units for one in after.claims if one.line_id == line.id and one.state in OPEN and one.id != besides
    )
    return line.received - gone - pending
