"""Two years at one desk, on both databases, from Paris midnight to Paris midnight: what falls due is asked for, told
and paid by what the texts say, and the chains of evidence hold at the end.
"""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from relance.custody.checkpoint_file import CheckpointFile
from relance.events.messages import decode_request
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.offers import Price
from services.checkout.store import Sealing, Store, verify_store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.contracts_kit import magazine
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, open_shop
from tests.integration.checkout.evidence_kit import KEY, PUBLIC
from tests.integration.checkout.owing_kit import balance, seen, works
from tests.integration.checkout.years_kit import GIFT, STORIES, Story
from tests.properties.bought import LAW

DAYS, STARTED = 730, 40
EACH = 2  # of every story
SAID = {  # how often each letter goes for one of each story
    "order.unavailable": 1, "withdrawal.acknowledged": 8, "withdrawal.decided": 8, "claim.answered": 5,
    "termination.confirmed": 2,
}  # fmt: skip


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    legal = replace(SHOP.legal, sells=("goods", "digital", "service"))
    opened = await open_shop(store, clock, stock=1_000, shop=replace(SHOP, legal=legal))
    opened.book = LAW
    assert await opened.put_articles(SHOP.id, [magazine()]) is None
    price = Price(id="p1", since=AT - timedelta(days=60), price_minor=900)
    assert await opened.put_prices(SHOP.id, "A-1", [price]) is None
    return opened


async def test_two_years_at_the_desk(desk: Desk, store: Store, clock: Clock, tmp_path: Path) -> None:
    first, stories, daily = paris_date(clock.at), list[Story](), Daily(desk)
    for day in range(1, DAYS + 1):
        clock.at = first_instant(first + timedelta(days=day))
        if len(stories) < EACH * len(STORIES):
            stories.append(Story(desk, clock, len(stories)))
            await stories[-1].begin()
        await the_day(desk, daily, stories)
        for number, story in enumerate(stories):
            await story.day(day - number - 1)
        if day % 73 == 0:
            for story in stories:
                await story.holds()
    told = Counter(
        decode_request(one.value).kind
        for one in await Outbox(store.database, lambda: 0).unsent(10_000)
        if one.topic == "checkout.messages.v1"
    )  # fmt: skip
    assert {kind: told[kind] for kind in SAID} == {kind: EACH * count for kind, count in SAID.items()}
    assert told["delivery.late"] >= EACH
    await all_is_paid(stories)
    log = CheckpointFile(tmp_path / "seals.log")
    await Sealing(store, log, KEY).seal_now()
    verified = await verify_store(store, log.lines(), PUBLIC)
    odd = [one for one in verified.findings if one.kind != "postdated"]  # it is sealed by the machine's clock
    assert (odd, verified.unsealed) == ([], 0)


async def the_day(desk: Desk, daily: Daily, stories: list[Story]) -> None:
    """What the job of a new day does, once; and what the shop does about it."""
    report = await daily.work(desk.clock())
    assert report.failed == 0
    if not report.looked:
        return
    assert (await daily.work(desk.clock())).looked == 0, "a day is done once"
    await works(desk)
    for story in stories:
        if report.asked:
            await story.bank()
        await story.heard()


async def all_is_paid(stories: list[Story]) -> None:
    """Every cent that was owed and could be asked for has gone, each to its own; goods that never came back are waited
    for.
    """
    for story in stories:
        order = (await seen(story.desk, story.id)).order_view.order
        gone = sum(one.amount_minor for one in order.refunds if one.state == "succeeded")
        by_hand = sum(minor for debt in story.sale.debts for minor, _ in debt.out)
        assert gone + by_hand == sum(one.minor for one in story.sale.debts if one.due() is not None), story.name
        if story.name == "voucher":
            assert {(one.means, one.purse) for one in order.refunds} == {("gift", f"V-{story.number}")}
            assert await balance(story.desk.store, f"V-{story.number}") == gone
            assert await balance(story.desk.store, f"G-{story.number}") == 0
            assert {one.tender for one in order.refunds} == {0, 1}, f"in proportion, of {GIFT} by card and the rest"
