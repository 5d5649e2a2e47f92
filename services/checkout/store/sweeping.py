"""What has had its time is deleted: a few rows of each table at once, so that nobody waits long for a lock."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from sqlalchemy import Column, Table, and_, delete, or_, select, text, tuple_, update

from relance.kernel.instants import to_ms
from services.checkout.store.part import read_body
from services.checkout.store.schema import AGGREGATES, ANSWERS, INBOX, OUTBOX, TOKENS, TRIES
from services.checkout.store.store import Store
from services.checkout.store.tries import forgotten

__all__ = ["KEPT", "SWEPT_KINDS", "date_begun", "sweep"]

KEPT: Final = timedelta(days=30)
SWEPT_KINDS: Final = ("code", "disclosureset")
"""Aggregates of which nothing is left when they are due."""
_AT_ONCE: Final = 500
_NEVER_MS: Final = 1  # of one that does not say when it began: in no time that anybody asks about


async def sweep(store: Store, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Delete up to `at_once` rows of each table, each in a transaction of its own; how many, 0 when nothing is left.

    Gone are, thirty days after: answers to idempotency keys, the names of messages that were heard, tokens that expired
    or were used or revoked, messages that Kafka will never take; and codes and sets of disclosures when they are
    due; tries after an hour.
    """
    count = 0
    for table, over in _over(now):
        key = list(table.primary_key.columns)
        old = select(*key).where(over).limit(at_once)
        statement = delete(table).where(_key(key).in_(old))
        async with store.database.writing() as connection:
            count += (await connection.execute(statement)).rowcount
    return count


class _Started(msgspec.Struct, frozen=True):
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]


async def date_begun(store: Store, at_once: int = _AT_ONCE) -> int:
    """Say when checkouts began that a process of an older release stored beside this one, after the tables changed: up
    to `at_once` of them; how many, 0 when there is none. The funnel would miss them.
    """
    of = AGGREGATES.c
    checkout = of.kind == text("'checkout'")  # as its index says it
    async with store.database.reading() as connection:
        asked = select(of.shop, of.id, of.body).where(checkout, of.created_at_ms == 0).limit(at_once)
        rows = (await connection.execute(asked)).all()
    for row in rows:
        try:
            began_ms = to_ms(read_body(_Started, row.body).started_at)
        except msgspec.DecodeError:
            began_ms = _NEVER_MS
        this = and_(checkout, of.shop == row.shop, of.id == row.id, of.created_at_ms == 0)
        async with store.database.writing() as connection:
            await connection.execute(update(AGGREGATES).where(this).values(created_at_ms=began_ms))
    return len(rows)


def _over(now: datetime) -> list[tuple[Table, Any]]:
    border = to_ms(now - KEPT)
    tokens, outbox, aggregates = TOKENS.c, OUTBOX.c, AGGREGATES.c
    return [
        (ANSWERS, ANSWERS.c.kept_at_ms < border),
        (INBOX, INBOX.c.heard_at_ms < border),
        (TOKENS, or_(tokens.expires_at_ms < border, tokens.revoked_at_ms < border)),
        (OUTBOX, outbox.failed_at_ms < border),
        (TRIES, TRIES.c.minute <= forgotten(now)),
        (AGGREGATES, and_(aggregates.kind.in_(SWEPT_KINDS), aggregates.due_at_ms <= to_ms(now))),
    ]


def _key(columns: list[Column[Any]]) -> Any:
    return tuple_(*columns) if len(columns) > 1 else columns[0]
