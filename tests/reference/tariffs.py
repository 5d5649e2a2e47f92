"""What is owed, until when, and what lateness costs, by the texts alone."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Literal

from tests.reference.days import DAY, cents, months_on, whole_months

FIRST = date(2025, 7, 1)
RATES = {
    (2025, 2): Fraction("6.65"), (2026, 1): Fraction("6.67"), (2026, 2): Fraction("7.30"), (2027, 1): Fraction("5.90"),
    (2027, 2): Fraction("6.05"), (2028, 1): Fraction("6.20"), (2028, 2): Fraction("6.45"), (2029, 1): Fraction("5.75"),
}  # fmt: skip

Regime = Literal["withdrawal", "delivery", "guarantee", "renewal", "none"]


def _points() -> list[Fraction]:
    """Of a day: the rates of all days up to it, one after the other."""
    found, day = [Fraction(0)], FIRST
    while rate := RATES.get((day.year, 1 if day.month < 7 else 2)):
        found.append(found[-1] + rate)
        day += DAY
    return found


POINTS = _points()


def interest(minor: int, due: date, paid: date) -> Fraction:
    """At the legal rate of each day after the last one (L313-2 of the monetary code)."""
    if paid <= due:
        return Fraction(0)
    points = POINTS[(paid - FIRST).days + 1] - POINTS[(due - FIRST).days + 1]
    return minor * points / 36500


def on_withdrawal(minor: int, due: date, paid: date) -> int:
    """L242-4, before its cap."""
    days = (paid - due).days
    if days <= 0:
        return 0
    if days <= 10:
        return cents(interest(minor, due, paid))
    for until, percent in ((20, 5), (30, 10), (60, 20), (90, 50)):
        if days <= until:
            return cents(Fraction(minor * percent, 100))
    months = max(whole_months(due + timedelta(days=90), paid), whole_months(due, paid) - 3)
    return cents(Fraction(minor * (50 + 5 * months), 100))


def on_delivery(minor: int, due: date, paid: date) -> int:
    """L241-4, and L241-6, which says the same of postage."""
    days = (paid - due).days
    percent = 0 if days <= 0 else 10 if days <= 14 else 20 if days <= 30 else 50
    return cents(Fraction(minor * percent, 100))


@dataclass
class Debt:
    """What is owed for a reason. `product`: what it never costs more than, when it is late. `by_hand`: no means of the
    order brings it. `out`: (cents, day) that the shop paid by hand; `topped`: what it paid for being late.
    """

    source: str
    regime: Regime
    minor: int
    product: int
    notice_on: date
    shipped: bool = False
    away: dict[str, int] = field(default_factory=dict)
    back_on: date | None = None
    sent_on: date | None = None
    by_hand: bool = False
    out: list[tuple[int, date]] = field(default_factory=list)
    topped: int = 0

    def due(self) -> date | None:
        """Fourteen days, thirty of an advance (L215-1); of goods not before they are back or their dispatch is proven;
        weekends move nothing.
        """
        plain = self.notice_on + timedelta(days=30 if self.regime == "renewal" else 14)
        if not self.shipped:
            return plain
        events = [day for day in (self.back_on, self.sent_on) if day is not None]
        return max(plain, min(events)) if events else None

    def costs(self, paid: list[tuple[int, date]], today: date) -> int:
        """On top of it, as if what is not paid went today."""
        due = self.due()
        if due is None:
            return 0
        by_day: dict[date, int] = {}
        for minor, day in [*paid, (self.minor - sum(minor for minor, _ in paid), today)]:
            by_day[day] = by_day.get(day, 0) + minor
        return self._all(due, by_day)

    def _all(self, due: date, by_day: dict[date, int]) -> int:
        match self.regime:
            case "delivery" | "guarantee":
                return sum(on_delivery(minor, due, day) for day, minor in by_day.items())
            case "renewal":
                return sum(cents(interest(minor, due, day)) for day, minor in by_day.items())
            case "none":
                return 0
        cap = self.product or self.minor  # of goods that were free only their delivery is owed
        return min(cap, sum(min(cap, on_withdrawal(m, due, day)) for day, m in by_day.items()))


def kept_until(total: int, events: list[date]) -> date | None:
    """Ten years from what was performed last, of a contract of 120 euros or more (D213-1, D213-2)."""
    return months_on(max(events), 120) if total >= 12000 else None
