"""What time does to many: one that cannot be done keeps no other from its turn."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid5

import msgspec
from prometheus_client import CollectorRegistry

from relance.rules.law.book import default_book
from services.checkout.application.desk import Desk
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.orders import Order
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Transaction, open_store
from tests.unit.checkout.story import AT, CONTEXT, ORDER_ID, placed

replace = msgspec.structs.replace

LAPSED = AT + timedelta(hours=25)


def order(place: int, device: str) -> Order:
    made = placed().state
    id_ = uuid5(ORDER_ID, str(place))
    return replace(made, id=id_, checkout_id=str(uuid5(id_, "c")), context=replace(CONTEXT, device=device))


async def test_orders_that_cannot_lapse_are_looked_at_again_and_hold_up_no_other(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/shop.sqlite", MasterKey(b"k" * 32))
    try:
        desk = Desk(store, default_book(), {}, clock=lambda: LAPSED)
        time = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
        broken = [order(place, "toaster") for place in range(100)]  # as many as are read at a time
        whole = order(100, "mobile")
        async with store.transaction() as tx:
            for place, one in enumerate([*broken, whole]):
                due = one.deadline + timedelta(seconds=place)
                await tx.put(one.context.shop, str(one.id), one, before=None, state=one.state, due_at=due)
        assert await time.round() == 0
        assert await time.round() == 1
        assert await time.round() == 0
        async with store.reading() as tx:
            assert [await _state(tx, one.id) for one in (broken[0], whole)] == ["placed", "lapsed"]
            assert len(await tx.due(Order, LAPSED + timedelta(seconds=59), 1000)) == 0
            assert len(await tx.due(Order, LAPSED + timedelta(seconds=61), 1000)) == 100
    finally:
        await store.close()


async def _state(tx: Transaction, id_: UUID) -> str:
    found = await tx.get(Order, CONTEXT.shop, str(id_))
    return "" if found is None else found.state
