"""The funnel reads the checkouts of a time, and not all that there ever were."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FILL = {
    "postgresql": (
        "UPDATE aggregates SET created_at_ms = (extract(epoch FROM "
        'CAST(substring(body FROM \'"started_at":"([^"]+)"\') AS timestamptz)) * 1000)::bigint '
        "WHERE kind = 'checkout' AND strpos(body, '\"started_at\":\"') > 0"
    ),
    "sqlite": (
        "UPDATE aggregates SET created_at_ms = 1000 * CAST(strftime('%s', "
        'substr(body, instr(body, \'"started_at":"\') + 14, 19)) AS INTEGER) '
        "WHERE kind = 'checkout' AND instr(body, '\"started_at\":\"') > 0"
    ),
}  # as msgspec writes an instant: UTC, whose text in a name would be escaped


def upgrade() -> None:
    """Take the step."""
    op.add_column("aggregates", sa.Column("created_at_ms", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.get_bind().exec_driver_sql(_FILL[op.get_bind().dialect.name])
    of = sa.text("kind = 'checkout'")
    op.create_index(
        "aggregates_begun", "aggregates", ["shop", "created_at_ms", "id"], postgresql_where=of, sqlite_where=of
    )  # fmt: skip


def downgrade() -> None:
    """Take it back."""
    op.drop_index("aggregates_begun", "aggregates")
    op.drop_column("aggregates", "created_at_ms")
