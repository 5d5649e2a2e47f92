"""A process that commits messages and relays them at the same time, until it is killed.

`python relay_worker.py DATABASE BOOTSTRAP TOPIC`; says `committed N` after message N is stored.
"""

import asyncio
import sys

from services.checkout.adapters.relay import Relay
from services.checkout.store import MasterKey, open_store

KEYS = 5


async def main(database: str, bootstrap: str, topic: str) -> None:
    store = await open_store(database, MasterKey(b"m" * 32))
    relaying = asyncio.create_task(Relay(store.outbox, bootstrap, store.said).run(asyncio.Event()))
    for number in range(100_000):
        async with store.transaction() as tx:
            await tx.send(topic, f"k-{number % KEYS}", b"%d" % number, f"m-{number}")
        print(f"committed {number}", flush=True)  # noqa: T201 - heard by the test
        await asyncio.sleep(0.001)
    await relaying


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
