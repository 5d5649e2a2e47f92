"""Many shoppers at once who click often, pay by cards that err, turn back and come again, at a bank that hangs.

Two desks serve them from one database, and one after the other is cut off in its work and made anew; webhooks come to
either of them twice, late, in any order or never. Whatever happens: one order a recap, and money is kept exactly for
orders that are confirmed.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from typing_extensions import override

from relance.kernel.instants import to_ms
from relance.rules.law.book import RULES, default_book
from services.checkout.adapters.printing import Printing
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.orders import Order, kept_minor, owed_minor
from services.checkout.domain.presenting import Pressed
from services.checkout.domain.stock import Level
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of, running_bank
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, now_utc, open_shop, ordered

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1_800)]

TRIALS = int(os.environ.get("RELANCE_TRIALS", "24"))
AT_ONCE = 24
CUT_EVERY = 25  # looks for webhooks
CARDS = (
    "4242424242424242", "4000000000003220", "4000000000009995", "4000000000009987", "4000000000000119",
    "4000009900000004", "4000009900000020", "4000009900000038", "4000009900000046", "4000009900000053",
    "4000009900000061", "4000008400001629",
)  # fmt: skip
FAULTS: tuple[dict[str, Any], ...] = (
    {"match": "POST /v1/checkout/sessions", "mode": "error_after", "times": 2},
    {"match": "POST /v1/checkout/sessions", "mode": "error_before", "times": 2},
    {"match": "POST /v1/checkout/sessions", "mode": "hang_after", "times": 1, "delay_s": 3.0},
    {"match": "GET /v1/checkout/sessions", "mode": "error_before", "times": 3},
    {"match": "POST /v1/refunds", "mode": "error_after", "times": 1},
)


class FlowingClock(Clock):
    """The machine's clock, and what passes beside."""

    def __init__(self) -> None:
        super().__init__(now_utc())
        self._began_s = time.monotonic()

    @override
    def __call__(self) -> datetime:
        """The present."""
        return self.at + timedelta(seconds=time.monotonic() - self._began_s)


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--silent-s", "5", "--late-s", "2") as running:
        yield running


@pytest.fixture(scope="module")
def printing() -> Iterator[Printing]:
    made = Printing(RULES)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return FlowingClock()


@pytest.fixture
async def store(fresh_postgres: Callable[[], str], clock: Clock) -> AsyncIterator[Store]:
    opened = await open_store(fresh_postgres(), MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock()))
    yield opened
    await opened.close()


class Counter:
    """Desks on one store, each with a worker of its own, and the door to which the bank's webhooks come."""

    def __init__(self, desks: Sequence[Desk], printing: Printing, door: Receiver, draw: random.Random) -> None:
        self.desks = desks
        self._printing = printing
        self._door = door
        self._draw = draw
        self._metrics = DeskMetrics(CollectorRegistry())
        self._stop = asyncio.Event()
        self._working = [self._begin(desk) for desk in desks]

    def any(self, draw: random.Random) -> Desk:
        return draw.choice(self.desks)

    def _begin(self, desk: Desk) -> asyncio.Task[None]:
        return asyncio.create_task(EffectRunner(desk, self._printing.confirmation, self._metrics).run(self._stop))

    async def live(self) -> None:
        """Take webhooks, but for some; now and then a worker is cut off wherever it is, and another one begins."""
        heard, turn = 0, 0
        while not self._stop.is_set():
            await asyncio.sleep(0.1)
            come, heard = self._door.bodies[heard:], len(self._door.bodies)
            kept = [one for one in come if self._draw.random() < 0.9]
            await asyncio.gather(*(self.any(self._draw).heard("bank", body, headers) for body, headers in kept))
            turn += 1
            if turn % CUT_EVERY == 0:
                await self._cut(self._draw.randrange(len(self.desks)))

    async def _cut(self, place: int) -> None:
        self._working[place].cancel()
        await asyncio.gather(self._working[place], return_exceptions=True)
        self._working[place] = self._begin(self.desks[place])

    async def end(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._working)


class Shopper:
    """One who does not wait, and whose every click may meet another desk."""

    def __init__(self, counter: Counter, browser: httpx.AsyncClient, draw: random.Random, name: str) -> None:
        self.counter = counter
        self.browser = browser
        self.draw = draw
        self.name = name

    @property
    def desk(self) -> Desk:
        return self.counter.any(self.draw)

    async def shops(self) -> Pressed:
        view = await at_recap(self.desk, self.name)
        clicks = await asyncio.gather(*(ordered(self.desk, view) for _ in range(self.draw.randint(1, 4))))
        assert len({one.order_id for one in clicks}) == 1
        page = next((one.redirect_url for one in clicks if one.redirect_url), None)
        for _ in range(self.draw.randint(1, 3)):
            await asyncio.gather(self._pays(page), self._wavers(clicks[0]))
            again = await self.desk.start_payment(SHOP.id, clicks[0].order_id)
            page = again if isinstance(again, str) else page
        return clicks[0]

    async def _pays(self, page: str | None) -> None:
        if page is None:
            return
        card = {"number": self.draw.choice(CARDS), "expiry": "12/60", "code": "123"}
        with contextlib.suppress(httpx.HTTPError):
            await self.browser.post(page, data=card)
            said = self.draw.choice(("confirm", "refuse"))
            await self.browser.post(page.replace("/c/pay/", "/c/challenge/"), data={"answer": said})

    async def _wavers(self, pressed: Pressed) -> None:
        act = self.draw.randrange(4)
        if act == 0:
            await self.desk.leave_payment(SHOP.id, pressed.order_id)
        elif act == 1:
            await self.desk.start_payment(SHOP.id, pressed.order_id, self.draw.choice(("card", "transfer")))
        elif act == 2:
            await self.desk.look_now(SHOP.id, pressed.order_id)


async def test_no_order_and_no_charge_is_double(
    store: Store, clock: Clock, bank: RunningBank, printing: Printing, chaos_seed: int
) -> None:
    draw = random.Random(chaos_seed)
    known = {one["id"] for one in bank.charges()}
    for fault in draw.sample(FAULTS, 3):
        bank.control("faults", **fault)
    async with (
        provider_of(bank.url, answer_s=2.0, now=clock) as provider,
        httpx.AsyncClient(timeout=5.0) as browser,
        Receiver() as door,
    ):
        bank.control("webhooks", url=door.url, mode="once")
        first = await open_shop(store, clock, {"bank": provider}, stock=10 * TRIALS)
        counter = Counter([first, Desk(store, default_book(), {"bank": provider}, clock=clock)], printing, door, draw)
        living = asyncio.create_task(counter.live())
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> Pressed:
            async with places:
                return await Shopper(counter, browser, random.Random(f"{chaos_seed}/{number}"), f"s{number}").shops()

        pressed = await asyncio.gather(*(one(number) for number in range(TRIALS)))
        await counter.end()
        await living
        assert TRIALS < 20 or len(door.bodies) > TRIALS // 4
        metrics = DeskMetrics(CollectorRegistry())
        effects, time_ = EffectRunner(first, printing.confirmation, metrics), Timekeeper(first, metrics)
        for minutes in (2, 40, 24 * 60, 30, 30, 30):
            clock.passes(minutes=minutes)
            await time_.round()
            await effects.drain()
    assert len({one.order_id for one in pressed}) == TRIALS
    await _check(store, bank, known)


async def _check(store: Store, bank: RunningBank, known: set[str]) -> None:
    async with store.reading() as tx:
        orders = list((await tx.all(Order, SHOP.id, limit=10_000)).values())
        level = await tx.get(Level, SHOP.id, "L-1")
    assert len(orders) == TRIALS
    charged: dict[str, int] = {}
    for one in bank.charges():
        if one["id"] not in known:
            order = one["metadata"]["order"]
            charged[order] = charged.get(order, 0) + one["amount"] - one["amount_refunded"]
    for order in orders:
        awaited = any(tender.state == "awaited" for tender in order.tenders)
        wanted = order.total_minor if order.state == "confirmed" and not awaited else 0
        assert order.state in {"confirmed", "lapsed"}
        assert (kept_minor(order), owed_minor(order)) == (wanted, 0), order
        assert charged.get(str(order.id), 0) == wanted, order
    assert level is not None
    assert len(level.committed) == sum(order.state == "confirmed" for order in orders)
