"""A contract that goes on, by the texts alone: its terms, when its renewal is to be announced, when it may be left, and
what of an advance goes back (L215-1, L215-1-1).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from tests.reference.days import DAY, cents, months_on


class Left(NamedTuple):
    """How it is left. `free`: nothing keeps him, as no renewal was announced, or on trial."""

    ends_on: date
    free: bool


class Paid(NamedTuple):
    """In advance, for days of which both ends count."""

    minor: int
    first: date
    last: date


@dataclass
class Subscription:
    """`months`: of a term, 0 without end; `tacit`: it renews itself, and without terms its minimum does, into time
    without end; `refusal`: days before the end of a term on which it is last refused; `notice`: days after which one
    without end is over. `told`: (day, turn) of each announcement that arrived; `again_by`: those to be made again.
    """

    began: date
    trial: int = 0
    months: int = 0
    tacit: bool = False
    refusal: int = 0
    notice: int = 0
    minimum: int = 0
    told: list[tuple[date, date]] = field(default_factory=list)
    again_by: dict[date, date] = field(default_factory=dict)
    missed: set[date] = field(default_factory=set)
    paid: list[Paid] = field(default_factory=list)
    asked: tuple[date, date] | None = None
    left: Left | None = None
    owed: int = 0
    over_on: date | None = None

    @property
    def first(self) -> date:
        """The day after the trial."""
        return self.began + timedelta(days=self.trial)

    @property
    def bound_until(self) -> date:
        """Before which its minimum does not let it go."""
        return months_on(self.first, self.minimum) if self.minimum else self.began

    def turns(self) -> Iterator[date]:
        """The first days of its next terms."""
        count = 0
        while self.months and count < 600:
            count += 1
            yield months_on(self.first, count * self.months)
        if not self.months and self.tacit and self.minimum:
            yield self.bound_until

    def ahead(self, on: date) -> list[date]:
        """The next turns, as far as they can be announced by then."""
        found = []
        for day in self.turns():
            if day > on:
                found.append(day)
                if self.window(day)[0] > on:
                    break
        return found

    def last_refusal(self, turn: date) -> date:
        return turn - timedelta(days=max(1, self.refusal))

    def window(self, turn: date) -> tuple[date, date]:
        """From three months to one month before the end of the refusal, both days in it."""
        last = self.last_refusal(turn)
        return months_on(last, -3), months_on(last, -1)

    def was_announced(self, turn: date) -> bool:
        first, last = self.window(turn)
        return any(of == turn and first <= day <= last for day, of in self.told)

    # what happens

    def over(self, on: date) -> date | None:
        """The day on which it ended, by then."""
        if self.over_on is not None:
            return self.over_on if self.over_on <= on else None
        if self.left is not None:
            return self.left.ends_on if self.left.ends_on <= on else None
        turn = next(self.turns(), None)
        return turn if turn is not None and not self.tacit and turn <= on else None

    def renewals(self, on: date) -> list[tuple[date, bool]]:
        """Terms that began by themselves, and whether they had been announced."""
        end, found = self.over(on), []
        for turn in self.turns() if self.tacit else ():
            if turn > on or (end is not None and turn >= end):
                break
            found.append((turn, self.was_announced(turn)))
        return found

    def announced(self, day: date, turn: date) -> None:
        self.told.append((day, turn))
        self.again_by.pop(turn, None)

    def bounced(self, day: date, turn: date, heard_on: date) -> None:
        """It did not arrive and is none: it is made again within a week, in its window. Who was held to a term of which
        it told had nothing that held him.
        """
        self.told.remove((day, turn))
        last = self.window(turn)[1]
        if heard_on < last:
            self.again_by[turn] = max(heard_on + DAY, min(day + timedelta(days=7), last))
        else:
            self.missed.add(turn)
        if self.left is not None and self.asked is not None and not self.left.free and self.over_on is None:
            self.leave(*self.asked)

    def leave(self, on: date, wished: date) -> int:
        """What a notification of that day achieves; another one never makes it end later. What more goes back by it."""
        before, self.left = self.left, None
        over = self.over(on)
        left = self._left(on, wished) if over is None else Left(over, free=False)
        if before is not None and before.ends_on <= left.ends_on:
            self.left = before
            return 0
        self.asked, self.left = (on, wished), left
        return self.owes_more()

    def pay(self, one: Paid) -> int:
        """What of it goes back already."""
        self.paid.append(one)
        return self.owes_more() if self.left is not None else 0

    def owes_more(self) -> int:
        assert self.left is not None
        more = sum(_unused(one, self.left.ends_on) for one in self.paid) - self.owed
        self.owed += max(0, more)
        return max(0, more)

    def _left(self, on: date, wished: date) -> Left:
        if self.trial and on < self.first:
            return Left(min(wished, self.first), free=True)
        renewed = self.renewals(on)
        if renewed and not renewed[-1][1]:
            return Left(wished, free=True)
        ahead = [day for day in self.turns() if day > on]
        if not self.tacit or not ahead:
            return Left(next(self.turns()), free=False) if self.months else self._without_end(on, wished)
        turn = ahead.pop(0)
        if on > self.last_refusal(turn):
            if not self.was_announced(turn):
                return Left(max(turn, wished), free=True)
            if not ahead:
                return self._without_end(on, max(wished, turn))
            turn = ahead.pop(0)
        least = max(wished, self.bound_until)
        while turn < least and ahead:
            turn = ahead.pop(0)
        return Left(turn, free=False) if turn >= least else self._without_end(on, least)

    def _without_end(self, on: date, wished: date) -> Left:
        return Left(max(wished, self.bound_until, on + timedelta(days=self.notice)), free=False)


def _unused(one: Paid, ends_on: date) -> int:
    """Of an advance: the days on which nothing is performed."""
    days = (one.last - one.first).days + 1
    served = min(days, max(0, (ends_on - one.first).days))
    return one.minor - cents(Fraction(one.minor * served, days))
