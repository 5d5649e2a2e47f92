"""A database of a release before aftercare was kept: its orders are looked after, found, and withdrawn from."""

from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
from alembic import command
from sqlalchemy import text

from relance.kernel.instants import to_ms
from relance.rules.law.book import default_book
from relance.rules.law.calendar import paris_date
from services.checkout.application.aftercaring import Words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import Received
from services.checkout.domain.presenting import Kept
from services.checkout.store import MasterKey, Store, Transaction, open_store
from services.checkout.store.opening import migrations
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.owing_kit import bought, letters, seen, withdrawn, works

replace = msgspec.structs.replace

BEFORE = (
    "DELETE FROM aggregates WHERE kind = 'aftercare'", "DELETE FROM aggregate_keys WHERE kind = 'aftercare'",
)  # fmt: skip


async def opened(url: str, clock: Clock) -> Store:
    return await open_store(url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))


async def as_before(url: str, clock: Clock) -> dict[str, UUID]:
    """Orders as such a release left them."""
    store = await opened(url, clock)
    desk = await open_shop(store, clock)
    waits = (await ordered(desk, await at_recap(desk, "waits", means="transfer"))).order_id
    paid = (await ordered(desk, await at_recap(desk, "paid", means="transfer"))).order_id
    await works(desk)
    total = ok(await desk.order(SHOP.id, paid)).order.total_minor
    ok(await desk.act(SHOP.id, paid, Received(amount_minor=total, received_at=clock())))
    there = await bought(desk, "there")
    await works(desk)
    async with store.database.writing() as connection:
        for statement in BEFORE:
            await connection.execute(text(statement))
        await connection.run_sync(lambda bare: command.downgrade(migrations(bare), "0004"))
    await store.close()
    return {"waits": waits, "paid": paid, "there": there}


async def test_orders_of_before_are_looked_after_and_found_by_their_number_without_a_word_of_what_was(
    database_url: str, clock: Clock
) -> None:
    orders = await as_before(database_url, clock)
    clock.passes(days=10)
    store = await opened(database_url, clock)
    desk = Desk(store, default_book(), {}, clock=clock)
    await works(desk)
    async with store.reading() as tx:
        assert {*await tx.all(Aftercare, SHOP.id)} == {str(one) for one in orders.values()}
    late = {one.after.id for one in await desk.late_deliveries(SHOP.id)}
    assert str(orders["paid"]) in late, "it should have come"
    for one in orders.values():
        told = {letter.kind for letter in await letters(store, one)}
        assert "delivery.late" not in told, "its shop knew that for days"
        assert (await seen(desk, one)).after.papers == (), "its shop has invoiced it"

    words = Words(name="Ada Martin", address="there@example.org")
    said = await desk.state_unknown(SHOP.id, str(orders["there"])[:8], words, statement_id=str(uuid4()))
    await works(desk)
    (statement,) = (await seen(desk, orders["there"])).after.statements
    assert (statement.id, statement.decisions[0].outcome) == (said.statement_id, "accepted")
    clock.passes(days=3)
    await Daily(desk).run(clock.at)
    await works(desk)
    there = await seen(desk, orders["there"])
    assert (len(there.after.dues), there.after.papers) == (1, ()), "credited where it was invoiced"
    before = await counted(store)
    await store.close()
    store = await opened(database_url, clock)
    assert await counted(store) == before, "looked after once"
    await store.close()


async def test_what_happens_since_the_upgrade_is_told_and_invoiced_as_of_any_order(
    database_url: str, clock: Clock
) -> None:
    orders = await as_before(database_url, clock)
    clock.passes(days=1)
    store = await opened(database_url, clock)
    desk = Desk(store, default_book(), {}, clock=clock)
    await works(desk)
    total = ok(await desk.order(SHOP.id, orders["waits"])).order.total_minor
    ok(await desk.act(SHOP.id, orders["waits"], Received(amount_minor=total, received_at=clock())))
    await works(desk)
    assert [one.kind for one in (await seen(desk, orders["waits"])).after.papers] == ["invoice"]

    paid = (await seen(desk, orders["paid"])).after
    assert paid.papers == ()
    found = ok(await desk.order(SHOP.id, orders["paid"])).shop
    said = replace(found, aftercare=replace(found.aftercare, since=paris_date(clock() - timedelta(days=2))))
    assert await desk.put_shop(said) is None
    clock.passes(days=40)
    await Daily(desk).run(clock.at)
    await works(desk)
    assert [one.kind for one in await letters(store, orders["paid"])].count("delivery.late") == 1
    assert [one.kind for one in (await seen(desk, orders["paid"])).after.papers] == ["invoice"], "its shop did not"
    await store.close()


async def test_a_consumer_who_acts_before_the_first_look_gets_no_second_invoice(
    database_url: str, clock: Clock
) -> None:
    order_id = (await as_before(database_url, clock))["there"]
    store = await opened(database_url, clock)
    desk = Desk(store, default_book(), {}, clock=clock)

    async def confirmed(tx: Transaction) -> None:
        kept = await tx.get(Kept, SHOP.id, str(order_id), lock=True)
        assert kept is not None
        sent = replace(kept, acknowledged_at=clock(), version=kept.version + 1)
        await tx.put(SHOP.id, kept.id, sent, before=kept.version)

    await store.run(confirmed)
    clock.passes(days=1)
    since = clock()
    await withdrawn(desk, order_id)
    clock.passes(days=1)
    await works(desk)
    after = (await seen(desk, order_id)).after
    assert (after.since, after.papers, len(after.statements)) == (since, (), 1)
    await store.close()


async def counted(store: Store) -> int:
    """How much waits to be done."""
    async with store.database.reading() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM effects"))).scalar_one())
