"""The first tables."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    _messages()
    op.create_table(
        "attempts",
        Column("request_id", Text, primary_key=True),
        Column("n", Integer, primary_key=True),
        Column("at_ms", BigInteger, nullable=False),
        Column("sort", Text, nullable=False),
        Column("code", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("detail", Text, nullable=False),
    )
    op.create_table(
        "suppressions",
        Column("shop", Text, primary_key=True),
        Column("address_hash", Text, primary_key=True),
        Column("class", Text, primary_key=True),
        Column("since_ms", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("request_id", Text, nullable=False),
    )
    op.create_table(
        "outbox",
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("topic", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("headers", Text, nullable=False),
        Column("queued_at_ms", BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )


def _messages() -> None:
    op.create_table(
        "messages",
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
    )
    op.create_index("messages_due", "messages", ["state", "due_at_ms"])
    op.create_index("messages_order", "messages", ["shop", "order_id"])
