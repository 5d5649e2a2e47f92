"""A cart taken up beside another one, and a means that an order may not be paid by."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.checkout.domain.attempts import News
from services.checkout.domain.checkouts import Press
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.records import CartLine, NewCart, PressActs
from services.checkout.ports import Ask
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, at_recap, ok, open_shop

replace = msgspec.structs.replace


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:///{tmp_path}/shop.sqlite", MasterKey(b"k" * 32))
    yield store
    await store.close()


async def test_two_clicks_on_add_add_once(store: Store) -> None:
    desk = await open_shop(store, Clock())
    first = ok(await desk.create(SHOP.id, NewCart(cart_id="c1", lines=(CartLine("L-1", 1),)), "k1"))
    second = ok(await desk.create(SHOP.id, NewCart(cart_id="c2", lines=(CartLine("F-1", 2),)), "k2"))
    token = await desk.issue(SHOP.id, "cart.restore", str(first.checkout.id))
    for _ in range(2):
        both = ok(await desk.take_up(token, second.checkout.id, "add"))
        assert {(line.sku, line.quantity) for line in both.record.lines} == {("L-1", 1), ("F-1", 2)}


class Refusing:
    """A provider that opens no page."""

    async def open(self, ask: Ask) -> News:
        return News(attempt_id=ask.attempt_id, status="failed", psp_at=AT)


async def test_an_order_is_not_paid_by_a_means_whose_conditions_it_misses(store: Store) -> None:
    desk = await open_shop(store, Clock(), {"bank": Refusing()})
    view = await at_recap(desk)
    press = Press(recap_hash=view.recap_hash, terms_accepted=True)
    order = ok(await desk.press(SHOP.id, view.checkout.id, press, PressActs())).order_id
    costly = tuple(
        replace(one, means=replace(one.means, minimum_minor=100_000)) if one.means.id == "transfer" else one
        for one in SHOP.means
    )
    assert await desk.put_shop(replace(SHOP, means=costly)) is None
    refused = await desk.start_payment(SHOP.id, order, "transfer")
    assert isinstance(refused, Refusal)
    assert refused.field == "payment.chosen"
    assert await desk.put_shop(SHOP) is None
    assert ok(await desk.start_payment(SHOP.id, order, "transfer")).order.state == "confirmed"
