"""A process that takes a shopper through the checkout and pays, and is killed at one of its commits.

`python desk_worker.py DATABASE BANK KEY N BEFORE`: SIGKILL at the N-th commit, before it when BEFORE is 1, else right
after it; 0 lets it live. Says the page of the bank when it knows it, and `end` when it lived.
"""

import asyncio
import contextlib
import os
import signal
import sys

import httpx
from prometheus_client import CollectorRegistry

from relance.rules.law.book import RULES
from services.checkout.adapters.printing import Printing
from services.checkout.application.effects import EffectRunner
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.bank_kit import provider_of
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, now_utc, open_shop, ordered

CARD = {"number": "4242424242424242", "expiry": "12/60", "code": "123"}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(store: Store, number: int, *, before: bool) -> None:
    """Count commits of writers from now on, and die at one."""
    count = 0

    def commits() -> None:
        nonlocal count
        count += 1
        if count == number and before:
            _die()
        if count == number + 1 and not before:
            _die()

    store.database.before_commit = commits


async def main(database: str, bank: str, key: str, number: str, before: str) -> None:
    store = await open_store(database, MasterKey(b"k" * 32))
    printing = Printing(RULES)
    async with provider_of(bank) as provider, httpx.AsyncClient() as browser:
        desk = await open_shop(store, Clock(now_utc()), {"bank": provider})
        effects = EffectRunner(desk, printing.confirmation, DeskMetrics(CollectorRegistry()))
        if int(number):
            kill_at(store, int(number), before=before == "1")
        pressed = await ordered(desk, await at_recap(desk, key))
        if pressed.redirect_url is not None:
            with contextlib.suppress(httpx.HTTPError):
                await browser.post(pressed.redirect_url, data=CARD)
        await desk.look_now(SHOP.id, pressed.order_id)
        await effects.drain()
    printing.close()
    await store.close()
    print("end", flush=True)  # noqa: T201 - heard by the test


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
