"""PostgreSQL by its driver alone: connections that are kept, and transactions that begin when they have to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from relance.database.engines import connecting
from relance.database.links import NOTHING
from relance.database.statements import Statement

__all__ = ["Connections", "PostgresLink", "Rolled"]

_WAIT_S: Final = 10.0
_OF_SQLALCHEMY: Final = frozenset({"prepared_statement_cache_size", "prepared_statement_name_func", "async_creator_fn"})


class Rolled(Exception):  # noqa: N818 - what became of a transaction
    """The database has rolled back what was to be committed."""


class _Row(asyncpg.Record):  # type: ignore[misc] # it has no types
    @override
    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Connections:
    """At most `most` connections to what `engine` is for; each is made when it is needed first, and kept."""

    def __init__(self, engine: AsyncEngine, application: str, most: int) -> None:
        _, given = engine.dialect.create_connect_args(engine.url)
        named = {name: value for name, value in given.items() if name not in _OF_SQLALCHEMY}
        self._given = named | connecting(application)
        self._room = asyncio.Semaphore(most)
        self._idle: list[Any] = []

    @asynccontextmanager
    async def transaction(self, before_commit: Callable[[], None]) -> AsyncIterator["PostgresLink"]:
        """Committed at the end when it has begun, rolled back by an exception. Raises the driver's errors, TimeoutError
        when none of the connections gets free, and Rolled.
        """
        link = PostgresLink(self, before_commit)
        try:
            yield link
            await link.commit()
        except BaseException as error:
            await link.give_up(error)
            raise
        link.let_go()

    async def take(self) -> Any:
        """A connection that is this caller's until he gives it back."""
        if self._room.locked():
            async with asyncio.timeout(_WAIT_S):
                await self._room.acquire()
        else:
            await self._room.acquire()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        try:
            return await asyncpg.connect(record_class=_Row, **self._given)
        except BaseException:
            self._room.release()
            raise

    def give_back(self, connection: Any) -> None:
        """Keep it for the next one."""
        if not connection.is_closed():
            self._idle.append(connection)
        self._room.release()

    async def close(self) -> None:
        """End those that nobody has."""
        idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(Exception):
                await connection.close(timeout=2.0)


class PostgresLink:
    """A Link. What only reads needs no transaction: each statement sees what is committed when it begins, as it would
    within one. The first statement that writes or locks begins it.
    """

    dialect: Literal["postgresql", "sqlite"] = "postgresql"

    def __init__(self, connections: Connections, before_commit: Callable[[], None]) -> None:
        self._connections = connections
        self._before_commit = before_commit
        self._connection: Any = None
        self.begun = False

    async def rows(
        self, statement: Statement, given: Mapping[str, Any] = NOTHING, *, alone: bool = False
    ) -> Sequence[Any]:  # fmt: skip
        """See Link."""
        connection = await self._ready(statement, alone=alone)
        text, values = statement.on_postgresql(given)
        found: Sequence[Any] = await connection.fetch(text, *values)
        return found

    async def run(self, statement: Statement, given: Mapping[str, Any] = NOTHING, *, alone: bool = False) -> int:
        """See Link."""
        connection = await self._ready(statement, alone=alone)
        text, values = statement.on_postgresql(given)
        status: str = await connection.execute(text, *values)  # `UPDATE 3`, `INSERT 0 3`
        return int(status.rpartition(" ")[2])

    async def run_many(self, statement: Statement, given: Sequence[Mapping[str, Any]]) -> None:
        """See Link."""
        connection = await self._ready(statement)
        made = [statement.on_postgresql(one) for one in given]
        await connection.executemany(made[0][0], [values for _, values in made])

    async def run_last(self, text: str, values: Sequence[Any]) -> None:
        """See Link."""
        connection = await self._ready(None, alone=True)
        await connection.fetch(text, *values)

    async def begin(self) -> None:
        """See Link."""
        if self._connection is None:
            self._connection = await self._connections.take()
        if not self.begun:
            self.begun = True
            await self._connection.execute("BEGIN")

    async def commit(self) -> None:
        """Store what was written. Raises Rolled."""
        if not self.begun:
            return
        self._before_commit()
        status = await self._connection.execute("COMMIT")
        self.begun = False
        if status != "COMMIT":
            raise Rolled(status)

    async def give_up(self, error: BaseException) -> None:
        """Store nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if isinstance(error, Exception):
            with suppress(Exception):
                if self.begun:
                    await connection.execute("ROLLBACK", timeout=2.0)
                self._connections.give_back(connection)
                return
        connection.terminate()  # in the midst of something: what it did not commit goes with it
        self._connections.give_back(connection)

    def let_go(self) -> None:
        """The connection is free for others."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._connections.give_back(connection)

    async def _ready(self, statement: Statement | None, *, alone: bool = False) -> Any:
        if self._connection is None:
            self._connection = await self._connections.take()
        if not self.begun and (statement is None or statement.writes):
            if alone:
                self._before_commit()
            else:
                await self.begin()
        return self._connection
