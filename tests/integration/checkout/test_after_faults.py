"""What follows an order while something outside fails: the bank for days, the disk, the clock; requests come again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event, select, text

from relance.custody.checkpoint_file import CheckpointFile
from relance.kernel.errors import NotNow
from relance.kernel.instants import to_ms
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.aftercaring import Words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.aftercare import Payout
from services.checkout.domain.orders import Deliver, Received, Ship
from services.checkout.domain.promises import ReportUnavailable, ResolveLate
from services.checkout.domain.statements import StateWithdrawal
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Sealing, Store, open_store, verify_store
from services.checkout.store.schema import METADATA
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, now_utc, ok, open_shop, ordered
from tests.integration.checkout.evidence_kit import KEY, PUBLIC
from tests.integration.checkout.owing_kit import (
    bought,
    days,
    dispatched,
    letters,
    only,
    returned,
    seen,
    withdrawn,
    works,
)
from tests.integration.checkout.payments_kit import Till, open_till
from tests.integration.checkout.sums_kit import agrees

LAMPS = 2


@pytest.fixture
async def till(store: Store, clock: Clock, bank: RunningBank) -> AsyncIterator[Till]:
    clock.at = now_utc()
    async with Receiver() as door, provider_of(bank.url, now=clock, answer_s=1.0) as provider:
        yield await open_till(store, clock, bank, door, provider)
        bank.http.delete("/_bank/faults")
        bank.control("webhooks", url="")


async def in_hand(till: Till) -> UUID:
    """Two lamps, paid by card and received."""
    pressed = await ordered(till.desk, await at_recap(till.desk, f"f-{uuid4().hex[:8]}", quantity=LAMPS))
    assert pressed.redirect_url is not None
    assert await till.pays(pressed.redirect_url) == 303
    await till.desk.look_now(SHOP.id, pressed.order_id)
    await till.works()
    await till.does(pressed.order_id, Ship(parcel_id="p1", units={"1": LAMPS}))
    await till.does(pressed.order_id, Deliver(parcel_id="p1", received_by="consumer"))
    await till.works()
    return pressed.order_id


async def test_a_bank_that_is_away_makes_money_late_and_it_goes_once(till: Till, bank: RunningBank) -> None:
    order_id = await in_hand(till)
    statement = await withdrawn(till.desk, order_id)
    till.passes(days=1)
    bank.control("faults", match="POST /v1/refunds", mode="error_before", times=100_000)
    bank.control("faults", match="GET /v1/refunds", mode="error_before", times=100_000)
    await returned(till.desk, order_id, statement)
    due, stands = await only(till.desk, order_id)
    assert (stands.state, stands.surcharge_minor) == ("open", 0)
    till.passes(seconds=(first_instant(stands.due_on + days(3)) - till.clock()).total_seconds() + 60)
    for _ in range(4):
        await till.lives_through(20)
    due, stands = await only(till.desk, order_id)
    assert (stands.state, stands.late_days, stands.open_minor) == ("late", 3, 4_990)
    assert len(due.refund_ids) == 1, "asked for once, and not yet there"
    assert (await asyncio.to_thread(till.at_bank, order_id))[1] == LAMPS * 4_990 + 490

    bank.http.delete("/_bank/faults")
    await till.lives_through(20, 60, 60)
    due, stands = await only(till.desk, order_id)
    assert await asyncio.to_thread(till.at_bank, order_id) == (1, 4_990 + 490)
    if stands.surcharge_minor:  # the rate of that half-year was entered
        assert stands.state == "paid"
        on = paris_date(till.clock())
        more = Payout(id="s", minor=stands.surcharge_minor, paid_on=on, for_="surcharge", means="cheque")
        ok(await till.desk.pay_out(SHOP.id, order_id, due.id, more))
        ok(await till.desk.pay_out(SHOP.id, order_id, due.id, more))
        due, stands = await only(till.desk, order_id)
        assert len(due.payouts) == 1
        assert stands.state == "settled"
    assert [one.kind for one in await letters(till.store, order_id)].count("refund.made") == 1
    await agrees(till.desk, order_id)


async def comes(what: Callable[[], bool]) -> None:
    """Wait for what happens by itself."""
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - of a loop that tells nobody
            await asyncio.sleep(0.01)


async def test_a_clock_that_was_far_ahead_keeps_nothing_from_its_day(desk: Desk, store: Store, clock: Clock) -> None:
    stop = asyncio.Event()
    begun, clock.at = clock.at, clock.at + days(400)
    keeper = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
    running = asyncio.create_task(keeper.run(stop))
    await comes(lambda: keeper.daily.ran_at is not None)
    clock.at = begun
    order_id = await bought(desk, "ahead")
    await dispatched(desk, order_id, await withdrawn(desk, order_id))
    clock.at = first_instant(paris_date(clock.at) + days(12))
    done = keeper.daily
    await comes(lambda: done.ran_at == clock.at)
    assert (await only(desk, order_id))[0].refund_ids
    stop.set()
    await running


async def test_a_clock_that_goes_back_an_hour_changes_no_date_and_no_number(
    desk: Desk, store: Store, clock: Clock, tmp_path: Path
) -> None:
    order_id = await bought(desk, "back")
    first = await withdrawn(desk, order_id)
    clock.passes(hours=-1)
    second = await withdrawn(desk, order_id)
    await returned(desk, order_id, first)
    await returned(desk, order_id, second)
    after = (await seen(desk, order_id)).after
    assert all(one.acknowledged_at is not None and one.decisions[0].outcome == "accepted" for one in after.statements)
    assert sum(due.amount_minor for due in after.dues) == 2 * 4_990 + 350, "with the cheapest delivery"
    await agrees(desk, order_id)
    await is_whole(store, tmp_path)


@pytest.mark.parametrize("begun", [datetime(2027, 3, 20, 10, tzinfo=UTC), datetime(2026, 10, 20, 10, tzinfo=UTC)])
async def test_an_hour_that_comes_twice_or_never_is_one_day(desk: Desk, clock: Clock, begun: datetime) -> None:
    clock.at = begun
    order_id = await bought(desk, "night")
    await dispatched(desk, order_id, await withdrawn(desk, order_id))
    _, stands = await only(desk, order_id)
    asked = []
    for _ in range(16 * 24):
        clock.passes(hours=1)
        if (await Daily(desk).run(clock.at)).asked:
            asked.append(paris_date(clock.at))
    assert asked == [stands.due_on - days(3)]


async def test_a_full_disk_is_one_clear_error_and_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'full.db'}", MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    desk = await open_shop(store, clock)
    order_id = await bought(desk, "full")
    room: dict[str, int] = {}

    def bounded(connection: Any, *_: Any) -> None:
        if room:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA max_page_count = {room['pages']}")
            cursor.close()

    event.listen(store.engine.sync_engine, "checkout", bounded)
    async with store.database.reading() as connection:
        room["pages"] = int((await connection.execute(text("PRAGMA page_count"))).scalar_one()) + 1
    before = await _everything(store)
    at = desk.clock()
    act = StateWithdrawal(id=str(uuid4()), channel="web", stated_at=at, received_at=at, units={"1": 1})
    state = partial(desk.state_withdrawal, SHOP.id, order_id, act, Words(name="Ada", text="Je renonce. " * 2_000))
    for _ in range(2):
        with pytest.raises(NotNow, match="full"):
            await state()
    assert await _everything(store) == before, "nothing half done"

    room["pages"] += 10_000
    ok(await state())
    await works(desk)
    (statement,) = (await seen(desk, order_id)).after.statements
    assert (statement.stated_at, statement.acknowledged_at) == (at, at)
    await is_whole(store, tmp_path)
    await store.close()


async def is_whole(store: Store, folder: Path) -> None:
    """Its evidence is, once it is sealed."""
    log = CheckpointFile(folder / "log")
    await Sealing(store, log, KEY).seal_now()
    found = (await verify_store(store, log.lines(), PUBLIC)).findings
    assert {each.kind for each in found} <= {"postdated"}, found  # the desk's clock is a test's own


async def _everything(store: Store) -> list[str]:
    async with store.database.reading() as connection:
        rows = {table.name: await connection.execute(select(table)) for table in METADATA.tables.values()}
        return sorted(f"{name}: {tuple(row)}" for name, found in rows.items() for row in found)


async def test_a_report_that_comes_twice_ends_no_more_units(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await paid(desk, "gone")
    gone = ReportUnavailable(units={"1": 1}, report="r1")
    for _ in range(2):
        ok(await desk.report_unavailable(SHOP.id, order_id, gone))
    view = await seen(desk, order_id)
    assert (view.order_view.order.lines[0].ended, len(view.after.dues)) == (1, 1)
    another = ReportUnavailable(units={"1": 1}, report="r2")
    ok(await desk.report_unavailable(SHOP.id, order_id, another))
    assert (await seen(desk, order_id)).order_view.order.lines[0].ended == 2


async def test_two_writings_of_one_instant_are_two(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await paid(desk, "writings")
    at = clock()
    for click, units in (("a", 1), ("b", 1), ("b", 1)):
        ends = ResolveLate(received_at=at, medium="letter", units={"1": units}, refused=True, click=click)
        ok(await desk.resolve_late(SHOP.id, order_id, ends))
    view = await seen(desk, order_id)
    assert (view.order_view.order.lines[0].ended, len(view.after.resolutions)) == (2, 2)


async def paid(desk: Desk, key: str) -> UUID:
    """Three lamps, paid by transfer, that have not left."""
    order_id = (await ordered(desk, await at_recap(desk, key, quantity=3, means="transfer"))).order_id
    await works(desk)
    total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
    ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total, received_at=desk.clock())))
    await works(desk)
    return order_id
