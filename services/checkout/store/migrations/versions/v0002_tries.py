"""Tries are counted for all processes; uses of coupons are kept by person, and no row grows with a shop."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AGGREGATES = sa.table(
    "aggregates", Column("kind", Text), Column("shop", Text), Column("id", Text), Column("version", BigInteger),
    Column("state", Text), Column("due_at_ms", BigInteger), Column("body", Text),
)  # fmt: skip


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "tries",
        Column("who", Text, primary_key=True),
        Column("minute", BigInteger, primary_key=True),
        Column("times", Integer, nullable=False),
    )
    op.create_index("tries_minute", "tries", ["minute"])
    _split_uses()


def downgrade() -> None:
    """Take it back: uses by person stay, where the step before does not look."""
    op.drop_table("tries")


def _split_uses() -> None:
    """One document of all orders with a code becomes a count and a row for each person."""
    connection = op.get_bind()
    found = connection.execute(sa.select(AGGREGATES).where(AGGREGATES.c.kind == "uses")).all()
    for row in found:
        body: dict[str, Any] = json.loads(row.body)
        by_order: dict[str, str] = body.pop("by_order", {})
        version = row.version + 1
        kept = {"code": row.id, "taken": len(by_order), "version": version}
        same = (AGGREGATES.c.kind == "uses", AGGREGATES.c.shop == row.shop, AGGREGATES.c.id == row.id)
        connection.execute(sa.update(AGGREGATES).where(*same).values(version=version, body=json.dumps(kept)))
        by_person: dict[str, list[str]] = {}
        for order, person in by_order.items():
            by_person.setdefault(person, []).append(order)
        for person, orders in by_person.items():
            id_ = f"{row.id}/{person}"
            own = {"id": id_, "orders": orders, "version": 1}
            values = {
                "kind": "ownuses", "shop": row.shop, "id": id_, "version": 1, "state": "", "due_at_ms": None,
                "body": json.dumps(own),
            }  # fmt: skip
            connection.execute(sa.insert(AGGREGATES).values(**values))
