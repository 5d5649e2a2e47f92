"""A database of a release before aftercare was kept: its orders are looked after, found, and withdrawn from."""

from uuid import UUID, uuid4

from alembic import command
from sqlalchemy import text

from relance.kernel.instants import to_ms
from relance.rules.law.book import default_book
from services.checkout.application.aftercaring import Words
from services.checkout.application.desk import Desk
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import Received
from services.checkout.store import MasterKey, Store, open_store
from services.checkout.store.opening import migrations
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.owing_kit import bought, letters, seen, works

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


async def test_orders_of_before_are_looked_after_late_and_found_by_their_number(
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
    assert str(orders["paid"]) in late, "it should have come, and its consumer is told"
    assert [one.kind for one in await letters(store, orders["paid"])].count("delivery.late") == 1

    words = Words(name="Ada Martin", address="there@example.org")
    said = await desk.state_unknown(SHOP.id, str(orders["there"])[:8], words, statement_id=str(uuid4()))
    await works(desk)
    (statement,) = (await seen(desk, orders["there"])).after.statements
    assert (statement.id, statement.decisions[0].outcome) == (said.statement_id, "accepted")
    before = await counted(store)
    await store.close()
    store = await opened(database_url, clock)
    assert await counted(store) == before, "looked after once"
    await store.close()


async def counted(store: Store) -> int:
    """How much waits to be done."""
    async with store.database.reading() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM effects"))).scalar_one())
