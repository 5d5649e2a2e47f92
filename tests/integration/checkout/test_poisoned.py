"""One order on which looking fails, or that cannot be read: all others go on, it is seen, and it recovers by itself."""

import asyncio
from functools import partial
from uuid import UUID, uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import text

from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.aftercaring import Words
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.gauging import DayGauges, figures
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.outcomes import Effect
from services.checkout.domain.statements import StateWithdrawal
from services.checkout.metrics import AfterMetrics, DeskMetrics
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import SHOP, Clock, ok
from tests.integration.checkout.owing_kit import (
    bought,
    days,
    dispatched,
    letters,
    only,
    seen,
    withdrawn,
    works,
)  # fmt: skip
from tests.integration.checkout.payments_kit import _unprinted as unprinted


async def poison(store: Store, order_id: UUID, body: str) -> str:
    """Replace what follows an order by `body`, which a release that was wrong has written; what it was."""
    at = {"id": str(order_id)}
    async with store.database.writing() as connection:
        found = await connection.execute(text("SELECT body FROM aggregates WHERE kind = 'aftercare' AND id = :id"), at)
        before = str(found.scalar_one())
        await connection.execute(
            text("UPDATE aggregates SET body = :body WHERE kind = 'aftercare' AND id = :id"), at | {"body": body}
        )
    return before


async def body_of(store: Store, order_id: UUID) -> str:
    async with store.database.reading() as connection:
        found = await connection.execute(
            text("SELECT body FROM aggregates WHERE kind = 'aftercare' AND id = :id"), {"id": str(order_id)}
        )
        return str(found.scalar_one())


async def owing(desk: Desk, key: str) -> UUID:
    order_id = await bought(desk, key)
    await dispatched(desk, order_id, await withdrawn(desk, order_id))
    return order_id


def counted(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(f"relance_checkout_{name}", labels) or 0.0


@pytest.mark.parametrize("how", ["unreadable", "fails"])
async def test_the_others_have_their_day_and_their_place_in_worklists(
    desk: Desk, store: Store, clock: Clock, how: str
) -> None:
    lost, well = await owing(desk, f"lost-{how}"), await owing(desk, f"well-{how}")
    whole = await body_of(store, lost)
    # no law of that day, so that looking raises; or no aftercare at all
    wrong = '{"id": 5}' if how == "unreadable" else whole.replace('"notice_on":"2026-', '"notice_on":"1026-')
    assert wrong != whole
    await poison(store, lost, wrong)
    registry = CollectorRegistry()
    metrics = DeskMetrics(registry)
    keeper, effects = Timekeeper(desk, metrics), EffectRunner(desk, unprinted, metrics)
    clock.at = first_instant(paris_date(clock.at) + days(12))
    await keeper.round()
    await effects.drain()
    assert counted(registry, "timers_total", what="aftercare", result="failed") == 1
    assert len((await only(desk, well))[0].refund_ids) == 2
    assert {one.after.id for one in await desk.dues(SHOP.id, "all")} == {str(well)}
    assert not await desk.late_deliveries(SHOP.id)
    assert not await desk.claims(SHOP.id)
    clock.at = first_instant(paris_date(clock.at) + days(9))
    found = (await figures(desk, clock.at))[SHOP.id]
    assert (found.failing, found.late) == (1, 1), "shown beside those that are late"

    await poison(store, lost, whole)
    await keeper.round()
    assert len((await only(desk, lost))[0].refund_ids) == 2, "its day is done as soon as it can be"
    assert (await figures(desk, clock.at))[SHOP.id].failing == 0


async def test_gauges_live_on_beside_an_order_that_fails(desk: Desk, store: Store, clock: Clock) -> None:
    await poison(store, await owing(desk, "gauge"), '{"id": 5}')
    registry, stop = CollectorRegistry(), asyncio.Event()
    running = asyncio.create_task(DayGauges(desk, lambda: None, AfterMetrics(registry), every_s=0.01).run(stop))
    await asyncio.sleep(0.2)
    assert not running.done()
    assert 'relance_checkout_orders_failing_count{shop="lumen"} 1.0' in generate_latest(registry).decode()
    stop.set()
    await running


async def test_a_withdrawal_from_an_order_that_fails_is_on_record_and_acknowledged(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id = await bought(desk, "kept")
    whole = await body_of(store, order_id)
    await poison(store, order_id, '{"id": 5}')
    at = clock()
    act = StateWithdrawal(id=str(uuid4()), channel="web", stated_at=at, received_at=at, units={"1": 1})
    words = Words(name="Ada Martin", address="ada@example.org")
    state = partial(desk.state_withdrawal, SHOP.id, order_id, act, words)
    for _ in range(2):
        with pytest.raises(Exception, match="id"):
            await state()
    await works(desk)
    (stray,) = await desk.strays(SHOP.id)
    assert (stray.id, stray.stated_at, stray.acknowledged_at) == (act.id, at, clock())
    said = await desk.stray_words(SHOP.id, stray.id)
    assert said is not None
    assert (said.reference, said.text, said.name) == (str(order_id), "1: 1", "Ada Martin")
    assert [one.kind for one in await letters(store, UUID(act.id))] == ["withdrawal.acknowledged"]

    await poison(store, order_id, whole)
    clock.passes(days=20)
    ok(await desk.match_stray(SHOP.id, stray.id, order_id, {"1": 1}))
    (statement,) = (await seen(desk, order_id)).after.statements
    assert (statement.stated_at, statement.decisions[0].outcome) == (at, "accepted")


async def test_effects_of_others_are_done_beside_one_that_fails(desk: Desk, store: Store, clock: Clock) -> None:
    lost, well = await bought(desk, "lost"), await bought(desk, "fine")
    await poison(store, lost, '{"id": 5}')
    registry = CollectorRegistry()
    effects = EffectRunner(desk, unprinted, DeskMetrics(registry))
    for order_id in (lost, well):
        async with store.transaction() as tx:
            await tx.do(SHOP.id, order_id, [Effect("look_after")])
    await effects.drain()
    assert counted(registry, "effects_total", kind="look_after", result="failed") == 1
    assert counted(registry, "effects_total", kind="look_after", result="done") == 1
