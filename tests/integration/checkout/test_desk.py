"""A cart becomes an order, on both databases."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from relance.kernel.instants import to_ms
from services.checkout.domain.orders import Order
from services.checkout.domain.stock import Level
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(database_url: str, clock: Clock) -> AsyncIterator[Store]:
    opened = await open_store(database_url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    yield opened
    await opened.close()


async def test_a_cart_becomes_an_order(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk)
    assert view.sums.total_minor == 4990 + 490
    assert view.verdict.allowed
    pressed = await ordered(desk, view)
    order = ok(await desk.order(SHOP.id, pressed.order_id))
    assert (order.order.state, order.order.total_minor, order.email) == ("placed", 5480, "k1@example.org")
    assert not pressed.again
    assert (await ordered(desk, view)).order_id == pressed.order_id


async def test_fifty_clicks_make_one_order(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk)
    pressed = await asyncio.gather(*(ordered(desk, view) for _ in range(50)))
    assert len({one.order_id for one in pressed}) == 1
    assert sum(not one.again for one in pressed) == 1
    async with store.transaction() as tx:
        level = await tx.get(Level, SHOP.id, "L-1")
        assert level is not None
        assert level.free == 99
        assert len(await tx.all(Order, SHOP.id)) == 1
