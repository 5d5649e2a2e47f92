"""The daily job is killed, run again, run by two at once and in small steps: nothing is done twice, nothing is lost."""

import asyncio
import subprocess
import sys
from collections import Counter
from uuid import UUID

import pytest

from relance.kernel.errors import InputError
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import SHOP, Clock, ok
from tests.integration.checkout.owing_kit import bought, days, dispatched, letters, noted, withdrawn, works
from tests.integration.conftest import ROOT


async def sent_back(desk: Desk, *keys: str) -> list[UUID]:
    """Orders whose goods are on their way back, so that their money is asked for eleven days later."""
    made = []
    for key in keys:
        order_id = await bought(desk, key)
        await dispatched(desk, order_id, await withdrawn(desk, order_id))
        made.append(order_id)
    return made


async def holds_once(desk: Desk, store: Store, orders: list[UUID]) -> None:
    """Each order's money was asked for once, each step noted once, each letter queued once."""
    for order_id in orders:
        refunds = ok(await desk.order(SHOP.id, order_id)).order.refunds
        assert sum(one.amount_minor for one in refunds) == 4990
        assert len({one.id for one in refunds}) == len(refunds) == 2, "one each to the gift card and by hand"
        steps = Counter(str(one.facts["step"]) for one in await noted(store, order_id) if "step" in one.facts)
        assert steps["opened"] == 1, steps
        assert max(Counter(one.id for one in await letters(store, order_id)).values()) == 1


async def test_a_day_that_has_not_come_is_refused_and_changes_nothing(desk: Desk, store: Store, clock: Clock) -> None:
    (order_id,) = await sent_back(desk, "future")
    before = ok(await desk.aftercare(SHOP.id, order_id)).after
    for ahead in (days(0.001), days(12), days(36_500)):
        with pytest.raises(InputError, match="in the future"):
            await Daily(desk).run(clock.at + ahead)
    assert ok(await desk.aftercare(SHOP.id, order_id)).after == before


async def test_a_day_long_past_finds_nothing_to_do(desk: Desk, store: Store, clock: Clock) -> None:
    await sent_back(desk, "past")
    report = await Daily(desk).run(first_instant(paris_date(clock.at).replace(year=2000)))
    assert (report.looked, report.failed, report.asked) == (0, 0, 0)


async def test_what_is_done_late_has_the_hour_at_which_it_is_done(desk: Desk, store: Store, clock: Clock) -> None:
    (order_id,) = await sent_back(desk, "hour")
    then = first_instant(paris_date(clock.at) + days(11))
    clock.at = then + days(2.4)
    assert (await Daily(desk).run(then)).asked == 1
    refunds = ok(await desk.order(SHOP.id, order_id)).order.refunds
    assert {one.requested_at for one in refunds} == {clock.at}, "decided as of its day, and done now"
    last = (await noted(store, order_id))[-1]
    assert last.at_ms == int(clock.at.timestamp() * 1000)


async def test_a_day_in_small_steps_says_what_is_left(desk: Desk, store: Store, clock: Clock) -> None:
    orders = await sent_back(desk, "s1", "s2", "s3")
    clock.at = first_instant(paris_date(clock.at) + days(12))
    daily, left, asked = Daily(desk), [], 0
    while True:
        report = await daily.run(clock.at, limit=1)
        left.append(report.left)
        asked += report.asked
        if not report.left:
            break
    assert left == sorted(left, reverse=True)
    assert left[:3] == [2, 1, 0]
    assert (asked, report.late) == (3, 0)
    await works(desk)
    await holds_once(desk, store, orders)


async def test_a_job_that_is_killed_at_any_commit_is_ended_by_the_next_two_at_once(
    desk: Desk, store: Store, clock: Clock, database_url: str
) -> None:
    orders = await sent_back(desk, "k1", "k2", "k3")
    clock.at = first_instant(paris_date(clock.at) + days(12))
    for commit, when in ((1, "before"), (1, "after"), (1, "before"), (2, "before")):
        worker = [sys.executable, "-m", "tests.integration.checkout.day_worker"]
        given = [database_url, clock.at.isoformat(), str(commit), when]
        ended = await asyncio.to_thread(subprocess.run, [*worker, *given], cwd=ROOT, capture_output=True, timeout=60)
        assert ended.returncode == -9, ended.stderr.decode()[-2000:]
    reports = await asyncio.gather(Daily(desk).run(clock.at), Daily(desk).run(clock.at))
    assert sum(one.failed for one in reports) == 0
    await works(desk)
    await holds_once(desk, store, orders)
    assert (await Daily(desk).run(clock.at)).looked == 0
