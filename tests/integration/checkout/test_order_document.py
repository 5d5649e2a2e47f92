"""Real orders are held against the book: what was done in time breaks nothing, what is late is named with its rule."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import typer
from sqlalchemy import delete
from typer.testing import CliRunner, Result

from relance.cli import law
from relance.rules.law.verdict import check
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.order_document import Beside, order_document
from services.checkout.domain.presenting import Kept
from services.checkout.domain.records import Record
from services.checkout.store.part import kind_of
from services.checkout.store.schema import AGGREGATES, ENTRIES
from services.checkout.store.transaction import Transaction
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, ok
from tests.integration.checkout.owing_kit import bought, returned, seen, withdrawn, works


async def broken(desk: Desk, order_id: UUID) -> tuple[set[str], set[str]]:
    """The rules that block, and those that warn."""
    view = await seen(desk, order_id)
    order = view.order_view.order
    record = await desk.look(lambda tx: tx.get(Record, SHOP.id, order.checkout_id))
    shop = ok(await desk.look(lambda tx: desk.shop(tx, SHOP.id)))
    assert record is not None
    after = msgspec.structs.replace(view.after, confirmed_at=order.placed_at)  # no letter is printed here
    setting = Setting(desk.clock(), desk.book, shop.aftercare)
    document = order_document(order, after, record, shop, setting, Beside(order.placed_at, intact=True))
    found = check(document, desk.book)
    return {one.rule for one in found.blockers}, {one.rule for one in found.warnings}


async def test_an_order_withdrawn_from_and_paid_back_in_time_breaks_nothing(desk: Desk, clock: Clock) -> None:
    order_id = await bought(desk, "k1", 2)
    assert (await broken(desk, order_id))[0] == set()
    clock.passes(days=3)
    statement = await withdrawn(desk, order_id, 1)
    assert (await broken(desk, order_id))[0] == set()
    clock.passes(days=4)
    await returned(desk, order_id, statement)
    await Daily(desk).run(clock.at)
    await works(desk)
    assert (await broken(desk, order_id))[0] == set()


async def test_what_is_late_is_named(desk: Desk, clock: Clock) -> None:
    """Nobody sends the transfer: from the day after the due date the tariff is owed, and named."""
    order_id = await bought(desk, "k1", 2)
    statement = await withdrawn(desk, order_id, 2)
    await returned(desk, order_id, statement)
    clock.at = datetime.combine(AT.date() + timedelta(days=14), AT.time(), UTC)
    blocked, warned = await broken(desk, order_id)
    assert not {"B13", "B15", "B27"} & (blocked | warned)
    clock.passes(days=12)
    blocked, warned = await broken(desk, order_id)
    assert blocked & {"B15"}
    assert "B13" in warned


async def test_whoever_keeps_the_shop_holds_a_stored_order_against_the_law_of_today_and_of_a_day_to_come(
    desk: Desk, database_url: str
) -> None:
    order_id = await bought(desk, "k1", 2)
    statement = await withdrawn(desk, order_id, 2)
    await returned(desk, order_id, statement)
    program = typer.Typer()
    law.register(program)

    async def told(day: date, order: str = str(order_id)) -> Result:
        words = ["law", "check", "--order", order, "--on", day.isoformat(), "--database", database_url]
        return await asyncio.to_thread(CliRunner().invoke, program, words)

    last = AT.date() + timedelta(days=14)
    in_time, late = await told(last), await told(last + timedelta(days=11))
    assert "B15" not in in_time.output
    assert (late.exit_code, "B15" in late.output, "L242-4" in late.output) == (1, True, True)
    nobody = await told(last, str(uuid4()))
    assert "there is no order" in str(nobody.exception) + nobody.output


async def test_an_order_of_an_earlier_release_was_acknowledged_when_its_confirmation_left(
    desk: Desk, database_url: str
) -> None:  # fmt: skip
    """Nobody looks after it, so that no aftercare is stored; entries of its evidence that are gone are missed."""
    order_id = str(await bought(desk, "k1", 3))
    program = typer.Typer()
    law.register(program)

    async def told() -> str:
        words = ["law", "check", "--order", order_id, "--on", AT.date().isoformat(), "--database", database_url]
        return (await asyncio.to_thread(CliRunner().invoke, program, words)).output

    async def acknowledged(tx: Transaction) -> None:
        kept = await tx.get(Kept, SHOP.id, order_id)
        assert kept is not None
        after = msgspec.structs.replace(kept, acknowledged_at=desk.clock(), version=kept.version + 1)
        await tx.put(SHOP.id, order_id, after, before=kept.version)

    before = await told()
    assert {"A08", "A10"} <= set(before.split()), "nobody printed a letter here"
    await desk.store.run(acknowledged)
    where = (AGGREGATES.c.kind == kind_of(Aftercare)) & (AGGREGATES.c.id == order_id)
    async with desk.store.database.writing() as connection:
        gone = await connection.execute(delete(AGGREGATES).where(where))
    assert gone.rowcount == 1
    said = await told()
    assert not {"A08", "A10"} & set(said.split())
    assert "integrity" not in said
    async with desk.store.database.writing() as connection:
        await connection.execute(delete(ENTRIES).where(ENTRIES.c.seq == 1))
    assert "integrity" in await told()
