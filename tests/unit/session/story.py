"""A few words to tell a shopper's story in: seconds since a fixed start, one record an event."""

from typing import Any
from uuid import UUID

from relance.rules.windows_file import load
from tests.properties.machine import BOTH
from tests.reference.events import Event, Item, ms_of
from tests.reference.model import Signal

__all__ = ["START_MS", "Story", "V", "W", "item", "seconds", "short"]

START_MS = 1_767_261_600_000  # 2026-01-01T10:00:00Z
V = UUID("00000000-0000-4000-8000-000000000001")
W = UUID("f0000000-0000-4000-8000-000000000002")


def item(price: int | None = 1000, quantity: int = 1) -> Item:
    return Item(quantity=quantity, price_minor=price)


class Story:
    """One partition with a default set of windows (YAML), from the start on."""

    def __init__(self, which: str, windows: str = "windows: []") -> None:
        self.machine = BOTH[which]()
        self.signals: list[Signal] = []
        self.count = 0
        self.version = 0
        if windows:
            self.define(0, windows)

    def define(self, at: float, windows: str | None, shop: str = "*", version: int | None = None) -> None:
        """A control record; `windows` None sends the shop back to the default."""
        self.version += 1
        definitions = None if windows is None else load(windows, "story.yaml")
        self.signals += self.machine.define(ms(at), shop, version or self.version, definitions)

    def event(self, kind: str, at: float, **fields: Any) -> Event:
        """An event that happened at `at`."""
        self.count += 1
        values: dict[str, Any] = {"id": f"e{self.count}", "shop": "demo", "visitor": V} | fields
        if "arrival" in values:
            values["arrival"] = ms(values["arrival"])
        values.setdefault("source", f"/shops/{values['shop']}")
        return Event(type=kind, time=ms(at), **values)

    def says(self, kind: str, at: float, append: float | None = None, **fields: Any) -> list[Signal]:
        """One event, in a record of its own, appended when it happened or at `append`; answers the new signals."""
        return self.record(at if append is None else append, self.event(kind, at, **fields))

    def record(self, append: float, *events: Event) -> list[Signal]:
        """One record with these events; answers the new signals."""
        found = self.machine.apply(events, ms(append))
        self.signals += found
        return found

    def wait(self, until: float) -> list[Signal]:
        """A tick; answers the new signals."""
        found = self.machine.advance(ms(until))
        self.signals += found
        return found

    def end(self) -> dict[str, Any]:
        """Waits for long; the `ended` signal."""
        return next(signal for signal in self.wait(10_000_000) if signal["kind"] == "ended")

    def told(self) -> list[tuple[str, str | None, float]]:
        """(kind, window, fired_at in seconds) of every signal so far."""
        return [short(signal) for signal in self.signals]


def ms(seconds: float) -> int:
    return START_MS + round(seconds * 1000)


def seconds(text: str) -> float:
    return (ms_of(text) - START_MS) / 1000


def short(signal: Signal) -> tuple[str, str | None, float]:
    return signal["kind"], signal["window"], seconds(signal["fired_at"])
