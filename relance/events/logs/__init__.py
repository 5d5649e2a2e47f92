"""Logs of other systems and our own, read as CloudEvents in order of time."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec

from relance.events.bodies import ga4, segment
from relance.events.codec import EventError
from relance.events.logs import ecommerce_sessions, rees46
from relance.events.logs.lines import GZIP, PACKED, LineError, rows
from relance.kernel.errors import InputError
from relance.kernel.instants import parse_ms

__all__ = ["FORMATS", "read"]

SHOP: Final = "demo"

_Event = dict[str, Any]
_Numbered = Iterator[tuple[int, _Event]]  # line and event
_Reader = Callable[[Iterable[str]], _Numbered]


def read(path: Path, log_format: str, limit: int | None = None) -> Iterator[_Event]:
    """The events of a log, as CloudEvents in order of `time`, ties in order of lines; at most the first `limit`.

    The whole file is read before the first is given; with a limit, no more than so many are held. Raises InputError,
    with file and line, for what is not of the format.
    """
    if log_format not in FORMATS:
        raise InputError(f"{log_format!r} is no format of a log; there are {', '.join(FORMATS)}")
    timed = _timed(path, FORMATS[log_format])
    first = itemgetter(0)
    ordered = sorted(timed, key=first) if limit is None else heapq.nsmallest(limit, timed, key=first)
    return (event for _, event in ordered)


def _timed(path: Path, events_of: _Reader) -> _Numbered:
    """Time and event; all faults get the file's name."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, event in events_of(lines):
                yield _time_ms(number, event), event
    except LineError as error:
        raise InputError(f"{path}:{error.line}: {error.reason}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: {PACKED if _is_packed(path) else 'not UTF-8'}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _is_packed(path: Path) -> bool:
    if not path.is_file():  # a pipe gives its first bytes only once
        return False
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def _time_ms(number: int, event: _Event) -> int:
    try:
        return parse_ms(event["time"])
    except KeyError:
        raise LineError(number, "an event has no time") from None
    except (TypeError, ValueError):
        shown = repr(str(event["time"])[:100])
        raise LineError(number, f"{shown} is no RFC 3339 time with a zone, in the years 1 to 9999 of UTC") from None


def _json_lines(lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.isspace():
            try:
                yield number, msgspec.json.decode(line)
            except RecursionError:
                raise LineError(number, "is nested too deep") from None
            except msgspec.MsgspecError as error:
                raise LineError(number, str(error)) from None


def _cloudevents(lines: Iterable[str]) -> _Numbered:
    for number, value in _json_lines(lines):
        if not isinstance(value, dict):
            raise LineError(number, "must be a JSON object")
        yield number, value


def _bodies(
    to_events: Callable[[object, str, int | None], list[_Event]],
) -> _Reader:
    def events_of(lines: Iterable[str]) -> _Numbered:
        for number, body in _json_lines(lines):
            try:
                events = to_events(body, SHOP, None)
            except EventError as error:
                raise LineError(number, str(error)) from None
            for event in events:
                yield number, event

    return events_of


def _table(columns: Iterable[str], to_event: Callable[[int, dict[str, str], str], _Event]) -> _Reader:
    def events_of(lines: Iterable[str]) -> _Numbered:
        for number, row in rows(lines, columns):
            try:
                yield number, to_event(number, row, SHOP)
            except ValueError as error:
                raise LineError(number, str(error)) from None

    return events_of


FORMATS: Final = {
    "cloudevents": _cloudevents,
    "segment": _bodies(segment.to_events),
    "ga4": _bodies(ga4.to_events),
    "rees46": _table(rees46.COLUMNS, rees46.to_event),
    "ecommerce-sessions": _table(ecommerce_sessions.COLUMNS, ecommerce_sessions.to_event),
}
