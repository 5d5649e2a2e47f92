"""The outbox as the relay sees it: messages in the order in which they were queued, until Kafka has them."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec
from sqlalchemy import delete, func, select, update

from services.checkout.store.database import Database, Held
from services.checkout.store.schema import OUTBOX

__all__ = ["Message", "Outbox", "SetAside"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said. `id` is its place in the outbox, `message_id` its own."""

    id: int
    topic: str
    key: str
    value: bytes
    message_id: str


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A message that Kafka refused for good, and why."""

    id: int
    topic: str
    key: str
    message_id: str
    size_bytes: int
    queued_at_ms: int
    failed_at_ms: int
    error: str


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

    async def set_aside(self, limit: int, after: int = 0) -> Sequence[SetAside]:
        """The oldest messages that Kafka refused, from the place after `after` on."""
        names = [name for name in SetAside.__struct_fields__ if name != "size_bytes"]
        size = func.length(OUTBOX.c.value).label("size_bytes")
        refused = (OUTBOX.c.failed_at_ms.is_not(None), OUTBOX.c.id > after)
        statement = select(*(OUTBOX.c[name] for name in names), size).where(*refused).order_by(OUTBOX.c.id)
        async with self._database.reading() as connection:
            return [SetAside(**row) for row in (await connection.execute(statement.limit(limit))).mappings()]

    async def again(self, ids: Collection[int]) -> int:
        """Offer messages that were set aside to Kafka again; how many they were."""
        refused = (OUTBOX.c.id.in_(ids), OUTBOX.c.failed_at_ms.is_not(None))
        async with self._database.writing() as connection:
            done = await connection.execute(update(OUTBOX).where(*refused).values(failed_at_ms=None, error=""))
            return int(done.rowcount)

    async def waiting(self) -> tuple[int, int, int]:
        """(messages that wait, age of the oldest in milliseconds, messages that were refused)."""
        waits = OUTBOX.c.failed_at_ms.is_(None)
        statement = select(
            func.count().filter(waits), func.min(OUTBOX.c.queued_at_ms).filter(waits), func.count().filter(~waits)
        ).select_from(OUTBOX)
        async with self._database.reading() as connection:
            count, oldest, refused = (await connection.execute(statement)).one()
        return int(count), max(self._now_ms() - int(oldest), 0) if oldest is not None else 0, int(refused)
