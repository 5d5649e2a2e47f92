"""How often somebody tries: counts by the keyed hash of who it is, within an hour, in bounded memory."""

import hmac
import secrets
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

__all__ = ["Frequency"]

_WINDOW: Final = timedelta(hours=1)
_KNOWN_MAX: Final = 50_000
_EACH_MAX: Final = 1_000


class Frequency:
    """Of one process. Whom it counts it cannot tell: names are hashed under a key that dies with the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._seen: OrderedDict[bytes, deque[datetime]] = OrderedDict()

    def count(self, name: str, at: datetime) -> None:
        """Once more."""
        hashed = self._hashed(name)
        times = self._seen.setdefault(hashed, deque(maxlen=_EACH_MAX))
        _forget(times, at)
        times.append(at)
        self._seen.move_to_end(hashed)
        oldest = next(iter(self._seen.values()))
        while len(self._seen) > _KNOWN_MAX or not oldest or oldest[-1] <= at - _WINDOW:
            self._seen.popitem(last=False)
            oldest = next(iter(self._seen.values()))

    def take_back(self, name: str) -> None:
        """The last one was none after all."""
        times = self._seen.get(self._hashed(name))
        if times:
            times.pop()

    def of(self, name: str, at: datetime) -> int:
        """How often within the last hour."""
        times = self._seen.get(self._hashed(name))
        if times is None:
            return 0
        _forget(times, at)
        return len(times)

    def _hashed(self, name: str) -> bytes:
        return hmac.new(self._key, name.encode(), sha256).digest()


def _forget(times: deque[datetime], at: datetime) -> None:
    while times and times[0] <= at - _WINDOW:
        times.popleft()
