"""The daily job, on both databases: done by its clock, once, by however many; what fails holds up no other."""

import asyncio
from datetime import date
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from relance.rules.law.book import Book
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.daily import Daily, DayReport
from services.checkout.application.desk import Desk
from services.checkout.application.gauging import DayGauges, figures
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.refunds import Settle
from services.checkout.domain.shops import AftercareTerms
from services.checkout.metrics import AfterMetrics, DeskMetrics
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import SHOP, Clock, ok, open_shop
from tests.integration.checkout.owing_kit import bought, days, dispatched, noted, only, returned, withdrawn, works


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    opened = await open_shop(store, clock)
    opened.book = with_rates(opened.book)
    return opened


def with_rates(book: Book) -> Book:
    """The book once the legal rates of two further half-years were entered."""
    rule = book.rule("B27", date(2026, 6, 1))
    more = [
        {"first": "2026-07-01", "last": "2026-12-31", "percent": "6.67"},
        {"first": "2027-01-01", "last": "2027-06-30", "percent": "6.67"},
    ]
    entered = replace(rule, parameters=rule.parameters | {"half_years": [*rule.parameters["half_years"], *more]})
    return Book([one for one in book.all() if one.id != "B27"] + [entered])


async def slow(desk: Desk) -> None:
    """The shop asks for its refunds itself."""
    found = ok(await desk.look(lambda tx: desk.shop(tx, SHOP.id)))
    assert not isinstance(found, Refusal)
    assert await desk.put_shop(replace(found, aftercare=AftercareTerms(automatic_refunds=False))) is None


async def at_midnight(desk: Desk, clock: Clock) -> DayReport:
    """The next Paris midnight, and what the job does then."""
    clock.at = first_instant(paris_date(clock.at) + days(1))
    return await Daily(desk).run(clock.at)


async def refunds_of(desk: Desk, order_id: UUID) -> list[str]:
    return [one.key for one in ok(await desk.order(SHOP.id, order_id)).order.refunds]


async def test_what_was_sent_back_is_asked_for_three_days_before_its_date(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id = await bought(desk, "proof")
    statement = await withdrawn(desk, order_id)
    notice = paris_date(clock())
    clock.passes(days=1)
    await dispatched(desk, order_id, statement)
    assert (await only(desk, order_id))[1].due_on == notice + days(14)
    asked: list[int] = []
    for _ in range(16):
        report = await at_midnight(desk, clock)
        assert (report.failed, (await Daily(desk).run(clock.at)).looked) == (0, 0)
        asked += [paris_date(clock.at).toordinal() - notice.toordinal()] * report.asked
        await works(desk)
    assert asked == [11]
    assert len(set(await refunds_of(desk, order_id))) == 1


async def test_lateness_is_noted_once_and_costs_more_by_the_day(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "late")
    await slow(desk)
    statement = await withdrawn(desk, order_id)
    await returned(desk, order_id, statement)
    soon, late, surcharges = [], [], []
    for day in range(1, 14 + 32):
        report = await at_midnight(desk, clock)
        assert report.asked == 0
        soon += [day] * report.soon
        late += [day] * report.late
        surcharges.append((await figures(desk, clock.at))[SHOP.id].surcharge_minor)
    assert soon == [11, 12, 13, 14]
    assert late == list(range(15, 46))
    assert surcharges[:14] == [0] * 14
    assert sorted(surcharges) == surcharges
    assert [surcharges[14 + days_late - 1] for days_late in (10, 11, 20, 21, 30, 31)] == [9, 250, 250, 499, 499, 998]
    assert [one.facts["step"] for one in await noted(store, order_id) if "step" in one.facts] == ["opened", "late"]

    due, _ = await only(desk, order_id)
    ok(await desk.pay_due(SHOP.id, order_id, due.id))
    await works(desk)
    for refund in ok(await desk.order(SHOP.id, order_id)).order.refunds:
        if refund.state != "succeeded":
            ok(await desk.act(SHOP.id, order_id, Settle(refund_id=refund.id, sent_at=clock())))
    await works(desk)
    for _ in range(3):
        assert (await at_midnight(desk, clock)).looked == 0
    assert (await only(desk, order_id))[1].surcharge_minor == 998, "it rises no more once the money is there"


async def test_two_processes_do_one_day(desk: Desk, store: Store, clock: Clock) -> None:
    made = []
    for n in range(3):
        order_id = await bought(desk, f"two{n}")
        await dispatched(desk, order_id, await withdrawn(desk, order_id))
        made.append(order_id)
    clock.at = first_instant(paris_date(clock.at) + days(12))
    reports = await asyncio.gather(*(Daily(desk).run(clock.at) for _ in range(3)))
    assert sum(one.asked for one in reports) >= 3
    for order_id in made:
        order = ok(await desk.order(SHOP.id, order_id)).order
        assert sum(one.amount_minor for one in order.refunds) == 4990
    assert (await Daily(desk).run(clock.at)).looked == 0


async def test_a_day_is_done_as_of_the_clock_that_it_is_given(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "asof")
    await dispatched(desk, order_id, await withdrawn(desk, order_id))
    due, stands = await only(desk, order_id)
    ahead = first_instant(stands.due_on - days(3))
    clock.at = ahead + days(2)
    before = await Daily(desk).run(ahead - days(1))
    assert (before.looked, before.asked) == (0, 0)
    assert (await Daily(desk).run(ahead)).asked == 1
    assert await refunds_of(desk, order_id) == [f"due/{due.id}"] * 2


async def test_what_fails_is_put_off_an_hour_and_holds_up_no_other(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "whole")
    await dispatched(desk, order_id, await withdrawn(desk, order_id))
    clock.at = first_instant(paris_date(clock.at) + days(12))
    lost = str(uuid4())
    async with store.transaction() as tx:
        made = Aftercare(id=lost, checkout_id=lost, opened_at=clock.at, sold=())
        await tx.put(SHOP.id, lost, made, before=None, state="owing", due_at=clock.at - days(5))
    report = await Daily(desk).run(clock.at)
    assert (report.looked, report.failed, report.asked) == (1, 1, 1)
    assert (await Daily(desk).run(clock.at)).failed == 0
    clock.passes(hours=1)
    assert (await Daily(desk).run(clock.at)).failed == 1


async def test_time_does_the_day_by_itself_and_gauges_show_what_waits(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await bought(desk, "gauge")
    await slow(desk)
    await returned(desk, order_id, await withdrawn(desk, order_id))
    keeper = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
    clock.at = first_instant(paris_date(clock.at) + days(14 + 11))
    assert await keeper.round() >= 1
    assert [one.facts["step"] for one in await noted(store, order_id) if "step" in one.facts] == ["opened", "late"]
    registry, stop = CollectorRegistry(), asyncio.Event()
    gauges = DayGauges(desk, lambda: keeper.daily.ran_at, AfterMetrics(registry), every_s=0.01)
    running = asyncio.create_task(gauges.run(stop))
    await asyncio.sleep(0.2)
    stop.set()
    await running
    shown = generate_latest(registry).decode()
    for said in (
        'refunds_late_count{shop="lumen"} 1.0', 'refunds_soon_count{shop="lumen"} 0.0',
        'surcharge_today_cents{shop="lumen"} 250.0', 'legal_rate_missing_count{shop="lumen"} 0.0',
        'strays_open_count{shop="lumen"} 0.0', f"day_timestamp_seconds {clock.at.timestamp():.9e}"[:20],
    ):  # fmt: skip
        assert f"relance_checkout_{said}" in shown
