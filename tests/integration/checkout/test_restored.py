"""A database is restored as it was before money went back: the bank is ahead of it, and nothing goes back twice."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from relance.custody.checkpoint_file import CheckpointFile
from relance.kernel.instants import to_ms
from services.checkout.application.desk import Desk
from services.checkout.domain.orders import Deliver, GiveBack, Ship
from services.checkout.domain.refunds import Retry
from services.checkout.store import MasterKey, Sealing, Store, open_store, verify_store
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, ordered
from tests.integration.checkout.evidence_kit import KEY, PUBLIC
from tests.integration.checkout.owing_kit import letters, only, returned, seen, withdrawn
from tests.integration.checkout.payments_kit import Till, open_till

TOTAL = 2 * 4_990 + 490


@pytest.fixture
async def restored(tmp_path: Path, bank: RunningBank, clock: Clock) -> AsyncIterator[tuple[Till, UUID]]:
    """A till on a database of the day on which the lamps of an order came; one was given back for since."""
    async with (
        Receiver() as door,
        provider_of(bank.url, now=clock) as provider,
        on(tmp_path / "first.db", clock) as first,
    ):
        till = await open_till(first, clock, bank, door, provider)
        order_id = await in_hand(till)
        with (
            contextlib.closing(sqlite3.connect(tmp_path / "first.db")) as there,
            contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as backup,
        ):
            there.backup(backup)
        await returned(till.desk, order_id, await withdrawn(till.desk, order_id))
        await till.lives_through(2, 60)
        assert await asyncio.to_thread(till.at_bank, order_id) == (1, TOTAL - 4_990)
        await Sealing(first, CheckpointFile(tmp_path / "log"), KEY).seal_now()
        till.passes(days=2)  # the bank has forgotten its keys
        async with on(tmp_path / "backup.db", clock) as before:
            desk = Desk(before, till.desk.book, {"bank": provider}, clock=clock)
            after = Till(desk, before, clock, bank, door)
            after.begun = till.begun
            after.sent = {one.id for one in await letters(first, order_id)}
            yield after, order_id
        bank.control("webhooks", url="")


@contextlib.asynccontextmanager
async def on(file: Path, clock: Clock) -> AsyncIterator[Store]:
    """A database that is closed in the end."""
    store = await open_store(f"sqlite:///{file}", MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    try:
        yield store
    finally:
        await store.close()


async def in_hand(till: Till) -> UUID:
    """Two lamps, paid by card and received."""
    pressed = await ordered(till.desk, await at_recap(till.desk, f"r-{uuid4().hex[:8]}", quantity=2))
    assert pressed.redirect_url is not None
    assert await till.pays(pressed.redirect_url) == 303
    await till.desk.look_now(SHOP.id, pressed.order_id)
    await till.works()
    await till.does(pressed.order_id, Ship(parcel_id="p1", units={"1": 2}))
    await till.does(pressed.order_id, Deliver(parcel_id="p1", received_by="consumer"))
    await till.works()
    return pressed.order_id


async def test_what_is_missing_is_found_by_what_was_sealed(restored: tuple[Till, UUID], tmp_path: Path) -> None:
    till, order_id = restored
    found = (await verify_store(till.store, CheckpointFile(tmp_path / "log").lines(), PUBLIC)).findings
    checkout = (await till.order(order_id)).checkout_id
    assert [(one.kind, one.place) for one in found] == [("truncated", f"order {SHOP.id}/{checkout}")]


async def test_what_is_recorded_again_is_paid_back_no_second_time(restored: tuple[Till, UUID]) -> None:
    till, order_id = restored
    assert not (await seen(till.desk, order_id)).after.statements
    for body, headers in till.door.bodies:
        await till.desk.heard("bank", body, headers)  # of refunds that are not known here
    await till.works()
    await returned(till.desk, order_id, await withdrawn(till.desk, order_id))
    await till.lives_through(2, 60)
    due, stands = await only(till.desk, order_id)
    assert (stands.state, due.amount_minor) == ("settled", 4_990)
    fresh = {one.id for one in await letters(till.store, order_id) if one.kind.startswith("withdrawal.")}
    assert len(fresh) == 2
    assert not fresh & till.sent, "no letter is taken for one that was sent before"
    assert await asyncio.to_thread(till.at_bank, order_id) == (1, TOTAL - 4_990)


@pytest.mark.parametrize("hours", [1, 100])
async def test_another_sum_is_not_taken_for_the_one_that_went(restored: tuple[Till, UUID], hours: float) -> None:
    till, order_id = restored
    till.passes(hours=hours)
    await till.does(order_id, GiveBack(key="g", amount_minor=500, cause="goodwill"))
    await till.lives_through(2, 60)
    (refund,) = (await till.order(order_id)).refunds
    assert (refund.state, refund.reason) == ("failed", "another_amount"), "shown, and somebody looks at the bank"
    assert await asyncio.to_thread(till.at_bank, order_id) == (1, TOTAL - 4_990)

    await till.does(order_id, Retry(refund_id=refund.id, key="again"))
    await till.lives_through(2, 60)
    (refund,) = (await till.order(order_id)).refunds
    assert refund.state == "succeeded"
    assert await asyncio.to_thread(till.at_bank, order_id) == (1, TOTAL - 4_990 - 500)
    assert ok(await till.desk.order(SHOP.id, order_id)).order.state == "delivered"
