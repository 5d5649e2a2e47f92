"""Aggregates: a value of each machine by kind, shop and id, replaced only over the version that was read."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from sqlalchemy import ARRAY, BigInteger, Text, any_, bindparam, delete, func, select, text, tuple_, update

from relance.database.statements import Statement, insertion
from relance.kernel.errors import Defect
from relance.kernel.instants import to_ms
from services.checkout.store.part import Part, kind_of, read_body, write_body
from services.checkout.store.schema import AGGREGATES, KEYS
from services.checkout.store.writing import COUNTED, Manner, Row, write

__all__ = ["ANY", "Aggregates", "Wanted"]

ANY: Final = -1  # as `before`: whatever is there is replaced

T = TypeVar("T", bound=msgspec.Struct)
_A = AGGREGATES.c

_IS: Final = (_A.kind == bindparam("of_kind"), _A.shop == bindparam("of_shop"), _A.id == bindparam("of_id"))
_OF: Final = select(_A.id, _A.body).where(_A.kind == bindparam("of_kind"))
_IN: Final = _OF.where(_A.shop == bindparam("of_shop")).order_by(_A.id)
_BY_ID: Final = select(_A.id, _A.body).where(*_IS)
_BY_IDS: Final = _IN.where(_A.id.in_(bindparam("ids", expanding=True)))
_ANY_ID: Final = _IN.where(_A.id == any_(bindparam("ids", type_=ARRAY(Text))))
_ONE: Final = {False: Statement(_BY_ID), True: Statement(_BY_ID.with_for_update())}  # SQLite has one writer
_SOME: Final = {
    False: Statement(_BY_IDS, _ANY_ID),
    True: Statement(_BY_IDS.with_for_update(), _ANY_ID.with_for_update()),
}
_PAGE: Final = _IN.where(_A.id > bindparam("after")).limit(bindparam("most"))
_ALL: Final = {False: Statement(_PAGE), True: Statement(_PAGE.where(_A.state == bindparam("of_state")))}
_OWING: Final = Statement(_PAGE.where(_A.state == text("'owing'")))  # as its index says it
_FIND: Final = (
    select(_A.shop, _A.body)
    .join(KEYS, (KEYS.c.kind == _A.kind) & (KEYS.c.shop == _A.shop) & (KEYS.c.id == _A.id))
    .where(
        KEYS.c.kind == bindparam("of_kind"), KEYS.c.name == bindparam("of_name"), KEYS.c.value == bindparam("of_value")
    )
    .order_by(_A.shop, _A.id)
)  # fmt: skip
_FOUND: Final = {False: Statement(_FIND), True: Statement(_FIND.where(KEYS.c.shop == bindparam("of_shop")))}
_FOUND_PAGE: Final = Statement(
    select(_A.id, _A.body)
    .join(KEYS, (KEYS.c.kind == _A.kind) & (KEYS.c.shop == _A.shop) & (KEYS.c.id == _A.id))
    .where(
        KEYS.c.kind == bindparam("of_kind"), KEYS.c.name == bindparam("of_name"),
        KEYS.c.value == bindparam("of_value"), KEYS.c.shop == bindparam("of_shop"), KEYS.c.id > bindparam("after"),
    )
    .order_by(KEYS.c.id)
    .limit(bindparam("most"))
)  # fmt: skip
_DUE: Final = Statement(
    select(_A.shop, _A.id, _A.body)
    .where(_A.kind == bindparam("of_kind"), _A.due_at_ms.is_not(None), _A.due_at_ms <= bindparam("until_ms"))
    .order_by(_A.due_at_ms)
    .limit(bindparam("most"))
)
_WAITING: Final = Statement(
    select(func.count()).where(
        _A.kind == bindparam("of_kind"), _A.due_at_ms.is_not(None), _A.due_at_ms <= bindparam("until_ms")
    )
)
_AHEAD: Final = Statement(
    select(_A.due_at_ms, _A.shop, _A.id)
    .where(_A.kind == bindparam("of_kind"), _A.due_at_ms.is_not(None), _A.due_at_ms <= bindparam("until_ms"))
    .where(
        tuple_(_A.due_at_ms, _A.shop, _A.id)
        > tuple_(
            bindparam("after_ms", type_=BigInteger), bindparam("of_shop", type_=Text), bindparam("after", type_=Text)
        )
    )
    .order_by(_A.due_at_ms, _A.shop, _A.id)
    .limit(bindparam("most"))
)
_BEGUN: Final = Statement(
    select(_A.id, _A.created_at_ms, _A.body)
    .where(_A.kind == text("'checkout'"), _A.shop == bindparam("of_shop"))  # as its index says it
    .where(
        tuple_(_A.created_at_ms, _A.id)
        > tuple_(bindparam("after_ms", type_=BigInteger), bindparam("after", type_=Text))
    )
    .where(_A.created_at_ms < bindparam("until_ms"))
    .order_by(_A.created_at_ms, _A.id)
    .limit(bindparam("most"))
)
_PUT_OFF: Final = Statement(
    update(AGGREGATES).where(*_IS, _A.due_at_ms < bindparam("until_ms")).values(due_at_ms=bindparam("until_ms"))
)
_REMOVE: Final = Statement(delete(AGGREGATES).where(*_IS))
_UNNAME: Final = Statement(
    delete(KEYS).where(
        KEYS.c.kind == bindparam("of_kind"), KEYS.c.shop == bindparam("of_shop"), KEYS.c.id == bindparam("of_id")
    )
)
_NAME: Final = insertion(KEYS, "kind", "shop", "id", "name", "value")


_SEVERAL: Final = Statement(
    text(
        "SELECT w.part, w.id, a.version, a.body FROM unnest(CAST(:part AS bigint[]), CAST(:kind AS text[]), "
        "CAST(:shop AS text[]), CAST(:id AS text[]), CAST(:known AS bigint[])) AS w(part, kind, shop, id, known) "
        "CROSS JOIN LATERAL (SELECT version, CASE WHEN version = w.known THEN NULL ELSE body END AS body "
        "FROM aggregates WHERE kind = w.kind AND shop = w.shop AND id = w.id LIMIT 1) AS a"
    ),
    writes=False,
)
_SETTLED_MAX: Final = 20_000
_UNKNOWN: Final[tuple[int | None, Any]] = (None, None)


class Wanted(NamedTuple):
    """Values to be read with others. `settled`: they seldom change, and are kept in the process by their versions; they
    are never removed.
    """

    type: type[msgspec.Struct]
    shop: str
    ids: Sequence[str]
    settled: bool = False


def _at(kind: str, shop: str, id_: str) -> dict[str, Any]:
    return {"of_kind": kind, "of_shop": shop, "of_id": id_}


class Aggregates(Part):
    """The room of aggregates in a transaction. What was put is written before anything is read, or at the end."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._changed: dict[Manner, list[Row]] = {"add": [], "exchange": [], "replace": []}

    async def get(self, type_: type[T], shop: str, id_: str, *, lock: bool = False) -> T | None:
        """The value, None when there is none. `lock`: no other transaction changes it before this one ends."""
        await self._write_rows_of(type_)
        row = await self._row(_ONE[lock], _at(kind_of(type_), shop, id_))
        return None if row is None else read_body(type_, row.body)

    async def some(self, type_: type[msgspec.Struct], as_: type[T], shop: str, ids: Sequence[str]) -> list[T]:
        """Values of a type by their ids, of which `as_` names the fields that matter."""
        if not ids:
            return []
        await self._write_rows_of(type_)
        of = {"of_kind": kind_of(type_), "of_shop": shop, "ids": sorted(set(ids))}
        return [read_body(as_, row.body) for row in await self._rows(_SOME[False], of)]

    async def many(self, type_: type[T], shop: str, ids: Sequence[str], *, lock: bool = False) -> dict[str, T]:
        """The values by id, without those that are not there. Locked in the order of their ids, so that two
        transactions never wait for each other.
        """
        if not ids:
            return {}
        await self._write_rows_of(type_)
        of = {"of_kind": kind_of(type_), "of_shop": shop, "ids": sorted(set(ids))}
        rows = await self._rows(_SOME[lock], of)
        return {row.id: read_body(type_, row.body) for row in rows}

    async def several(self, *wanted: Wanted) -> list[dict[str, Any]]:
        """As `many`, of several types at once: by one statement on PostgreSQL. Nothing is locked."""
        if self._link.dialect != "postgresql":
            return [await self.many(one.type, one.shop, one.ids) for one in wanted]
        for one in wanted:
            await self._write_rows_of(one.type)
        places = [
            (part, kind_of(one.type), one.shop, id_)
            for part, one in enumerate(wanted)
            for id_ in sorted(set(one.ids))
        ]  # fmt: skip
        found: list[dict[str, Any]] = [{} for _ in wanted]
        if not places:
            return found
        known = [self._around.settled.get(place[1:], _UNKNOWN) if wanted[place[0]].settled else _UNKNOWN
                 for place in places]  # fmt: skip
        part, kind, shop, id_ = zip(*places, strict=True)
        of = {"part": part, "kind": kind, "shop": shop, "id": id_, "known": [version for version, _ in known]}
        kept = {place: value for place, (_, value) in zip(places, known, strict=True)}
        for row in await self._rows(_SEVERAL, of):
            one = wanted[row.part]
            value = kept[row.part, kind_of(one.type), one.shop, row.id]
            if row.body is not None:
                value = read_body(one.type, row.body)
                if one.settled:
                    self._settle((kind_of(one.type), one.shop, row.id), row.version, value)
            found[row.part][row.id] = value
        return found

    def _settle(self, place: tuple[str, str, str], version: int, value: Any) -> None:
        settled = self._around.settled
        if len(settled) >= _SETTLED_MAX:
            settled.clear()
        settled[place] = version, value

    async def all(
        self, type_: type[T], shop: str, *, state: str | None = None, after: str = "", limit: int = 1_000
    ) -> dict[str, T]:
        """A shop's values by id, in the order of ids from the one after `after`."""
        await self._write_rows_of(type_)
        of = {"of_kind": kind_of(type_), "of_shop": shop, "after": after, "most": limit, "of_state": state}
        rows = await self._rows(_OWING if state == "owing" else _ALL[state is not None], of)
        return {row.id: read_body(type_, row.body) for row in rows}

    async def legible(
        self, type_: type[T], shop: str, *, state: str | None = None, after: str = "", limit: int = 1_000
    ) -> tuple[dict[str, T], tuple[str, ...]]:  # fmt: skip
        """As `all`, and the ids of those that cannot be read: one of them keeps no other from being listed."""
        await self._write_rows_of(type_)
        of = {"of_kind": kind_of(type_), "of_shop": shop, "after": after, "most": limit, "of_state": state}
        return _legible(type_, await self._rows(_OWING if state == "owing" else _ALL[state is not None], of))

    async def legible_page(
        self,
        type_: type[T],
        shop: str,
        *,
        state: str | None = None,
        key: tuple[str, str] | None = None,
        after: str = "",
        limit: int,
    ) -> tuple[dict[str, T], tuple[str, ...]]:
        """A shop's values by id, from the one after `after`, of a state or put with a key (name, value); and the ids
        of those between them that cannot be read. Fewer than `limit` values are the last.
        """
        await self._write_rows_of(type_)
        statement = _OWING if state == "owing" else _ALL[state is not None]
        of: dict[str, Any] = {"of_kind": kind_of(type_), "of_shop": shop, "of_state": state}
        if key is not None:
            statement, of = _FOUND_PAGE, of | {"of_name": key[0], "of_value": key[1]}
        found: dict[str, T] = {}
        lost: list[str] = []
        while (most := limit - len(found)) > 0:
            rows = await self._rows(statement, of | {"after": after, "most": most})
            some, illegible = _legible(type_, rows)
            found |= some
            lost += illegible
            if len(rows) < most:
                break
            after = rows[-1].id
        return found, tuple(lost)

    async def legible_of(
        self, type_: type[T], shop: str, ids: Sequence[str]
    ) -> tuple[dict[str, T], tuple[str, ...]]:  # fmt: skip
        """As `many`, and the ids of those that cannot be read."""
        await self._write_rows_of(type_)
        of = {"of_kind": kind_of(type_), "of_shop": shop, "ids": sorted(set(ids))}
        return _legible(type_, await self._rows(_SOME[False], of)) if ids else ({}, ())

    async def find(self, type_: type[T], name: str, value: str, shop: str | None = None) -> list[tuple[str, T]]:
        """(shop, value) of those put with the key `name` = `value`; in all shops when none is given."""
        await self._write_rows_of(type_)
        of = {"of_kind": kind_of(type_), "of_name": name, "of_value": value}
        known = shop is not None
        rows = await self._rows(_FOUND[known], of | ({"of_shop": shop} if known else {}))
        return [(row.shop, read_body(type_, row.body)) for row in rows]

    async def put(  # noqa: PLR0913 - a column each
        self,
        shop: str,
        id_: str,
        value: msgspec.Struct,
        *,
        before: int | None,
        state: str = "",
        due_at: datetime | None = None,
        keys: Collection[tuple[str, str]] | None = None,
    ) -> None:
        """Store a value over version `before` of it: None when it is new, ANY for whatever is there.

        The version stored is `value.version`, which must be a later one; without that field versions are counted here.
        `keys` are (name, value) to `find` it by; None leaves those it has. Another that was first is a Conflict, raised
        at the end of the transaction at the latest.
        """
        kind = kind_of(type(value))
        version = _version(value, before)
        row = Row(
            kind=kind, shop=shop, id=id_, version=version, state=state,
            due_at_ms=None if due_at is None else to_ms(due_at), body=write_body(value), before=before or 0,
            created_at_ms=self._around.now_ms(),
        )  # fmt: skip
        if any(row.place == other.place for rows in self._changed.values() for other in rows):
            await self._write_rows()
        self._changed["add" if before is None else "replace" if before == ANY else "exchange"].append(row)
        if keys is not None:
            await self._name(kind, shop, id_, keys)

    async def remove(self, type_: type[msgspec.Struct], shop: str, id_: str) -> None:
        """Delete a value and its other names; nothing happens when it is not there."""
        await self._write_rows_of(type_)
        kind = kind_of(type_)
        await self._run(_REMOVE, _at(kind, shop, id_))
        await self._name(kind, shop, id_, ())

    async def due(self, type_: type[T], until: datetime, limit: int) -> list[tuple[str, T]]:
        """(shop, value) of those whose time has come by `until`, the oldest first. Not locked: get each again."""
        await self._write_rows_of(type_)
        rows = await self._rows(_DUE, {"of_kind": kind_of(type_), "until_ms": to_ms(until), "most": limit})
        return [(row.shop, read_body(type_, row.body)) for row in rows]

    async def due_names(self, type_: type[msgspec.Struct], until: datetime, limit: int) -> list[tuple[str, str]]:
        """(shop, id) of what `due` finds, also of what cannot be read."""
        rows = await self._rows(_DUE, {"of_kind": kind_of(type_), "until_ms": to_ms(until), "most": limit})
        return [(row.shop, row.id) for row in rows]

    async def due_count(self, type_: type[msgspec.Struct], until: datetime) -> int:
        """How many `due` would find without a limit."""
        row = await self._row(_WAITING, {"of_kind": kind_of(type_), "until_ms": to_ms(until)})
        return int(row[0])

    async def ahead(
        self, type_: type[msgspec.Struct], until: datetime, after: tuple[int, str, str], limit: int
    ) -> list[tuple[int, str, str]]:
        """(milliseconds, shop, id) of those whose time comes by `until`, in its order, after the place `after`."""
        of = {
            "of_kind": kind_of(type_), "until_ms": to_ms(until), "after_ms": after[0], "of_shop": after[1],
            "after": after[2], "most": limit,
        }  # fmt: skip
        return [(row.due_at_ms, row.shop, row.id) for row in await self._rows(_AHEAD, of)]

    async def begun(
        self, as_: type[T], shop: str, until: datetime, after: tuple[int, str], limit: int
    ) -> list[tuple[tuple[int, str], T]]:
        """(place, value) of a shop's checkouts that were stored first after the place `after` and before `until`, the
        oldest first, of which `as_` names the fields that matter. A place is milliseconds since 1970 UTC, and the id.
        """
        of = {"of_shop": shop, "after_ms": after[0], "after": after[1], "until_ms": to_ms(until), "most": limit}
        rows = await self._rows(_BEGUN, of)
        return [((row.created_at_ms, row.id), read_body(as_, row.body)) for row in rows]

    async def put_off(self, type_: type[msgspec.Struct], shop: str, id_: str, until: datetime) -> None:
        """Have a value's time come no sooner than `until`; nothing else of it changes."""
        await self._write_rows_of(type_)
        await self._run(_PUT_OFF, _at(kind_of(type_), shop, id_) | {"until_ms": to_ms(until)})

    async def _write_rows_of(self, type_: type[msgspec.Struct]) -> None:
        kind = kind_of(type_)
        if any(row.kind == kind for rows in self._changed.values() for row in rows):
            await self._write_rows()

    async def _write_rows(self) -> None:
        for manner, rows in self._changed.items():
            if rows:
                self._changed[manner] = []
                await write(self._link, manner, rows)

    async def _name(self, kind: str, shop: str, id_: str, keys: Collection[tuple[str, str]]) -> None:
        await self._run(_UNNAME, _at(kind, shop, id_))
        if keys:
            row = {"kind": kind, "shop": shop, "id": id_}
            named = [row | {"name": name, "value": value} for name, value in sorted(set(keys))]
            await self._link.run_many(_NAME, named)


def _legible(type_: type[T], rows: Sequence[Any]) -> tuple[dict[str, T], tuple[str, ...]]:
    found: dict[str, T] = {}
    lost: list[str] = []
    for row in rows:
        try:
            found[row.id] = read_body(type_, row.body)
        except msgspec.DecodeError:
            lost.append(row.id)
    return found, tuple(lost)


def _version(value: msgspec.Struct, before: int | None) -> int:
    version = getattr(value, "version", None)
    if version is None:
        return COUNTED if before == ANY else 0 if before is None else before + 1
    if before not in {None, ANY} and version <= before:
        raise Defect(f"{type(value).__name__} of version {version} would be stored over version {before}")
    return int(version)
