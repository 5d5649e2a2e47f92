"""A process that does a day's work and is killed at one of its commits.

`python -m tests.integration.checkout.day_worker DATABASE AT COMMIT before|after`: SIGKILL at the COMMIT-th commit,
before it or right after it.
"""

import asyncio
import sys
from datetime import datetime

from relance.kernel.instants import to_ms
from relance.rules.law.book import default_book
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.store import MasterKey, open_store
from tests.integration.checkout.desk_kit import Clock
from tests.integration.checkout.desk_worker import kill_at


async def main(database: str, at: str, commit: str, when: str) -> None:
    clock = Clock(datetime.fromisoformat(at))
    store = await open_store(database, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    kill_at(store, int(commit), before=when == "before")
    await Daily(Desk(store, default_book(), {}, clock=clock)).run(clock.at)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
