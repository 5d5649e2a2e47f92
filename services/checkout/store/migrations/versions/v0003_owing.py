"""Worklists find what is owed without reading what is not."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    owing = sa.text("state = 'owing'")
    op.create_index(
        "aggregates_owing", "aggregates", ["kind", "shop", "id"], postgresql_where=owing, sqlite_where=owing
    )  # fmt: skip


def downgrade() -> None:
    """Take it back."""
    op.drop_index("aggregates_owing", "aggregates")
