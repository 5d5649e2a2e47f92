"""A new master key finds what a person's key encrypts without reading everybody's documents."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    personal = sa.text("subject IS NOT NULL")
    op.create_index(
        "blobs_of", "blobs", ["shop", "subject"], postgresql_where=personal, sqlite_where=personal
    )  # fmt: skip


def downgrade() -> None:
    """Take it back."""
    op.drop_index("blobs_of", "blobs")
