"""The ledger beside its work: what is old is forgotten, what is dead is sent after all, a person is erased."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relance.events.messages import decode_request, encode
from relance.events.topics import NOTIFICATION_DEAD_LETTERS
from relance.kernel.errors import InputError
from services.notification.domain.deliveries import FINAL
from services.notification.store.opening import translated
from services.notification.store.schema import ATTEMPTS, MESSAGES, OUTBOX, SUPPRESSIONS

__all__ = ["Upkeep"]

_M: Final = MESSAGES.c
_FORGOTTEN_AT_ONCE: Final = 500


class Upkeep:
    """Every method is one transaction; it raises NotNow when the database does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._engine.begin() as connection:
                yield connection

    async def forget(self, before_ms: int, at_once: int = _FORGOTTEN_AT_ONCE) -> int:
        """Empty bodies of what was settled before, at most so many: they hold addresses. What became of it stays."""
        old = select(_M.request_id).where(
            _M.state.in_(FINAL), _M.settled_at_ms < before_ms, func.length(_M.body) > 0
        ).limit(at_once)  # fmt: skip
        async with self._begin() as connection:
            emptied = update(MESSAGES).where(_M.request_id.in_(old)).values(body=b"")
            return (await connection.execute(emptied)).rowcount

    async def drop(self, before_ms: int, at_once: int = _FORGOTTEN_AT_ONCE) -> int:
        """Delete what was settled before, with its attempts; at most so many. Long after Kafka has forgotten it:
        asked for again, it would be sent again.
        """
        old = select(_M.request_id).where(_M.state.in_(FINAL), _M.settled_at_ms < before_ms).limit(at_once)
        async with self._begin() as connection:
            ids = list((await connection.execute(old)).scalars())
            if ids:
                await connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.request_id.in_(ids)))
                await connection.execute(delete(MESSAGES).where(_M.request_id.in_(ids)))
            return len(ids)

    async def send_again(self, request_id: UUID | None, now_ms: int) -> int:
        """Have what is dead or failed sent after all, when what was wrong is mended: one request, or all that are dead.
        Its time counts from now. How many: none whose body was emptied.
        """
        which = _M.state == "dead" if request_id is None else _M.request_id == str(request_id)
        lost = select(MESSAGES).where(which, _M.state.in_(("dead", "failed")), func.length(_M.body) > 0)
        async with self._begin() as connection:
            found = (await connection.execute(lost)).all()
            count = 0
            for row in found:
                try:
                    request = decode_request(bytes(row.body))
                except InputError:
                    continue
                anew = msgspec.structs.replace(request, requested_at=datetime.fromtimestamp(now_ms / 1_000, UTC))
                values = {"state": "queued", "claim": "", "due_at_ms": now_ms, "settled_at_ms": 0, "body": encode(anew)}
                mine = (_M.request_id == row.request_id, _M.state == row.state)
                count += (await connection.execute(update(MESSAGES).where(*mine).values(**values))).rowcount
            return count

    async def erase(self, shop: str, order_id: UUID) -> int:
        """Empty what is kept of messages about an order, whatever became of them: how many. What waits is not sent."""
        mine = (_M.shop == shop, _M.order_id == str(order_id))
        async with self._begin() as connection:
            ids = list((await connection.execute(select(_M.request_id).where(*mine))).scalars())
            waiting = (*mine, _M.state.in_(("queued", "claimed")))
            await connection.execute(update(MESSAGES).where(*waiting).values(state="failed", claim=""))
            await connection.execute(update(MESSAGES).where(*mine).values(body=b"", address_hash="", domain=""))
            await connection.execute(delete(SUPPRESSIONS).where(SUPPRESSIONS.c.request_id.in_(ids)))
            letters = (OUTBOX.c.topic == NOTIFICATION_DEAD_LETTERS.name, OUTBOX.c.key.in_(ids))
            await connection.execute(delete(OUTBOX).where(*letters))
            return len(ids)
