"""A transaction as its statements see it, the same over both databases."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from relance.database.statements import Statement

__all__ = ["NOTHING", "Link", "Linked"]

NOTHING: Final[Mapping[str, Any]] = {}


class Link(Protocol):
    """One transaction. Used by one task at a time. Rows have their columns as attributes."""

    dialect: Literal["postgresql", "sqlite"]

    @property
    def begun(self) -> bool:
        """Whether a transaction is open at the database: what it locked stays locked until the end."""

    async def begin(self) -> None:
        """Begin the transaction at the database, if it has not begun."""

    async def rows(
        self, statement: Statement, given: Mapping[str, Any] = NOTHING, *, alone: bool = False
    ) -> Sequence[Any]:  # fmt: skip
        """What a statement returns. `alone`: if nothing was begun it may be a transaction by itself, stored at once."""

    async def run(self, statement: Statement, given: Mapping[str, Any] = NOTHING, *, alone: bool = False) -> int:
        """How many rows a statement changed."""

    async def run_many(self, statement: Statement, given: Sequence[Mapping[str, Any]]) -> None:
        """A statement for each of these."""

    async def run_last(self, text: str, values: Sequence[Any]) -> None:
        """A statement in PostgreSQL's own words, the last: if nothing was begun it is a transaction by itself."""


class Linked:
    """A Link over a connection of SQLAlchemy that is in a transaction."""

    dialect: Literal["postgresql", "sqlite"]
    begun = True

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.dialect = "postgresql" if connection.dialect.name == "postgresql" else "sqlite"

    async def begin(self) -> None:
        """See Link."""

    async def rows(
        self,
        statement: Statement,
        given: Mapping[str, Any] = NOTHING,
        *,
        alone: bool = False,  # noqa: ARG002 - it has begun
    ) -> Sequence[Any]:
        """See Link."""
        return (await self._connection.execute(statement.made, given)).all()

    async def run(
        self,
        statement: Statement,
        given: Mapping[str, Any] = NOTHING,
        *,
        alone: bool = False,  # noqa: ARG002 - it has begun
    ) -> int:
        """See Link."""
        return (await self._connection.execute(statement.made, given)).rowcount

    async def run_many(self, statement: Statement, given: Sequence[Mapping[str, Any]]) -> None:
        """See Link."""
        await self._connection.execute(statement.made, given)

    async def run_last(self, text: str, values: Sequence[Any]) -> None:
        """See Link: never called, for these are the words of another database."""
        raise NotImplementedError(text)
