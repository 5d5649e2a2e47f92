"""The ledger of requests: each changes its state in one transaction, with what is to be said of it."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relance.events.messages import MessageOutcome, MessageRequest, decode_request, encode, outcome_id
from relance.events.topics import NOTIFICATION_DEAD_LETTERS, OUTCOMES
from relance.kernel.errors import InputError
from services.notification.domain.deliveries import FINAL, Delivery, Settled, Source, outcome_of
from services.notification.domain.failures import Failure
from services.notification.domain.kinds import Kinds
from services.notification.ports import Queued
from services.notification.store.schema import ATTEMPTS, MESSAGES, OUTBOX, SUPPRESSIONS
from services.notification.store.upkeep import Upkeep

__all__ = ["DeadLetter", "Heard", "Ledger", "State"]

_M: Final = MESSAGES.c
_S: Final = SUPPRESSIONS.c


class Heard(NamedTuple):
    """A request as it came."""

    request: MessageRequest
    domain: str
    address_hash: str
    source: Source


class DeadLetter(NamedTuple):
    """What could not be read, or not be sent; its headers say why and whence."""

    key: str
    value: bytes
    reason: str
    source: Source


class State(NamedTuple):
    """How a request stands: for those who ask after it."""

    request: MessageRequest | None  # None once its body was emptied
    state: str
    attempts: int
    uncertain: int
    message_id: str
    shop: str
    kind: str
    address_hash: str


class Ledger(Upkeep):
    """The tables. Every method is one transaction; it raises NotNow when the database does not answer."""

    def __init__(self, engine: AsyncEngine, kinds: Kinds) -> None:
        super().__init__(engine)
        self._kinds = kinds

    async def close(self) -> None:
        """Let go of the connections."""
        await self._engine.dispose()

    async def hear(self, heard: Sequence[Heard], letters: Sequence[DeadLetter], now_ms: int) -> int:
        """Keep requests; those that are there already change nothing. Returns how many are new."""
        async with self._begin() as connection:
            new = 0
            for each in heard:
                statement = _insert(connection, MESSAGES).values(**_row(each, now_ms)).on_conflict_do_nothing()
                new += (await connection.execute(statement)).rowcount
            for letter in letters:
                await _bury(connection, letter, now_ms)
        return new

    async def claim(self, claim: str, limit: int, now_ms: int, lapses_ms: int) -> list[Delivery]:
        """Take up to `limit` requests whose time has come, also those whose last claim lapsed. Nobody else gets them
        before `lapses_ms`.
        """
        async with self._begin() as connection:
            due = (
                select(_M.request_id)
                .where(_M.state.in_(("queued", "claimed")), _M.due_at_ms <= now_ms)
                .order_by(_M.due_at_ms)
                .limit(limit)
            )
            if connection.dialect.name == "postgresql":
                due = due.with_for_update(skip_locked=True)
            ids = list((await connection.execute(due)).scalars())
            if not ids:
                return []
            taken = (
                update(MESSAGES)
                .where(_M.request_id.in_(ids))
                .values(state="claimed", claim=claim, due_at_ms=lapses_ms, attempts=_M.attempts + 1)
                .returning(*MESSAGES.c)
            )
            return await self._readable(connection, await connection.execute(taken), now_ms)

    async def _readable(self, connection: AsyncConnection, rows: Iterable[Any], now_ms: int) -> list[Delivery]:
        """Those that can be read. One that cannot holds up no other: it is a dead letter, and its outcome is said."""
        found = []
        for row in list(rows):
            try:
                found.append(_delivery(row))
            except InputError as error:
                await _bury_row(connection, row, str(error), now_ms)
        return found

    async def release(self, delivery: Delivery, at_ms: int) -> None:
        """Give a claim back untried."""
        async with self._begin() as connection:
            await connection.execute(
                update(MESSAGES)
                .where(*_claimed(delivery, "claimed"))
                .values(state="queued", claim="", due_at_ms=at_ms, attempts=_M.attempts - 1)
            )

    async def begin_sending(self, delivery: Delivery, message_id: str, uncertain_at_ms: int) -> bool:
        """Say that the end of the message goes out now. False when the claim has lapsed: it must not."""
        async with self._begin() as connection:
            changed = await connection.execute(
                update(MESSAGES)
                .where(*_claimed(delivery, "claimed"))
                .values(state="sending", message_id=message_id, due_at_ms=uncertain_at_ms)
            )
            return changed.rowcount == 1

    async def retry(self, delivery: Delivery, failure: Failure, at_ms: int, now_ms: int) -> bool:
        """Try again at `at_ms`. False when the claim has lapsed."""
        async with self._begin() as connection:
            changed = await connection.execute(
                update(MESSAGES)
                .where(*_claimed(delivery, "claimed", "sending"))
                .values(state="queued", claim="", due_at_ms=at_ms)
            )
            if changed.rowcount == 1:
                await _attempted(connection, delivery, failure, now_ms)
            return changed.rowcount == 1

    async def wonder(self, delivery: Delivery, at_ms: int, now_ms: int, detail: str) -> None:
        """Nobody knows whether it was taken: what a report says until `at_ms` settles it."""
        async with self._begin() as connection:
            changed = await connection.execute(
                update(MESSAGES).where(*_claimed(delivery, "sending")).values(due_at_ms=at_ms)
            )
            if changed.rowcount == 1:
                await _attempted(connection, delivery, Failure("uncertain", detail=detail), now_ms)

    async def uncertain(self, now_ms: int, limit: int, resent: Collection[str]) -> list[tuple[Delivery, bool]]:
        """Those whose fate nobody knows and no report told in time; of the kinds in `resent` each is queued again.
        Returns each with whether it is; the others are still to be settled.
        """
        async with self._begin() as connection:
            due = select(MESSAGES).where(_M.state == "sending", _M.due_at_ms <= now_ms).limit(limit)
            if connection.dialect.name == "postgresql":
                due = due.with_for_update(skip_locked=True)
            found = await self._readable(connection, await connection.execute(due), now_ms)
            for each in found:
                again = each.request.kind in resent
                values = {"state": "queued", "claim": ""} if again else {}
                await connection.execute(
                    update(MESSAGES)
                    .where(*_claimed(each, "sending"))
                    .values(uncertain=_M.uncertain + 1, due_at_ms=now_ms, **values)
                )
            return [(each, each.request.kind in resent) for each in found]

    async def settle(
        self, delivery: Delivery, settled: Settled, message_id: str, now_ms: int, *,
        failure: Failure | None = None, suppress: bool = False,
    ) -> bool:  # fmt: skip
        """The end of a request, and its outcome. False when the claim has lapsed and nothing was changed; but what was
        accepted is accepted, also when it was queued anew meanwhile.
        """
        free = and_(_M.state == "queued", _M.request_id == str(delivery.request.id))
        mine = and_(*_claimed(delivery, "claimed", "sending"))
        async with self._begin() as connection:
            changed = await connection.execute(
                update(MESSAGES)
                .where(or_(mine, free) if settled.outcome == "accepted" else mine)
                .values(state=settled.outcome, claim="", message_id=message_id, settled_at_ms=now_ms)
            )
            if changed.rowcount != 1:
                return False
            if failure is not None:
                await _attempted(connection, delivery, failure, now_ms)
            await _say(connection, delivery.request, settled, message_id, now_ms)
            if suppress:
                await self._suppress(connection, delivery.request, delivery.address_hash, settled.status, now_ms)
            if settled.outcome == "dead":
                letter = DeadLetter(
                    str(delivery.request.id), encode(delivery.request), settled.detail, delivery.source
                )  # fmt: skip
                await _bury(connection, letter, now_ms)
            return True

    async def report(self, request_id: UUID, now_ms: int, failure: Failure | None, *, suppress: bool) -> State | None:
        """What a report tells of a request: that it was taken (if that was not known), and with `failure` that it
        bounced. Returns how it stood before; None when there is no such request.
        """
        async with self._begin() as connection:
            query = select(MESSAGES).where(_M.request_id == str(request_id))
            if connection.dialect.name == "postgresql":
                query = query.with_for_update()
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            before = _state(row)
            if before.request is None or before.state in {"bounced", "dead"}:
                return before
            if before.state not in FINAL and not row.message_id:
                return before  # never sent: the report is not about a message of ours
            if failure is None and before.state in FINAL:
                return before
            settled = Settled("accepted", "a report proves it") if failure is None else Settled(
                "bounced", failure.detail, failure.status
            )  # fmt: skip
            changed = (
                update(MESSAGES).where(_M.request_id == str(request_id))
                .values(state=settled.outcome, claim="", settled_at_ms=now_ms)
            )  # fmt: skip
            await connection.execute(changed)
            await _say(connection, before.request, settled, row.message_id, now_ms)
            if suppress:
                await self._suppress(connection, before.request, row.address_hash, settled.status, now_ms)
            return before

    async def state(self, request_id: UUID) -> State | None:
        """How a request stands."""
        async with self._begin() as connection:
            row = (await connection.execute(select(MESSAGES).where(_M.request_id == str(request_id)))).first()
            return None if row is None else _state(row)

    async def attempts(self, request_id: UUID) -> list[Failure]:
        """The attempts at a request that did not succeed, in their order."""
        query = select(ATTEMPTS).where(ATTEMPTS.c.request_id == str(request_id)).order_by(ATTEMPTS.c.n)
        async with self._begin() as connection:
            rows = await connection.execute(query)
            return [Failure(row.sort, row.code, row.status, row.detail) for row in rows]

    async def is_suppressed(self, shop: str, address_hash: str, class_: str) -> bool:
        """Whether an address is known not to exist, for a class of messages."""
        query = select(_S.since_ms).where(_S.shop == shop, _S.address_hash == address_hash, _S["class"] == class_)
        async with self._begin() as connection:
            return (await connection.execute(query)).first() is not None

    async def lift(self, shop: str, address_hash: str) -> int:
        """Let an address have mail again; the number of suppressions that end."""
        where = (_S.shop == shop, _S.address_hash == address_hash)
        async with self._begin() as connection:
            return (await connection.execute(delete(SUPPRESSIONS).where(*where))).rowcount

    async def queued(self, limit: int) -> list[Queued]:
        """What is to be said, the oldest first."""
        async with self._begin() as connection:
            rows = await connection.execute(select(OUTBOX).order_by(OUTBOX.c.id).limit(limit))
            return [
                Queued(row.id, row.topic, row.key, bytes(row.value), msgspec.json.decode(row.headers)) for row in rows
            ]

    async def said(self, ids: Sequence[int]) -> None:
        """Kafka has these."""
        async with self._begin() as connection:
            await connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))

    async def open_counts(self, now_ms: int) -> dict[str, tuple[int, int]]:
        """(number, age of the oldest in ms) of the requests that are not settled, by state."""
        query = (
            select(_M.state, func.count(), func.min(_M.heard_at_ms))
            .where(_M.state.in_(("queued", "claimed", "sending")))
            .group_by(_M.state)
        )
        async with self._begin() as connection:
            return {state: (count, now_ms - first) for state, count, first in await connection.execute(query)}

    async def unsaid(self) -> int:
        """How many rows the outbox holds."""
        async with self._begin() as connection:
            return int((await connection.execute(select(func.count()).select_from(OUTBOX))).scalar_one())

    async def _suppress(
        self, connection: AsyncConnection, request: MessageRequest, address_hash: str, status: str, now_ms: int
    ) -> None:
        row = {
            "shop": request.shop, "address_hash": address_hash, "class": self._kinds.class_of(request.kind),
            "since_ms": now_ms, "status": status, "request_id": str(request.id),
        }  # fmt: skip
        await connection.execute(_insert(connection, SUPPRESSIONS).values(**row).on_conflict_do_nothing())


def _insert(connection: AsyncConnection, table: Any) -> Any:
    """An INSERT that knows `on_conflict_…` in this database's dialect."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def _row(heard: Heard, now_ms: int) -> dict[str, Any]:
    request = heard.request
    return {
        "request_id": str(request.id), "shop": request.shop, "kind": request.kind, "order_id": str(request.order_id),
        "domain": heard.domain, "address_hash": heard.address_hash, "state": "queued", "attempts": 0, "uncertain": 0,
        "due_at_ms": now_ms, "claim": "", "message_id": "", "body": encode(request), "topic": heard.source.topic,
        "partition": heard.source.partition, "offset": heard.source.offset, "heard_at_ms": now_ms, "settled_at_ms": 0,
    }  # fmt: skip


def _delivery(row: Any) -> Delivery:
    return Delivery(
        request=decode_request(bytes(row.body)), claim=row.claim, attempts=row.attempts, uncertain=row.uncertain,
        domain=row.domain, address_hash=row.address_hash, source=Source(row.topic, row.partition, row.offset),
    )  # fmt: skip


def _state(row: Any) -> State:
    body = bytes(row.body)
    return State(
        decode_request(body) if body else None, row.state, row.attempts, row.uncertain, row.message_id, row.shop,
        row.kind, row.address_hash,
    )  # fmt: skip


def _claimed(delivery: Delivery, *states: str) -> tuple[Any, ...]:
    return (_M.request_id == str(delivery.request.id), _M.claim == delivery.claim, _M.state.in_(states))


async def _attempted(connection: AsyncConnection, delivery: Delivery, failure: Failure, now_ms: int) -> None:
    row = {
        "request_id": str(delivery.request.id), "n": delivery.attempts, "at_ms": now_ms, "sort": failure.sort,
        "code": failure.code, "status": failure.status, "detail": failure.detail,
    }  # fmt: skip
    await connection.execute(_insert(connection, ATTEMPTS).values(**row).on_conflict_do_nothing())


async def _say(
    connection: AsyncConnection, request: MessageRequest, settled: Settled, message_id: str, now_ms: int
) -> None:
    outcome = outcome_of(request, settled, datetime.fromtimestamp(now_ms / 1_000, UTC), message_id)
    row = {
        "topic": OUTCOMES.name, "key": str(request.order_id), "value": encode(outcome), "headers": "{}",
        "queued_at_ms": now_ms,
    }  # fmt: skip
    await connection.execute(insert(OUTBOX).values(**row))


async def _bury_row(connection: AsyncConnection, row: Any, reason: str, now_ms: int) -> None:
    outcome = MessageOutcome(
        id=outcome_id(UUID(row.request_id), "dead"), request_id=UUID(row.request_id), shop=row.shop,
        order_id=UUID(row.order_id), kind=row.kind, outcome="dead", detail=reason[:500],
        at=datetime.fromtimestamp(now_ms / 1_000, UTC),
    )  # fmt: skip
    said = {
        "topic": OUTCOMES.name, "key": row.order_id, "value": encode(outcome), "headers": "{}", "queued_at_ms": now_ms,
    }  # fmt: skip
    await connection.execute(insert(OUTBOX).values(**said))
    source = Source(row.topic, row.partition, row.offset)
    await _bury(connection, DeadLetter(row.request_id, bytes(row.body), reason, source), now_ms)
    ended = {"state": "dead", "claim": "", "settled_at_ms": now_ms}
    await connection.execute(update(MESSAGES).where(_M.request_id == row.request_id).values(**ended))


async def _bury(connection: AsyncConnection, letter: DeadLetter, now_ms: int) -> None:
    headers = {
        "reason": letter.reason, "topic": letter.source.topic, "partition": str(letter.source.partition),
        "offset": str(letter.source.offset),
    }  # fmt: skip
    row = {
        "topic": NOTIFICATION_DEAD_LETTERS.name, "key": letter.key, "value": letter.value,
        "headers": msgspec.json.encode(headers).decode(), "queued_at_ms": now_ms,
    }  # fmt: skip
    await connection.execute(insert(OUTBOX).values(**row))
