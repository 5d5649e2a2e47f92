"""Stored shops are held against the law again: by the service on each day, by `relance law check` on any."""

import asyncio
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from services.checkout.application.reviewing import ShopReview
from services.checkout.metrics import StandingMetrics
from services.checkout.store import Store, open_store
from tests.integration.checkout.command_kit import Command, command
from tests.integration.checkout.desk_kit import Clock, open_shop
from tests.integration.checkout.evidence_kit import MASTER
from tests.unit.checkout.test_standing import WITHOUT_FUNCTION

__all__ = ["command"]

BEFORE = datetime(2026, 6, 1, 10, tzinfo=UTC)


def gauges(registry: CollectorRegistry) -> dict[str, float]:
    return {when: registry.get_sample_value("relance_checkout_shops_blocked", {"when": when}) or 0 for when in
            ("today", "soon")}  # fmt: skip


async def test_the_service_finds_a_shop_that_the_law_overtook(database_url: str) -> None:
    store = await open_store(database_url, MASTER)
    try:
        await _overtaken(store)
    finally:
        await store.close()


async def _overtaken(store: Store) -> None:
    clock, registry = Clock(BEFORE), CollectorRegistry()
    desk = await open_shop(store, clock, shop=WITHOUT_FUNCTION)
    review = ShopReview(desk, StandingMetrics(registry))
    assert [(one.shop, str(one.day)) for one in await review.round()] == [("lumen", "2026-06-19")]
    assert gauges(registry) == {"today": 0, "soon": 1}
    clock.passes(days=18)
    (found,) = await review.round()
    assert "B05" in found.rules
    assert gauges(registry) == {"today": 1, "soon": 0}
    labels = {"shop": "lumen", "rule": "B05", "when": "today"}
    assert registry.get_sample_value("relance_checkout_shop_rule_blocks", labels) == 1


async def test_the_review_looks_once_a_day(database_url: str) -> None:
    store = await open_store(database_url, MASTER)
    clock, stop = Clock(BEFORE), asyncio.Event()
    try:
        review = ShopReview(await open_shop(store, clock), StandingMetrics(CollectorRegistry()))
        looping = asyncio.create_task(review.run(stop))
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.wait_for(looping, 2)
    finally:
        await store.close()


def test_check_shows_what_will_block_the_stored_shops(command: Command, database_url: str) -> None:
    async def record() -> None:
        store = await open_store(database_url, MASTER)
        await open_shop(store, Clock(BEFORE), shop=WITHOUT_FUNCTION)
        await store.close()

    asyncio.run(record())
    settings = {"RELANCE_CHECKOUT_DATABASE": database_url}
    before = command("law", "check", "--on", "2026-06-18", **settings)
    assert before.returncode == 0, before.stderr
    assert "allowed shop lumen, under the law of 2026-06-18: 0 blockers" in before.stdout
    after = command("law", "check", "--on", "2026-06-19", **settings)
    assert after.returncode == 1
    assert "B05" in after.stdout
    assert "blocked shop lumen" in after.stdout
    assert "there is no shop" in command("law", "check", "--shop", "nobody", **settings).stderr
