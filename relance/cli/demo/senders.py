"""Who sends to the demo's shops: the simulated shoppers, and the logs of real ones where they are at hand."""

import heapq
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from relance.cli.demo.numbers import Numbers
from relance.cli.demo.shoppers import Planned, shopping
from relance.cli.demo.story import scenes
from relance.cli.playing import Pace, Poster, play
from relance.cli.retiming import Retiming, Rewriting
from relance.events.logs import read
from relance.kernel.instants import format_ms, parse_ms

__all__ = ["LOGS", "Sender", "log_events", "shop_events"]

# Shop, file below the folder of data, format.
LOGS: Final = (
    ("rees46", "rees46-2019-10-sample.csv", "rees46"),
    ("electronics", "ecommerce-sessions-a.csv", "ecommerce-sessions"),
)
_LOG_SHARE: Final = 0.7  # of the demo's time: a log's last windows can fire then
_Timed = Iterator[tuple[int, bytes]]


class Sender:
    """One shop's events, sent at their times by a thread of its own."""

    def __init__(self, url: str, key: str, timed: Iterable[tuple[int, bytes]], numbers: Numbers) -> None:
        self.failure: Exception | None = None
        self.pace = Pace()
        self._timed = timed
        self._numbers = numbers
        self._stop = threading.Event()
        self._poster = Poster(url, key, stop=self._stop)
        self._thread = threading.Thread(target=self._send, name="sender", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Send no more; what is under way is finished."""
        self._stop.set()
        self._thread.join(10.0)
        self._poster.close()

    def _send(self) -> None:
        try:
            play(self._timed, self._post, self.pace, self._stop)
        except Exception as error:  # noqa: BLE001 - whatever it is, the main thread must hear of it
            if not self._stop.is_set():
                self.failure = error

    def _post(self, events: list[bytes]) -> None:
        answer = self._poster.post(events)
        self._numbers.sent(answer.accepted, len(answer.rejected))


def shop_events(shop: str, seed: int, rate: float, seconds: float, start_ms: int, numbers: Numbers) -> _Timed:
    """The simulated shoppers and the heroine, each event with the time at which it is sent."""

    def by_time(planned: Planned) -> int:
        return planned.send_ms

    encode = msgspec.json.Encoder().encode
    for send_ms, time_ms, event in heapq.merge(shopping(seed, shop, rate, seconds), scenes(shop), key=by_time):
        numbers.visitors.add(event["visitorid"])
        yield start_ms + send_ms, encode({**event, "time": format_ms(start_ms + time_ms)})


def log_events(path: Path, log_format: str, shop: str, seconds: float, start_ms: int, numbers: Numbers) -> _Timed:
    """A log, so fast that it fits. Raises InputError when it is not of its format."""
    events = list(read(path, log_format))
    first_ms, last_ms = (parse_ms(events[place]["time"]) for place in (0, -1))
    speed = max((last_ms - first_ms) / (seconds * 1_000 * _LOG_SHARE), 1.0)
    rewriting = Rewriting(shop, Retiming(first_ms, start_ms, speed))
    encode = msgspec.json.Encoder().encode
    for event in events:
        time_ms, moved = rewriting(event)
        numbers.visitors.add(f"{shop}/{moved['visitorid']}")
        yield time_ms, encode(moved)
