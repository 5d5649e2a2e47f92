"""Events sent when their time has come: over HTTP, in order, held back when the service says so."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import httpx
import msgspec

from relance.kernel.errors import InputError, NotNow

__all__ = ["Answer", "Pace", "Poster", "Rejected", "now_ms", "play"]

_AT_ONCE: Final = 500
_BODY_BYTES: Final = 524_288
_TIMEOUT_S: Final = 30.0
_PAUSE_S: Final = 0.02  # between looks at the clock: events that come closer together travel together


class Rejected(msgspec.Struct, frozen=True):
    """An event that tracking refused: its place in what was posted, its id, and why."""

    index: int
    id: str | None
    reason: str


class Answer(msgspec.Struct, frozen=True):
    """What became of the events of one request."""

    accepted: int
    rejected: tuple[Rejected, ...] = ()


class Pace(msgspec.Struct):
    """How a stream of events went out. `behind_ms`: the most that an event was sent after its time."""

    sent: int = 0
    behind_ms: int = 0


class Poster:
    """Posts events with a secret key. Waits as told by 429 and 503, and for a service that is away, up to `patience_s`.

    One thread at a time. `stop` ends waiting at once.
    """

    def __init__(self, url: str, key: str, *, patience_s: float = 60.0, stop: threading.Event | None = None) -> None:
        self.url = url.rstrip("/")
        self.held_back = 0  # how often it was told to wait
        self._patience_s = patience_s
        self._stop = stop or threading.Event()
        headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def post(self, events: Sequence[bytes]) -> Answer:
        """Returns once Kafka has all events that were not rejected. A request that was not answered is sent again: the
        duplicate filter drops what came twice. Raises InputError (the key, the request), NotNow (patience is over).
        """
        body = b"[" + b",".join(events) + b"]"
        end_s = time.monotonic() + self._patience_s
        while True:
            try:
                answer = self._client.post("/v1/events", content=body)
            except httpx.TransportError as error:
                wait_s, reason = 1.0, f"does not answer: {str(error) or type(error).__name__}"
            else:
                if answer.status_code in {202, 207, 422}:
                    return _read(answer.json(), len(events))
                reason = f"says {answer.status_code}: {_detail(answer)}"
                if answer.status_code not in {429, 503}:
                    raise InputError(f"{self.url} {reason}")
                wait_s = _seconds(answer.headers.get("retry-after"))
            if self._stop.is_set() or time.monotonic() + wait_s > end_s:
                raise NotNow(f"{self.url} {reason}")
            self.held_back += 1
            self._stop.wait(wait_s)


def play(
    timed: Iterable[tuple[int, bytes]], post: Callable[[list[bytes]], object], pace: Pace, stop: threading.Event
) -> None:
    """Post each event (its time in ms since 1970, its JSON) as soon as its time has come, in order, until `stop`.

    `timed` is in order of time. Nothing is sent before its time, so that no time lies in the future of the log. What
    becomes due while a request is under way goes with the next one.
    """
    waiting: list[bytes] = []
    size_bytes = 0
    first_ms = 0

    def flush() -> None:
        nonlocal size_bytes
        pace.behind_ms = max(pace.behind_ms, now_ms() - first_ms)
        post(waiting.copy())
        pace.sent += len(waiting)
        waiting.clear()
        size_bytes = 0

    for time_ms, event in timed:
        if waiting and (len(waiting) >= _AT_ONCE or size_bytes + len(event) > _BODY_BYTES):
            flush()
        while time_ms > (now := now_ms()):
            if waiting:
                flush()
                continue
            if stop.wait(max((time_ms - now) / 1_000, _PAUSE_S)):
                return
        if stop.is_set():
            return
        if not waiting:
            first_ms = time_ms
        waiting.append(event)
        size_bytes += len(event) + 1
    if waiting:
        flush()


def now_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


def _read(body: dict[str, Any], count: int) -> Answer:
    rejected = tuple(
        Rejected(
            one.get("index", 0),
            one.get("id"),
            "; ".join(f"{fault.get('path') or 'event'}: {fault.get('reason')}" for fault in one.get("problems", ())),
        )
        for one in body.get("rejected", ())
    )
    return Answer(body.get("accepted", count - len(rejected)), rejected)


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("detail", ""))
    except (ValueError, AttributeError):
        return answer.text[:200]


def _seconds(text: str | None) -> float:
    try:
        return max(0.05, float(text or "1"))
    except ValueError:
        return 1.0
