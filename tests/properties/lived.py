"""A clock, and an order that lives by it: the machine, its aftercare and each look at them on one side; on the other
the same events as the oracle was told them.
"""

import heapq
from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

import msgspec

from services.checkout.domain import lifecycle, looking, papers
from services.checkout.domain.aftercare import PaperRef, Voucher
from services.checkout.domain.contracts import Contract
from services.checkout.domain.follow_up import Outcome, Setting, folded
from services.checkout.domain.orders import Act
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.refunds import Refund
from services.checkout.domain.shops import AftercareTerms
from tests.properties.bought import LAW, cared, placed
from tests.reference.days import PARIS, day_of
from tests.reference.guarantee import GuaranteedSale
from tests.reference.plans import Plan
from tests.reference.subscriptions import Subscription
from tests.unit.checkout.sold import done

replace = msgspec.structs.replace

FIRST: Final = date(2025, 7, 1)
DAYS: Final = 365 + 730 + 240  # a year of orders, two years of guarantee for each, and what repairs add
SECOND: Final = timedelta(seconds=1)


class Clock:
    """What is to happen, by its instant; what lies beyond its end never does."""

    def __init__(self, days: int = DAYS) -> None:
        self.at = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=PARIS)
        self.until = self.at + timedelta(days=days)
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._count = 0
        self.done = 0

    def call(self, at: datetime, work: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(at, self.at), self._count, work))

    def run(self) -> None:
        while self._heap and self._heap[0][0] < self.until:
            self.at, _, work = heapq.heappop(self._heap)
            self.done += 1
            work()


class Living:
    """One order: the machine and its aftercare on one side, what the texts say of the same events on the other.

    `went`: when the bank had a refund; `agreed`: the other way of a due; `cost`: what its lateness has cost so far;
    `freely`: the keys of refunds that nobody was owed; `quiet`: nothing of it is open since it was checked last.
    """

    def __init__(self, plan: Plan, clock: Clock, counted: dict[str, int], check: Callable[["Living"], None]) -> None:
        self.plan, self.clock, self.counted, self._check = plan, clock, counted, check
        self.rng = Random(plan.number)
        self.order, self.after = placed(plan), cared(plan)
        self.sale = GuaranteedSale(plan.placed, plan.things, plan.delivery, ((plan.full_fee, plan.free_from),))
        self.contract: Contract | None = None
        self.subscription: Subscription | None = None
        self.went: dict[str, date | None] = {}
        self.agreed: dict[str, Voucher] = {}
        self.freely: set[str] = set()
        self.cost: dict[str, int] = {}
        self.seen = 0
        self.quiet = False
        self.look_at: datetime | None = None
        self.papered: object = None

    @property
    def setting(self) -> Setting:
        return Setting(self.clock.at, LAW, AftercareTerms(automatic_refunds=self.plan.automatic))

    @property
    def on(self) -> date:
        return day_of(self.clock.at)

    # -- doing

    def later(self, days: float, work: Callable[[], None]) -> None:
        self.clock.call(self.clock.at + timedelta(days=days), work)

    def act(self, act: Act) -> bool:
        """An act of the order machine; False when it refuses it."""
        moved = lifecycle.step(self.order, act, self.clock.at)
        if isinstance(moved, Refusal):
            return False
        self.order = moved.state
        self.looked()
        return True

    def follow(self, found: Outcome | Refusal) -> None:
        self.apply(done(found))
        self.looked()

    def apply(self, outcome: Outcome) -> None:
        self.order, self.after = folded(self.order, outcome, self.clock.at), outcome.after

    def looked(self) -> None:
        self.apply(looking.look(self.order, self.after, self.setting))
        if self.rng.random() < 0.02:
            again = looking.look(self.order, self.after, self.setting)
            assert again == Outcome(self.after), "who looks twice finds nothing more to do"
        self.contract_looked()
        fresh = self.order.refunds[self.seen :]
        self.each_to_his_own(fresh)
        self.seen = len(self.order.refunds)
        for refund in fresh:
            self.send(refund)
        self.paper()
        due_at = looking.next_look(self.order, self.after, self.setting)
        if due_at is not None and due_at != self.look_at:
            assert due_at > self.clock.at, "a day that does not move is looked at for ever"
            self.clock.call(due_at, lambda: self.midnight(due_at))
        self.look_at = due_at
        self.check()

    def midnight(self, due_at: datetime) -> None:
        if self.look_at == due_at:
            self.look_at = None
            self.looked()

    def check(self) -> None:
        """What is true of an order is true after whatever happened to it."""
        self.quiet = False
        self._check(self)

    def paper(self) -> None:
        """Numbers without a gap, of what is to be issued."""
        known = len(self.order.refunds), sum(len(due.payouts) for due in self.after.dues)
        if self.papered == known:
            return
        self.papered = known
        for _ in range(2):  # credit notes need the number of their invoice
            for one in papers.wanted(self.order, self.after):
                name = papers.series(one.kind, self.on)
                self.counted[name] = self.counted.get(name, 0) + 1
                ref = PaperRef(
                    number=papers.numbered(one.kind, self.on, self.counted[name]), kind=one.kind, cause=one.cause,
                    total_minor=one.total_minor, vat_minor=one.vat_minor, issued_on=self.on,
                    taxed_minor=one.taxed_minor,
                )  # fmt: skip
                self.after = replace(self.after, papers=(*self.after.papers, ref))

    def each_to_his_own(self, fresh: tuple[Refund, ...]) -> None:
        """A refund goes back over the means in proportion to what is left of each, to within a cent."""
        by_key: dict[str, dict[int, int]] = {}
        for one in fresh:
            shares = by_key.setdefault(one.key, {})
            shares[one.tender] = shares.get(one.tender, 0) + one.amount_minor
        gone = [sum(one.amount_minor for one in self.order.refunds[: self.seen] if one.tender == place)
                for place in range(len(self.order.tenders))]  # fmt: skip
        for shares in by_key.values():
            left = [tender.amount_minor - back for tender, back in zip(self.order.tenders, gone, strict=True)]
            amount, whole = sum(shares.values()), sum(left)
            for place, most in enumerate(left):
                share = shares.get(place, 0)
                assert share <= most
                assert abs(share * whole - amount * most) < whole, f"{self.plan.number}: {shares} of {left}"
                gone[place] += share

    # -- what is told elsewhere

    def contract_looked(self) -> None:
        """The contract that goes on is looked at whenever its order is."""

    def send(self, refund: Refund) -> None:
        """What becomes of a refund at the bank."""
        raise NotImplementedError(refund.id)
