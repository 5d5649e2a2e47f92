"""The store: transactions over a database."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from services.checkout.store.database import Database
from services.checkout.store.errors import Conflict
from services.checkout.store.keys import MasterKey
from services.checkout.store.outbox import Outbox
from services.checkout.store.part import Surroundings
from services.checkout.store.transaction import Transaction

__all__ = ["Store"]

R = TypeVar("R")
_PAUSE_S: Final = 0.005


class Store:
    """A database of the checkout. Made by `open_store`.

    `said` is set whenever a transaction queued messages: the relay waits for it and clears it.
    """

    def __init__(self, database: Database, master: MasterKey, now_ms: Callable[[], int] | None = None) -> None:
        self._database = database
        self._around = Surroundings(master, now_ms or _now_ms, secrets.token_bytes)
        self.outbox = Outbox(database, self._around.now_ms)
        self.said = asyncio.Event()

    @property
    def database(self) -> Database:
        """The connections, for what works beside transactions."""
        return self._database

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine."""
        return self._database.engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Stores all at its end, or nothing when an exception leaves it.

        Raises Conflict when another transaction overtook this one (repeat it: see `run`), NotNow when the database is
        away.
        """
        async with self._database.transaction() as link:
            transaction = Transaction(link, self._around)
            yield transaction
            await transaction.write_last()
        if transaction.says:
            self.said.set()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """For what only looks: it waits for no writer, takes no locks, and stores nothing. Raises NotNow."""
        async with self._database.look() as link:
            yield Transaction(link, self._around)

    async def run(self, work: Callable[[Transaction], Awaitable[R]], most: int = 50) -> R:
        """What `work` returns in a transaction; repeated, at most so often, while others overtake it. Raises Conflict
        at last.
        """
        for turn in range(most):
            try:
                async with self.transaction() as transaction:
                    result = await work(transaction)
            except Conflict:
                if turn + 1 == most:
                    raise
                await asyncio.sleep(random.uniform(0, _PAUSE_S * min(turn + 1, 20)))  # noqa: S311 - spreads repeats
            else:
                return result
        raise ValueError(most)

    async def close(self) -> None:
        """Close all connections."""
        await self._database.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
