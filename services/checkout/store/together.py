"""All that a transaction writes on PostgreSQL as one statement: one way to the database, and no BEGIN and COMMIT.

Each part takes its rows as one array a column. When a part that must touch all its rows has not, another transaction
was first: the statement divides by zero, which undoes all of it.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

__all__ = ["PARTS", "together"]

_AGGREGATE: Final = "kind text, shop text, id text, version bigint, state text, due_at_ms bigint, body text"
_BEGUN: Final = f"{_AGGREGATE}, created_at_ms bigint"  # of what is new: no change moves it
_NAMES: Final = ", ".join(column.split()[0] for column in _BEGUN.split(", "))
_SAME: Final = "aggregates.kind = v.kind AND aggregates.shop = v.shop AND aggregates.id = v.id"
_VERSION: Final = "CASE WHEN excluded.version < 0 THEN aggregates.version + 1 ELSE excluded.version END"


class _Part(NamedTuple):
    """`words` with `{given}` for the rows; `exact`: all of them must be touched."""

    words: str
    columns: tuple[tuple[str, str], ...]
    exact: bool


def _part(words: str, columns: str, *, exact: bool) -> _Part:
    return _Part(words, tuple((name, kind) for name, kind in (one.split() for one in columns.split(", "))), exact)


def _insert(table: str, columns: str, *, exact: bool, in_order: bool = False) -> _Part:
    names = ", ".join(one.split()[0] for one in columns.split(", "))
    order = " ORDER BY place" if in_order else ""
    tail = "" if in_order else " ON CONFLICT DO NOTHING"
    words = f"INSERT INTO {table} ({names}) SELECT {names} FROM {{given}}{order}{tail}"  # noqa: S608 - no values
    return _part(words, columns, exact=exact)


PARTS: Final[Mapping[str, _Part]] = {
    "add": _insert("aggregates", _BEGUN, exact=True),
    "replace": _part(
        f"INSERT INTO aggregates ({_NAMES}) SELECT {_NAMES} FROM {{given}} ON CONFLICT (kind, shop, id) "  # noqa: S608
        f"DO UPDATE SET version = {_VERSION}, state = excluded.state, due_at_ms = excluded.due_at_ms, "
        "body = excluded.body",
        _BEGUN, exact=False,
    ),
    "exchange": _part(
        "UPDATE aggregates SET version = v.version, state = v.state, due_at_ms = v.due_at_ms, body = v.body "  # noqa: S608
        f"FROM {{given}} WHERE {_SAME} AND aggregates.version = v.before",
        f"{_AGGREGATE}, before bigint", exact=True,
    ),
    "messages": _insert(
        "outbox", "topic text, key text, value bytea, message_id text, queued_at_ms bigint, error text",
        exact=False, in_order=True,
    ),
    "effects": _insert(
        "effects",
        "shop text, order_id text, kind text, ref text, due_at_ms bigint, attempts integer, error text",
        exact=False, in_order=True,
    ),
    "done": _part("DELETE FROM effects USING {given} WHERE effects.id = v.id", "id bigint", exact=False),
    "undone": _part(
        "DELETE FROM effects USING {given} WHERE effects.due_at_ms = v.due_at_ms AND effects.shop = v.shop "
        "AND effects.order_id = v.order_id AND effects.kind = v.kind AND effects.ref = v.ref",
        "shop text, order_id text, kind text, ref text, due_at_ms bigint", exact=False,
    ),
    "persons": _insert("persons", "shop text, subject text, wrapped text", exact=True),
    "blobs": _insert(
        "blobs",
        "shop text, hash text, media_type text, data bytea, subject text, bound_to text, lookup text, document text",
        exact=False,
    ),
    "tokens": _insert(
        "tokens", "hash text, purpose text, shop text, subject text, data text, expires_at_ms bigint", exact=True
    ),
    "answers": _insert(
        "answers", "shop text, method text, key text, fingerprint text, body bytea, kept_at_ms bigint", exact=True
    ),
    "begun": _insert(
        "evidence_chains",
        "shop text, chain text, sealed bigint, length bigint, head text, order_id text, number bigint", exact=True,
    ),
    "grown": _part(
        "UPDATE evidence_chains SET length = v.length, head = v.head, "
        "order_id = coalesce(v.order_id, evidence_chains.order_id), "
        "number = coalesce(v.number, evidence_chains.number) FROM {given} "
        "WHERE evidence_chains.shop = v.shop AND evidence_chains.chain = v.chain "
        "AND evidence_chains.length = v.before",
        "shop text, chain text, length bigint, head text, order_id text, number bigint, before bigint", exact=True,
    ),
    "entries": _part(
        "INSERT INTO evidence_entries (shop, chain, seq, data) SELECT shop, chain, seq, data FROM {given}",
        "shop text, chain text, seq bigint, data bytea", exact=False,
    ),
}  # fmt: skip


def together(writes: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[str, list[Any]]:
    """The statement for the rows of each part, and its values."""
    names = tuple(name for name in PARTS if writes.get(name))
    values: list[Any] = []
    for name in names:
        rows = writes[name]
        values += [[row[column] for row in rows] for column, _ in PARTS[name].columns]
    return _text(names), values + [len(writes[name]) for name in names if PARTS[name].exact]


@lru_cache(512)
def _text(names: tuple[str, ...]) -> str:
    number, parts = 0, []
    for name in names:
        part = PARTS[name]
        arrays = []
        for _, kind in part.columns:
            number += 1
            arrays.append(f"${number}::{kind}[]")
        columns = ", ".join(column for column, _ in part.columns)
        given = f"unnest({', '.join(arrays)}) WITH ORDINALITY AS v({columns}, place)"
        parts.append(f"w_{name} AS ({part.words.format(given=given)} RETURNING 1)")
    checks = []
    for name in names:
        if PARTS[name].exact:
            number += 1
            checks.append(f"(SELECT count(*) FROM w_{name}) = ${number}::bigint")  # noqa: S608
    verdict = f"1 / (CASE WHEN {' AND '.join(checks)} THEN 1 ELSE 0 END)" if checks else "1"
    return f"WITH {', '.join(parts)} SELECT {verdict}"
