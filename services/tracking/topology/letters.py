"""Dead letters of the raw topic, events in Kafka's binary mode, and the share of letters over the last minute."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from relance.events.codec import EventError
from relance.events.faults import Problem
from relance.kafka.records import Record

__all__ = ["Letter", "Share", "letter_of", "structured"]

Headers = Sequence[tuple[str, bytes | None]]
_REASON_BYTES_MAX: Final = 8_000
_HEADERS_BYTES: Final = 16_384  # room for headers below the largest message that Kafka takes
_FLAGS: Final = {"true": True, "false": False}


class Letter(msgspec.Struct, frozen=True):
    """One message of the dead-letter topic."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes | None]]


def letter_of(record: Record, problems: Sequence[Problem], bytes_max: int) -> Letter:
    """The original bytes and headers of a refused record, why it was refused, and where it stood.

    `bytes_max`: of a message of the dead-letter topic; a longer value is cut, and the headers say so.
    """
    value = record.value or b""
    reason = "; ".join(f"{problem.path or 'event'}: {problem.reason}" for problem in problems)
    headers: list[tuple[str, bytes | None]] = [
        ("reason", reason.encode(errors="replace")[:_REASON_BYTES_MAX]),
        ("topic", record.topic.encode()),
        ("partition", b"%d" % record.partition),
        ("offset", b"%d" % record.offset),
        ("append_ms", b"%d" % record.time_ms),
    ]
    if record.key is not None:
        headers.append(("key", record.key[:1_024]))
    original = record.headers
    if sum(len(name) + len(text or b"") for name, text in original) < _HEADERS_BYTES // 4:
        headers += [(name, text) for name, text in original if name.startswith("ce_") or name == "content-type"]
    if len(value) > bytes_max - _HEADERS_BYTES:
        headers.append(("cut_from_bytes", b"%d" % len(value)))
        value = value[: bytes_max - _HEADERS_BYTES]
    return Letter(f"{record.topic}/{record.partition}/{record.offset}".encode(), value, headers)


def structured(value: bytes | None, headers: Headers) -> bytes:
    """A record as one JSON object: as it is, or put together from the ``ce_*`` headers of binary mode.

    Raises EventError when the headers are no text or the value is no JSON.
    """
    if not any(name.startswith("ce_") for name, _ in headers):
        return value or b""
    event: dict[str, Any] = {}
    for name, text in headers:
        if name.startswith("ce_") and text is not None:
            try:
                event[name[3:]] = text.decode()
            except UnicodeDecodeError:
                raise EventError((Problem(name, "is not UTF-8"),)) from None
    if "returning" in event:
        event["returning"] = _FLAGS.get(event["returning"], event["returning"])
    event.pop("data", None)
    if value:
        try:
            msgspec.json.decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise EventError((Problem("data", str(error)),)) from None
        event["data"] = msgspec.Raw(value)
    return msgspec.json.encode(event)


class Share:
    """The share of refused records among those of the last `window_s` seconds, at least `least` of them."""

    def __init__(self, window_s: float, least: int, clock: Callable[[], float]) -> None:
        self._window_s = window_s
        self._least = least
        self._clock = clock
        self._counts: deque[tuple[float, int, int]] = deque()
        self._all = 0
        self._refused = 0

    def add(self, records: int, refused: int) -> float:
        """Count, and say the share; 0 while there are too few records to tell."""
        now_s = self._clock()
        self._counts.append((now_s, records, refused))
        self._all += records
        self._refused += refused
        while self._counts[0][0] < now_s - self._window_s:
            _, gone, gone_refused = self._counts.popleft()
            self._all -= gone
            self._refused -= gone_refused
        return self._refused / self._all if self._all >= self._least else 0.0
