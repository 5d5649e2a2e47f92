"""The outbox as the relay sees it: messages in the order in which they were queued, until Kafka has them."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec
from sqlalchemy import ARRAY, BigInteger, any_, bindparam, delete, func, select, update

from relance.database.statements import Statement
from services.checkout.store.database import Database, Held
from services.checkout.store.schema import OUTBOX

__all__ = ["Message", "Outbox", "SetAside"]

_WAITS: Final = OUTBOX.c.failed_at_ms.is_(None)
_UNSENT: Final = Statement(
    select(OUTBOX.c.id, OUTBOX.c.topic, OUTBOX.c.key, OUTBOX.c.value, OUTBOX.c.message_id)
    .where(_WAITS, OUTBOX.c.id > bindparam("after"))
    .order_by(OUTBOX.c.id)
    .limit(bindparam("most"))
)
_SENT: Final = Statement(
    delete(OUTBOX).where(OUTBOX.c.id.in_(bindparam("ids", expanding=True))),
    delete(OUTBOX).where(OUTBOX.c.id == any_(bindparam("ids", type_=ARRAY(BigInteger)))),
)
_REFUSED: Final = Statement(
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("of_id"))
    .values(failed_at_ms=bindparam("at_ms"), error=bindparam("why"))
)
_WAITING: Final = Statement(
    select(
        func.count().filter(_WAITS).label("waiting"),
        func.min(OUTBOX.c.queued_at_ms).filter(_WAITS).label("oldest"),
        func.count().filter(~_WAITS).label("refused"),
    ).select_from(OUTBOX)
)


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
        async with self._database.look() as link:
            return [
                Message(id=row.id, topic=row.topic, key=row.key, value=row.value, message_id=row.message_id)
                for row in await link.rows(_UNSENT, {"after": after, "most": limit})
            ]

    async def sent(self, ids: Collection[int]) -> None:
        """Kafka has these."""
        async with self._database.transaction() as link:
            await link.run(_SENT, {"ids": list(ids)}, alone=True)

    async def refused(self, id_: int, error: str) -> None:
        """Kafka will never take this one: it stays, marked, and those behind it go on."""
        async with self._database.transaction() as link:
            await link.run(_REFUSED, {"of_id": id_, "at_ms": self._now_ms(), "why": error[:1_000]})

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
        async with self._database.look() as link:
            (row,) = await link.rows(_WAITING)
        oldest_ms = max(self._now_ms() - int(row.oldest), 0) if row.oldest is not None else 0
        return int(row.waiting), oldest_ms, int(row.refused)
