"""Aggregates on their way to the table: a transaction gathers them, and writes all of one manner at once."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import bindparam, text, update
from sqlalchemy.dialects import sqlite

from relance.database.links import Link
from relance.database.statements import Statement
from services.checkout.store.errors import Conflict
from services.checkout.store.schema import AGGREGATES

__all__ = ["Manner", "Row", "write"]

Manner = Literal["add", "exchange", "replace"]
COUNTED: Final = -1  # as version: one more than that of what is replaced

_A = AGGREGATES.c
_SAME: Final = "aggregates.kind = v.kind AND aggregates.shop = v.shop AND aggregates.id = v.id"
_VERSION: Final = "CASE WHEN excluded.version < 0 THEN aggregates.version + 1 ELSE excluded.version END"
_FIELDS: Final = "kind, shop, id, version, state, due_at_ms, body"
_BEGUN: Final = f"{_FIELDS}, created_at_ms"  # of what is new: no change moves it
_ARRAYS: Final = (
    "unnest(CAST(:kind AS text[]), CAST(:shop AS text[]), CAST(:id AS text[]), CAST(:version AS bigint[]), "
    "CAST(:state AS text[]), CAST(:due_at_ms AS bigint[]), CAST(:body AS text[])"
)
_FRESH: Final = f"{_ARRAYS}, CAST(:created_at_ms AS bigint[]))"
_TOGETHER: Final[dict[Manner, Statement]] = {
    "add": Statement(
        text(
            f"INSERT INTO aggregates ({_BEGUN}) SELECT * FROM {_FRESH} ON CONFLICT DO NOTHING"  # noqa: S608 - no values
        )
    ),
    "replace": Statement(
        text(
            f"INSERT INTO aggregates ({_BEGUN}) SELECT * FROM {_FRESH} ON CONFLICT (kind, shop, id) DO UPDATE SET "  # noqa: S608
            f"version = {_VERSION}, state = excluded.state, due_at_ms = excluded.due_at_ms, body = excluded.body"
        )
    ),
    "exchange": Statement(
        text(
            "UPDATE aggregates SET version = v.version, state = v.state, due_at_ms = v.due_at_ms, body = v.body "  # noqa: S608
            f"FROM {_ARRAYS}, CAST(:before AS bigint[])) AS v({_FIELDS}, before) "
            f"WHERE {_SAME} AND aggregates.version = v.before"
        )
    ),
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table, and the version that it replaces."""

    kind: str
    shop: str
    id: str
    version: int
    state: str
    due_at_ms: int | None
    body: str
    before: int
    created_at_ms: int

    @property
    def place(self) -> tuple[str, str, str]:
        """Which aggregate it is."""
        return self.kind, self.shop, self.id


async def write(link: Link, manner: Manner, rows: Sequence[Row]) -> None:
    """Write rows of different aggregates. Raises Conflict when another transaction was first with one of them."""
    ordered = sorted(rows, key=lambda row: row.place)  # in one order for all, so that none waits for another in a ring
    if link.dialect == "postgresql":
        _check(manner, ordered, await link.run(_TOGETHER[manner], _columns(manner, ordered)))
        return
    for row in ordered:
        _check(manner, [row], await link.run(_ONE[manner], _fields(manner, row)))


def _columns(manner: Manner, rows: Sequence[Row]) -> dict[str, list[Any]]:
    names = (*_FIELDS.split(", "), "before") if manner == "exchange" else _BEGUN.split(", ")
    return {name: [getattr(row, name) for row in rows] for name in names}


def _check(manner: Manner, rows: Sequence[Row], changed: int) -> None:
    if manner == "replace" or changed == len(rows):
        return
    names = ", ".join(f"{row.kind} {row.id}" for row in rows[:3])
    raise Conflict(f"{names}: " + ("there already" if manner == "add" else "changed meanwhile"), 0.0)


def _fields(manner: Manner, row: Row) -> dict[str, Any]:
    fields = {name: getattr(row, name) for name in _FIELDS.split(", ")}
    if manner != "exchange":
        return fields | {"created_at_ms": row.created_at_ms}
    return {f"new_{name}": value for name, value in fields.items()} | {"before": row.before}


def _add() -> Statement:
    row: dict[str, Any] = {name: bindparam(name) for name in _BEGUN.split(", ")}
    return Statement(sqlite.insert(AGGREGATES).values(row).on_conflict_do_nothing())


def _replace() -> Statement:
    statement = sqlite.insert(AGGREGATES).values({name: bindparam(name) for name in _BEGUN.split(", ")})
    fields: dict[str, Any] = {name: statement.excluded[name] for name in ("state", "due_at_ms", "body")}
    return Statement(
        statement.on_conflict_do_update(
            index_elements=["kind", "shop", "id"], set_=fields | {"version": text(_VERSION)}
        )
    )


def _exchange() -> Statement:
    return Statement(
        update(AGGREGATES)
        .where(_A.kind == bindparam("new_kind"), _A.shop == bindparam("new_shop"), _A.id == bindparam("new_id"))
        .where(_A.version == bindparam("before"))
        .values({name: bindparam(f"new_{name}") for name in ("version", "state", "due_at_ms", "body")})
    )


_ONE: Final[dict[Manner, Statement]] = {"add": _add(), "replace": _replace(), "exchange": _exchange()}
