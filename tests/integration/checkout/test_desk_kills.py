"""Killed at any commit: no charge without an order, no order without evidence, and every order finishes or lapses."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from relance.evidence.entries import decode
from relance.rules.law.book import RULES
from services.checkout.adapters.printing import Printing
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.orders import Order, kept_minor, owed_minor
from services.checkout.domain.stock import Level
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, open_store
from tests.integration.checkout.bank_kit import RunningBank, provider_of
from tests.integration.checkout.desk_kit import SHOP, Clock, now_utc, open_shop

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
COMMITS = 26  # of a whole story; beyond them nothing is left to be killed


@pytest.fixture(scope="module")
def printing() -> Iterator[Printing]:
    made = Printing(RULES)
    yield made
    made.close()


def work(database: str, bank: str, key: str, number: int, *, before: bool) -> int:
    """Run the worker until it is killed or has ended; its exit code."""
    command = [sys.executable, "-m", "tests.integration.checkout.desk_worker", database, bank, key]
    done = subprocess.run(
        [*command, str(number), "1" if before else "0"], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode


async def mend(desk: Desk, clock: Clock, printing: Printing) -> None:
    """What a process that starts again does, and then a day passes."""
    metrics = DeskMetrics(CollectorRegistry())
    effects, time = EffectRunner(desk, printing.confirmation, metrics), Timekeeper(desk, metrics)
    for minutes in (2, 2, 40, 24 * 60, 30, 30):
        clock.at += timedelta(minutes=minutes)
        await time.round()
        await effects.drain()


async def test_whenever_it_is_killed_money_order_and_evidence_agree(
    tmp_path: Path, fresh_postgres: Callable[[], str], bank: RunningBank, printing: Printing, chaos_seed: int
) -> None:
    draw = random.Random(chaos_seed)
    number, before = draw.randrange(1, COMMITS), draw.random() < 0.5
    database = f"sqlite:///{tmp_path / 'c.db'}" if draw.random() < 0.5 else fresh_postgres()
    key = f"kill-{chaos_seed}"
    print(f"killed {'before' if before else 'after'} commit {number}, {database}")  # noqa: T201 - said when it fails
    known = {one["id"] for one in bank.charges()}
    work(database, bank.url, key, number, before=before)
    store = await open_store(database, MasterKey(b"k" * 32))
    clock = Clock(now_utc())
    async with provider_of(bank.url) as provider:
        desk = await open_shop(store, clock, {"bank": provider})
        await mend(desk, clock, printing)
        async with store.reading() as tx:
            orders = list((await tx.all(Order, SHOP.id)).values())
            level = await tx.get(Level, SHOP.id, "L-1")
            entries = [await tx.entries(SHOP.id, str(order.id)) for order in orders]
    await store.close()
    charged = [one["metadata"] for one in bank.charges() if one["id"] not in known]
    assert len(orders) <= 1
    assert len(charged) <= 1
    assert {one["attempt"] for one in charged} <= {attempt.id for order in orders for attempt in order.attempts}
    for order, acts in zip(orders, entries, strict=True):
        assert order.state in {"confirmed", "lapsed"}
        assert kept_minor(order) == (order.total_minor if order.state == "confirmed" else 0)
        assert owed_minor(order) == 0
        said = {(entry.act, entry.what) for entry in map(decode, acts)}
        assert {("shown", "recap"), ("accepted", "terms"), ("accepted", "button"), ("happened", "order")} <= said
        assert ("shown", "confirmation") in said
    assert level is not None
    assert sum(level.committed.values()) == sum(order.state == "confirmed" for order in orders)
    assert not level.holds
