"""A log played again: all times moved by one constant, gaps divided by a speed, windows divided alike. Pure."""

from datetime import timedelta
from typing import Any, Final

import msgspec

from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms, parse_ms
from relance.rules.windows import Definitions, faults

__all__ = ["Retiming", "Rewriting", "scaled"]

_MS: Final = timedelta(milliseconds=1)
_DATA_TIMES: Final = ("expires_at", "stated_at")  # the instants that data may hold
_ARRIVAL: Final = ("senttime", "receivedtime", "arrivedtime")  # of the first time that it was sent: wrong now


class Retiming(msgspec.Struct, frozen=True):
    """`first_ms` becomes `start_ms`; what came later comes `speed` times as soon after it."""

    first_ms: int
    start_ms: int
    speed: float

    def at(self, time_ms: int) -> int:
        """The new time, ms since 1970."""
        return self.start_ms + round((time_ms - self.first_ms) / self.speed)


class Rewriting:
    """Events as they go into another shop at another time. Ids stay; a source stays apart from the others."""

    def __init__(self, shop: str, retiming: Retiming) -> None:
        self._shop = shop
        self._retiming = retiming
        self._home: str | None = None  # the shop of the first event

    def __call__(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """(new time in ms, new event); `event` has a `time`. What is wrong with it otherwise stays for tracking."""
        time_ms = self._retiming.at(parse_ms(event["time"]))
        moved = {name: value for name, value in event.items() if name not in _ARRIVAL}
        moved["source"] = self._source(event.get("source"))
        moved["time"] = format_ms(time_ms)
        data = event.get("data")
        if isinstance(data, dict) and any(name in data for name in _DATA_TIMES):
            moved["data"] = data | {name: self._moved(data[name]) for name in _DATA_TIMES if name in data}
        return time_ms, moved

    def _source(self, source: object) -> object:
        if not isinstance(source, str) or not source.startswith("/shops/"):
            return source
        old, slash, path = source.removeprefix("/shops/").partition("/")
        if self._home is None:
            self._home = old
        # Two shops of one log may use the same ids: they must not pass for duplicates of each other.
        return f"/shops/{self._shop}" + (f"/{old}" if old != self._home else "") + slash + path

    def _moved(self, value: object) -> object:
        try:
            return format_ms(self._retiming.at(parse_ms(value))) if isinstance(value, str) else value
        except (ValueError, OverflowError):  # no time, or far beyond the calendar once it is moved
            return value


def scaled(definitions: Definitions, speed: float) -> Definitions:
    """Windows' durations and the session gap divided by `speed`, to whole ms; grace and lateness stay: they are about
    the way of events, which is no faster. Raises InputError when a duration becomes too long.
    """

    def divided(duration: timedelta) -> timedelta:
        try:
            return max(round(duration / _MS / speed), 1 if duration else 0) * _MS
        except OverflowError:
            raise InputError(f"at speed {speed:g} a window becomes longer than ten years") from None

    changed = msgspec.structs.replace(
        definitions,
        session_gap=divided(definitions.session_gap),
        windows=tuple(
            msgspec.structs.replace(window, inactivity=divided(window.inactivity)) for window in definitions.windows
        ),
    )
    for fault in faults(changed):
        raise InputError(f"at speed {speed:g}: {fault.reason}")
    return changed
