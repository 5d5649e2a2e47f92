"""Units that will not leave are for sale again; uses of coupons move to rows of persons when tables are brought up."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine, text

from services.checkout.application.effects import EffectRunner
from services.checkout.domain.coupons import OwnUses, Uses
from services.checkout.domain.orders import Cancel, Withdraw
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.stock import Level
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Store, open_store
from services.checkout.store.opening import migrations
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, at_recap, ok, open_shop, ordered

MASTER = MasterKey(b"m" * 32)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url, MASTER)
    yield opened
    await opened.close()


async def unprinted(_facts: object) -> tuple[Refusal, ...]:
    return (Refusal("shop.legal", "a fact is missing", "A10", "L221-13"),)


async def test_withdrawn_and_cancelled_units_are_for_sale_again(store: Store) -> None:
    desk = await open_shop(store, Clock(), stock=5)
    effects = EffectRunner(desk, unprinted, DeskMetrics(CollectorRegistry()))

    async def free() -> int:
        await effects.drain()
        level = await desk.look(lambda tx: tx.get(Level, SHOP.id, "L-1"))
        assert level is not None
        assert level.on_hand == 5
        return level.free

    pressed = await ordered(desk, await at_recap(desk, "units", quantity=3, means="transfer"))
    assert await free() == 2
    ok(await desk.act(SHOP.id, pressed.order_id, Withdraw(stated_at=AT, medium="web", units={"1": 1})))
    assert await free() == 3
    ok(await desk.act(SHOP.id, pressed.order_id, Cancel(reason="changed his mind")))
    assert await free() == 5


async def test_uses_of_a_coupon_become_a_count_and_a_row_for_each_person(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{path}")
    body = {"code": "TEN", "by_order": {"o1": "ada", "o2": "ada", "o3": "eve"}, "version": 3}
    with engine.begin() as connection:
        command.upgrade(migrations(connection), "0001")
        connection.execute(
            text("INSERT INTO aggregates (kind, shop, id, version, state, body) VALUES ('uses','s','TEN',3,'',:body)"),
            {"body": json.dumps(body)},
        )
    engine.dispose()
    store = await open_store(f"sqlite:///{path}", MASTER)
    async with store.reading() as tx:
        uses = await tx.get(Uses, "s", "TEN")
        ada, eve = await tx.get(OwnUses, "s", "TEN/ada"), await tx.get(OwnUses, "s", "TEN/eve")
    assert uses == Uses(code="TEN", taken=3, version=4)
    assert ada == OwnUses(id="TEN/ada", orders=("o1", "o2"), version=1)
    assert eve == OwnUses(id="TEN/eve", orders=("o3",), version=1)
    await store.close()
