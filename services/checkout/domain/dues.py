"""What the law owes, as it stands on a day: until when, how much of it is paid, and what its lateness costs.

Money moves in refunds of the order; it discharges a due on the day on which the provider had it, and not before.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law import refunds
from relance.rules.law.book import Book
from relance.rules.law.calendar import after_months, paris_date
from relance.rules.law.refunds import TARIFF_RULE
from relance.rules.law.tariffs import Bracket, Surcharge, Tariff, surcharge
from relance.rules.law.terms import Unanswerable, parameters
from services.checkout.domain.aftercare import Aftercare, Due
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import ENDED, Order
from services.checkout.domain.refunds import Refund

__all__ = [
    "Part", "Standing", "Step", "ahead_on", "bringing", "cap_minor", "due_on", "forecast", "forecasts", "parts",
    "standing", "standings", "unasked_minor",
]  # fmt: skip

_DAY: Final = timedelta(days=1)
_MONTHS: Final = 24  # of a tariff that rises by the month, told in advance
_INTEREST: Final = Tariff(brackets=(Bracket(until_days=None, percent=None),))
_DATED_BY: Final = {"delivery": "C05", "guarantee": "C09"}


class _Days(msgspec.Struct, frozen=True):
    days: int


class _RenewalDays(msgspec.Struct, frozen=True):
    refund_days: int


class Part(NamedTuple):
    """Money of a due. `on`: the Paris date on which it went; None: it is owed."""

    minor: int
    on: date | None


class Step(NamedTuple):
    """What an open due costs from a day on, until the next step. `percent`: `legal` for the legal rate by the day;
    `surcharge_minor` on that very day, in cents, None when the rate of its half-year was not entered; `total_minor`
    with what is open.
    """

    from_on: date
    surcharge_minor: int | None
    percent: str
    total_minor: int


class Standing(NamedTuple):
    """A due on a day. waiting: it has no date yet; soon: within the days that were asked for; late: after its date;
    paid: all but what its lateness costs; settled: that too.

    `open_minor`: of its amount, what has not gone yet; `surcharge_minor`: owed on top as if the rest went that day,
    less what was paid of it; None when a legal rate is `missing`. `percent`: of the tariff, `legal` for the legal rate
    by the day, empty when nothing is late.
    """

    state: Literal["waiting", "open", "soon", "late", "paid", "settled"]
    due_on: date | None
    late_days: int
    open_minor: int
    surcharge_minor: int | None
    percent: str
    rule: str
    article: str
    reading: str
    why: str
    missing: str


def due_on(due: Due, book: Book, paid_on: date | None = None) -> date | None:
    """The last Paris date on which it is in time, never moved to a working day; None while it may wait for the goods.
    `paid_on`: when the order was paid: nothing is given back before it came. Raises NotInForce.
    """
    notice = due.notice_on if paid_on is None else max(due.notice_on, paid_on)
    if due.regime in _DATED_BY:
        return notice + timedelta(days=parameters(book, _DATED_BY[due.regime], due.notice_on, _Days).days)
    if due.regime == "renewal":
        return notice + timedelta(days=parameters(book, "B23", due.notice_on, _RenewalDays).refund_days)
    return refunds.due_on(
        notice, recovered_on=due.recovered_on, dispatched_on=due.dispatched_on, shipped=due.shipped,
        collection_offered=due.collection_offered, law=(book, due.notice_on),
    )  # fmt: skip


def ahead_on(due: Due, due_date: date, ahead_days: int) -> date:
    """From which day its money is asked for: at once, or `ahead_days` before its date when the goods are not back."""
    if not due.shipped or due.recovered_on is not None:
        return due.notice_on
    return max(due.notice_on, due_date - timedelta(days=ahead_days))


def bringing(order: Order, due: Due) -> tuple[Refund, ...]:
    """The refunds that discharge a due."""
    key = f"due/{due.id}"
    return tuple(one for one in order.refunds if one.id in due.refund_ids or one.key == key)


def parts(order: Order, after: Aftercare) -> dict[str, tuple[Part, ...]]:
    """Each due's money. A refund that several dues name goes to them in their order; what comes back is owed again."""
    found: dict[str, list[Part]] = {due.id: _paid_out(due) for due in after.dues}
    left = {due.id: due.amount_minor - sum(part.minor for part in found[due.id]) for due in after.dues}
    for refund in order.refunds:
        amount, on = refund.amount_minor, _gone_on(refund)
        for due in after.dues:
            share = min(amount, left[due.id]) if refund in bringing(order, due) else 0
            if share > 0:
                found[due.id].append(Part(share, on))
                left[due.id] -= share
                amount -= share
    for due in after.dues:
        if left[due.id] > 0 and not _all_went_back(order):
            found[due.id].append(Part(left[due.id], None))
    return {id_: tuple(some) for id_, some in found.items()}


def unasked_minor(order: Order, after: Aftercare, due: Due) -> int:
    """What of a due no refund brings and nobody has paid out."""
    asked = {one.id for one in bringing(order, due)}
    known = msgspec.structs.replace(
        order, refunds=tuple(_gone(one) if one.id in asked else one for one in order.refunds)
    )  # fmt: skip
    return _open_minor(parts(known, after)[due.id])


def standing(order: Order, after: Aftercare, due: Due, on: date, book: Book, soon_days: int = 3) -> Standing:
    """A due of the order as it stands on a Paris date."""
    return _standing(order, due, parts(order, after)[due.id], on, book, soon_days)


def standings(order: Order, after: Aftercare, setting: Setting) -> dict[str, Standing]:
    """All dues of the order by id, as they stand now."""
    found = parts(order, after)
    days = setting.terms.ahead_days
    return {due.id: _standing(order, due, found[due.id], setting.on, setting.book, days) for due in after.dues}


def forecast(order: Order, after: Aftercare, due: Due, book: Book) -> tuple[Step, ...]:
    """What its open part costs from which day on, before any of it is owed; nothing when it is paid or has no date."""
    return _forecast(order, due, parts(order, after)[due.id], book)


def forecasts(order: Order, after: Aftercare, book: Book) -> dict[str, tuple[Step, ...]]:
    """Those of all dues by id."""
    found = parts(order, after)
    return {due.id: _forecast(order, due, found[due.id], book) for due in after.dues}


# -- money ------------------------------------------------------------------------------------------------------------


def _paid_out(due: Due) -> list[Part]:
    left, found = due.amount_minor, []
    for one in due.payouts:
        if one.for_ == "principal" and (share := min(left, one.minor)):
            found.append(Part(share, one.paid_on))
            left -= share
    return found


def _gone_on(refund: Refund) -> date | None:
    return paris_date(refund.succeeded_at) if refund.succeeded_at is not None else None


def _gone(refund: Refund) -> Refund:
    return msgspec.structs.replace(refund, succeeded_at=refund.succeeded_at or refund.requested_at)


def _all_went_back(order: Order) -> bool:
    """It ended unpaid: what had come of it goes back by the refunds of its end, and more was never there."""
    return order.state in ENDED and order.paid_at is None


def _open_minor(of: Iterable[Part]) -> int:
    return sum(part.minor for part in of if part.on is None)


# -- standing ---------------------------------------------------------------------------------------------------------


def _date_of(order: Order, due: Due, book: Book) -> date | None:
    """Its date; None also while nothing was paid: only sums paid are given back."""
    if order.paid_at is None:
        return None if order.state not in ENDED else due_on(due, book)
    return due_on(due, book, paris_date(order.paid_at))


def _standing(order: Order, due: Due, of: tuple[Part, ...], on: date, book: Book, soon_days: int) -> Standing:
    open_minor = _open_minor(of)
    due_date = _date_of(order, due, book)
    named = (*_tariff_name(due, book), _why(order, due, due_date, book))
    if due_date is None:
        state: Literal["waiting", "settled"] = "waiting" if open_minor else "settled"
        return Standing(state, None, 0, open_minor, 0, "", *named, "")
    went = max((part.on for part in of if part.on is not None), default=due_date)
    late_days = max(0, ((on if open_minor else went) - due_date).days)
    owed, percent, missing = _cost(due, of, due_date, on, book)
    rest = (due_date, late_days, open_minor, owed, percent if late_days else "", *named, missing)
    if not open_minor:
        return Standing("settled" if owed == 0 else "paid", *rest)
    days = (due_date - on).days
    return Standing("late" if days < 0 else "soon" if days <= soon_days else "open", *rest)


def _cost(due: Due, of: Iterable[Part], due_date: date, on: date, book: Book) -> tuple[int | None, str, str]:
    """(what lateness costs, less what was paid of it; percent; which rate is missing)."""
    paid = sum(one.minor for one in due.payouts if one.for_ == "surcharge")
    try:
        minor, percent = _surcharge(due, of, due_date, on, book)
    except Unanswerable as error:
        return None, "legal", error.reason
    return max(0, minor - paid), percent, ""


def _surcharge(due: Due, of: Iterable[Part], due_date: date, on: date, book: Book) -> tuple[int, str]:
    """Each part is late by its own day, the open one by `on`. Raises Unanswerable for a legal rate that is missing."""
    by_day: dict[date, int] = {}
    for part in of:
        day = on if part.on is None else part.on
        if day > due_date:
            by_day[day] = by_day.get(day, 0) + part.minor
    found = [_of_part(due, minor, due_date, day, book) for day, minor in sorted(by_day.items())]
    total = sum(one.minor for one in found)
    percent = _percent(found[-1].percent) if found else ""
    cap = cap_minor(due)
    return (total if cap is None else min(total, cap)), percent


def cap_minor(due: Due) -> int | None:
    """The product's price, which the lateness of a withdrawal's refund never costs more than; the sum itself when
    nothing was paid for the product, only for its delivery. None for tariffs without a cap.
    """
    return (due.product_minor or due.amount_minor) if due.regime == "withdrawal" else None


def _of_part(due: Due, minor: int, due_date: date, on: date, book: Book) -> Surcharge:
    if due.regime == "none":
        return Surcharge(0, (on - due_date).days, Fraction(0), 0, capped=False, disputed=False)
    if due.regime == "renewal":
        return surcharge(minor, None, due_date, on, tariff=_INTEREST, rates=refunds.legal_rates(book))
    return refunds.late(due.regime, minor, cap_minor(due), due_date, on, (book, due.notice_on))


def _percent(percent: Fraction | None) -> str:
    if percent is None:
        return "legal"
    return str(percent.numerator if percent.denominator == 1 else float(percent))


def _tariff_name(due: Due, book: Book) -> tuple[str, str, str]:
    """(rule, article, reading) of what lateness costs."""
    if due.regime == "none":
        return "", "", ""
    if due.regime == "renewal":
        return "B23", "L241-3", book.rule("B23", due.notice_on).reading
    rule = book.rule(TARIFF_RULE[due.regime], due.notice_on)
    return rule.id, rule.parameter_articles["brackets"], rule.reading


def _why(order: Order, due: Due, due_date: date | None, book: Book) -> str:
    """How the date comes about, for a worklist."""
    if order.paid_at is None and order.state not in ENDED:
        return "waits until the order is paid: only sums paid are given back (L221-24 al. 1)"
    if due_date is None:
        return f"notice {due.notice_on}; waits for the goods, or the proof of their dispatch (L221-24 al. 2, B13)"
    begins: Mapping[str, tuple[str, str]] = {
        "withdrawal": ("notice", "L221-24, B13"), "delivery": ("end of the contract", "L216-7, C05"),
        "guarantee": ("claim taken", "L241-6, C09"), "renewal": ("end of the contract", "L215-1 al. 3, B23"),
        "none": ("agreed", "no tariff"),
    }  # fmt: skip
    word, article = begins[due.regime]
    plain = due_on(msgspec.structs.replace(due, shipped=False), book)
    days = 0 if plain is None else (plain - due.notice_on).days
    said = [f"{word} {due.notice_on} + {days} days"]
    if order.paid_at is not None and paris_date(order.paid_at) > due.notice_on:
        said.append(f"paid {paris_date(order.paid_at)}")
    if due.shipped and due.recovered_on is not None:
        said.append(f"goods back {due.recovered_on}")
    if due.shipped and due.dispatched_on is not None:
        said.append(f"dispatch proven {due.dispatched_on}")
    return f"{'; '.join(said)} ({article})"


# -- before it is owed ------------------------------------------------------------------------------------------------


def _forecast(order: Order, due: Due, of: tuple[Part, ...], book: Book) -> tuple[Step, ...]:
    open_minor, due_date, cap = _open_minor(of), _date_of(order, due, book), cap_minor(due)
    if not open_minor or due_date is None or due.regime == "none":
        return ()
    steps: list[Step] = []
    for day in _days_of_steps(due, due_date, book):
        minor, percent, _ = _cost(due, of, due_date, day, book)
        if steps and steps[-1].percent == percent:
            continue
        steps.append(Step(day, minor, percent, open_minor + (minor or 0)))
        if cap is not None and minor is not None and minor >= cap:
            break
    return tuple(steps)


def _days_of_steps(due: Due, due_date: date, book: Book) -> list[date]:
    """The days on which a tariff may rise."""
    days = {due_date + _DAY}
    if due.regime not in TARIFF_RULE:
        return sorted(days)
    tariff = parameters(book, TARIFF_RULE[due.regime], due.notice_on, Tariff)
    bounds = [bracket.until_days for bracket in tariff.brackets if bracket.until_days is not None]
    days |= {due_date + timedelta(days=until + 1) for until in bounds}
    if tariff.points_each_month is not None:
        start, before = due_date + timedelta(days=bounds[-1]), bounds[-1] // 30
        for month in range(1, _MONTHS + 1):
            days |= {after_months(start, month - 1) + _DAY, after_months(start, month)}
            days.add(after_months(due_date, before + month))
    return sorted(days)
