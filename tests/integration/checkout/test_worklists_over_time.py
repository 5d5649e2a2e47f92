"""Worklists and gauges by the clock, on both databases: each legal date nears, is there, and has passed."""

from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from relance.cli.orders_told import delivery_lines, late_lines
from relance.events.messages import MessageOutcome
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.api.aftercare_messages import to_due, to_incidents, to_late, to_notices
from services.checkout.api.writing import to_order
from services.checkout.application.aftercaring import Words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.application.gauging import Figures, figures, stuck
from services.checkout.domain.claims import OpenClaim
from services.checkout.domain.orders import Order, Received
from services.checkout.domain.outcomes import Effect
from services.checkout.domain.promises import NotifyLate
from services.checkout.domain.shops import AftercareTerms
from services.checkout.store import Store
from tests.integration.checkout.contracts_kit import press, subscribed
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.owing_kit import bought, days, returned, withdrawn, works
from tests.integration.checkout.test_daily import with_rates

DOCS = Path(__file__).parents[3] / "docs" / "aftercare.md"
MARK = "<!-- relance orders late -->\n```\n"


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    """A shop that asks for its refunds itself, once the legal rates were entered."""
    opened = await open_shop(store, clock, shop=msgspec.structs.replace(SHOP, aftercare=LAZY))
    opened.book = with_rates(opened.book)
    return opened


@pytest.fixture
async def press_desk(store: Store, clock: Clock) -> Desk:
    return await press(store, clock)


LAZY = AftercareTerms(automatic_refunds=False)


async def unsent(desk: Desk, key: str) -> UUID:
    """A lamp that was paid and is not sent."""
    order_id = (await ordered(desk, await at_recap(desk, key, means="transfer"))).order_id
    await works(desk)
    total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
    ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total, received_at=desk.clock())))
    await works(desk)
    return order_id


async def on(desk: Desk, clock: Clock, day: date) -> Figures:
    """What waits at the Paris midnight of a day, once the job was done."""
    clock.at = first_instant(day)
    await Daily(desk).run(clock.at)
    await works(desk)
    return (await figures(desk, clock.at))[SHOP.id]


async def test_a_delivery_nears_is_late_and_its_extra_time_ends(desk: Desk, clock: Clock) -> None:
    order_id = await unsent(desk, "slow")
    (line,) = ok(await desk.aftercare(SHOP.id, order_id)).after.sold
    last = line.promised_on
    assert last is not None
    seen = {}
    for ahead in (-1, 0):
        found = await on(desk, clock, last + timedelta(days=ahead))
        seen[ahead] = (found.deliveries_soon, found.deliveries, found.notices)
    assert seen == {-1: (1, 0, 0), 0: (1, 0, 0)}
    found = await on(desk, clock, last + timedelta(days=1))
    assert (found.deliveries_soon, found.deliveries, found.notices) == (0, 1, 0)
    until = paris_date(clock.at) + timedelta(days=10)
    ok(await desk.notify_late(SHOP.id, order_id, NotifyLate(at=clock.at, until=until, medium="email")))
    assert [(await on(desk, clock, until - timedelta(days=ahead))).notices for ahead in (4, 3, 0, -1)] == [0, 1, 1, 1]


async def test_warning_begins_the_shops_own_days_before(desk: Desk, clock: Clock) -> None:
    order_id = await unsent(desk, "warned")
    last = ok(await desk.aftercare(SHOP.id, order_id)).after.sold[0].promised_on
    for ahead_days, warned in ((0, 0), (1, 1)):
        terms = AftercareTerms(automatic_refunds=False, ahead_days=ahead_days)
        assert await desk.put_shop(msgspec.structs.replace(SHOP, aftercare=terms)) is None
        assert (await on(desk, clock, last - timedelta(days=1))).deliveries_soon == warned


async def test_a_claim_nears_and_is_late(desk: Desk, clock: Clock) -> None:
    order_id = await bought(desk, "claim")
    opened = OpenClaim(id=str(uuid4()), line_id="1", units=1, asked="repair")
    ok(await desk.open_claim(SHOP.id, order_id, opened, Words(text="Elle ne s'allume plus.")))
    last = paris_date(clock.at) + timedelta(days=30)
    seen = [await on(desk, clock, last + timedelta(days=ahead)) for ahead in (-4, -3, 0, 1)]
    assert [(one.claims_soon, one.claims) for one in seen] == [(0, 0), (1, 0), (1, 0), (0, 1)]


async def test_a_confirmation_that_came_back_is_counted(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await unsent(desk, "bounced")
    async with store.transaction() as tx:
        await desk.confirmed_in(tx, ok(await tx.get(Order, SHOP.id, str(order_id))))
    clock.passes(minutes=2)
    assert (await figures(desk, clock.at))[SHOP.id].unconfirmed == 0
    came_back = MessageOutcome(
        id=uuid4(), request_id=uuid4(), shop=SHOP.id, order_id=order_id, kind="order.confirmation", outcome="bounced",
        at=clock.at, status="5.1.1",
    )  # fmt: skip
    await desk.message_sent(came_back)
    assert (await figures(desk, clock.at))[SHOP.id].unconfirmed == 1


async def test_a_confirmation_that_does_not_leave_is_counted_after_a_minute(desk: Desk, clock: Clock) -> None:
    await unsent(desk, "unprinted")
    seen = []
    for _ in range(2):
        seen.append((await figures(desk, clock.at))[SHOP.id].unconfirmed)
        clock.passes(seconds=61)
    assert seen == [0, 1]


async def test_work_that_does_not_get_done_is_counted_by_its_kind(desk: Desk, store: Store, clock: Clock) -> None:
    order_id = await unsent(desk, "stuck")
    async with store.transaction() as tx:
        await tx.do(SHOP.id, order_id, [Effect("print_paper", "order"), Effect("write_letter", "x#y")])
    async with store.transaction() as tx:
        for effect in await tx.effects(10, clock.at):
            for _ in range(7 if effect.kind == "print_paper" else 6):
                await tx.later(effect.id, clock.at, "no press")
    assert await stuck(desk) == {(SHOP.id, "print_paper"): 1}


async def test_a_renewal_is_counted_while_nobody_was_told(press_desk: Desk, clock: Clock) -> None:
    desk = press_desk
    await subscribed(desk)
    assert (await figures(desk, clock.at))[SHOP.id].unannounced == 0
    clock.at = first_instant(date(2027, 9, 1))
    assert (await figures(desk, clock.at))[SHOP.id].unannounced == 1, "its window is open, and no day was run"
    assert (await on(desk, clock, date(2027, 9, 1))).unannounced == 0
    found = await on(desk, clock, date(2027, 11, 23))
    assert (found.unannounced, found.leavable) == (0, 0), "it was announced"


async def test_a_renewal_that_nobody_announced_may_be_left_at_any_time(press_desk: Desk, clock: Clock) -> None:
    desk = press_desk
    await subscribed(desk)
    found = await on(desk, clock, date(2027, 11, 23))
    assert (found.unannounced, found.leavable) == (0, 1)


async def told(desk: Desk) -> list[str]:
    """What `relance orders late` says, out of the same messages."""
    day = paris_date(desk.clock())
    said: list[str] = []
    for one in await desk.dues(SHOP.id, "late", limit=10):
        due = to_due(one.after.id, one.due, one.standing, one.forecast)
        order = to_order(ok(await desk.order(SHOP.id, UUID(one.after.id))))
        said += late_lines(due, order, day.isoformat())
    for late in await desk.late_deliveries(SHOP.id):
        message = pb.LateDelivery(
            order_id=late.after.id, lines=to_late(late.late), notices=to_notices(late.after.late_notices),
            incidents=to_incidents(late.after.incidents),
        )  # fmt: skip
        order = to_order(ok(await desk.order(SHOP.id, UUID(late.after.id))))
        said += delivery_lines(message, order, desk.book.on(day), day.isoformat())
    return said


async def test_the_documents_show_what_the_command_says(desk: Desk, clock: Clock) -> None:
    clock.at = first_instant(date(2026, 11, 23)) + days(0.4)
    refund = await bought(desk, "doc")
    await returned(desk, refund, await withdrawn(desk, refund))
    lamp = await unsent(desk, "doc2")
    last = ok(await desk.aftercare(SHOP.id, lamp)).after.sold[0].promised_on
    await on(desk, clock, last + timedelta(days=1))
    ok(await desk.notify_late(SHOP.id, lamp, NotifyLate(at=clock.at, medium="email")))
    await on(desk, clock, date(2026, 12, 19))
    said = "\n".join(await told(desk))
    due = ok(await desk.aftercare(SHOP.id, refund)).after.dues[0].id
    for id_, shown in ((str(refund), "3f2a91c0-…"), (due, "7c1d0b52-…"), (str(lamp), "b81e4d07-…")):
        said = said.replace(id_, shown)
    shown = DOCS.read_text().partition(MARK)[2].partition("```")[0]
    assert said + "\n" == shown, said
