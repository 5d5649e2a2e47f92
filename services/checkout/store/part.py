"""What all parts of a transaction share: its connection, what is written at its end, how values become text."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from sqlalchemy import CursorResult, Executable, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from relance.evidence.personal import Draw
from relance.kernel.errors import Defect
from services.checkout.store.keys import MasterKey

__all__ = ["Part", "Surroundings", "kind_of", "read_body", "write_body"]

T = TypeVar("T", bound=msgspec.Struct)
_KINDS: dict[str, type[msgspec.Struct]] = {}
_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}
_ENCODER = msgspec.json.Encoder()


class Surroundings(msgspec.Struct, frozen=True):
    """What a transaction is given: the master key, the clock (milliseconds since 1970 UTC), randomness fit for keys."""

    master: MasterKey
    now_ms: Callable[[], int]
    draw: Draw


class Part:
    """One room of a transaction."""

    def __init__(self, connection: AsyncConnection, around: Surroundings) -> None:
        self._connection = connection
        self._around = around

    async def _execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return await self._connection.execute(statement, parameters)

    def _insert(self, table: Table) -> Any:
        """An INSERT that knows `on_conflict_…` in this database's dialect."""
        return (postgresql if self._connection.dialect.name == "postgresql" else sqlite).insert(table)


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
