"""A counter: a desk with the bank behind it, its webhooks at the door, and time that passes for both at once."""

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from relance.events.codec import Event, decode
from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.attempts import Attempt
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.orders import Act, Order, kept_minor
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView
from services.checkout.metrics import DeskMetrics
from services.checkout.store import Store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.bank_kit import Receiver, RunningBank
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered


class Till:
    """What the service does by itself is done when `works` is called; the bank's webhooks wait in `door` until then."""

    def __init__(self, desk: Desk, store: Store, clock: Clock, bank: RunningBank, door: Receiver) -> None:
        metrics = DeskMetrics(CollectorRegistry())
        self.desk = desk
        self.store = store
        self.clock = clock
        self.bank = bank
        self.door = door
        self.effects = EffectRunner(desk, _unprinted, metrics)
        self.time = Timekeeper(desk, metrics)
        self.begun = clock.at
        self.sent: set[UUID] = set()  # letters of before, where a test keeps them
        self._heard = 0

    async def orders(self, key: str) -> tuple[UUID, str]:
        """A shopper presses the button: the order, and where he is led."""
        order_id, page = await self.presses(key)
        assert page is not None
        return order_id, page

    async def presses(self, key: str) -> tuple[UUID, str | None]:
        """A shopper presses the button, whether the bank answers or not. Ids follow from the key: each is another."""
        pressed = await ordered(self.desk, await at_recap(self.desk, f"{key}-{uuid4().hex[:8]}"))
        return pressed.order_id, pressed.redirect_url

    async def pays(self, page: str, number: str = "4242424242424242") -> int:
        """The shopper gives a card on the page; the status that it answers with."""
        return (await asyncio.to_thread(self.bank.pay, page, number)).status_code

    async def answers(self, page: str, said: str) -> int:
        """The shopper answers his bank."""
        return (await asyncio.to_thread(self.bank.answer, page, said)).status_code

    async def hears(self, count: int = 1) -> list[bool]:
        """Wait for so many more webhooks, and take all that have come."""
        await self.door.until(self._heard + count)
        come, self._heard = self.door.bodies[self._heard :], len(self.door.bodies)
        return [await self.desk.heard("bank", body, headers) for body, headers in come]

    async def works(self) -> None:
        """Do all that is due now."""
        for _ in range(4):
            await self.time.round()
            await self.effects.drain()

    def passes(self, **much: float) -> None:
        """Time, here and at the bank."""
        self.clock.passes(**much)
        self.bank.control("clock", ahead_s=(self.clock.at - self.begun).total_seconds())

    async def lives_through(self, *minutes: float) -> None:
        """Time passes in steps, and what is due then is done."""
        for some in minutes:
            self.passes(minutes=some)
            await self.works()

    async def order(self, order_id: UUID) -> Order:
        return (await self.view(order_id)).order

    async def view(self, order_id: UUID) -> OrderView:
        found = ok(await self.desk.order(SHOP.id, order_id))
        assert isinstance(found, OrderView)
        return found

    async def attempt(self, order_id: UUID) -> Attempt:
        return (await self.order(order_id)).attempts[-1]

    async def does(self, order_id: UUID, act: Act) -> Order:
        """The shop acts."""
        view = ok(await self.desk.act(SHOP.id, order_id, act))
        assert isinstance(view, OrderView)
        return view.order

    async def events(self, order_id: UUID) -> list[Event]:
        """What was said of an order on the topic of shops' events, in order."""
        told = await Outbox(self.store.database, lambda: 0).unsent(10_000)
        events = [decode(one.value) for one in told if one.topic == "shop-events"]
        return [one for one in events if str(getattr(one.data, "order_id", "")) == str(order_id)]

    async def said(self, order_id: UUID) -> Counter[str]:
        return Counter(kind_of(one) for one in await self.events(order_id))

    async def event(self, order_id: UUID, kind: str) -> Any:
        (found,) = [one for one in await self.events(order_id) if kind_of(one) == kind]
        return found

    def at_bank(self, order_id: UUID) -> tuple[int, int]:
        """How often the bank charged for an order, and how many cents it has not given back."""
        mine = [one for one in self.bank.charges() if one["metadata"]["order"] == str(order_id)]
        return len(mine), sum(one["amount"] - one["amount_refunded"] for one in mine)

    async def agrees(self, order_id: UUID) -> None:
        """Money at the bank is what the order says, and is kept by confirmed orders alone."""
        order = await self.order(order_id)
        _, left = self.at_bank(order_id)
        assert left == kept_minor(order)
        assert left == (order.total_minor if order.state in {"confirmed", "preparing", "shipped"} else 0)


async def open_till(
    store: Store, clock: Clock, bank: RunningBank, door: Receiver, provider: StripeProvider
) -> Till:  # fmt: skip
    """A till whose bank is at peace and whose clock is the bank's."""
    bank.control("clock", ahead_s=0)
    bank.control("webhooks", url=door.url, mode="once")
    bank.control("speed", answer_ms=0)
    bank.http.delete("/_bank/faults")
    return Till(await open_shop(store, clock, {"bank": provider}), store, clock, bank, door)


async def _unprinted(_facts: ConfirmationFacts) -> tuple[Refusal, ...]:
    """A shop whose confirmation lacks something: payments do not wait for paper."""
    return (Refusal("shop.legal", "a fact is missing", "A10", "L221-13"),)


def kind_of(event: Event) -> str:
    """The event's type."""
    return str(type(event).__struct_config__.tag)


def soon_after(one: datetime, other: datetime) -> bool:
    """Whether the first is the second, or within ten seconds of it."""
    return abs((one - other).total_seconds()) < 10
