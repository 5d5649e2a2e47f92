"""Statements of an order that lives, by whatever channel, on both sides of each last day; and what comes back of it."""

from datetime import datetime, timedelta
from functools import partial

from services.checkout.domain import statements
from services.checkout.domain.outcomes import Refusal
from tests.properties.lived import SECOND
from tests.properties.refunded import Refunded
from tests.reference.days import DAY, begins
from tests.reference.plans import Said
from tests.unit.checkout.sold import done


class Withdrawn(Refunded):
    """What the consumer states, and when he lets services begin."""

    awaiting: list[Said]

    def consumer(self) -> None:
        """Plans of the consumer, from his payment on."""
        plan, self.awaiting = self.plan, []
        for id_, one in plan.things.items():
            if one.days:
                self.later(self.rng.randrange(0, 10), partial(self.start, id_))
            elif one.full:
                self.later(self.rng.randrange(0, 20), partial(self.perform, id_))
        for said in plan.statements:
            if said.when == "before" or (said.when == "within" and not self.sale.goods()):
                self.later(said.days / 6, partial(self.state, said))
            else:
                self.awaiting.append(said)

    def start(self, id_: str) -> None:
        thing = self.plan.things[id_]
        if not thing.left or self.sale.over:
            return
        thing.started = self.on
        act = statements.StartService(line_id=id_, on=self.on)
        self.follow(statements.step(self.order, self.after, act, self.setting))
        if thing.full:
            self.later(thing.days, partial(self.perform, id_))

    def perform(self, id_: str) -> None:
        """From the day after it is fully performed a service is withdrawn from no more."""
        thing = self.plan.things[id_]
        if not thing.left or self.sale.over:
            return
        thing.performed = self.on
        act = statements.PerformService(line_id=id_, on=self.on)
        self.follow(statements.step(self.order, self.after, act, self.setting))
        if self.rng.random() < 0.3:
            self.state(Said("within", 0, 0, "kept", 0, part=False))
            self.clock.call(begins(self.on + DAY), lambda: self.state(Said("within", 0, 0, "kept", 0, part=False)))

    def arrange(self) -> None:
        """Statements that wait for the period to begin: on both sides of its end."""
        lines = [id_ for id_ in self.sale.goods() if self.sale.last_day(id_) is not None]
        waiting, self.awaiting = (self.awaiting, []) if lines else ([], self.awaiting)
        for said in waiting:
            last = self.sale.last_day(lines[0])
            assert last is not None
            end = begins(last + DAY)
            at = {
                "within": self.clock.at + timedelta(days=said.days), "last": end - SECOND, "out": end,
                "late": end + timedelta(days=said.days, hours=5),
            }[said.when]  # fmt: skip
            self.clock.call(at, partial(self.state, said))

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
        taken = self.sale.state(id_, stated, self.on, units)
        found = done(statements.state(self.order, self.after, act, self.setting))
        assert found.letters[0].kind == "withdrawal.acknowledged", "before anything else, the same day"
        moved = {one.line_id: one.units for one in found.after.statements[-1].decisions if one.moved and one.units}
        assert moved == taken, f"{self.plan.number}: {moved} {taken} {found.after.statements[-1]}"
        self.follow(found)
        if self.plan.habits.agrees:
            self.agree()
        if self.plan.habits.gives == "named":
            self.later(self.plan.habits.gives_days / 8, self.give)
        if said.back in {"returned", "both"}:
            self.later(said.back_days / 2, lambda: self.back(id_))
        if said.back in {"proven", "both"}:
            self.later(said.back_days / 4, lambda: self.proven(id_))

    def back(self, id_: str) -> None:
        self.sent_back(statements.RecordReturn(statement_id=id_, on=self.on), id_, "back_on")

    def proven(self, id_: str) -> None:
        self.sent_back(statements.ProveDispatch(statement_id=id_, on=self.on), id_, "sent_on")

    def sent_back(self, act: statements.WithdrawalAct, id_: str, name: str) -> None:
        debt = self.sale.debt(f"statement/{id_}", shipped=True)
        if debt is not None and (getattr(debt, name) is None or getattr(debt, name) > self.on):
            setattr(debt, name, self.on)
        found = statements.step(self.order, self.after, act, self.setting)
        assert not isinstance(found, Refusal)
        self.follow(found)
