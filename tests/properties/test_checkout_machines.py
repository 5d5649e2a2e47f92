"""The machines of a checkout, its order, the attempts and the refunds, against a provider that tells the truth late,
twice, in any order, or never: whatever happens, no cent is lost and nothing happens twice.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from services.checkout.domain import checkouts, lifecycle
from services.checkout.domain.attempts import Attempt, News
from services.checkout.domain.cart import Basket, cost
from services.checkout.domain.checkouts import ChangeCart, Checkout, ChooseDelivery, Contact, GiveContact, Press
from services.checkout.domain.orders import (
    ENDED,
    Act,
    Cancel,
    CancelAttempt,
    ClockMoved,
    Deliver,
    End,
    GiveBack,
    HoldPayment,
    MarkParcel,
    Order,
    OrderTerms,
    Prepare,
    Received,
    Ship,
    StartAttempt,
    SwitchMeans,
    Withdraw,
    kept_minor,
    left_minor,
    owed_minor,
    still_to_ship,
)  # fmt: skip
from services.checkout.domain.outcomes import Effect, Moved, Refusal
from services.checkout.domain.placing import Again, Placed, Shelf, order_now
from services.checkout.domain.recap import Recap, compose, digest
from services.checkout.domain.refunds import Redirect, RefundNews, Retry
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Means, Purse, Tender, split
from tests.properties.sound_orders import counted_once, goes_on_with_its_money, lost
from tests.unit.checkout.story import AT, BOUND, CARD, CONTACT, HOME, LAMP, LAMPS, LAW, did, promised, shelved, started
from tests.unit.checkout.test_tenders_and_stock import MEANS

replace = msgspec.structs.replace
TOTAL = 10470
CHEQUE = SwitchMeans(means=Means(id="cheque", kind="offline", pay_within_days=7))
MINUTES = st.sampled_from([0, 1, 9, 10, 11, 60, 600, 1440, 10080])


class Truth(NamedTuple):
    """What the provider holds of one attempt."""

    status: str = "sent"
    challenge: int = 0
    amount_minor: int = TOTAL
    at: datetime = AT

    @property
    def final(self) -> bool:
        return self.status in {"captured", "failed"}


class Machines(RuleBasedStateMachine):
    @initialize(
        gift=st.sampled_from([0, 0, 1, 3000, TOTAL]),
        rest=st.sampled_from(["card", "card", "apple", "cheque"]),
        ordered=st.sampled_from([True, True, True, False]),
    )
    def begin(self, gift: int, rest: str, ordered: bool) -> None:  # noqa: FBT001 - drawn
        self.at = AT
        self.checkout: Checkout = started()
        self.order: Order | None = None
        self.shelf = Shelf(
            levels={"L-1": Level(sku="L-1", on_hand=3)}, purses={"g": Purse(ref="g", means="gift", balance_minor=gift)}
        )
        purses = [self.shelf.purses["g"]] if gift else []
        tenders = split(TOTAL, purses, rest, MEANS)
        assert not isinstance(tenders, Refusal)
        self.tenders: tuple[Tender, ...] = tenders
        self.truths: dict[str, Truth] = {}
        self.told: list[News | RefundNews] = []
        self.events: Counter[str] = Counter()
        self.ids: set[str] = set()
        if ordered:
            self.press(shown=True)
            assert self.order is not None

    def took(self, moved: Moved[Order] | Moved[Checkout]) -> None:
        """Book the events and let the provider and the shelf do what the effects ask."""
        for event in moved.events:
            self.events[str(type(event).__struct_config__.tag)] += 1
            assert event.id not in self.ids
            self.ids.add(event.id)
        for effect in moved.effects:
            self.serve(effect)

    def serve(self, effect: Effect) -> None:
        if effect.kind == "call_psp":
            self.truths[effect.ref] = Truth(
                amount_minor=next(a.amount_minor for a in self.attempts if a.id == effect.ref)
            )
        elif effect.kind == "cancel_at_psp" and not self.truths[effect.ref].final:
            self.truths[effect.ref] = self.truths[effect.ref]._replace(status="failed")
        elif effect.kind in {"commit_stock", "release_stock", "promise_stock", "ship_stock"}:
            assert self.order is not None
            self.shelf = replace(self.shelf, levels=shelved(self.shelf.levels, effect, self.order))

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self.order.attempts if self.order is not None else ()

    def do(self, act: Act) -> Moved[Order] | Refusal:
        assert self.order is not None
        before = self.order
        moved = lifecycle.step(before, act, self.at)
        if isinstance(moved, Refusal):
            return moved
        did(moved)
        if not moved.transition:
            assert moved == Moved(before)
        assert (moved.state.version > before.version) == bool(moved.transition)
        self.order = moved.state
        self.took(moved)
        return moved

    # The checkout

    @rule(act=st.sampled_from([
        CONTACT, GiveContact(contact=Contact(email="eve@example.org", phone="+33612345678")), HOME,
        ChooseDelivery(mode="relay"), CARD, ChangeCart(items=LAMPS, total_minor=9980, needs_delivery=True),
    ]))  # fmt: skip
    def shop(self, act: checkouts.Act) -> None:
        moved = checkouts.step(self.checkout, act, self.at)
        if not isinstance(moved, Refusal):
            self.checkout = did(moved).state
            self.took(moved)
            shows = isinstance(act, checkouts.ShowRecap)
            assert shows or not moved.transition or not self.checkout.recap_hash

    def recap(self) -> Recap:
        return compose((LAMP,), cost(Basket(lines=(LAMP,)), 490), replace(BOUND, tenders=self.tenders))

    @rule(shown=st.booleans())
    def press(self, shown: bool) -> None:  # noqa: FBT001 - drawn
        recap = self.recap()
        if shown:
            self.show(recap)
        press = Press(recap_hash=digest(recap), terms_accepted=True)
        for _ in range(2):  # a double click
            found = order_now(
                self.checkout, press, recap, (), self.shelf,
                terms=OrderTerms(), law=LAW, pay_within_days=7, at=self.at,
            )  # fmt: skip
            if isinstance(found, Placed):
                assert self.order is None
                self.placed(found)
            elif isinstance(found, Again):
                assert self.order is not None
                assert found.order_id == self.order.id

    def show(self, recap: Recap) -> None:
        for act in (CONTACT, HOME, CARD, checkouts.ShowRecap(recap_hash=digest(recap))):
            if self.checkout.state not in {"ordered", "expired"}:
                self.shop(act)

    def placed(self, found: Placed) -> None:
        did(found.checkout)
        did(found.order)
        self.checkout, self.order = found.checkout.state, found.order.state
        self.shelf = replace(
            self.shelf,
            levels={**self.shelf.levels, **{level.sku: level for level in found.levels}},
            purses={**self.shelf.purses, **{purse.ref: purse for purse in found.purses}},
        )
        self.took(found.checkout)
        self.took(found.order)

    # The provider

    @precondition(lambda self: self.order is not None)
    @rule(means=st.sampled_from(["card", "apple"]))
    def pay(self, means: str) -> None:
        before = len(self.attempts)
        moved = self.do(StartAttempt(means=means, psp="simulator"))
        assert len(self.attempts) == before + (not isinstance(moved, Refusal))

    @precondition(lambda self: bool(self.truths))
    @rule(place=st.integers(0, 9), status=st.sampled_from(["action_required", "authorised", "captured", "failed"]),
          odd=st.integers(0, 9))  # fmt: skip
    def happen(self, place: int, status: str, odd: int) -> None:
        """Something happens at the provider; nobody has heard of it yet."""
        attempt = list(self.truths)[place % len(self.truths)]
        truth = self.truths[attempt]
        if truth.final or (truth.status == "authorised" and status in {"action_required", "authorised"}):
            return
        amount = truth.amount_minor + (1 if odd == 0 and truth.status != "authorised" else 0)
        challenge = truth.challenge + (status == "action_required")
        self.truths[attempt] = Truth(status, challenge, amount, self.at)

    @precondition(lambda self: bool(self.truths))
    @rule(place=st.integers(0, 9), lost=st.booleans())
    def hear(self, place: int, lost: bool) -> None:  # noqa: FBT001 - drawn
        attempt = list(self.truths)[place % len(self.truths)]
        truth = self.truths[attempt]
        news = msgspec.convert(
            {
                "type": "payment_news",
                "attempt_id": attempt,
                "status": "unknown" if lost else truth.status,
                "psp_at": truth.at,
                "amount_minor": truth.amount_minor,
                "challenge": max(1, truth.challenge),
            },
            News,
        )
        self.told.append(news)
        self.twice(news)

    @precondition(lambda self: self.order is not None and self.order.state == "placed")
    @rule(outcome=st.sampled_from(["action_required", "authorised", "captured", "failed"]), odd=st.integers(0, 9))
    def try_to_pay(self, outcome: str, odd: int) -> None:
        """An attempt with its news, or another turn of the last one."""
        self.do(StartAttempt(means="card", psp="simulator"))
        if self.truths:
            self.happen(len(self.truths) - 1, outcome, odd)
            self.hear(len(self.truths) - 1, lost=False)

    @precondition(lambda self: any(attempt.state == "authorised" for attempt in self.attempts))
    @rule(status=st.sampled_from(["captured", "captured", "failed"]), first=st.booleans())
    def settle(self, status: str, first: bool) -> None:  # noqa: FBT001 - drawn
        """An authorisation is captured, or expires; the old news may come once more."""
        attempt = next(one.id for one in self.attempts if one.state == "authorised")
        place = list(self.truths).index(attempt)
        if not first:
            self.hear(place, lost=False)
        self.happen(place, status, 1)
        self.hear(place, lost=False)
        known = self.attempts
        self.twice(next(news for news in self.told if isinstance(news, News) and news.attempt_id == attempt))
        assert self.attempts == known

    @precondition(lambda self: bool(self.told))
    @rule(place=st.integers(0, 99))
    def hear_again(self, place: int) -> None:
        """News that were told before, late: what they changed then they do not change again."""
        self.twice(self.told[place % len(self.told)])

    def twice(self, news: News | RefundNews) -> None:
        assert not isinstance(self.do(news), Refusal)
        again = self.do(news)
        assert not isinstance(again, Refusal)
        assert not again.transition

    @precondition(lambda self: self.order is not None)
    @rule(minutes=MINUTES)
    def wait(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)
        self.do(ClockMoved())

    @precondition(lambda self: self.order is not None and self.order.refunds)
    @rule(place=st.integers(0, 9), status=st.sampled_from(["pending", "succeeded", "failed"]))
    def hear_of_refund(self, place: int, status: str) -> None:
        assert self.order is not None
        refund = self.order.refunds[place % len(self.order.refunds)]
        news = msgspec.convert(
            {
                "type": "refund_news",
                "refund_id": refund.id,
                "status": status,
                "psp_at": self.at,
                "attempted": refund.tries,
            },
            RefundNews,
        )
        self.told.append(news)
        self.twice(news)

    @precondition(lambda self: self.order is not None and self.order.refunds)
    @rule(place=st.integers(0, 9), agreed=st.booleans())
    def redirect(self, place: int, agreed: bool) -> None:  # noqa: FBT001 - drawn
        assert self.order is not None
        refund = self.order.refunds[place % len(self.order.refunds)]
        moved = self.do(
            Redirect(refund_id=refund.id, means="transfer", agreed_at=self.at) if agreed else Retry(refund_id=refund.id)
        )
        assert isinstance(moved, Refusal) == (refund.state != "failed")

    # The shop and the shopper

    @precondition(lambda self: self.order is not None)
    @rule(act=st.sampled_from([
        CHEQUE, Prepare(), Cancel(reason="no"), Received(amount_minor=TOTAL, received_at=AT),
        Ship(parcel_id="p1", units={"1": 1}), Ship(parcel_id="p2", units={"1": 2}),
        Deliver(parcel_id="p1", received_by="consumer"), Deliver(parcel_id="p2", received_by="relay"),
        Withdraw(stated_at=AT, medium="web", units={"1": 1}), Withdraw(stated_at=AT, medium="letter"),
        MarkParcel(parcel_id="p1", incident="lost"), MarkParcel(parcel_id="p2", incident="refused"),
        MarkParcel(parcel_id="p2", incident="returned"), Ship(parcel_id="p3", units={"1": 1}),
        Deliver(parcel_id="p3", received_by="designated"), End(units={"1": 1}, cause="unavailable"),
        End(units={"1": 1}, cause="resolved"), HoldPayment(held=True), HoldPayment(held=False),
    ]), seldom=st.integers(0, 7))  # fmt: skip
    def handle(self, act: Act, seldom: int) -> None:
        assert self.order is not None
        if seldom and (isinstance(act, Cancel) or act == Withdraw(stated_at=AT, medium="letter")):
            return  # what ends the order ends most stories
        offline = next((one.amount_minor for one in self.order.tenders if one.kind == "offline"), TOTAL)
        self.do(Received(amount_minor=offline, received_at=self.at) if isinstance(act, Received) else act)

    @precondition(lambda self: self.attempts)
    @rule()
    def give_up(self) -> None:
        self.do(CancelAttempt(attempt_id=self.attempts[-1].id))

    @precondition(lambda self: self.order is not None)
    @rule(key=st.sampled_from(["a", "b", "c"]), amount=st.integers(0, TOTAL + 1))
    def give_back(self, key: str, amount: int) -> None:
        assert self.order is not None
        known = any(refund.key == key for refund in self.order.refunds)
        possible = 0 < amount <= sum(left_minor(self.order))
        moved = self.do(GiveBack(key=key, amount_minor=amount, cause="goodwill"))
        assert isinstance(moved, Refusal) == (not known and not possible)

    # What always holds

    @invariant()
    def what_is_promised_is_what_still_leaves(self) -> None:
        if self.order is not None:
            level, still = self.shelf.levels["L-1"], still_to_ship(self.order).get("L-1", 0)
            kept = promised(level, self.order)
            assert kept == still or (kept < still and level.free <= 0 and any(map(lost, self.order.parcels)))

    @invariant()
    def units_are_counted_once(self) -> None:
        if self.order is not None:
            counted_once(self.order)

    @invariant()
    def one_attempt_at_a_time(self) -> None:
        assert sum(attempt.live for attempt in self.attempts) <= 1

    @invariant()
    def sums_are_exact(self) -> None:
        order = self.order
        if order is None:
            return
        assert sum(one.amount_minor for one in order.tenders) == order.total_minor == TOTAL
        assert sum(line.net_minor for line in order.lines) + order.delivery_minor == TOTAL
        counted = sum(one.amount_minor for one in order.tenders if one.state in {"secured", "taken"})
        asked = sum(refund.amount_minor for refund in order.refunds if refund.cause != "surplus")
        if order.state in ENDED:
            assert kept_minor(order) == owed_minor(order), "nothing is kept but what is on its way back"
        else:
            assert kept_minor(order) - owed_minor(order) == counted - asked
        assert kept_minor(order) >= 0

    @invariant()
    def no_order_goes_on_without_its_money(self) -> None:
        if self.order is not None:
            goes_on_with_its_money(self.order)

    @invariant()
    def nothing_is_said_twice(self) -> None:
        events = self.events
        once = ("checkout.started", "order.placed", "order.completed", "order.paid", "order.expired", "order.cancelled")
        assert all(events[name] <= 1 for name in once)
        order = self.order
        if order is not None:
            assert events["payment.attempted"] == len(order.attempts)
            succeeded = sum((refund.state == "succeeded") + refund.returns for refund in order.refunds)
            assert events["refund.succeeded"] == succeeded
            assert events["order.placed"] == 1

    @override
    def teardown(self) -> None:
        """However it went: once the provider has told the truth and time has passed, the order is decided."""
        if getattr(self, "order", None) is None:
            return
        for _ in range(4):
            self.at += timedelta(days=10)
            self.do(ClockMoved())
            for attempt in [one.id for one in self.attempts if one.open_at_psp]:
                self.hear(list(self.truths).index(attempt), lost=False)
        self.do(ClockMoved())
        assert self.order is not None
        assert self.order.state != "placed"
        self.sums_are_exact()
        self.no_order_goes_on_without_its_money()
        self.nothing_is_said_twice()


TestMachines = Machines.TestCase
TestMachines.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
