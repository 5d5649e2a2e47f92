"""Orders of a release before aftercare was kept are looked after too: what they owe, by when, and under which number.

Nothing would happen to them by itself otherwise, until somebody acts on them. Orders that have ended owe nothing new.
The look is marked, `before`: what was before it is the shop's own.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LOOK = (
    "INSERT INTO effects (shop, order_id, kind, ref, due_at_ms, attempts, error) "
    "SELECT o.shop, o.id, 'look_after', 'before', 0, 0, '' FROM aggregates AS o "
    "WHERE o.kind = 'order' AND o.state IN ('confirmed', 'preparing', 'shipped', 'delivered', 'closed') "
    "AND NOT EXISTS ("
    "SELECT 1 FROM aggregates AS a WHERE a.kind = 'aftercare' AND a.shop = o.shop AND a.id = o.id)"
)


def upgrade() -> None:
    """Take the step."""
    op.get_bind().exec_driver_sql(_LOOK)


def downgrade() -> None:
    """Take it back: what was looked after stays so."""
