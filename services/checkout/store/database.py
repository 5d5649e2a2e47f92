"""A database as connections: writers and readers, each in a transaction, with the driver's errors translated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.checkout.store.errors import translated

__all__ = ["READS", "Database"]

READS = "relance_reads"  # an execution option: this transaction will write nothing


class Database:
    """One database. Raises Conflict and NotNow, see `errors.translated`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        # SQLite has one writer: in this process they wait in line rather than for a lock that nobody hands over.
        self._line = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @property
    def is_postgresql(self) -> bool:
        """Whether other processes may write at the same time."""
        return self.engine.dialect.name == "postgresql"

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction: committed at the end, rolled back by an exception."""
        async with AsyncExitStack() as stack:
            stack.enter_context(translated())
            if self._line is not None:
                await stack.enter_async_context(self._line)
            yield await stack.enter_async_context(self.engine.begin())

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that writes nothing: on SQLite it waits for no writer."""
        with translated():
            async with self.engine.connect() as connection:
                yield await connection.execution_options(**{READS: True})
