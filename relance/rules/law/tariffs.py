"""What a late refund costs: the tariffs of L242-4, L241-4 and L241-6, and the consumer legal rate by half-year."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

import msgspec

from relance.rules.law.calendar import after_months, complete_months
from relance.rules.law.terms import Unanswerable
from relance.rules.law.totals import half_up

__all__ = ["Bracket", "HalfYear", "Rates", "Surcharge", "Tariff", "rate_of", "surcharge"]


class HalfYear(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The consumer legal rate, percent a year, from its first to its last day."""

    first: date
    last: date
    percent: Decimal


class Rates(msgspec.Struct, frozen=True):
    """The half-years that were entered; no order is asked for, none is guessed."""

    half_years: tuple[HalfYear, ...] = ()


class Bracket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Up to `until_days` late, that day included (None: any number), `percent` of the sum; None: the legal rate."""

    until_days: int | None
    percent: int | None


class Tariff(msgspec.Struct, frozen=True):
    """Brackets in rising order. With `points_each_month` the last bracket ends, and each new month after it adds.

    `new_month` says when a month counts: once it is complete, or as soon as it has begun.
    """

    brackets: tuple[Bracket, ...]
    points_each_month: int | None = None
    new_month: Literal["complete", "begun"] = "complete"
    year_days: int = 365


class Surcharge(NamedTuple):
    """`percent` None: the legal rate by day. `disputed`: the day belongs to two brackets, or a month count decides."""

    minor: int
    days_late: int
    percent: Fraction | None
    new_months: int
    capped: bool
    disputed: bool


def surcharge(
    sum_minor: int, product_minor: int | None, due_on: date, refunded_on: date, *, tariff: Tariff, rates: Rates
) -> Surcharge:
    """What is owed on top of `sum_minor` that was due on `due_on` and is paid back on `refunded_on` (Paris dates).

    `product_minor` None: nothing caps it.

    Raises Unanswerable when the legal rate of a day is needed that no half-year holds.
    """
    days = max(0, (refunded_on - due_on).days)
    if days == 0:
        return Surcharge(0, 0, Fraction(0), 0, capped=False, disputed=False)
    bounds = [bracket.until_days for bracket in tariff.brackets]
    for bracket in tariff.brackets:
        if bracket.until_days is None or days <= bracket.until_days:
            disputed = tariff.points_each_month is not None and days in bounds
            percent = None if bracket.percent is None else Fraction(bracket.percent)
            part = _interest(due_on, days, tariff, rates) if percent is None else percent / 100
            return _capped(
                sum_minor * part, Surcharge(0, days, percent, 0, capped=False, disputed=disputed), product_minor
            )
    return _beyond(sum_minor, product_minor, due_on, refunded_on, tariff)


def _capped(exact: Fraction, of: Surcharge, product_minor: int | None) -> Surcharge:
    """L242-4: never more than the product's price, in any bracket: so the surcharge never falls by waiting."""
    minor = half_up(exact)
    if product_minor is None or minor <= product_minor:
        return of._replace(minor=minor)
    return of._replace(minor=product_minor, capped=True)


def _beyond(sum_minor: int, product_minor: int | None, due_on: date, refunded_on: date, tariff: Tariff) -> Surcharge:
    """After the last bracket: its percent, and points for each new month."""
    last = tariff.brackets[-1]
    assert last.until_days is not None, "a tariff without end has no day beyond it"
    assert last.percent is not None, "the last bracket is a percentage"
    months = _new_months(due_on, refunded_on, last.until_days, tariff.new_month)
    percent = Fraction(last.percent + months * (tariff.points_each_month or 0))
    days = (refunded_on - due_on).days
    return _capped(
        sum_minor * percent / 100, Surcharge(0, days, percent, months, capped=False, disputed=True), product_minor
    )


def _new_months(due_on: date, refunded_on: date, until_days: int, new_month: str) -> int:
    """Months after the last bracket: from its last day, or from the due date less its months, whichever are more.

    Ninety days and three months differ by a day or two; so a delay of thirteen months always has its ten new ones.
    """
    start = due_on + timedelta(days=until_days)
    from_start = complete_months(start, refunded_on)
    if new_month == "begun":
        return from_start + (after_months(start, from_start) < refunded_on)
    return max(from_start, complete_months(due_on, refunded_on) - until_days // 30)


def _interest(due_on: date, days: int, tariff: Tariff, rates: Rates) -> Fraction:
    """Interest on 1 for `days` days after the due date, each at the rate of its own half-year."""
    last, day, percent = due_on + timedelta(days=days), due_on + timedelta(days=1), Fraction()
    while day <= last:
        of = _half_year(day, rates)
        until = min(of.last, last)
        percent += Fraction(of.percent) * ((until - day).days + 1)
        day = until + timedelta(days=1)
    return percent / 100 / tariff.year_days


def rate_of(day: date, rates: Rates) -> Fraction:
    """The consumer legal rate of a day, percent a year. Raises Unanswerable when its half-year was not entered."""
    return Fraction(_half_year(day, rates).percent)


def _half_year(day: date, rates: Rates) -> HalfYear:
    for half_year in rates.half_years:
        if half_year.first <= day <= half_year.last:
            return half_year
    half = "H1" if day.month <= 6 else "H2"
    reason = f"the consumer legal rate of the half-year {half} {day.year} is missing (CMF L313-2): enter it in rule B27"
    raise Unanswerable("refunded_on", reason)
