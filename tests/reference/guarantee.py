"""The legal guarantee of goods by the texts alone: two years from delivery (L217-3), and what repairs and replacements
add (L217-13); what is owed for a claim, and for the postage that it cost (L241-6).
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from tests.reference.aftercare import Sale
from tests.reference.days import day_of, months_on
from tests.reference.tariffs import Debt

State = Literal["opened", "taken", "repaired", "replaced", "reduced", "resolved", "refused", "gone"]


@dataclass
class Fault:
    """What a consumer claims of some units. `away_on`, `back_on`: at the workshop, or when others came instead."""

    line: str
    units: int
    opened_on: date
    state: State = "opened"
    postage: int = 0
    taken_on: date | None = None
    away_on: date | None = None
    back_on: date | None = None

    @property
    def open(self) -> bool:
        return self.state in {"opened", "taken"}

    def is_late(self, on: date) -> bool:
        """Thirty days to repair or to replace."""
        return self.open and on > self.opened_on + timedelta(days=30)

    def days_away(self) -> int:
        """On which the goods did not serve: from the claim, or from when they were handed over."""
        assert self.back_on is not None
        return max(0, (self.back_on - min(self.opened_on, self.away_on or self.opened_on)).days)


@dataclass
class GuaranteedSale(Sale):
    """A sale whose goods may have faults, by the id of their claim."""

    faults: dict[str, Fault] = field(default_factory=dict)

    def guaranteed_until(self, line: str) -> date | None:
        """The last day. A repair adds six months and the days away, a replacement begins two years."""
        receipts = [day_of(box.received) for box in self.boxes.values() if box.units.get(line) and box.received]
        if not receipts:
            return None
        last = months_on(max(receipts), 24)
        mended = [one for one in self.faults.values() if one.line == line and one.back_on is not None]
        for one in sorted(mended, key=lambda one: one.back_on or max(receipts)):
            assert one.back_on is not None
            if one.state == "replaced":
                last = max(last, months_on(one.back_on, 24))
            else:
                last = months_on(last, 6) + timedelta(days=one.days_away())
        return last

    def held(self, line: str) -> int:
        """Units with the consumer, of a sale that stands. Of those that went back, what never came went first."""
        one = self.things[line]
        return 0 if self.over else self.came(line) - max(0, one.gone - (one.quantity - self.came(line)))

    def gone_back(self) -> None:
        """Claims of which nothing is with the consumer any more are none."""
        for one in self.faults.values():
            if one.open and not self.held(one.line):
                one.state = "gone"

    def find_fault(self, id_: str, line: str, units: int, on: date) -> Fault | None:
        """What is claimed of it; None when nothing can be. After the guarantee it is refused."""
        claimed = sum(one.units for one in self.faults.values() if one.line == line and one.open)
        units, last = min(units, self.held(line) - claimed), self.guaranteed_until(line)
        if units < 1 or last is None:
            return None
        self.faults[id_] = Fault(line, units, on, "refused" if on > last else "opened")
        return self.faults[id_]

    def take(self, id_: str, on: date, postage: int, away_on: date | None) -> None:
        """The consumer hears that it is taken: what sending it costs him is owed from then, whenever he tells of it."""
        one = self.faults[id_]
        one.taken_on, one.away_on = one.taken_on or on, away_on or one.away_on
        more, since = postage - one.postage, max(one.taken_on, one.away_on or one.taken_on)
        self.owe(Debt(f"claim/{id_}", "guarantee", more, more, since, by_hand=True))
        one.postage = postage
        if one.state in {"opened", "refused"}:
            one.state = "taken"

    def mend(self, id_: str, state: Literal["repaired", "replaced"], on: date) -> None:
        self.faults[id_].state, self.faults[id_].back_on = state, on

    def units_left(self, id_: str) -> int:
        """Of a claim: those that he still has."""
        one = self.faults[id_]
        return min(one.units, self.held(one.line))

    def worth(self, id_: str) -> int:
        """What they cost by now."""
        return self.things[self.faults[id_].line].price(self.units_left(id_))

    def reduce(self, id_: str, minor: int, on: date) -> None:
        """The consumer keeps them for less."""
        one = self.faults[id_]
        thing, units = self.things[one.line], self.units_left(id_)
        self.owe(Debt(f"claim/{id_}", "none", minor, minor, on))
        one.state = "reduced"
        thing.cheaper, thing.off = min(thing.quantity, thing.cheaper + units), thing.off + minor
        self.counted({one.line: minor})

    def undo(self, id_: str, on: date) -> int:
        """The sale of these units has ended: how many."""
        one = self.faults[id_]
        units, price = self.units_left(id_), self.worth(id_)
        self.owe(Debt(f"claim/{id_}", "none", price, price, on))
        one.state = "resolved"
        self.counted({one.line: price})
        self.things[one.line].ended += units
        return units
