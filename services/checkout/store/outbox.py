"""The outbox as the relay sees it: messages in the order in which they were queued, until Kafka has them."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
from sqlalchemy import delete, func, select, update

from services.checkout.store.database import Database, Held
from services.checkout.store.schema import OUTBOX

__all__ = ["Message", "Outbox"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said. `id` is its place in the outbox, `message_id` its own."""

    id: int
    topic: str
    key: str
    value: bytes
    message_id: str


class Outbox:
    """Reads and clears the queue of messages, each call in a transaction of its own. Raises NotNow."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    def leading(self) -> AbstractAsyncContextManager[Held | None]:
        """The role of the one relay; None inside when another process has it."""
        return self._database.leading("relay")

    async def unsent(self, limit: int, after: int = 0) -> Sequence[Message]:
        """The oldest messages that Kafka has not got, from the place after `after` on."""
        waits = (OUTBOX.c.failed_at_ms.is_(None), OUTBOX.c.id > after)
        statement = select(OUTBOX).where(*waits).order_by(OUTBOX.c.id).limit(limit)
        async with self._database.reading() as connection:
            return [
                Message(id=row.id, topic=row.topic, key=row.key, value=bytes(row.value), message_id=row.message_id)
                for row in await connection.execute(statement)
            ]

    async def sent(self, ids: Collection[int]) -> None:
        """Kafka has these."""
        async with self._database.writing() as connection:
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))

    async def refused(self, id_: int, error: str) -> None:
        """Kafka will never take this one: it stays, marked, and those behind it go on."""
        fields = {"failed_at_ms": self._now_ms(), "error": error[:1_000]}
        async with self._database.writing() as connection:
            await connection.execute(update(OUTBOX).where(OUTBOX.c.id == id_).values(**fields))

    async def waiting(self) -> tuple[int, int, int]:
        """(messages that wait, age of the oldest in milliseconds, messages that were refused)."""
        waits = OUTBOX.c.failed_at_ms.is_(None)
        statement = select(
            func.count().filter(waits), func.min(OUTBOX.c.queued_at_ms).filter(waits), func.count().filter(~waits)
        ).select_from(OUTBOX)
        async with self._database.reading() as connection:
            count, oldest, refused = (await connection.execute(statement)).one()
        return int(count), max(self._now_ms() - int(oldest), 0) if oldest is not None else 0, int(refused)
