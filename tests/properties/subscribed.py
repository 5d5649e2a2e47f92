"""The contract that an order which lives began, and that goes on: announced, renewed, left; advances paid for it."""

from datetime import date, timedelta
from functools import partial

from typing_extensions import override

from relance.rules.law.goods import Subscription as Facts
from services.checkout.domain import contracts, renewals
from services.checkout.domain.contracts import Advance, Announced, Contract, Terminate
from services.checkout.domain.follow_up import Letter
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.renewals import Looked
from tests.properties.claimed import Claimed
from tests.properties.lived import SECOND, replace
from tests.reference.days import DAY, begins
from tests.reference.plans import Terms
from tests.reference.subscriptions import Paid, Subscription
from tests.reference.tariffs import Debt
from tests.unit.checkout.sold import refused

LINE = "m"


class Subscribed(Claimed):
    """What goes on after the order."""

    contract_look_on: date | None = None
    held_up: int
    bounces: list[int]

    def subscribe(self) -> None:
        terms = self.plan.terms
        if terms is None:
            return
        self.held_up, self.bounces = terms.held_up, list(terms.bounces)
        facts = Facts(
            term_months=terms.months, renews_tacitly=terms.tacit, refusal_days=terms.refusal, trial_days=terms.trial,
            notice_days=terms.notice, minimum_months=terms.minimum, monthly_total_minor=900,
        )  # fmt: skip
        line = next(line for line in self.order.lines if line.id == LINE)
        self.contract = contracts.begun(self.order, line, facts)
        self.subscription = Subscription(
            self.on, terms.trial, terms.months, terms.tacit, terms.refusal, terms.notice, terms.minimum
        )
        self.contract_looked()
        self.leaves(terms, self.subscription)
        for number, (paid, told, first, days, minor) in enumerate(terms.advances):
            on = self.on + timedelta(days=paid)
            from_on = self.on + timedelta(days=first)
            one = Advance(
                id=f"a{number}", paid_on=on, minor=minor, from_on=from_on, until_on=from_on + timedelta(days=days - 1)
            )  # fmt: skip
            self.clock.call(begins(on + timedelta(days=told)) + SECOND * 40_000, partial(self.pays, one))

    # -- each day

    @override
    def contract_looked(self) -> None:
        if self.contract is None or self.subscription is None:
            return
        line = next(line for line in self.order.lines if line.id == LINE)
        gone = self.order.state in {"cancelled", "resolved"} or line.withdrawn + line.ended >= line.quantity
        if gone and self.subscription.over(self.on) is None:
            self.subscription.over_on = self.on
        looked = renewals.look(self.contract, self.order, self.setting)
        self.contract = looked.contract
        assert renewals.look(self.contract, self.order, self.setting) == Looked(self.contract), "looked at twice"
        for place, letter in enumerate(looked.letters, len(self.contract.announced) - len(looked.letters)):
            assert letter.kind == "renewal.notice"
            self.announced(place, letter)
        self.holds_of_the_contract()
        self.next_contract_look()

    def announced(self, place: int, letter: Letter) -> None:
        """A notice leaves: of a turn that is ahead, with its last day; some do not arrive."""
        assert self.contract is not None
        assert self.subscription is not None
        one = self.contract.announced[place]
        last = self.subscription.last_refusal(one.renews_on)
        assert one.renews_on in self.subscription.ahead(self.on)
        assert (letter.facts["renews_on"], letter.facts["refusal_until"]) == (
            one.renews_on.isoformat(), last.isoformat()
        )  # fmt: skip
        assert one.on == self.on <= last
        by = self.subscription.again_by.get(one.renews_on, self.on)
        assert self.on <= by or (self.plan.terms and self.plan.terms.held_up), f"{self.plan.number}: again by {by}"
        self.subscription.announced(self.on, one.renews_on)
        message = f"m{place}"
        announced = (*self.contract.announced[:place], replace(one, message=message))
        self.contract = replace(self.contract, announced=(*announced, *self.contract.announced[place + 1 :]))
        if self.bounces:
            self.later(self.bounces.pop(), partial(self.bounced, message, one))

    def bounced(self, message: str, one: Announced) -> None:
        of, owed = self.subscription, self.subscription.owed if self.subscription is not None else 0
        assert self.contract is not None
        assert of is not None
        found = renewals.untold(self.contract, self.after, message, self.setting)
        again = renewals.untold(found.contract, self.after, message, self.setting)
        assert again == Looked(found.contract), "heard twice"
        of.bounced(one.on, one.renews_on, self.on)
        self.owes(found, of.owed - owed, of.left.ends_on if of.left is not None else self.on)

    def next_contract_look(self) -> None:
        """The job of the day on which something changes; once it is held up."""
        assert self.contract is not None
        assert self.subscription is not None
        day = renewals.next_on(self.contract, self.setting)
        if day is None or day == self.contract_look_on:
            return
        assert day > self.on or self.contract.termination is not None
        self.contract_look_on, when = day, day
        if self.held_up and any(day == self.subscription.window(turn)[0] for turn in self.subscription.ahead(day)):
            when, self.held_up = day + timedelta(days=self.held_up), 0
        self.clock.call(begins(when), partial(self.contract_midnight, day))

    def contract_midnight(self, day: date) -> None:
        if self.contract_look_on == day:
            self.contract_look_on = None
            self.looked()

    # -- what its consumer does

    def leaves(self, terms: Terms, of: Subscription) -> None:
        turn = next(of.turns(), None)
        last = of.last_refusal(turn) if turn is not None else of.began
        at = {
            "any": self.clock.at + timedelta(days=terms.leave_days),
            "trial_last": begins(of.first) - SECOND, "trial_out": begins(of.first),
            "refusal_last": begins(last + DAY) - SECOND, "refusal_out": begins(last + DAY),
            "renewed": begins((turn or of.began) + timedelta(days=terms.leave_days % 300)) + SECOND,
        }.get(terms.leave)  # fmt: skip
        if at is not None:
            self.clock.call(at, partial(self.leave, "t", terms.wish))
            if terms.again_days:
                self.clock.call(at + timedelta(days=terms.again_days), partial(self.leave, "again", None))

    def leave(self, id_: str, wish: int | None) -> None:
        """Notified once more, or of a contract that is over, it ends no later, and is confirmed again."""
        contract, of = self.contract, self.subscription
        assert contract is not None
        assert of is not None
        wished = None if wish is None else self.on + timedelta(days=wish)
        act = Terminate(id=id_, asked_at=self.clock.at, wished_on=wished)
        found = renewals.ended(contract, self.after, act, self.setting)
        past = replace(act, id="p", wished_on=self.on - DAY)
        assert refused(renewals.ended(contract, self.after, past, self.setting)).article == "D215-2"
        over = of.over(self.on)
        more = of.leave(self.on, wished or self.on) if of.over_on is None and over is None else 0
        assert not isinstance(found, Refusal), found
        assert found.confirmed is not None
        ends_on = of.left.ends_on if of.left is not None and over is None else over
        assert found.confirmed.ends_on == ends_on, f"{self.plan.number}: {found.confirmed} {of}"
        self.owes(found, more, ends_on or self.on)

    def pays(self, advance: Advance) -> None:
        """The shop tells of an advance; told after the end was notified, it may be owed back at once."""
        of = self.subscription
        assert self.contract is not None
        assert of is not None
        found = renewals.advanced(self.contract, self.after, advance, self.setting)
        assert not isinstance(found, Refusal), found
        more = of.pay(Paid(advance.minor, advance.from_on, advance.until_on))
        self.owes(found, more, max(of.left.ends_on, advance.paid_on) if of.left is not None else self.on)

    def owes(self, found: Looked, minor: int, notice_on: date) -> None:
        """What goes back of an advance, on both sides."""
        self.contract = found.contract
        self.sale.owe(Debt(f"contract/{self.contract.id}", "renewal", minor, minor, notice_on, by_hand=True))
        if found.due is not None:
            self.after = replace(self.after, dues=(*self.after.dues, found.due))
        self.looked()

    def holds_of_the_contract(self) -> None:
        """Terms, announcements and ends are those of the texts, on the day."""
        contract, of, on = self.contract, self.subscription, self.on
        assert contract is not None
        assert of is not None
        assert contract.ended_on == of.over(on), f"{self.plan.number}: {contract} {of}"
        said = contract.termination
        known = None if said is None else (said.ends_on, said.free, said.due_minor)
        assert known == (None if of.left is None else (*of.left, of.owed)), f"{self.plan.number}: {said} {of}"
        if of.over(on) is None:
            self.is_announced(contract, of, on)

    def is_announced(self, contract: Contract, of: Subscription, on: date) -> None:
        """Each renewal, once, within its window, unless the daily job was held up; again when it did not arrive."""
        assert [(one.on, one.valid) for one in contract.renewals] == of.renewals(on), f"{self.plan.number}: {contract}"
        if of.left is not None or self.plan.terms is None or self.plan.terms.held_up or not of.tacit:
            return
        arrived = [turn for _, turn in of.told]
        assert len(arrived) == len(set(arrived)), "nobody is told twice of one renewal"
        assert all(on <= by for by in of.again_by.values()), f"{self.plan.number}: sent again in time {on} {of}"
        for turn in of.ahead(on):
            last = of.window(turn)[1]
            if of.began <= last <= on and turn not in of.missed | set(of.again_by):
                assert of.was_announced(turn), f"{self.plan.number}: {turn} {of}"
