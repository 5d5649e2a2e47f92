"""Deliveries that fail, at the desk, on both databases: what is refused changes nothing, what is said twice is one."""

from uuid import UUID

import pytest

from services.checkout.application.desk import Desk
from services.checkout.domain.orders import Deliver, Received, Ship
from services.checkout.domain.promises import (
    NotifyLate,
    RefuseLiability,
    ReportIncident,
    ReportUnavailable,
    ResolveLate,
    Suspend,
)  # fmt: skip
from services.checkout.domain.stock import Level
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.owing_kit import letters, seen, works
from tests.unit.checkout.story import refused


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    return await open_shop(store, clock, stock=10)


async def bought(desk: Desk, key: str, *, paid: bool = True) -> UUID:
    """Two lamps by transfer."""
    order_id = (await ordered(desk, await at_recap(desk, key, quantity=2, means="transfer"))).order_id
    await works(desk)
    if paid:
        total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
        ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total, received_at=desk.clock())))
        await works(desk)
    return order_id


async def on_the_shelf(store: Store) -> Level:
    async with store.reading() as tx:
        found = await tx.get(Level, SHOP.id, "L-1")
    assert found is not None
    return found


async def test_what_is_lost_is_kept_in_stock_and_sent_anew(desk: Desk, store: Store) -> None:
    order_id = await bought(desk, "lost")
    ok(await desk.act(SHOP.id, order_id, Ship(parcel_id="p1", units={"1": 2})))
    await works(desk)
    assert ((await on_the_shelf(store)).on_hand, (await on_the_shelf(store)).committed) == (8, {})
    for _ in range(2):
        ok(await desk.report_incident(SHOP.id, order_id, ReportIncident(parcel_id="p1", kind="lost")))
        await works(desk)
    assert (await on_the_shelf(store)).committed == {str(order_id): 2}
    assert len((await seen(desk, order_id)).after.incidents) == 1
    ok(await desk.act(SHOP.id, order_id, Ship(parcel_id="p2", units={"1": 2})))
    ok(await desk.act(SHOP.id, order_id, Deliver(parcel_id="p2", received_by="consumer")))
    await works(desk)
    level = await on_the_shelf(store)
    assert (level.on_hand, level.committed) == (6, {})
    assert ok(await desk.order(SHOP.id, order_id)).order.state == "delivered"
    kinds = [one.kind for one in await letters(store, order_id)]
    assert (kinds.count("order.shipped"), kinds.count("order.delivered")) == (2, 1)


async def test_what_cannot_be_supplied_is_paid_back_and_for_sale_no_more(desk: Desk, store: Store) -> None:
    order_id = await bought(desk, "lack")
    before = await on_the_shelf(store)
    act = ReportUnavailable(units={"1": 1}, substitute_url="https://lampes.example/autre")
    view = ok(await desk.report_unavailable(SHOP.id, order_id, act))
    await works(desk)
    (due,) = (await seen(desk, order_id)).after.dues
    order = ok(await desk.order(SHOP.id, order_id)).order
    assert (due.amount_minor, [one.amount_minor for one in order.refunds]) == (4990, [4990])
    assert view.order_view.order.lines[0].ended == 1
    level = await on_the_shelf(store)
    assert (level.committed, level.on_hand) == ({str(order_id): 1}, before.on_hand - 1)
    (letter,) = [one for one in await letters(store, order_id) if one.kind == "order.unavailable"]
    assert letter.facts["substitute_url"] == "https://lampes.example/autre"
    refused(await desk.report_unavailable(SHOP.id, order_id, ReportUnavailable(units={"1": 2})))
    assert len((await seen(desk, order_id)).after.dues) == 1


async def test_excuses_change_nothing(desk: Desk) -> None:
    order_id = await bought(desk, "excuse")
    before = await seen(desk, order_id)
    found = refused(await desk.refuse_liability(SHOP.id, order_id, RefuseLiability(reason="carrier")))
    assert (found.rule, found.article) == ("C06", "L216-2")
    early = ResolveLate(received_at=desk.clock(), medium="letter")
    assert refused(await desk.resolve_late(SHOP.id, order_id, early)).rule == "C03"
    after = await seen(desk, order_id)
    assert (after.after, after.order_view.evidence_head) == (before.after, before.order_view.evidence_head)


async def test_payment_is_held_back_while_delivery_is_late(desk: Desk, clock: Clock) -> None:
    order_id = await bought(desk, "held", paid=False)
    refused(await desk.suspend(SHOP.id, order_id, Suspend(on=True)))
    clock.passes(days=6)
    await desk.look_after(SHOP.id, order_id)
    assert [one.after.id for one in await desk.late_deliveries(SHOP.id)] == [str(order_id)]
    ok(await desk.suspend(SHOP.id, order_id, Suspend(on=True)))
    notice = NotifyLate(at=clock.at, medium="web")
    view = ok(await desk.notify_late(SHOP.id, order_id, notice))
    assert [(one.line_id, one.units) for one in view.late] == [("1", 2)]
    clock.passes(days=60)
    async with desk.store.reading() as tx:
        due = await tx.due_names(type(view.order_view.order), clock.at, 10)
    assert (SHOP.id, str(order_id)) not in due, "it does not lapse"
    assert ok(await desk.order(SHOP.id, order_id)).order.state == "confirmed"
