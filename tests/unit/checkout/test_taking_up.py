"""A cart taken up beside another one, and a means that an order may not be paid by."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from relance.evidence.entries import decode
from services.checkout.application.effects import EffectRunner
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.attempts import Attempt, News
from services.checkout.domain.checkouts import Press
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.records import CartLine, NewCart, PressActs
from services.checkout.metrics import DeskMetrics
from services.checkout.ports import Ask, Opened
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
    assert await happened(store, second.checkout.id) == ["checkout", "superseded"]


async def test_a_checkout_ends_on_record(store: Store) -> None:
    clock = Clock()
    desk = await open_shop(store, clock)
    lines = (CartLine("L-1", 1),)
    first = ok(await desk.create(SHOP.id, NewCart(cart_id="c1", lines=lines), "k1"))
    second = ok(await desk.create(SHOP.id, NewCart(cart_id="c1", lines=lines), "k2"))
    clock.passes(days=8)
    assert await Timekeeper(desk, DeskMetrics(CollectorRegistry())).round() == 1
    assert await happened(store, first.checkout.id) == ["checkout", "superseded"]
    assert await happened(store, second.checkout.id) == ["checkout", "expired"]


async def happened(store: Store, checkout: UUID) -> list[str]:
    async with store.reading() as tx:
        return [decode(entry).what for entry in await tx.entries(SHOP.id, str(checkout))]


class LateMoney:
    """A provider whose page was paid after it had been given up here."""

    async def open(self, ask: Ask) -> Opened:
        sent = News(attempt_id=ask.attempt_id, status="sent", psp_at=AT, psp_id="cs_1")
        return Opened("cs_1", "https://bank.example/cs_1", sent)

    async def look(self, attempt: Attempt) -> News:
        return News(
            attempt_id=attempt.id, status="captured", psp_at=AT, psp_id="cs_1", amount_minor=attempt.amount_minor
        )


async def test_late_money_that_pays_the_order_is_not_said_to_be_refunded(store: Store) -> None:
    clock = Clock()
    desk = await open_shop(store, clock, {"bank": LateMoney()})
    view = await at_recap(desk)
    press = Press(recap_hash=view.recap_hash, terms_accepted=True)
    order = ok(await desk.press(SHOP.id, view.checkout.id, press, PressActs())).order_id
    clock.passes(minutes=31)
    metrics = DeskMetrics(CollectorRegistry())
    await Timekeeper(desk, metrics).round()
    await EffectRunner(desk, _no_papers, metrics).drain()
    paid = ok(await desk.order(SHOP.id, order))
    assert (paid.order.state, paid.order.attempts[0].state) == ("confirmed", "captured")
    assert [one.kind for one in paid.alerts] == ["confirmation.refused"]


async def _no_papers(_facts: object) -> tuple[Refusal, ...]:
    return (Refusal("paper", "there is none here"),)


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
