"""The tables of the checkout, the same on PostgreSQL and SQLite. Instants are milliseconds since 1970 UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

__all__ = [
    "AGGREGATES", "ANSWERS", "BLOBS", "CHAINS", "COUNTERS", "EFFECTS", "ENTRIES", "INBOX", "KEYS", "METADATA",
    "OUTBOX", "PERSONS", "TOKENS", "TRIES",
]  # fmt: skip

METADATA: Final = MetaData()
_SERIAL: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts by itself in INTEGER columns only

# What machines move and shops give: JSON beside what is looked for.
AGGREGATES: Final = Table(
    "aggregates",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("shop", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at_ms", BigInteger),
    Column("body", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, server_default=text("0")),
    Index(
        "aggregates_due", "kind", "due_at_ms",
        postgresql_where=text("due_at_ms IS NOT NULL"), sqlite_where=text("due_at_ms IS NOT NULL"),
    ),
    Index(
        "aggregates_owing", "kind", "shop", "id",
        postgresql_where=text("state = 'owing'"), sqlite_where=text("state = 'owing'"),
    ),
    Index(
        "aggregates_begun", "shop", "created_at_ms", "id",
        postgresql_where=text("kind = 'checkout'"), sqlite_where=text("kind = 'checkout'"),
    ),
)  # fmt: skip

# Other names of an aggregate: an attempt's id, a cart's.
KEYS: Final = Table(
    "aggregate_keys",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("shop", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Index("aggregate_keys_of", "kind", "shop", "id"),
)

# What is to be said in Kafka, in the order of `id` for each key. `failed_at_ms`: Kafka will never take it.
OUTBOX: Final = Table(
    "outbox",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("failed_at_ms", BigInteger),
    Column("error", Text, nullable=False),
    sqlite_autoincrement=True,
)

# What has been heard once: messages that come at least once.
INBOX: Final = Table(
    "inbox",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("heard_at_ms", BigInteger, nullable=False),
)

EFFECTS: Final = Table(
    "effects",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("shop", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Index("effects_due", "due_at_ms", "id"),
    sqlite_autoincrement=True,
)

# Where the chain of an order's evidence stands. `number`: the place of the order among its shop's, without gaps.
CHAINS: Final = Table(
    "evidence_chains",
    METADATA,
    Column("shop", Text, primary_key=True),
    Column("chain", Text, primary_key=True),
    Column("length", BigInteger, nullable=False),
    Column("head", Text, nullable=False),
    Column("sealed", BigInteger, nullable=False),
    Column("order_id", Text),
    Column("number", BigInteger),
    Index("evidence_chains_order", "shop", "order_id", unique=True),
    Index("evidence_chains_number", "shop", "number", unique=True),
    Index(
        "evidence_chains_moved", "shop", "chain",
        postgresql_where=text("sealed < length"), sqlite_where=text("sealed < length"),
    ),
)  # fmt: skip

ENTRIES: Final = Table(
    "evidence_entries",
    METADATA,
    Column("shop", Text, primary_key=True),
    Column("chain", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

COUNTERS: Final = Table(
    "counters",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("shop", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Bytes by their hash; encrypted ones by that of the cipher, found by a keyed hash of what they hold.
BLOBS: Final = Table(
    "blobs",
    METADATA,
    Column("shop", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("subject", Text),
    Column("bound_to", Text),
    Column("lookup", Text),
    Column("document", Text, nullable=False),
    Index("blobs_lookup", "shop", "lookup"),
    Index(
        "blobs_of", "shop", "subject",
        postgresql_where=text("subject IS NOT NULL"), sqlite_where=text("subject IS NOT NULL"),
    ),
)  # fmt: skip

# A person's key, wrapped by the master key: deleting the row is erasing the person from all evidence.
PERSONS: Final = Table(
    "persons",
    METADATA,
    Column("shop", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("wrapped", Text, nullable=False),
)

ANSWERS: Final = Table(
    "answers",
    METADATA,
    Column("shop", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("kept_at_ms", BigInteger, nullable=False),
    Index("answers_kept", "kept_at_ms"),
)

TOKENS: Final = Table(
    "tokens",
    METADATA,
    Column("hash", Text, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("shop", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    Index("tokens_of", "shop", "purpose", "subject"),
    Index("tokens_expire", "expires_at_ms"),
)

# How often somebody tried in a minute; `who` is a keyed hash. Rows live for an hour.
TRIES: Final = Table(
    "tries",
    METADATA,
    Column("who", Text, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("times", Integer, nullable=False),
    Index("tries_minute", "minute"),
)
