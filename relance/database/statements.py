"""Statements that are written with SQLAlchemy, compiled once, and given to PostgreSQL's driver itself.

To run one through SQLAlchemy costs several times what the driver and the database need: greenlets, cursors, results.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Executable, Select, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

__all__ = ["Statement", "insertion"]

_DIALECT: Final = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


class Statement:
    """`made` is compiled at its first use; `postgresql` instead of it where the two databases want other words.

    `writes`: it changes rows or locks them, so it belongs into a transaction; to be said of what is text.
    """

    __slots__ = ("_names", "_other", "_text", "_values", "made", "writes")

    def __init__(
        self, made: Executable, postgresql: Executable | None = None, *, writes: bool | None = None
    ) -> None:  # fmt: skip
        self.made = made
        is_read = isinstance(made, Select) and made._for_update_arg is None  # noqa: SLF001 - no other way
        self.writes = not is_read if writes is None else writes
        self._other = made if postgresql is None else postgresql
        self._text = ""
        self._names: tuple[str, ...] = ()
        self._values: Mapping[str, Any] = {}

    def on_postgresql(self, given: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The text with `$1`, `$2` and so on, and what stands for them."""
        if not self._text:
            self._compile()
        values = self._values
        return self._text, [given[name] if name in given else values[name] for name in self._names]

    def _compile(self) -> None:
        compiled: Any = self._other.compile(dialect=_DIALECT)  # type: ignore[attr-defined] # each we make has it
        self._names = tuple(compiled.positiontup)
        self._values = dict(compiled.params)
        self._text = str(compiled)


def insertion(table: Table, *columns: str, unless_there: bool = False) -> Statement:
    """A row, whose values are given by the names of its columns. `unless_there`: one of the same key is left."""
    values: dict[str, Any] = {name: bindparam(name) for name in columns}
    ours, theirs = sqlite.insert(table).values(values), postgresql.insert(table).values(values)
    if unless_there:
        return Statement(ours.on_conflict_do_nothing(), theirs.on_conflict_do_nothing())
    return Statement(ours, theirs)
