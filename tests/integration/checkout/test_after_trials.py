"""What follows orders, in any order, at a bank that errs: goods go and come, are withdrawn, lost, claimed, paid,
while webhooks come twice, late, reversed or never, and refunds fail.

Whatever happens, each sum that is owed goes back once: the bank has kept what the consumers have kept.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry

from relance.events.messages import MessageOutcome, decode_request
from relance.kernel.instants import to_ms
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.aftercaring import Words
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.refunding import Agreement
from services.checkout.application.room import Terms
from services.checkout.domain.claims import OpenClaim, ResolveClaim
from services.checkout.domain.orders import Cancel, Deliver, GiveBack, Ship, kept_minor, owed_minor
from services.checkout.domain.promises import ReportIncident, ReportUnavailable, ResolveLate
from services.checkout.domain.refunds import Redirect, Settle
from services.checkout.domain.statements import ProveDispatch, RecordReturn, StateWithdrawal
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Store, open_store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of, running_bank
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, now_utc, ordered
from tests.integration.checkout.owing_kit import seen
from tests.integration.checkout.payments_kit import Till, open_till
from tests.integration.checkout.payments_kit import _unprinted as unprinted
from tests.integration.checkout.sums_kit import agrees, keeps_its_price

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

ORDERS: Final = 4
STEPS: Final = 60
UNITS: Final = 3
CARDS: Final = (
    "4242424242424242",
    "4000009900000079",
    "4000000000005126",
)  # the others' refunds fail, at once or later
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"match": "POST /v1/refunds", "mode": "error_after", "times": 2},
    {"match": "POST /v1/refunds", "mode": "error_before", "times": 3},
    {"match": "POST /v1/refunds", "mode": "hang_after", "times": 1, "delay_s": 1.5},
    {"match": "GET /v1/refunds", "mode": "error_before", "times": 3},
)


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--late-s", "1", "--silent-s", "0.2") as running:
        yield running


@pytest.fixture
async def till(fresh_postgres: Callable[[], str], bank: RunningBank) -> AsyncIterator[Till]:
    clock = Clock(now_utc())
    store: Store = await open_store(fresh_postgres(), MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    async with Receiver() as door, provider_of(bank.url, now=clock, answer_s=1.0) as provider:
        yield await open_till(store, clock, bank, door, provider)
        bank.http.delete("/_bank/faults")
        bank.control("webhooks", url="", mode="once")
    await store.close()


class Trial:
    """One shop whose orders are done all sorts of things to."""

    def __init__(self, till: Till, draw: random.Random) -> None:
        self.till, self.desk, self.draw = till, till.desk, draw
        self.orders: list[UUID] = []
        self.heard = 0
        hasty = Desk(till.store, till.desk.book, till.desk.providers, Terms(lease_s=0.0), clock=till.clock)
        self.twice = [EffectRunner(hasty, unprinted, DeskMetrics(CollectorRegistry())) for _ in range(2)]

    async def buys(self, key: str) -> None:
        """Some lamps, paid by one of the cards."""
        pressed = await ordered(self.desk, await at_recap(self.desk, f"{key}-{uuid4().hex[:8]}", quantity=UNITS))
        assert pressed.redirect_url is not None
        assert await self.till.pays(pressed.redirect_url, self.draw.choice(CARDS)) == 303
        await self.desk.look_now(SHOP.id, pressed.order_id)
        await self.till.works()
        self.orders.append(pressed.order_id)

    async def step(self) -> None:
        """Something happens to one of the orders, or outside."""
        order_id = self.draw.choice(self.orders)
        some = (self._moves, self._states, self._answers, self._fails, self._gives, self._outside, self._outside)
        acts = [self.draw.choice(some)(order_id) for _ in range(self.draw.randint(1, 2))]
        await asyncio.gather(*acts)
        if self.draw.random() < 0.5:
            await self.works()
        await agrees(self.desk, order_id)

    async def works(self) -> None:
        """Do all that is due; now and then by two processes that both take the same, for neither has it for long."""
        if self.draw.random() < 0.3:
            await asyncio.gather(*(one.drain() for one in self.twice))
        await self.till.works()

    async def _moves(self, order_id: UUID) -> None:
        order = await self.till.order(order_id)
        way = [one for one in order.parcels if one.received_at is None]
        if way and self.draw.random() < 0.7:
            act: Any = Deliver(parcel_id=way[0].id, received_by="consumer")
        else:
            units = {"1": self.draw.randint(1, UNITS)}
            act = Ship(parcel_id=f"p{len(order.parcels)}", units=units)
        await self.desk.act(SHOP.id, order_id, act)

    async def _states(self, order_id: UUID) -> None:
        at = self.till.clock()
        said = StateWithdrawal(
            id=str(uuid4()), channel="web", stated_at=at, received_at=at, units={"1": self.draw.randint(1, UNITS)}
        )
        twice = [self.desk.state_withdrawal(SHOP.id, order_id, said, Words(name="Ada")) for _ in range(2)]
        await asyncio.gather(*twice)

    async def _answers(self, order_id: UUID) -> None:
        after = (await seen(self.desk, order_id)).after
        on = paris_date(self.till.clock())
        if after.statements and self.draw.random() < 0.7:
            kind = self.draw.choice((RecordReturn, ProveDispatch))
            statement = self.draw.choice(after.statements).id
            await self.desk.answer_withdrawal(SHOP.id, order_id, kind(statement_id=statement, on=on))
        elif after.dues:
            await self.desk.pay_due(SHOP.id, order_id, self.draw.choice(after.dues).id)

    async def _fails(self, order_id: UUID) -> None:
        order = await self.till.order(order_id)
        match self.draw.randrange(4):
            case 0:
                act = ResolveLate(received_at=self.till.clock(), medium="email", refused=True)
                await self.desk.resolve_late(SHOP.id, order_id, act)
            case 1:
                gone = ReportUnavailable(units={"1": 1}, report=str(uuid4()))
                await asyncio.gather(*(self.desk.report_unavailable(SHOP.id, order_id, gone) for _ in range(2)))
            case 2 if order.parcels:
                lost = ReportIncident(parcel_id=order.parcels[-1].id, kind=self.draw.choice(("lost", "refused")))
                await self.desk.report_incident(SHOP.id, order_id, lost)
            case _:
                claim = OpenClaim(id=str(uuid4()), line_id="1", units=1, asked="resolution")
                await self.desk.open_claim(SHOP.id, order_id, claim, Words(text="Cassée."))
                await self.desk.answer_claim(SHOP.id, order_id, ResolveClaim(claim_id=claim.id))

    async def _gives(self, order_id: UUID) -> None:
        if self.draw.random() < 0.2:
            await self.desk.act(SHOP.id, order_id, Cancel(reason="mistake"))
        else:
            key = str(uuid4())
            await self.desk.act(SHOP.id, order_id, GiveBack(key=key, amount_minor=100, cause="goodwill"))

    async def _outside(self, _order: UUID) -> None:
        """Time, the bank, its webhooks and notification."""
        match self.draw.randrange(5):
            case 0:
                self.till.passes(hours=self.draw.choice((1, 30, 100)))
            case 1:
                await asyncio.to_thread(self.till.bank.control, "faults", **self.draw.choice(FAULTS))
            case 2:
                mode = self.draw.choice(("once", "twice", "reversed", "late", "never"))
                await asyncio.to_thread(self.till.bank.control, "webhooks", mode=mode)
            case 3:
                await self._hears()
            case _:
                await self._bounces()

    async def _hears(self) -> None:
        """Webhooks that came, and some of long ago, in any order."""
        come = [*self.till.door.bodies[self.heard :], *self.till.door.bodies[:5]]
        self.heard = len(self.till.door.bodies)
        self.draw.shuffle(come)
        await asyncio.gather(*(self.desk.heard("bank", body, headers) for body, headers in come))

    async def _bounces(self) -> None:
        told = await Outbox(self.till.store.database, lambda: 0).unsent(10_000)
        letters = [decode_request(one.value) for one in told if one.topic == "checkout.messages.v1"]
        if not letters:
            return
        letter = self.draw.choice(letters)
        outcome = MessageOutcome(
            id=uuid4(), request_id=letter.id, shop=letter.shop, order_id=letter.order_id, kind=letter.kind,
            outcome=self.draw.choice(("accepted", "bounced")), at=self.till.clock(),
        )  # fmt: skip
        await asyncio.gather(self.desk.message_sent(outcome), self.desk.message_sent(outcome))

    async def ends(self) -> None:
        """The bank is well again, goods come back, and weeks pass."""
        self.till.bank.http.delete("/_bank/faults")
        self.till.bank.control("webhooks", mode="once")
        for _ in range(8):
            self.till.clock.at = first_instant(paris_date(self.till.clock.at) + timedelta(days=6))
            self.till.passes(minutes=1)
            for order_id in self.orders:
                await self._is_put_right(order_id)
            await self.till.lives_through(20, 60)

    async def _is_put_right(self, order_id: UUID) -> None:
        for statement in (await seen(self.desk, order_id)).after.statements:
            back = RecordReturn(statement_id=statement.id, on=paris_date(self.till.clock()))
            await self.desk.answer_withdrawal(SHOP.id, order_id, back)
        at = self.till.clock()
        for refund in (await self.till.order(order_id)).refunds:
            if refund.state == "failed":
                way = Redirect(refund_id=refund.id, means="bank_transfer", agreed_at=at, key=f"{refund.id}/{at}")
                agreed = Agreement(at=at, statement="Par virement.", medium="email")
                await self.desk.redirect_refund(SHOP.id, order_id, way, agreed)
                await self.desk.act(SHOP.id, order_id, Settle(refund_id=refund.id, sent_at=at))


async def test_whatever_follows_an_order_each_sum_goes_back_once(till: Till, chaos_seed: int) -> None:
    trial = Trial(till, random.Random(chaos_seed))
    for number in range(ORDERS):
        await trial.buys(f"t{number}")
    for _ in range(STEPS):
        await trial.step()
    await trial.ends()
    for order_id in trial.orders:
        order = await agrees(till.desk, order_id)
        await keeps_its_price(till.desk, order_id)
        _, left = await asyncio.to_thread(till.at_bank, order_id)
        by_hand = sum(one.amount_minor for one in order.refunds if one.means)
        assert left - by_hand == kept_minor(order), (left, by_hand, kept_minor(order), order.id)
        assert owed_minor(order) == 0
