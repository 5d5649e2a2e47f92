"""Caps against card testing and guessing, over processes: two desks on one database, asked at the same time."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from relance.rules.law.book import default_book
from services.checkout.application.desk import Desk
from services.checkout.application.room import Terms
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.checkouts import Press
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Pressed
from services.checkout.domain.records import PressActs
from services.checkout.domain.tenders import Purse
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Store, open_store
from services.checkout.store.schema import TRIES
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop

MASTER = MasterKey(b"m" * 32)
ADDRESS = "203.0.113.7"


async def two_desks(url: str, clock: Clock) -> tuple[Desk, Desk, list[Store]]:
    """Two processes' desks, each with a store of its own."""
    stores = [await open_store(url, MASTER) for _ in range(2)]
    first = await open_shop(stores[0], clock)
    first.terms = Terms(attempts_per_address=7)
    second = Desk(stores[1], default_book(), {}, Terms(attempts_per_address=7), clock=clock)
    return first, second, stores


async def test_as_many_try_at_once_as_may_over_both(database_url: str) -> None:
    clock = Clock()
    *desks, stores = await two_desks(database_url, clock)
    answers = await asyncio.gather(*(desks[n % 2].admit(ADDRESS, 7) for n in range(40)))
    assert sum(answers) == 7
    assert await desks[0].admit("198.51.100.1", 7), "another address has its own"
    clock.passes(minutes=61)
    assert await desks[1].admit(ADDRESS, 7)
    await desks[1].take_back(ADDRESS)
    assert all([await desks[n % 2].admit(ADDRESS, 7) for n in range(7)])
    assert not await desks[0].admit(ADDRESS, 7)
    for store in stores:
        await store.close()


async def test_orders_from_one_address_are_bounded_over_both(database_url: str) -> None:
    clock = Clock()
    *desks, stores = await two_desks(database_url, clock)
    views = [await at_recap(desks[0], f"cards-{n}", means="transfer") for n in range(12)]

    async def press(n: int) -> Pressed | Refusal:
        view = views[n]
        acts = PressActs(button_text=view.button.text, network_address=ADDRESS)
        desk = desks[n % 2]
        return await desk.press(SHOP.id, view.checkout.id, Press(recap_hash=view.recap_hash, terms_accepted=True), acts)

    answers = await asyncio.gather(*(press(n) for n in range(12)))
    refused = [one for one in answers if isinstance(one, Refusal)]
    assert len(refused) == 5
    assert {one.field for one in refused} == {"payment.attempts"}
    for store in stores:
        await store.close()


async def test_numbers_of_gift_cards_are_guessed_so_often_only_over_both(database_url: str) -> None:
    clock = Clock()
    *desks, stores = await two_desks(database_url, clock)
    assert await desks[0].put_purses(SHOP.id, [Purse(ref="G-1", means="gift", balance_minor=500)]) is None
    view = await at_recap(desks[0], "guess", means="transfer")
    for n in range(desks[0].terms.purse_tries):
        ok(await desks[n % 2].choose_means(SHOP.id, view.checkout.id, "transfer", ("G-1",)))  # a known one is no guess
    answers = [
        await desks[n % 2].choose_means(SHOP.id, view.checkout.id, "transfer", (f"X-{n}",))
        for n in range(desks[0].terms.purse_tries + 3)
    ]
    reasons = [one.reason for one in answers if isinstance(one, Refusal)]
    assert len(reasons) == len(answers)
    assert ["too many" in one for one in reasons] == [False] * desks[0].terms.purse_tries + [True] * 3
    for store in stores:
        await store.close()


async def test_rows_are_short_name_nobody_and_are_swept(database_url: str) -> None:
    clock = Clock()
    desk, _, stores = await two_desks(database_url, clock)
    for _ in range(30):
        await desk.admit(ADDRESS, 1_000)
    store = stores[0]
    async with store.database.reading() as connection:
        rows = (await connection.execute(select(TRIES))).all()
    assert len(rows) == 1, "a row for each minute, not for each try"
    assert ADDRESS not in str(rows[0])
    clock.passes(hours=2)
    keeper = Timekeeper(desk, _metrics())
    keeper._swept = clock.at - timedelta(hours=1)
    await keeper.round()
    async with store.database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(TRIES)) == 0
    for one in stores:
        await one.close()


async def test_one_button_pressed_fifty_times_is_one_try(database_url: str) -> None:
    clock = Clock()
    desk, _, stores = await two_desks(database_url, clock)
    what: UUID = uuid4()

    async def click() -> bool:
        async with desk.trying(ADDRESS, what, 7) as counts:
            await asyncio.sleep(0.05)
            return counts is not None

    assert all(await asyncio.gather(*(click() for _ in range(50))))
    assert all([await desk.admit(ADDRESS, 7) for _ in range(7)]), "none of them was kept"
    for store in stores:
        await store.close()


def _metrics() -> DeskMetrics:

    return DeskMetrics(CollectorRegistry())


async def test_those_that_came_to_something_stay_counted_and_nobody_in_particular_may_always(database_url: str) -> None:
    clock = Clock()
    desk, _, stores = await two_desks(database_url, clock)
    for kept in (True, False, True):
        async with desk.trying(ADDRESS, uuid4(), 7) as counts:
            assert counts is not None
            if kept:
                counts()
    answers = [await desk.admit(ADDRESS, 7) for _ in range(6)]
    assert answers == [True] * 5 + [False], "two were kept"
    async with desk.trying(ADDRESS, uuid4(), 7) as counts:
        assert counts is None
    assert all([await desk.admit("", 0) for _ in range(3)])
    for store in stores:
        await store.close()
