"""A database as connections: writers and readers, each in a transaction, with the driver's errors translated; and who
leads, of processes that share it.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relance.database.engines import READS
from relance.database.links import Link, Linked
from relance.database.postgres import Connections
from services.checkout.store.errors import translated

__all__ = ["Database", "Held", "Role"]

Role = Literal["relay", "sealing"]
Held = Callable[[], Awaitable[bool]]  # whether the role is still this process's
_LOCKS: Final[dict[Role, int]] = {"relay": 7_274_112, "sealing": 7_274_113}


class Database:
    """One database. Raises Conflict and NotNow, see `errors.translated`."""

    def __init__(self, engine: AsyncEngine, connections: Connections | None = None) -> None:
        """`connections`: to PostgreSQL, for transactions; SQLAlchemy's own serve what is seldom."""
        self.engine = engine
        self.before_commit: Callable[[], None] = _nothing  # called whenever a transaction is about to be stored
        self._connections = connections
        # SQLite has one writer: in this process they wait in line rather than for a lock that nobody hands over.
        self._line = asyncio.Lock() if engine.dialect.name == "sqlite" else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Link]:
        """A transaction: stored at the end, rolled back by an exception."""
        if self._connections is None:
            async with self.writing() as connection:
                yield Linked(connection)
                self.before_commit()
            return
        with translated():
            async with self._connections.transaction(self._about_to_commit) as link:
                yield link

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Link]:
        """For what writes nothing: on SQLite it waits for no writer."""
        if self._connections is None:
            async with self.reading() as connection:
                yield Linked(connection)
            return
        with translated():
            async with self._connections.transaction(_nothing) as link:
                yield link

    def _about_to_commit(self) -> None:
        self.before_commit()

    async def close(self) -> None:
        """End all connections."""
        if self._connections is not None:
            await self._connections.close()
        await self.engine.dispose()

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

    @asynccontextmanager
    async def leading(self, role: Role) -> AsyncIterator[Held | None]:
        """The role, when no other process that shares the database has it; None when one has. It ends with the block,
        or with the process.
        """
        async with AsyncExitStack() as stack:
            if self._line is None:
                yield await self._lead_by_lock(role, stack)
            else:
                yield self._lead_by_file(role, stack)

    async def _lead_by_lock(self, role: Role, stack: AsyncExitStack) -> Held | None:
        with translated():
            connection = await stack.enter_async_context(self.engine.connect())
            connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
            number = {"number": _LOCKS[role]}
            if not await connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), number):
                return None

        async def held() -> bool:
            try:
                return bool(await connection.scalar(text("SELECT true")))
            except (SQLAlchemyError, OSError):
                return False  # the lock went with the connection

        async def give_up() -> None:
            if await held():
                await connection.execute(text("SELECT pg_advisory_unlock(:number)"), number)
            else:
                await connection.invalidate()

        stack.push_async_callback(give_up)
        return held

    def _lead_by_file(self, role: Role, stack: AsyncExitStack) -> Held | None:
        path = Path(f"{self.engine.url.database}.{role}.lock")
        file = stack.enter_context(path.open("ab"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None

        async def held() -> bool:
            return True

        return held


def _nothing() -> None:
    """Nobody wants to know."""
