"""The tables of notification, the same on PostgreSQL and SQLite. Instants are milliseconds since 1970 UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

__all__ = ["ATTEMPTS", "MESSAGES", "METADATA", "OUTBOX", "SUPPRESSIONS"]

METADATA: Final = MetaData()
_SERIAL: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself in INTEGER columns only

# The ledger: a row a request, and never a second one. `due_at_ms`: when the next thing is done about it; for a claimed
# one when its claim lapses, for one that is sending when it counts as uncertain. `body` is emptied when it is old.
MESSAGES: Final = Table(
    "messages",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("shop", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("address_hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("uncertain", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("claim", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("heard_at_ms", BigInteger, nullable=False),
    Column("settled_at_ms", BigInteger, nullable=False),
    Index("messages_due", "state", "due_at_ms"),
    Index("messages_order", "shop", "order_id"),
)

ATTEMPTS: Final = Table(
    "attempts",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("sort", Text, nullable=False),
    Column("code", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

# Addresses that do not exist, by a keyed hash, for a class of messages of a shop.
SUPPRESSIONS: Final = Table(
    "suppressions",
    METADATA,
    Column("shop", Text, primary_key=True),
    Column("address_hash", Text, primary_key=True),
    Column("class", Text, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("request_id", Text, nullable=False),
)

# What is to be said in Kafka, in the order of `id`. `headers` is a JSON object.
OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("headers", Text, nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
