"""What all parts of a transaction share: its connection, what is written at its end, how values become text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from relance.database.links import NOTHING, Link
from relance.database.statements import Statement
from relance.evidence.personal import Draw
from relance.kernel.errors import Defect
from services.checkout.store.keys import MasterKey
from services.checkout.store.together import together

__all__ = ["Part", "Surroundings", "kind_of", "read_body", "write_body"]

T = TypeVar("T", bound=msgspec.Struct)
_KINDS: dict[str, type[msgspec.Struct]] = {}
_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}
_ENCODER = msgspec.json.Encoder()


class Surroundings(msgspec.Struct, frozen=True):
    """What a transaction is given: the master key, the clock (milliseconds since 1970 UTC), randomness fit for keys.

    `settled`: values that seldom change, by kind, shop and id, with their versions; each is looked up nevertheless, and
    read anew when its version is another one.
    """

    master: MasterKey
    now_ms: Callable[[], int]
    draw: Draw
    settled: dict[tuple[str, str, str], tuple[int, Any]] = msgspec.field(default_factory=dict)


class Part:
    """One room of a transaction."""

    def __init__(self, link: Link, around: Surroundings) -> None:
        self._link = link
        self._around = around
        # On PostgreSQL what can wait is written by one statement at the end, by the parts of `together`.
        self._waiting: dict[str, list[dict[str, Any]]] = {}

    def _waits(self, part: str, row: dict[str, Any]) -> bool:
        """Whether this row is written at the end; else it is to be written now."""
        if self._link.dialect != "postgresql":
            return False
        self._waiting.setdefault(part, []).append(row)
        return True

    async def _write_waiting(self, *parts: str) -> None:
        """Write those of these parts now: they are about to be read."""
        if any(self._waiting.get(part) for part in parts):
            text, values = together({part: self._waiting.pop(part, []) for part in parts})
            await self._link.begin()
            await self._link.run_last(text, values)

    async def _rows(self, statement: Statement, given: Mapping[str, Any] = NOTHING) -> Sequence[Any]:
        return await self._link.rows(statement, given)

    async def _row(self, statement: Statement, given: Mapping[str, Any] = NOTHING) -> Any:
        """The first row, None when there is none."""
        return next(iter(await self._link.rows(statement, given)), None)

    async def _run(self, statement: Statement, given: Mapping[str, Any] = NOTHING) -> int:
        """How many rows were changed."""
        return await self._link.run(statement, given)


def kind_of(type_: type[msgspec.Struct]) -> str:
    """The name of a type in the tables. Raises Defect when two types would share one."""
    kind = type_.__name__.lower()
    if _KINDS.setdefault(kind, type_) is not type_:
        raise Defect(f"both {_KINDS[kind].__module__} and {type_.__module__} have a {type_.__name__} to store")
    return kind


def read_body(type_: type[T], body: str) -> T:
    """The value of its stored text."""
    decoder = _DECODERS.get(type_)
    if decoder is None:
        decoder = _DECODERS[type_] = msgspec.json.Decoder(type_)
    value: T = decoder.decode(body)
    return value


def write_body(value: msgspec.Struct) -> str:
    """The text to store of a value."""
    return _ENCODER.encode(value).decode()
