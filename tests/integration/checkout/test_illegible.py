"""Rows that cannot be read, of whatever kind: worklists, gauges, the day and what is forgotten go on beside them."""

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text

from relance.kernel.instants import to_ms
from relance.rules.law.book import default_book
from relance.rules.law.calendar import first_instant, first_instant_after, paris_date
from services.checkout.application.aftercaring import Words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.application.forgetting import forget_papers, forget_strays
from services.checkout.application.gauging import DayGauges, figures
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.papers import Paper
from services.checkout.metrics import AfterMetrics, DeskMetrics
from services.checkout.store import MasterKey, Store, open_store
from services.checkout.store.sweeping import date_begun
from tests.integration.checkout.contracts_kit import press, subscribed
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap
from tests.integration.checkout.owing_kit import bought, seen, withdrawn, works
from tests.integration.checkout.test_accounts_of_papers import invoiced
from tests.integration.checkout.test_worklists_over_time import unsent

WRONG = '{"id": 5}'
DAY = timedelta(days=1)
READ = text("SELECT body FROM aggregates WHERE kind = :kind AND id = :id")
WRITE = text("UPDATE aggregates SET body = :body WHERE kind = :kind AND id = :id")
UNDATE = text("UPDATE aggregates SET created_at_ms = 0 WHERE kind = :kind AND id = :id")


@pytest.fixture
async def press_desk(store: Store, clock: Clock) -> Desk:
    return await press(store, clock)


async def poison(store: Store, kind: str, id_: str, body: str = WRONG) -> str:
    """Replace a row's body; what it was."""
    at = {"kind": kind, "id": id_}
    async with store.database.writing() as connection:
        before = str((await connection.execute(READ, at)).scalar_one())
        await connection.execute(WRITE, at | {"body": body})
    return before


async def stray(desk: Desk) -> str:
    """A statement that names nothing."""
    said = Words(name="Ada Martin", address="ada@example.org", text=str(uuid4()))
    return (await desk.state_unknown(SHOP.id, "mon canapé", said)).statement_id


async def paged(read: object, ids: list[str]) -> None:
    """A list in pages of one has all of these ids, in their order."""
    found: list[str] = []
    while page := await read(after=found[-1] if found else "", limit=1):  # type: ignore[operator]
        found += page
    assert found == sorted(ids)


async def test_gauges_and_the_day_go_on_beside_contracts_statements_and_shops(
    press_desk: Desk, store: Store, clock: Clock
) -> None:
    desk = press_desk
    contracts = [(await subscribed(desk, key))[1].id for key in ("k1", "k2", "k3")]
    strays = [await stray(desk) for _ in range(2)]
    await works(desk)
    await poison(store, "contract", min(contracts))
    await poison(store, "stray", strays[0])
    async with store.database.writing() as connection:
        await connection.execute(
            text(
                "INSERT INTO aggregates (kind, shop, id, version, state, body) VALUES ('shop', '*', 'odd', 1, '', '{}')"
            )
        )
    clock.at = first_instant(date(2027, 9, 1))
    found = await figures(desk, clock.at)
    assert found["odd"].failing == 1
    assert (found[SHOP.id].failing, found[SHOP.id].unannounced, found[SHOP.id].strays) == (2, 2, 2)

    async def ids(after: str, limit: int) -> list[str]:
        return [one.id for one in await desk.contracts(SHOP.id, state="running", after=after, limit=limit)]

    await paged(ids, sorted(contracts)[1:])
    assert [one.id for one in await desk.strays(SHOP.id)] == strays[1:]
    report = await Daily(desk).run(clock.at)
    assert report.failed >= 1, "the day was done, and counted"
    registry, stop = CollectorRegistry(), asyncio.Event()
    gauges = DayGauges(desk, clock, AfterMetrics(registry), every_s=0.01)
    running = asyncio.create_task(gauges.run(stop))
    await asyncio.sleep(0.3)
    assert not running.done()
    stop.set()
    await running
    shown = generate_latest(registry).decode()
    assert 'relance_checkout_orders_failing_count{shop="lumen"} 2.0' in shown
    assert 'relance_checkout_strays_open_count{shop="lumen"} 2.0' in shown


async def test_that_the_day_is_done_is_told_while_numbers_cannot_be(desk: Desk, store: Store, clock: Clock) -> None:
    async with store.database.writing() as connection:
        await connection.execute(text("ALTER TABLE effects RENAME TO elsewhere"))
    registry = CollectorRegistry()
    running = asyncio.create_task(DayGauges(desk, clock, AfterMetrics(registry)).run(asyncio.Event()))
    await asyncio.wait([running], timeout=0.2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert registry.get_sample_value("relance_checkout_day_timestamp_seconds") == clock.at.timestamp()


async def test_lists_of_withdrawals_and_lateness_have_all_others_page_by_page(
    desk: Desk, store: Store, clock: Clock
) -> None:
    said = [await bought(desk, f"said-{place}") for place in range(4)]
    for one in said:
        await withdrawn(desk, one)
    late = sorted([await unsent(desk, f"late-{place}") for place in range(4)], key=str)
    last = (await seen(desk, late[0])).after.sold[0].promised_on
    assert last is not None
    clock.at = first_instant_after(last)
    await Daily(desk).run(clock.at)
    await poison(store, "aftercare", str(min(said, key=str)))
    await poison(store, "aftercare", str(late[0]))
    await poison(store, "order", str(late[2]))

    async def stated(after: str, limit: int) -> list[str]:
        return [one.id for one in await desk.withdrawals(SHOP.id, "all", after=after, limit=limit)]

    async def waited_for(after: str, limit: int) -> list[str]:
        return [one.after.id for one in await desk.late_deliveries(SHOP.id, after=after, limit=limit)]

    await paged(stated, sorted(map(str, said))[1:])
    await paged(waited_for, [str(late[1]), str(late[3])])
    assert await waited_for("", 10) == [str(late[1]), str(late[3])]


async def test_a_page_is_full_whatever_lies_between(desk: Desk, store: Store) -> None:
    orders = sorted([str(await bought(desk, f"page-{place}")) for place in range(5)])
    for one in orders:
        await withdrawn(desk, UUID(one))
    for one in (orders[0], orders[2]):
        await poison(store, "aftercare", one)
    async with store.reading() as tx:
        for named in ({"key": ("statements", "all")}, {}):
            found, lost = await tx.legible_page(Aftercare, SHOP.id, after="", limit=2, **named)  # type: ignore[arg-type]
            assert ([*found], list(lost)) == ([orders[1], orders[3]], [orders[0], orders[2]])
            found, lost = await tx.legible_page(Aftercare, SHOP.id, after=orders[3], limit=2, **named)  # type: ignore[arg-type]
            assert ([*found], lost) == ([orders[4]], ())


@pytest.mark.parametrize("kind", ["order", "aftercare", "paper"])
async def test_prints_of_others_are_forgotten_in_their_time(desk: Desk, store: Store, clock: Clock, kind: str) -> None:
    made = sorted([await invoiced(desk, f"{kind}-{place}") for place in range(2)], key=lambda one: one[1].id)
    (order_id, lost), (_, well) = made
    whole = await poison(store, kind, lost.id if kind == "paper" else str(order_id))
    clock.passes(seconds=(first_instant(date(paris_date(clock.at).year + 11, 1, 2)) - clock.at).total_seconds())
    keeper = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
    keeper._swept -= DAY
    for _ in range(10):
        if not await keeper._sweep():
            break
    assert await keeper._sweep() == 0, "an hour's rest"
    assert (await stored(store, well.id)).forgotten_on == paris_date(clock.at)
    assert await forget_papers(store, default_book(), clock.at) == 0, "and not again at each turn"
    await poison(store, kind, lost.id if kind == "paper" else str(order_id), whole)
    assert (await stored(store, lost.id)).forgotten_on is None
    clock.passes(days=1)
    assert await forget_papers(store, default_book(), clock.at) == 1
    assert (await stored(store, lost.id)).forgotten_on == paris_date(clock.at)


async def stored(store: Store, number: str) -> Paper:
    async with store.reading() as tx:
        found = await tx.get(Paper, SHOP.id, number)
    assert found is not None
    return found


async def test_statements_of_others_are_forgotten_in_their_time(desk: Desk, store: Store, clock: Clock) -> None:
    strays = sorted([await stray(desk) for _ in range(3)])
    before = await poison(store, "stray", strays[0])
    assert await forget_strays(store, clock.at, at_once=1) == 1
    assert await forget_strays(store, clock.at) == 1
    assert await forget_strays(store, clock.at) == 0, "the one that cannot be read is not tried without end"
    await poison(store, "stray", strays[1])
    clock.passes(days=1_828)
    assert await forget_strays(store, clock.at, at_once=1) + await forget_strays(store, clock.at) == 2
    assert await forget_strays(store, clock.at) == 0
    async with store.reading() as tx:
        assert await tx.get(Stray, SHOP.id, strays[2]) is None
    await poison(store, "stray", strays[0], before)
    assert await forget_strays(store, clock.at) == 2, "it has its day, which has come"


async def test_checkouts_that_an_older_release_stored_beside_this_one_are_in_the_funnel(
    desk: Desk, store: Store, clock: Clock
) -> None:
    ids = [str((await at_recap(desk, key)).checkout.id) for key in ("old", "new", "odd")]
    day = paris_date(clock.at)
    assert (await desk.funnel(SHOP.id, day, day)).carts == 3
    async with store.database.writing() as connection:
        for id_ in (ids[0], ids[2]):
            await connection.execute(UNDATE, {"kind": "checkout", "id": id_})
    await poison(store, "checkout", ids[2])
    assert (await desk.funnel(SHOP.id, day, day)).carts == 1
    keeper = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
    clock.passes(hours=1)
    while await keeper._sweep():
        pass
    assert (await desk.funnel(SHOP.id, day, day)).carts == 2
    assert await date_begun(store) == 0


async def test_the_instant_is_the_one_that_the_checkout_says(database_url: str) -> None:
    clock = Clock()
    store = await open_store(database_url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    try:
        async with store.database.writing() as connection:
            await connection.execute(
                text(
                    "INSERT INTO aggregates (kind, shop, id, version, state, body) "
                    "VALUES ('checkout', 's', 'c', 1, '', :body)"
                ),
                {"body": '{"started_at":"2026-11-22T09:00:00.5Z"}'},
            )
        assert await date_begun(store) == 1
        async with store.database.reading() as connection:
            found = await connection.execute(text("SELECT created_at_ms FROM aggregates WHERE id = 'c'"))
            assert found.scalar_one() == 1_795_338_000_500
    finally:
        await store.close()
