"""The engine behind the plain model's interface, so that every case and property runs against both."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from relance.rules.windows import Definitions
from services.session.domain.engine import Engine
from tests.reference.columns import batch_of
from tests.reference.events import Event
from tests.reference.model import Control, Events, Model, Record, Signal, Tick

__all__ = ["BOTH", "EngineMachine", "Machine", "plain", "play"]


class Machine(Protocol):
    """A partition's state: what the model and the engine have in common."""

    def advance(self, append_ms: int) -> list[Signal]: ...

    def apply(self, events: Iterable[Event], append_ms: int) -> list[Signal]: ...

    def define(self, append_ms: int, shop: str, version: int, definitions: Definitions | None) -> list[Signal]: ...


def plain(signals: Any) -> list[Signal]:
    """The JSON objects of the engine's signals."""
    found: list[Signal] = msgspec.to_builtins(signals.to_signals())
    return [{name: list(v) if isinstance(v, tuple) else v for name, v in signal.items()} for signal in found]


class EngineMachine:
    """The production engine."""

    def __init__(self) -> None:
        self.engine = Engine()

    def advance(self, append_ms: int) -> list[Signal]:
        return plain(self.engine.advance(append_ms))

    def apply(self, events: Iterable[Event], append_ms: int) -> list[Signal]:
        return plain(self.engine.apply(batch_of(list(events)), append_ms))

    def define(self, append_ms: int, shop: str, version: int, definitions: Definitions | None) -> list[Signal]:
        return plain(self.engine.define(append_ms, shop, version, definitions))


def play(machine: Machine, records: Iterable[Record]) -> list[Signal]:
    """All signals of the records, in order."""
    signals: list[Signal] = []
    for record in records:
        match record:
            case Events(append_ms, events):
                signals += machine.apply(events, append_ms)
            case Tick(append_ms):
                signals += machine.advance(append_ms)
            case Control(append_ms, shop, version, definitions):
                signals += machine.define(append_ms, shop, version, definitions)
    return signals


BOTH: dict[str, Callable[[], Machine]] = {"model": Model, "engine": EngineMachine}
