"""What the demo counts, and what it makes of it. Filled by several threads, read by the one that shows."""

import math
import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from relance.events.signals import Signal
from relance.kernel.instants import parse_ms

__all__ = ["Delays", "Moment", "Numbers", "percentile"]

_RATE_MS: Final = 3_000  # over which the rates on the screen are taken
_RECENT_MS: Final = 10_000  # over which the delays on the screen are taken


class Delays:
    """From due to readable, in ms: all of them, and those of late."""

    def __init__(self) -> None:
        self.all_ms: list[int] = []
        self._recent: deque[tuple[int, int]] = deque()

    def add(self, delay_ms: int, heard_ms: int) -> None:
        """One more; below zero only where the clocks of broker and demo differ."""
        self.all_ms.append(max(delay_ms, 0))
        self._recent.append((heard_ms, max(delay_ms, 0)))

    def recent_ms(self, now_ms: int) -> list[int]:
        """Those heard in the last seconds."""
        while self._recent and self._recent[0][0] < now_ms - _RECENT_MS:
            self._recent.popleft()
        return [delay_ms for _, delay_ms in self._recent]


class Moment:
    """What one glance shows."""

    def __init__(self, at_ms: int, events: int, signals: Counter[tuple[str, str]]) -> None:
        self.at_ms = at_ms
        self.events = events
        self.signals = signals


class Numbers:
    """All counts since the opening."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.visitors: set[str] = set()
        self.signals: Counter[tuple[str, str]] = Counter()
        self.delays = Delays()
        self.open_sessions = 0
        self.lag_records = 0
        self._moments: deque[Moment] = deque()
        self._lock = threading.Lock()

    def sent(self, accepted: int, rejected: int) -> None:
        """An answer of tracking."""
        with self._lock:
            self.accepted += accepted
            self.rejected += rejected

    def heard(self, signal: Signal, heard_ms: int) -> int:
        """A signal; returns how many ms after its due time it could be read."""
        delay_ms = heard_ms - parse_ms(signal.fired_at)
        with self._lock:
            self.signals[signal.kind, signal.window or ""] += 1
            if signal.kind in {"abandoned", "ended"}:  # the others are due when their order is appended
                self.delays.add(delay_ms, heard_ms)
        return delay_ms

    def look(self, now_ms: int) -> tuple[float, Counter[tuple[str, str]], float, list[int]]:
        """(events a second, signals within the last seconds by kind and window, those seconds, recent delays)."""
        with self._lock:
            self._moments.append(Moment(now_ms, self.accepted, self.signals.copy()))
            while len(self._moments) > 2 and self._moments[1].at_ms < now_ms - _RATE_MS:
                self._moments.popleft()
            first, last = self._moments[0], self._moments[-1]
            seconds = max((last.at_ms - first.at_ms) / 1_000, 0.001)
            rate = (last.events - first.events) / seconds
            return rate, last.signals - first.signals, seconds, self.delays.recent_ms(now_ms)


def percentile(values: Sequence[int], share: float) -> int | None:
    """The smallest value that is not below `share` of all; None without any."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
