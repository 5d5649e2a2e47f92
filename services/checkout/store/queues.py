"""What follows from a transaction: messages for Kafka and effects to be done, stored with it; what was heard before."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from relance.database.statements import Statement, insertion
from relance.events.codec import Event, encode
from relance.kernel.instants import to_ms
from services.checkout.domain.outcomes import Effect
from services.checkout.store.part import Part
from services.checkout.store.schema import EFFECTS, INBOX, OUTBOX

__all__ = ["EVENTS", "LEASE", "ORDERS", "QueuedEffect", "Queues"]

EVENTS: Final = "shop-events"
ORDERS: Final = "checkout.orders.v1"
LEASE: Final = timedelta(seconds=60)  # how long who took an effect has, before another takes it again
_ERROR_CHARS: Final = 1_000
_HEARD: Final = insertion(INBOX, "source", "message_id", "heard_at_ms", unless_there=True)
_QUEUE: Final = insertion(OUTBOX, "topic", "key", "value", "message_id", "queued_at_ms", "error")
_DO: Final = insertion(EFFECTS, "shop", "order_id", "kind", "ref", "due_at_ms", "attempts", "error")
_DUE: Final = (
    select(EFFECTS.c.id)
    .where(EFFECTS.c.due_at_ms <= bindparam("now_ms"))
    .order_by(EFFECTS.c.due_at_ms, EFFECTS.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_TAKE: Final = Statement(
    update(EFFECTS)
    .where(EFFECTS.c.id.in_(_DUE))
    .values(due_at_ms=bindparam("until_ms"))
    .returning(EFFECTS)
)  # fmt: skip
_DONE: Final = Statement(delete(EFFECTS).where(EFFECTS.c.id == bindparam("of_id")))
_LATER: Final = Statement(
    update(EFFECTS)
    .where(EFFECTS.c.id == bindparam("of_id"))
    .values(due_at_ms=bindparam("at_ms"), attempts=EFFECTS.c.attempts + 1, error=bindparam("why"))
)


_STUCK: Final = Statement(
    select(EFFECTS.c.shop, EFFECTS.c.kind, func.count().label("number"))
    .where(EFFECTS.c.attempts >= bindparam("tried"))
    .group_by(EFFECTS.c.shop, EFFECTS.c.kind)
)


class QueuedEffect(msgspec.Struct, frozen=True, kw_only=True):
    """An effect that is to be done. `attempts`: how often it was put off; `error`: why, the last time."""

    id: int
    shop: str
    order: UUID
    kind: str
    ref: str
    attempts: int
    error: str

    @property
    def effect(self) -> Effect:
        """As the transition said it."""
        return Effect(self.kind, self.ref)  # type: ignore[arg-type]  # stored from an Effect


class Queues(Part):
    """The room of queues in a transaction. Messages and effects are written at its end, in the order of the calls."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._messages: list[dict[str, Any]] = []
        self._effects: list[dict[str, Any]] = []

    @property
    def says(self) -> bool:
        """Whether there will be something to relay."""
        return bool(self._messages)

    async def say(self, events: Sequence[Event]) -> None:
        """Queue events for `shop-events`, by visitor or else cart; those of an order also for `checkout.orders.v1`, by
        order.
        """
        for event in events:
            value = encode(event)
            await self.send(EVENTS, event.visitorid or event.data.cart_id or event.id, value, event.id)
            order = getattr(event.data, "order_id", None)
            if order is not None:
                await self.send(ORDERS, str(order), value, event.id)

    async def send(self, topic: str, key: str, value: bytes, id_: str) -> None:
        """Queue a message, with an id that is the same whenever it is said again. Kafka has it at least once, and those
        of one key in the order in which they were queued.
        """
        self._messages.append(
            {"topic": topic, "key": key, "value": value, "message_id": id_, "queued_at_ms": self._around.now_ms(),
             "error": ""}
        )  # fmt: skip

    async def first_time(self, source: str, id_: str) -> bool:
        """Whether this message is heard for the first time: then it counts as heard once this transaction is stored."""
        row = {"source": source, "message_id": id_, "heard_at_ms": self._around.now_ms()}
        return await self._run(_HEARD, row) == 1

    async def do(self, shop: str, order: UUID, effects: Sequence[Effect]) -> None:
        """Queue effects, due at once."""
        self._effects += [
            {"shop": shop, "order_id": str(order), "kind": effect.kind, "ref": effect.ref,
             "due_at_ms": self._around.now_ms(), "attempts": 0, "error": ""}
            for effect in effects
        ]  # fmt: skip

    async def effects(self, limit: int, now: datetime, lease: timedelta = LEASE) -> list[QueuedEffect]:
        """Take effects that are due, the oldest first. Who takes one has until the end of the lease, counted from
        `now`, to call `done` or `later`; then it is due again. Two transactions never take the same.
        """
        of = {"now_ms": to_ms(now), "most": limit, "until_ms": to_ms(now + lease)}
        rows = sorted(await self._link.rows(_TAKE, of, alone=True), key=lambda row: row.id)
        return [
            QueuedEffect(id=row.id, shop=row.shop, order=UUID(row.order_id), kind=row.kind, ref=row.ref,
                         attempts=row.attempts, error=row.error)
            for row in rows
        ]  # fmt: skip

    async def done(self, effect_id: int) -> None:
        """An effect was done; again is harmless."""
        if not self._waits("done", {"id": effect_id}):
            await self._run(_DONE, {"of_id": effect_id})

    async def later(self, effect_id: int, at: datetime, error: str) -> None:
        """An effect could not be done: it is due again at `at`."""
        await self._run(_LATER, {"of_id": effect_id, "at_ms": to_ms(at), "why": error[:_ERROR_CHARS]})

    async def stuck(self, tried: int) -> dict[tuple[str, str], int]:
        """How many effects were put off so often, by shop and kind."""
        return {(row.shop, row.kind): row.number for row in await self._rows(_STUCK, {"tried": tried})}

    async def _write_queues(self) -> None:
        if self._messages:
            await self._link.run_many(_QUEUE, self._messages)
        if self._effects:
            await self._link.run_many(_DO, self._effects)
