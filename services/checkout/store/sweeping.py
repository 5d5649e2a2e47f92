"""What has had its time is deleted: a few rows of each table at once, so that nobody waits long for a lock."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Table, and_, delete, or_, select, tuple_

from relance.kernel.instants import to_ms
from services.checkout.store.schema import AGGREGATES, ANSWERS, INBOX, OUTBOX, TOKENS, TRIES
from services.checkout.store.store import Store
from services.checkout.store.tries import forgotten

__all__ = ["KEPT", "SWEPT_KINDS", "sweep"]

KEPT: Final = timedelta(days=30)
SWEPT_KINDS: Final = ("code", "disclosureset")
"""Aggregates of which nothing is left when they are due."""
_AT_ONCE: Final = 500


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
