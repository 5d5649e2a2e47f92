"""What follows an order, by the texts alone: until when one may withdraw, what is owed, until when, and what lateness
costs. It shares no code with the domain or with the book of rules, and knows an order only by what happened to it.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Literal

from tests.reference.days import cents, day_of, months_on, moved
from tests.reference.tariffs import Debt, kept_until

# -- an order ---------------------------------------------------------------------------------------------------------


@dataclass
class Thing:
    """A line. `waived`: digital content whose loss of the right was shown, asked for and confirmed; `full`: a service
    whose loss with its performance was. `runs`: a subscription. `cheaper`: units whose price was reduced, by `off` in
    all; `given`: what was owed back of the line so far.
    """

    kind: Literal["goods", "digital", "service"]
    quantity: int
    net: int
    unit: int
    promised: date
    waived: bool = False
    full: bool = False
    days: int = 0
    runs: bool = False
    started: date | None = None
    performed: date | None = None
    beside: frozenset[str] = frozenset()
    withdrawn: int = 0
    ended: int = 0
    cheaper: int = 0
    off: int = 0
    given: int = 0

    @property
    def gone(self) -> int:
        return self.withdrawn + self.ended

    @property
    def left(self) -> int:
        return self.quantity - self.gone

    def price(self, count: int) -> int:
        """Of the next units that go back: all of them give back the line, whatever the steps. Those whose price was
        reduced go last, for what they cost by now; and never is more given back than was paid.
        """
        first, last = self.gone, self.gone + count
        whole = cents(Fraction(self.net * last, self.quantity)) - cents(Fraction(self.net * first, self.quantity))
        return max(0, min(whole - self._off(last) + self._off(first), self.net - self.given))

    def _off(self, count: int) -> int:
        reduced = count - (self.quantity - self.cheaper)
        return cents(Fraction(self.off * reduced, self.cheaper)) if reduced > 0 else 0


@dataclass
class Box:
    """A parcel. `his`: lost with a carrier of the consumer's own."""

    units: dict[str, int]
    received: datetime | None = None
    lost_on: date | None = None
    his: bool = False


@dataclass
class Sale:
    """An order by what happened. `fees`: (fee, free from) of the standard modes of delivery that were offered."""

    concluded: datetime
    things: dict[str, Thing]
    delivery: int
    fees: tuple[tuple[int, int | None], ...]
    boxes: dict[str, Box] = field(default_factory=dict)
    debts: list[Debt] = field(default_factory=list)
    informed: bool = True
    informed_on: date | None = None
    over: bool = False
    way: int = 0

    def debt(self, source: str, *, shipped: bool = False) -> Debt | None:
        return next((one for one in self.debts if (one.source, one.shipped) == (source, shipped)), None)

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
        """A service that is fully performed before that day is no longer withdrawn from (L221-28 1°)."""
        one = self.things[id_]
        over = one.full and one.performed is not None and one.performed < day_of(stated)
        return not one.waived and not over and self.in_time(id_, stated)

    def late(self, on: date) -> dict[str, int]:
        """Units of goods that should have come."""
        if self.over:
            return {}
        left = {
            id_: one.left - self.came(id_) - sum(box.units.get(id_, 0) for box in self.boxes.values() if box.his)
            for id_, one in self.goods().items()
            if on > one.promised
        }
        return {id_: count for id_, count in left.items() if count > 0}

    def not_supplied(self, told_on: date) -> dict[str, int]:
        """Units that had not come though they should have before a day: goods by their date, services within thirty
        days. Cover beside goods and what runs on are not waited for.
        """
        within = day_of(self.concluded) + timedelta(days=30)
        services = {
            id_: one for id_, one in self.things.items()
            if one.kind == "service" and not one.beside and not one.runs and told_on > within
            and not (one.performed or (one.days and one.started))
        }  # fmt: skip
        goods = {id_: one for id_, one in self.goods().items() if told_on > one.promised}
        return {id_: one.left for id_, one in (goods | services).items() if one.left}

    def archived_until(self) -> date | None:
        """From the conclusion, the last receipt, or the performance of a service."""
        receipts = [day_of(box.received) for box in self.boxes.values() if box.received]
        performed = [one.performed for one in self.things.values() if one.performed]
        return kept_until(self.total, [day_of(self.concluded), *receipts, *performed])

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

    def owe(self, debt: Debt, way: int = 0) -> None:
        self.way += way
        if debt.minor:
            self.debts.append(debt)

    def rest(self) -> int:
        """Of what was paid for the order, what is not owed yet."""
        return self.total - sum(debt.minor for debt in self.debts if not debt.by_hand)

    def paid_by_hand(self) -> bool:
        """Then not all that was paid may go back at once."""
        return any(debt.out for debt in self.debts if not debt.by_hand)

    def counted(self, prices: dict[str, int]) -> None:
        """What is owed back of each line."""
        for line, minor in prices.items():
            self.things[line].given += minor

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
            and any(plain.get(main) for main in self.things[line].beside)
            and not any(self.things[main].left - plain.get(main, 0) for main in self.things[line].beside)
        }  # fmt: skip
        if not taken:
            return {}
        on = day_of(stated)
        used = {line: self.used(line, count, on, whole=line in in_full) for line, count in taken.items()}
        ends = all(one.left <= taken.get(line, 0) for line, one in self.things.items())
        left = any(box.received or not box.lost_on for box in self.boxes.values())
        if ends and not left and not any(used.values()) and not self.paid_by_hand():
            self._all_back(f"statement/{id_}", "withdrawal", taken, known_on)
        else:
            self._part_back(id_, taken, used, known_on)
        for line, count in taken.items():
            self.things[line].withdrawn += count
        return taken

    def _all_back(
        self, source: str, regime: Literal["withdrawal", "delivery"], taken: dict[str, int], on: date
    ) -> None:
        prices = {line: self.things[line].price(count) for line, count in taken.items()}
        self.owe(Debt(source, regime, self.rest(), sum(prices.values()), on))
        self.counted(prices)
        self.over = True

    def _part_back(self, id_: str, taken: dict[str, int], used: dict[str, int], on: date) -> None:
        here: dict[str, int] = {}
        for line, count in taken.items():
            one = self.things[line]
            away = 0 if one.kind != "goods" else max(0, count - max(0, one.left - self.sent(line)))
            here[line] = count - away
        way = self.way_owed(taken)
        prices = {line: self.things[line].price(count) for line, count in taken.items()}
        stays = {line: self.things[line].price(count) for line, count in here.items() if count}
        left = {line: prices[line] - stays.get(line, 0) for line in taken if taken[line] > here[line]}
        kept, source = sum(used.values()), f"statement/{id_}"
        goes = 0 if left else way
        self.owe(Debt(source, "withdrawal", sum(stays.values()) - kept + goes, sum(stays.values()), on), goes)
        goes = way if left else 0
        debt = Debt(
            source, "withdrawal", sum(left.values()) + goes, sum(left.values()), on, shipped=True,
            away={line: taken[line] - here[line] for line in left},
        )  # fmt: skip
        self.owe(debt, goes)
        self.counted({line: minor - used[line] for line, minor in prices.items()})

    def end(self, source: str, units: dict[str, int], on: date) -> None:
        """Goods that never come: all that was paid for them; with the last of them, when none ever came, the way."""
        ended = self.with_those_beside(units)
        everything = all(one.left <= ended.get(line, 0) for line, one in self.things.items())
        if everything and not any(self.came(line) for line in self.things) and not self.paid_by_hand():
            self._all_back(source, "delivery", ended, on)
        else:
            prices = {line: self.things[line].price(count) for line, count in ended.items()}
            price = sum(prices.values())
            goods = self.goods()
            none = not any(one.left > ended.get(line, 0) or self.came(line) for line, one in goods.items())
            way = max(0, self.delivery - self.way) if none else self.way_owed(ended)
            self.owe(Debt(source, "delivery", price + way, price, on), way)
            self.counted(prices)
        for line, count in ended.items():
            self.things[line].ended += count

    def entrusted(self, box: str) -> None:
        """The consumer's own carrier lost it: that is not the trader's."""
        self.boxes[box].his = True

    def lose(self, box: str, on: date) -> None:
        """A parcel that never arrives: what was withdrawn of it counts as back, each unit once, by age of the debts."""
        self.boxes[box].lost_on = on
        lost = dict(self.boxes[box].units)
        for debt in self.debts:
            if not debt.shipped or debt.back_on is not None:
                continue
            for line, count in debt.away.items():
                gone = min(count, lost.get(line, 0))
                debt.away[line] -= gone
                lost[line] = lost.get(line, 0) - gone
            if not any(debt.away.values()):
                debt.back_on = on
