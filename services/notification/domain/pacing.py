"""How much goes to one domain at a time: large providers refuse who comes too fast."""

from collections import deque

__all__ = ["Pace"]

_MINUTE_MS = 60_000
_DOMAINS_MAX = 10_000


class Pace:
    """At most `at_once` messages under way to a domain, and `per_minute` begun within any minute (0: no bound)."""

    def __init__(self, at_once: int, per_minute: int) -> None:
        self._at_once = at_once
        self._per_minute = per_minute
        self._under_way: dict[str, int] = {}
        self._begun: dict[str, deque[int]] = {}

    def begin(self, domain: str, now_ms: int) -> int:
        """0 when a message may go there now, and it is counted; else the time at which to ask again."""
        begun = self._begun.setdefault(domain, deque())
        while begun and begun[0] <= now_ms - _MINUTE_MS:
            begun.popleft()
        if self._under_way.get(domain, 0) >= self._at_once:
            return now_ms + 200
        if self._per_minute and len(begun) >= self._per_minute:
            return begun[0] + _MINUTE_MS
        begun.append(now_ms)
        self._under_way[domain] = self._under_way.get(domain, 0) + 1
        if len(self._begun) > _DOMAINS_MAX:
            self._forget(now_ms)
        return 0

    def end(self, domain: str) -> None:
        """A message to the domain is no longer under way."""
        left = self._under_way.get(domain, 0) - 1
        if left > 0:
            self._under_way[domain] = left
        else:
            self._under_way.pop(domain, None)

    def _forget(self, now_ms: int) -> None:
        old = [name for name, begun in self._begun.items() if not begun or begun[-1] <= now_ms - _MINUTE_MS]
        for name in old:
            del self._begun[name]
