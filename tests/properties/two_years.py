"""Orders that live for two years by the machine, the aftercare and its daily look, as their plans have it; a bank that
is late or changes its mind; and beside each of them the same events as the oracle was told them.
"""

import heapq
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from random import Random
from typing import Final

import msgspec

from services.checkout.domain import lifecycle, looking, papers, promises, statements
from services.checkout.domain.aftercare import PaperRef
from services.checkout.domain.attempts import News
from services.checkout.domain.discharge import ask_now
from services.checkout.domain.follow_up import Outcome, Setting, folded
from services.checkout.domain.orders import (
    Act,
    Cancel,
    Deliver,
    Ship,
    StartAttempt,
)  # fmt: skip
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.refunds import Redirect, Refund, RefundNews, Retry, Settle
from services.checkout.domain.shops import AftercareTerms
from tests.properties.bought import LAW, cared, placed
from tests.reference.aftercare import PARIS, Box, Sale, day_of
from tests.reference.plans import Plan, Said, instant
from tests.unit.checkout.sold import done

replace = msgspec.structs.replace

FIRST: Final = date(2025, 7, 1)
DAYS: Final = 730
SECOND: Final = timedelta(seconds=1)


class Clock:
    """What is to happen, by its instant; what lies beyond the two years never does."""

    def __init__(self) -> None:
        self.at = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=PARIS)
        self.until = self.at + timedelta(days=DAYS)
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


class Life:
    """One order: the machine and its aftercare on one side, what the texts say of the same events on the other."""

    def __init__(self, plan: Plan, clock: Clock, counted: dict[str, int], check: Callable[["Life"], None]) -> None:
        self.plan, self.clock, self.counted, self._check = plan, clock, counted, check
        self.rng = Random(plan.number)
        self.order, self.after = placed(plan), cared(plan)
        self.sale = Sale(plan.placed, plan.things, plan.delivery, ((plan.full_fee, plan.free_from),))
        self.went: dict[str, date | None] = {}
        self.seen = 0
        self.cost: dict[str, int] = {}
        self.look_at: datetime | None = None
        self.papered = -1
        self.awaiting: list[Said] = []
        clock.call(plan.placed, self.begin)

    # -- doing

    @property
    def setting(self) -> Setting:
        return Setting(self.clock.at, LAW, AftercareTerms(automatic_refunds=self.plan.automatic))

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
        for refund in self.order.refunds[self.seen :]:
            self.seen += 1
            self.send(refund)
        self.paper()
        due_at = looking.next_look(self.order, self.after, self.setting)
        if due_at is not None and due_at != self.look_at:
            assert due_at > self.clock.at, "a day that does not move is looked at for ever"
            self.clock.call(due_at, lambda: self.midnight(due_at))
        self.look_at = due_at
        self._check(self)

    def midnight(self, due_at: datetime) -> None:
        if self.look_at == due_at:
            self.look_at = None
            self.looked()

    def paper(self) -> None:
        """Numbers without a gap, of what is to be issued."""
        if self.papered == len(self.order.refunds):
            return
        self.papered = len(self.order.refunds)
        for _ in range(2):  # credit notes need the number of their invoice
            for one in papers.wanted(self.order, self.after):
                name = papers.series(one.kind, day_of(self.clock.at))
                self.counted[name] = self.counted.get(name, 0) + 1
                ref = PaperRef(
                    number=papers.numbered(one.kind, day_of(self.clock.at), self.counted[name]), kind=one.kind,
                    cause=one.cause, total_minor=one.total_minor, vat_minor=one.vat_minor, issued_on=self.setting.on,
                )  # fmt: skip
                if "taxed_minor" in PaperRef.__struct_fields__:
                    ref = replace(ref, taxed_minor=one.taxed_minor)
                self.after = replace(self.after, papers=(*self.after.papers, ref))

    # -- what befalls it

    def later(self, days: float, work: Callable[[], None]) -> None:
        self.clock.call(self.clock.at + timedelta(days=days), work)

    def begin(self) -> None:
        plan = self.plan
        self.act(StartAttempt(means="card", psp="simulator"))
        attempt = self.order.attempts[-1]
        paid = attempt.amount_minor
        news = News(
            attempt_id=attempt.id, status="captured", psp_at=self.clock.at, amount_minor=paid, psp_id="p"
        )  # fmt: skip
        assert self.act(news)
        assert self.order.paid_at is not None
        if plan.informed != "yes":
            on = None if plan.informed == "never" else self.setting.on
            self.follow(statements.inform(self.order, self.after, statements.Inform(on=on), self.setting))
            self.sale.informed, self.sale.informed_on = False, on
        self.consumer()
        self.trader()

    def consumer(self) -> None:
        """What he states, and when he lets services begin."""
        plan = self.plan
        for id_, one in plan.things.items():
            if one.days:
                self.later(self.rng.randrange(0, 10), partial(self.start, id_))
        for said in plan.statements:
            if said.when == "before" or (said.when == "within" and not self.sale.goods()):
                self.later(said.days / 6, partial(self.state, said))
            else:
                self.awaiting.append(said)

    def trader(self) -> None:
        """How it comes, or does not."""
        plan = self.plan
        if plan.coming == "unavailable":
            self.later(plan.ship_days / 2, self.unavailable)
        if plan.coming == "cancelled":
            self.later(plan.ship_days / 2, self.cancel)
        promised = max(one.promised for one in plan.things.values())
        if plan.essential:
            midnight = datetime(promised.year, promised.month, promised.day, tzinfo=PARIS) + timedelta(days=1)
            self.clock.call(midnight - SECOND, lambda: self.insist(promised))
            self.clock.call(midnight, lambda: self.insist(promised))
        elif plan.coming == "never":
            self.clock.call(instant(self.rng, promised + timedelta(days=plan.extra_days - 3)), self.notice)
        if plan.coming != "never":
            self.later(plan.ship_days, lambda: self.ship("a", plan.boxes > 1))
        if not plan.automatic:
            self.later(plan.slow_days, self.ask)

    def start(self, id_: str) -> None:
        if not self.plan.things[id_].left:
            return
        self.plan.things[id_].started = self.setting.on
        act = statements.StartService(line_id=id_, on=self.setting.on)
        self.follow(statements.step(self.order, self.after, act, self.setting))

    def ship(self, box: str, half: bool = False) -> None:  # noqa: FBT001, FBT002 - a part of it
        left = {line.id: line.quantity - line.shipped - line.withdrawn - line.ended for line in self.order.lines}
        units = {id_: count for id_, count in left.items() if count > 0 and id_ in self.sale.goods()}
        if half:
            units = {id_: (count + 1) // 2 for id_, count in units.items()}
        if not units or not self.act(Ship(parcel_id=box, units=units)):
            return
        self.sale.boxes[box] = Box(units)
        fate = self.plan.coming if box == "a" else "comes"
        if fate in {"lost", "returned", "refused"}:
            self.later(self.plan.travel_days + 3, lambda: self.incident(box, fate))
        else:
            self.later(self.plan.travel_days, lambda: self.receive(box))
        if half:
            self.later(self.plan.ship_days + 1, lambda: self.ship("b"))

    def receive(self, box: str) -> None:
        assert self.act(Deliver(parcel_id=box, received_by="consumer"))
        self.sale.boxes[box].received = self.clock.at
        self._check(self)
        self.arrange()
        if self.plan.essential:
            self.later(1, lambda: self.insist(max(one.promised for one in self.plan.things.values())))

    def arrange(self) -> None:
        """Statements that wait for the period to begin: on both sides of its end."""
        lines = [id_ for id_ in self.sale.goods() if self.sale.last_day(id_) is not None]
        waiting, self.awaiting = (self.awaiting, []) if lines else ([], self.awaiting)
        for said in waiting:
            last = self.sale.last_day(lines[0])
            assert last is not None
            end = datetime(last.year, last.month, last.day, tzinfo=PARIS) + timedelta(days=1)
            at = {
                "within": self.clock.at + timedelta(days=said.days), "last": end - SECOND, "out": end,
                "late": end + timedelta(days=said.days, hours=5),
            }[said.when]  # fmt: skip
            self.clock.call(at, partial(self.state, said))

    def incident(self, box: str, kind: str) -> None:
        act = promises.ReportIncident(parcel_id=box, kind=kind)  # type: ignore[arg-type]
        if kind == "refused":
            self.follow(promises.step(self.order, self.after, act, self.setting))
            self.later(4, lambda: self.incident(box, "returned"))
            return
        self.sale.lose(box, self.setting.on)
        self.follow(promises.step(self.order, self.after, act, self.setting))
        self.later(2, lambda: self.ship(box + "+"))

    def state(self, said: Said) -> None:
        """A statement is sent; the shop hears of it when it has arrived."""
        stated, arrives = self.clock.at, self.clock.at + timedelta(days=said.letter_days)
        self.clock.call(arrives, lambda: self.hear(said, stated))

    def hear(self, said: Said, stated: datetime) -> None:
        id_ = f"s{len(self.after.statements)}"
        units: dict[str, int] = {}
        if said.part:
            line = self.rng.choice(list(self.plan.things))
            units = {line: self.rng.randrange(1, self.plan.things[line].quantity + 1)}
            units = {line: min(count, self.plan.things[line].left) for line, count in units.items()}
            if not all(units.values()):
                return
        channel = "letter" if said.letter_days else "web"
        act = statements.StateWithdrawal(
            id=id_, channel=channel, stated_at=stated, received_at=self.clock.at, units=units  # type: ignore[arg-type]
        )  # fmt: skip
        taken = self.sale.state(id_, stated, self.setting.on, units)
        found = done(statements.state(self.order, self.after, act, self.setting))
        assert found.letters[0].kind == "withdrawal.acknowledged", "before anything else, the same day"
        moved = {one.line_id: one.units for one in found.after.statements[-1].decisions if one.moved and one.units}
        assert moved == taken, f"{self.plan.number}: {moved} {taken} {found.after.statements[-1]}"
        self.follow(found)
        if said.back in {"returned", "both"}:
            self.later(said.back_days / 2, lambda: self.back(id_))
        if said.back in {"proven", "both"}:
            self.later(said.back_days / 4, lambda: self.proven(id_))

    def back(self, id_: str) -> None:
        self.sent_back(statements.RecordReturn(statement_id=id_, on=self.setting.on), id_, "back_on")

    def proven(self, id_: str) -> None:
        self.sent_back(statements.ProveDispatch(statement_id=id_, on=self.setting.on), id_, "sent_on")

    def sent_back(self, act: statements.WithdrawalAct, id_: str, name: str) -> None:
        debt = self.sale.debts.get((f"statement/{id_}", True))
        if debt is not None and (getattr(debt, name) is None or getattr(debt, name) > self.setting.on):
            setattr(debt, name, self.setting.on)
        self.follow(statements.step(self.order, self.after, act, self.setting))

    def unavailable(self) -> None:
        line = self.rng.choice(list(self.sale.goods()))
        count = self.rng.randrange(1, self.plan.things[line].quantity + 1)
        act = promises.ReportUnavailable(units={line: count})
        found = promises.step(self.order, self.after, act, self.setting)
        if isinstance(found, Refusal):
            return  # shipped, or withdrawn from, before
        self.sale.end(f"unavailable/{len(self.after.dues)}", {line: count}, self.setting.on)
        self.follow(found)

    def cancel(self) -> None:
        left = {id_: one.left for id_, one in self.plan.things.items()}
        if self.order.state in {"confirmed", "preparing"}:
            self.sale.end("cancelled", left, self.setting.on)
            assert self.act(Cancel(reason="mistake"))

    def notice(self) -> None:
        until = self.setting.on + timedelta(days=self.plan.extra_days)
        act = promises.NotifyLate(at=self.clock.at, until=until, medium="email")
        self.follow(promises.step(self.order, self.after, act, self.setting))
        midnight = datetime(until.year, until.month, until.day, tzinfo=PARIS) + timedelta(days=1)
        self.clock.call(midnight - SECOND, lambda: self.resolve(early=True))
        self.clock.call(midnight, lambda: self.resolve(early=False))

    def resolve(self, *, early: bool) -> None:
        """One second before the extra time has passed a writing achieves nothing; at its end it does, when the notice
        was given once delivery was late.
        """
        promised = max(one.promised for one in self.sale.goods().values())
        was_late = day_of(self.after.late_notices[-1].at) > promised
        left = {id_: one.left for id_, one in self.sale.goods().items() if one.left}
        act = promises.ResolveLate(received_at=self.clock.at, medium="email")
        found = promises.step(self.order, self.after, act, self.setting)
        if self.sale.over or not left or early or not was_late:
            assert isinstance(found, Refusal), found
            return
        outcome = done(found)
        self.sale.end(f"resolution/{outcome.after.resolutions[-1].id}", left, self.setting.on)
        self.follow(outcome)

    def insist(self, promised: date) -> None:
        """The date was essential: once it has passed the contract ends at once, also over what came after it."""
        came = {
            id_: sum(
                box.units.get(id_, 0) for box in self.sale.boxes.values()
                if box.received and day_of(box.received) <= promised
            )
            for id_ in self.sale.goods()
        }  # fmt: skip
        left = {id_: max(0, one.left - came[id_]) for id_, one in self.sale.goods().items()}
        act = promises.ResolveLate(received_at=self.clock.at, medium="email")
        found = promises.step(self.order, self.after, act, self.setting)
        if self.sale.over or not any(left.values()) or self.setting.on <= promised:
            assert isinstance(found, Refusal), found
            return
        outcome = done(found)
        self.sale.end(f"resolution/{outcome.after.resolutions[-1].id}", left, self.setting.on)
        self.follow(outcome)

    def ask(self) -> None:
        for due in self.after.dues:
            found = ask_now(self.order, self.after, due.id, self.setting)
            if isinstance(found, Refusal):
                assert found.rule == "F11", "only a refund that failed is not asked for again"
            else:
                self.follow(found)
        self.later(60, self.ask)

    # -- the bank

    def send(self, refund: Refund) -> None:
        kind = self.order.tenders[refund.tender].kind
        fate = "goes" if kind == "gift_card" else self.rng.choices(("goes", "fails", "returns"), (92, 5, 3))[0]
        days = 0.001 if kind == "gift_card" else self.rng.random() * 3
        if fate == "fails":
            self.later(days, lambda: self.news(refund.id, "failed"))
            self.later(days + self.rng.randrange(1, 60), lambda: self.again(refund.id))
            return
        self.later(days, lambda: self.news(refund.id, "succeeded"))
        if fate == "returns":
            self.later(days + 5, lambda: self.news(refund.id, "failed"))
            self.later(days + 6 + self.rng.randrange(0, 120), lambda: self.redirect(refund.id))

    def news(self, id_: str, status: str) -> None:
        refund = next(one for one in self.order.refunds if one.id == id_)
        self.went[id_] = self.setting.on if status == "succeeded" else None
        news = {"refund_id": id_, "status": status, "psp_at": self.clock.at, "attempted": refund.tries}
        assert self.act(msgspec.convert({"type": "refund_news", **news}, RefundNews))

    def again(self, id_: str) -> None:
        assert self.act(Retry(refund_id=id_))
        self.later(1, lambda: self.news(id_, "succeeded"))

    def redirect(self, id_: str) -> None:
        assert self.act(Redirect(refund_id=id_, means="transfer", agreed_at=self.clock.at))
        self.later(1, lambda: self.settle(id_))

    def settle(self, id_: str) -> None:
        self.went[id_] = self.setting.on
        assert self.act(Settle(refund_id=id_, sent_at=self.clock.at))
