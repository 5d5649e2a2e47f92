"""The legal guarantee: until when it lasts, what of an order can be claimed, which claims are late or stand no longer.

Of goods two years from their receipt; of digital content two years from its supply, or as long as it is supplied.
"""

from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import after_months, paris_date
from relance.rules.law.terms import parameters
from services.checkout.domain.aftercare import Aftercare, Claim, SoldLine
from services.checkout.domain.orders import ENDED, Order, OrderLine

__all__ = [
    "OPEN", "LateClaim", "Remedy", "choices", "claimable", "guarantee_until", "guaranteed_from", "held_units",
    "is_over", "late_claims", "presumed_until", "right_until", "stands",
]  # fmt: skip

OPEN: Final = frozenset({"opened", "taken"})  # claims that are not answered for good

Remedy = Literal["repair", "replacement", "reduction", "resolution"]


class _Terms(msgspec.Struct, frozen=True):
    years: int
    used_presumption_months: int
    digital_presumption_months: int
    repair_months: int
    replacement_years: int
    right_days: int


class LateClaim(NamedTuple):
    """A claim that was not put right in time: since then the price may be reduced, or the sale ended."""

    claim: Claim
    right_until: date
    days: int


def guaranteed_from(line_id: str, order: Order, after: Aftercare) -> date | None:
    """The day from which the guarantee of a line runs: of its last receipt; of digital content, of its supply. None
    before that, and for a service, which has none.
    """
    sold = after.line(line_id)
    if sold is None or sold.kind == "service":
        return None
    if sold.kind == "digital":
        return _supplied_on(sold, order, after)
    times = (parcel.received_at for parcel in order.parcels if parcel.units.get(line_id))
    return max((paris_date(one) for one in times if one is not None), default=None)


def guarantee_until(line_id: str, order: Order, after: Aftercare, book: Book) -> date | None:
    """The last day of the legal guarantee of a line; None before it runs, where there is none, and of digital content
    that is supplied on and on, which is guaranteed as long as it is.

    Two years (L217-3). A repair adds six months to goods, and a replacement begins the two years anew (L217-13), in the
    order in which they came back; the days for which they are away suspend it. Units of a line are not told apart.
    """
    since, sold = guaranteed_from(line_id, order, after), after.line(line_id)
    if since is None or sold is None or (sold.kind == "digital" and sold.subscribed):
        return None
    law = _terms(order, book)
    until = after_months(since, 12 * law.years)
    done = [one for one in after.claims if one.line_id == line_id and one.back_on is not None]
    for claim in sorted(done, key=lambda one: one.back_on or since):
        assert claim.back_on is not None
        if claim.state == "replaced" and sold.kind == "goods":
            until = max(until, after_months(claim.back_on, 12 * law.replacement_years))
        elif claim.state in {"repaired", "replaced"}:
            more = law.repair_months if sold.kind == "goods" else 0
            until = after_months(until, more) + (claim.back_on - _away_from(claim))
    return until


def presumed_until(line_id: str, order: Order, after: Aftercare, book: Book) -> date | None:
    """Until when a defect is presumed to have been there from the first: of goods as long as the guarantee, of used
    ones twelve months (L217-7), of digital content a year from its supply, or as long as it is supplied.
    """
    sold, since = after.line(line_id), guaranteed_from(line_id, order, after)
    if sold is None or since is None or (sold.kind == "digital" and sold.subscribed):
        return None
    if sold.kind == "digital":
        return after_months(since, _terms(order, book).digital_presumption_months)
    if not sold.used:
        return guarantee_until(line_id, order, after, book)
    return after_months(since, _terms(order, book).used_presumption_months)


def is_over(line_id: str, order: Order, after: Aftercare, book: Book, on: date) -> bool:
    """Whether a defect that appears on a day appears after the guarantee."""
    until = guarantee_until(line_id, order, after, book)
    return until is not None and on > until


def right_until(claim: Claim, order: Order, book: Book) -> date:
    """The last day on which goods are to be repaired or replaced."""
    return paris_date(claim.opened_at) + timedelta(days=_terms(order, book).right_days)


def choices(claim: Claim, order: Order, on: date, book: Book) -> tuple[Remedy, ...]:
    """What the consumer may ask for: repair or replacement first, the price or the contract once that was refused, or
    was not done in time; nothing that the guarantee had ended for.
    """
    if claim.refused_for == "after_end":
        return ()
    if claim.state == "refused" or (claim.state in OPEN and on > right_until(claim, order, book)):
        return ("repair", "replacement", "reduction", "resolution")
    return ("repair", "replacement") if claim.state in OPEN else ()


def claimable(order: Order, after: Aftercare) -> dict[str, int]:
    """Units by line that the consumer has and could find fault with, and that no open claim is about."""
    found = {line.id: held_units(line, order, after) - _claimed(line, after) for line in order.lines}
    return {line_id: count for line_id, count in found.items() if count > 0}


def stands(claim: Claim, order: Order, after: Aftercare) -> bool:
    """Whether the consumer still has what an open claim is about: not once all of the line has gone back."""
    return any(line.id == claim.line_id and held_units(line, order, after) > 0 for line in order.lines)


def late_claims(order: Order, after: Aftercare, on: date, book: Book) -> tuple[LateClaim, ...]:
    """Claims that were neither put right nor refused within their days."""
    waiting = (claim for claim in after.claims if claim.state in OPEN and stands(claim, order, after))
    found = [(claim, right_until(claim, order, book)) for claim in waiting]
    return tuple(LateClaim(claim, until, (on - until).days) for claim, until in found if on > until)


def held_units(line: OrderLine, order: Order, after: Aftercare) -> int:
    """Units that the consumer has: of goods, received and not gone back, where what was withdrawn before it left was
    never here; of digital content, those that are still sold. None of an order that has ended: what still comes of it
    is sold no more.
    """
    sold = after.line(line.id)
    if sold is None or order.state in ENDED or guaranteed_from(line.id, order, after) is None:
        return 0
    if sold.kind == "digital":
        return line.quantity - line.withdrawn - line.ended
    return line.received - max(0, line.withdrawn + line.ended - (line.quantity - line.received))


def _claimed(line: OrderLine, after: Aftercare) -> int:
    return sum(one.units for one in after.claims if one.line_id == line.id and one.state in OPEN)


def _away_from(claim: Claim) -> date:
    """From when its goods are immobilised: from the claim, or from when they were handed over if that came first, so
    that no day on which they do not serve counts (D211-2 annex).
    """
    assert claim.back_on is not None
    opened_on = paris_date(claim.opened_at)
    return min(claim.back_on, opened_on if claim.out_from is None else min(opened_on, claim.out_from))


def _supplied_on(sold: SoldLine, order: Order, after: Aftercare) -> date | None:
    """When digital content was put at the consumer's disposal: as the shop reported it; else with the contract or, for
    want of anything better, with its confirmation if that came later.
    """
    if sold.started_on is not None or order.concluded_at is None:
        return sold.started_on
    known = (order.concluded_at, after.confirmed_at)
    return max(paris_date(at) for at in known if at is not None)


def _terms(order: Order, book: Book) -> _Terms:
    return parameters(book, "C10", paris_date(order.concluded_at or order.placed_at), _Terms)
