"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Take the step."""
    _aggregates()
    _queues()
    _evidence()
    _access()


def _aggregates() -> None:
    op.create_table(
        "aggregates",
        Column("kind", Text, primary_key=True),
        Column("shop", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("state", Text, nullable=False),
        Column("due_at_ms", BigInteger),
        Column("body", Text, nullable=False),
    )
    given = sa.text("due_at_ms IS NOT NULL")
    op.create_index(
        "aggregates_due", "aggregates", ["kind", "due_at_ms"], postgresql_where=given, sqlite_where=given
    )  # fmt: skip
    op.create_table(
        "aggregate_keys",
        Column("kind", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("value", Text, primary_key=True),
        Column("shop", Text, primary_key=True),
        Column("id", Text, primary_key=True),
    )
    op.create_index("aggregate_keys_of", "aggregate_keys", ["kind", "shop", "id"])


def _queues() -> None:
    op.create_table(
        "outbox",
        Column("id", SERIAL, primary_key=True, autoincrement=True),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("message_id", Text, nullable=False),
        Column("queued_at_ms", BigInteger, nullable=False),
        Column("failed_at_ms", BigInteger),
        Column("error", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "inbox",
        Column("source", Text, primary_key=True),
        Column("message_id", Text, primary_key=True),
        Column("heard_at_ms", BigInteger, nullable=False),
    )
    op.create_table(
        "effects",
        Column("id", SERIAL, primary_key=True, autoincrement=True),
        Column("shop", Text, nullable=False),
        Column("order_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("ref", Text, nullable=False),
        Column("due_at_ms", BigInteger, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("error", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("effects_due", "effects", ["due_at_ms", "id"])


def _evidence() -> None:
    op.create_table(
        "evidence_chains",
        Column("shop", Text, primary_key=True),
        Column("chain", Text, primary_key=True),
        Column("length", BigInteger, nullable=False),
        Column("head", Text, nullable=False),
        Column("sealed", BigInteger, nullable=False),
        Column("order_id", Text),
        Column("number", BigInteger),
    )
    op.create_index("evidence_chains_order", "evidence_chains", ["shop", "order_id"], unique=True)
    op.create_index("evidence_chains_number", "evidence_chains", ["shop", "number"], unique=True)
    moved = sa.text("sealed < length")
    op.create_index(
        "evidence_chains_moved", "evidence_chains", ["shop", "chain"], postgresql_where=moved, sqlite_where=moved
    )  # fmt: skip
    op.create_table(
        "evidence_entries",
        Column("shop", Text, primary_key=True),
        Column("chain", Text, primary_key=True),
        Column("seq", BigInteger, primary_key=True),
        Column("data", LargeBinary, nullable=False),
    )
    op.create_table(
        "counters",
        Column("name", Text, primary_key=True),
        Column("shop", Text, primary_key=True),
        Column("value", BigInteger, nullable=False),
    )
    op.create_table(
        "blobs",
        Column("shop", Text, primary_key=True),
        Column("hash", Text, primary_key=True),
        Column("media_type", Text, nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("subject", Text),
        Column("bound_to", Text),
        Column("lookup", Text),
        Column("document", Text, nullable=False),
    )
    op.create_index("blobs_lookup", "blobs", ["shop", "lookup"])
    op.create_table(
        "persons",
        Column("shop", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("wrapped", Text, nullable=False),
    )


def _access() -> None:
    op.create_table(
        "answers",
        Column("shop", Text, primary_key=True),
        Column("method", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("kept_at_ms", BigInteger, nullable=False),
    )
    op.create_index("answers_kept", "answers", ["kept_at_ms"])
    op.create_table(
        "tokens",
        Column("hash", Text, primary_key=True),
        Column("purpose", Text, nullable=False),
        Column("shop", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("expires_at_ms", BigInteger, nullable=False),
        Column("revoked_at_ms", BigInteger),
    )
    op.create_index("tokens_of", "tokens", ["shop", "purpose", "subject"])
    op.create_index("tokens_expire", "tokens", ["expires_at_ms"])


def downgrade() -> None:
    """Take it back: all is lost."""
    for table in (
        "tokens", "answers", "persons", "blobs", "counters", "evidence_entries", "evidence_chains", "effects",
        "inbox", "outbox", "aggregate_keys", "aggregates",
    ):  # fmt: skip
        op.drop_table(table)
