"""Rows that have had their time, on both databases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import Table, func, insert, select

from relance.kernel.instants import to_ms
from services.checkout.application.linking import Code
from services.checkout.store import MasterKey, Store, open_store
from services.checkout.store.schema import AGGREGATES, ANSWERS, INBOX, OUTBOX, TOKENS
from services.checkout.store.sweeping import sweep

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


class Other(msgspec.Struct, frozen=True):
    id: str


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(NOW))
    yield opened
    await opened.close()


async def _left(store: Store) -> dict[str, int]:
    tables: tuple[Table, ...] = (ANSWERS, INBOX, TOKENS, OUTBOX, AGGREGATES)
    async with store.database.reading() as connection:
        counts = [(await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in tables]
    return {table.name: count for table, count in zip(tables, counts, strict=True)}


async def _fill(store: Store, count: int) -> None:
    async with store.transaction() as tx:
        for n in range(count):
            await tx.keep_answer("atelier", f"k-{n}", "Place", "f", b"")
            await tx.first_time("psp", f"m-{n}")
            await tx.put_token(f"short-{n}", "checkout.enter", "atelier", "c", NOW + DAY)
            await tx.put_token(f"long-{n}", "order.view", "atelier", "o", NOW + 3_650 * DAY)
            await tx.put(
                "atelier", f"c-{n}", Code(id=f"c-{n}", hashed="", expires_at=NOW + DAY), before=None, due_at=NOW + DAY
            )
            await tx.put("atelier", f"o-{n}", Other(id=f"o-{n}"), before=None, due_at=NOW + DAY)
            await tx.take_token(f"long-{n}", "order.view", NOW) if n % 2 else None
    async with store.database.writing() as connection:
        for n in range(count):
            row = {
                "topic": "t",
                "key": "k",
                "value": b"",
                "message_id": f"m-{n}",
                "queued_at_ms": to_ms(NOW),
                "error": "",
            }
            await connection.execute(insert(OUTBOX).values(**row, failed_at_ms=to_ms(NOW) if n % 2 else None))


async def test_each_row_goes_in_its_time_and_not_before(store: Store) -> None:
    await _fill(store, 4)
    everything = {"answers": 4, "inbox": 4, "tokens": 8, "outbox": 4, "aggregates": 8}
    assert await sweep(store, NOW + timedelta(hours=23)) == 0
    assert await _left(store) == everything
    assert await sweep(store, NOW + DAY) == 4  # codes
    assert await sweep(store, NOW + 30 * DAY) == 0
    # thirty days after: answers, names of messages, refused messages; tokens that were used
    assert await sweep(store, NOW + 30 * DAY + timedelta(seconds=1)) == 4 + 4 + 2 + 2
    assert await sweep(store, NOW + 31 * DAY + timedelta(seconds=1)) == 4  # and those that expired
    assert await _left(store) == {"answers": 0, "inbox": 0, "tokens": 2, "outbox": 2, "aggregates": 4}
    async with store.transaction() as tx:
        assert await tx.look_token("long-0", "order.view", NOW + 400 * DAY) is not None
        assert len(await tx.due(Other, NOW + 400 * DAY, 10)) == 4


async def test_few_rows_at_once_until_none_is_left(store: Store) -> None:
    await _fill(store, 10)
    at = NOW + 60 * DAY
    turns = []
    while done := await sweep(store, at, at_once=3):
        turns.append(done)
    assert max(turns) <= 5 * 3
    assert sum(turns) == 10 + 10 + 15 + 5 + 10
