"""When to ask the broker for the time, and whether this process was stopped. Neither decides anything about the log."""

import threading
import time
from collections import deque

__all__ = ["BrokerClock", "Pulse", "now_ms"]

_SAMPLES = 64
_BEAT_S = 0.25


def now_ms() -> float:
    """Milliseconds of the monotonic clock: jumps of the wall clock do not move it."""
    return time.monotonic() * 1_000


class BrokerClock:
    """An estimate of the broker's time, never ahead of it while clocks run evenly.

    A record is read some time after it was appended, so the greatest difference seen of late is the best.
    """

    def __init__(self) -> None:
        self._ahead: deque[float] = deque(maxlen=_SAMPLES)

    def heard(self, append_ms: int, read_ms: float) -> None:
        """A record with this append time was read at this monotonic time."""
        self._ahead.append(append_ms - read_ms)

    def estimate(self, at_ms: float) -> float | None:
        """The broker's time at a monotonic time, None before any record was read."""
        return at_ms + max(self._ahead) if self._ahead else None


class Pulse:
    """Notices that the whole process stood still (SIGSTOP, a suspended machine) for longer than `limit_s`.

    A thread beats; a busy event loop does not stop it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._last = time.monotonic()
        self._stood_s = 0.0
        self._closing = threading.Event()
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    def stood_s(self) -> float:
        """The longest time that the process stood still, if longer than the limit, else 0."""
        self._look()
        return self._stood_s

    def close(self) -> None:
        """End the thread."""
        self._closing.set()

    def _look(self) -> None:
        now = time.monotonic()
        gap = now - self._last
        if gap > self._limit_s:
            self._stood_s = max(self._stood_s, gap)
        self._last = now

    def _beat(self) -> None:
        while not self._closing.wait(_BEAT_S):
            self._look()
