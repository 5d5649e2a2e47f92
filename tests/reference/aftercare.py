"""What follows an order, by the texts alone: until when one may withdraw, what is owed, until when, and what lateness
costs. It shares no code with the domain or with the book of rules, and knows an order only by what happened to it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)
FIXED = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
EASTER = {
    2024: date(2024, 3, 31), 2025: date(2025, 4, 20), 2026: date(2026, 4, 5), 2027: date(2027, 3, 28),
    2028: date(2028, 4, 16), 2029: date(2029, 4, 1),
}  # fmt: skip
RATES = {
    (2025, 2): Fraction("6.65"), (2026, 1): Fraction("6.67"), (2026, 2): Fraction("7.30"), (2027, 1): Fraction("5.90"),
    (2027, 2): Fraction("6.05"), (2028, 1): Fraction("6.20"),
}  # fmt: skip


def day_of(at: datetime) -> date:
    return at.astimezone(PARIS).date()


def is_off(day: date) -> bool:
    """A Saturday, a Sunday, or a national holiday: Easter Monday, Ascension, Whit Monday move."""
    moving = {EASTER[day.year] + timedelta(days=count) for count in (1, 39, 50)}
    return day.isoweekday() > 5 or (day.month, day.day) in FIXED or day in moving


def moved(day: date) -> date:
    while is_off(day):
        day += DAY
    return day


def months_on(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    count = day.year * 12 + day.month - 1 + months
    for last in range(day.day, 27, -1):
        try:
            return date(count // 12, count % 12 + 1, last)
        except ValueError:
            continue
    return date(count // 12, count % 12 + 1, day.day)


def whole_months(first: date, last: date) -> int:
    count = 0
    while months_on(first, count + 1) <= last:
        count += 1
    return count


def cents(exact: Fraction) -> int:
    """Rounded, half a cent up."""
    return int((exact * 2 + 1) // 2)


# -- what lateness costs ----------------------------------------------------------------------------------------------


def on_withdrawal(minor: int, due: date, paid: date) -> int:
    """L242-4, before its cap."""
    days = (paid - due).days
    if days <= 0:
        return 0
    if days <= 10:
        each = (due + timedelta(days=count) for count in range(1, days + 1))
        points = sum((RATES[one.year, 1 if one.month < 7 else 2] for one in each), Fraction(0))
        return cents(minor * points / 36500)
    for until, percent in ((20, 5), (30, 10), (60, 20), (90, 50)):
        if days <= until:
            return cents(Fraction(minor * percent, 100))
    months = max(whole_months(due + timedelta(days=90), paid), whole_months(due, paid) - 3)
    return cents(Fraction(minor * (50 + 5 * months), 100))


def on_delivery(minor: int, due: date, paid: date) -> int:
    """L241-4."""
    days = (paid - due).days
    percent = 0 if days <= 0 else 10 if days <= 14 else 20 if days <= 30 else 50
    return cents(Fraction(minor * percent, 100))


@dataclass
class Debt:
    """What is owed for a reason. `paid`: (cents, day) as the bank had them."""

    regime: Literal["withdrawal", "delivery"]
    minor: int
    product: int
    notice_on: date
    shipped: bool = False
    away: dict[str, int] = field(default_factory=dict)
    back_on: date | None = None
    sent_on: date | None = None

    def due(self) -> date | None:
        """Fourteen days, of goods not before they are back or their dispatch is proven; weekends move nothing."""
        plain = self.notice_on + timedelta(days=14)
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
        if self.regime == "delivery":
            return sum(on_delivery(minor, due, day) for day, minor in by_day.items())
        cap = self.product or self.minor  # of goods that were free only their delivery is owed
        return min(cap, sum(min(cap, on_withdrawal(m, due, day)) for day, m in by_day.items()))


# -- an order ---------------------------------------------------------------------------------------------------------


@dataclass
class Thing:
    """A line. `waived`: digital content whose loss of the right was shown, asked for and confirmed."""

    kind: Literal["goods", "digital", "service"]
    quantity: int
    net: int
    unit: int
    promised: date
    waived: bool = False
    days: int = 0
    started: date | None = None
    beside: frozenset[str] = frozenset()
    withdrawn: int = 0
    ended: int = 0

    @property
    def gone(self) -> int:
        return self.withdrawn + self.ended

    @property
    def left(self) -> int:
        return self.quantity - self.gone

    def price(self, count: int) -> int:
        """Of the next units that go back: all of them give back the line, whatever the steps."""
        after, before = Fraction(self.net * (self.gone + count), self.quantity), Fraction(self.net * self.gone)
        return cents(after) - cents(before / self.quantity)


@dataclass
class Box:
    """A parcel."""

    units: dict[str, int]
    received: datetime | None = None
    lost_on: date | None = None


@dataclass
class Sale:
    """An order by what happened. `fees`: (fee, free from) of the standard modes of delivery that were offered."""

    concluded: datetime
    things: dict[str, Thing]
    delivery: int
    fees: tuple[tuple[int, int | None], ...]
    boxes: dict[str, Box] = field(default_factory=dict)
    debts: dict[tuple[str, bool], Debt] = field(default_factory=dict)
    informed: bool = True
    informed_on: date | None = None
    over: bool = False
    way: int = 0

    @property
    def total(self) -> int:
        return sum(one.net for one in self.things.values()) + self.delivery

    def goods(self) -> dict[str, Thing]:
        return {id_: one for id_, one in self.things.items() if one.kind == "goods"}

    def sent(self, id_: str) -> int:
        return sum(box.units.get(id_, 0) for box in self.boxes.values() if box.received or not box.lost_on)

    def came(self, id_: str) -> int:
        return sum(box.units.get(id_, 0) for box in self.boxes.values() if box.received)

    # the period

    def received_on(self) -> date | None:
        """The day of the last receipt of all goods that are still meant to come; None while one is missing."""
        days: list[date] = []
        for id_, one in self.goods().items():
            boxes = [box for box in self.boxes.values() if box.units.get(id_) and (box.received or not box.lost_on)]
            if not one.left and not any(box.received for box in boxes):
                continue
            if not boxes or self.sent(id_) < one.left or any(box.received is None for box in boxes):
                return None
            days += [day_of(box.received) for box in boxes if box.received]
        return max(days, default=None)

    def last_day(self, id_: str) -> date | None:
        start = self.received_on() if self.things[id_].kind == "goods" else day_of(self.concluded)
        if start is None:
            return None
        first = last = moved(start + timedelta(days=14))
        if self.informed:
            return first
        last = moved(months_on(first, 12))
        if self.informed_on is not None and self.informed_on <= last:
            last = max(first, moved(self.informed_on + timedelta(days=14)))
        return last

    def in_time(self, id_: str, stated: datetime) -> bool:
        last = self.last_day(id_)
        return last is None or day_of(stated) <= last

    def may(self, id_: str, stated: datetime) -> bool:
        return not self.things[id_].waived and self.in_time(id_, stated)

    # sums

    def fee(self, worth: int) -> int | None:
        fees = [0 if free is not None and worth >= free else fee for fee, free in self.fees]
        return min(fees, default=None)

    def way_owed(self, units: dict[str, int]) -> int:
        """Of the delivery, with these units: what the kept goods would not have cost; with the last, up to the cheapest
        standard fee.
        """
        goods = self.goods()
        if not any(units.get(id_) for id_ in goods):
            return 0
        whole = self.fee(sum(one.unit * one.quantity for one in goods.values()))
        kept = {id_: one.left - units.get(id_, 0) for id_, one in goods.items()}
        if not any(kept.values()):
            return max(0, (self.delivery if whole is None else min(self.delivery, whole)) - self.way)
        if whole is None:
            return 0
        rest = self.fee(sum(goods[id_].unit * count for id_, count in kept.items())) or 0
        return max(0, min(self.delivery, max(0, whole - rest)) - self.way)

    def used(self, id_: str, units: int, on: date, *, whole: bool) -> int:
        one = self.things[id_]
        if one.kind != "service" or whole or one.started is None or not one.days:
            return 0
        days = min(max(0, (on - one.started).days), one.days)
        return cents(Fraction(one.price(units) * days, one.days))

    def owe(self, key: tuple[str, bool], debt: Debt, way: int = 0) -> None:
        self.way += way
        if debt.minor:
            self.debts[key] = debt

    def rest(self) -> int:
        return self.total - sum(debt.minor for debt in self.debts.values())

    # acts

    def with_those_beside(self, units: dict[str, int]) -> dict[str, int]:
        found = {id_: count for id_, count in units.items() if count}
        for id_, one in self.things.items():
            mains = {main: self.things[main].left - units.get(main, 0) for main in one.beside}
            if mains and one.left and not any(mains.values()) and any(units.get(main) for main in mains):
                found[id_] = one.left
        return found

    def state(self, id_: str, stated: datetime, known_on: date, named: dict[str, int]) -> dict[str, int]:
        """A statement: the units that it takes."""
        if self.over:
            return {}
        asked = {line: min(count, self.things[line].left) for line, count in named.items()} or {
            line: one.left for line, one in self.things.items()
        }
        plain = {line: count for line, count in asked.items() if count and self.may(line, stated)}
        taken = self.with_those_beside(plain)
        in_full = {line for line in taken if self.things[line].beside and line not in plain} | {
            line for line in taken if self.things[line].beside
            and not any(self.things[main].left - plain.get(main, 0) for main in self.things[line].beside)
        }  # fmt: skip
        if not taken:
            return {}
        on = day_of(stated)
        used = {line: self.used(line, count, on, whole=line in in_full) for line, count in taken.items()}
        ends = all(one.left <= taken.get(line, 0) for line, one in self.things.items())
        if ends and not any(box.received or not box.lost_on for box in self.boxes.values()) and not any(used.values()):
            self._all_back(f"statement/{id_}", "withdrawal", taken, known_on)
        else:
            self._part_back(f"statement/{id_}", taken, used, known_on)
        for line, count in taken.items():
            self.things[line].withdrawn += count
        return taken

    def _all_back(
        self, source: str, regime: Literal["withdrawal", "delivery"], taken: dict[str, int], on: date
    ) -> None:
        product = sum(self.things[line].price(count) for line, count in taken.items())
        self.owe((source, False), Debt(regime, self.rest(), product, on))
        self.over = True

    def _part_back(self, source: str, taken: dict[str, int], used: dict[str, int], on: date) -> None:
        here: dict[str, int] = {}
        for line, count in taken.items():
            one = self.things[line]
            away = 0 if one.kind != "goods" else max(0, count - max(0, one.left - self.sent(line)))
            here[line] = count - away
        way = self.way_owed(taken)
        prices = {line: self.things[line].price(count) for line, count in taken.items()}
        stays = {line: self.things[line].price(count) for line, count in here.items() if count}
        left = {line: prices[line] - stays.get(line, 0) for line in taken if taken[line] > here[line]}
        kept = sum(used.values())
        goes = 0 if left else way
        self.owe((source, False), Debt("withdrawal", sum(stays.values()) - kept + goes, sum(stays.values()), on), goes)
        goes = way if left else 0
        debt = Debt(
            "withdrawal",
            sum(left.values()) + goes,
            sum(left.values()),
            on,
            shipped=True,
            away={line: taken[line] - here[line] for line in left},
        )
        self.owe((source, True), debt, goes)

    def end(self, source: str, units: dict[str, int], on: date) -> None:
        """Goods that never come: all that was paid for them; with the last of them, when none ever came, the way."""
        ended = self.with_those_beside(units)
        everything = all(one.left <= ended.get(line, 0) for line, one in self.things.items())
        if everything and not any(self.came(line) for line in self.things):
            self._all_back(source, "delivery", ended, on)
        else:
            price = sum(self.things[line].price(count) for line, count in ended.items())
            goods = self.goods()
            none = not any(one.left > ended.get(line, 0) or self.came(line) for line, one in goods.items())
            way = max(0, self.delivery - self.way) if none else self.way_owed(ended)
            self.owe((source, False), Debt("delivery", price + way, price, on), way)
        for line, count in ended.items():
            self.things[line].ended += count

    def lose(self, box: str, on: date) -> None:
        """A parcel that never arrives: what was withdrawn of it counts as back, each unit once, by age of the debts."""
        self.boxes[box].lost_on = on
        lost = dict(self.boxes[box].units)
        for debt in self.debts.values():
            if not debt.shipped or debt.back_on is not None:
                continue
            for line, count in debt.away.items():
                gone = min(count, lost.get(line, 0))
                debt.away[line] -= gone
                lost[line] = lost.get(line, 0) - gone
            if not any(debt.away.values()):
                debt.back_on = on
