"""Token buckets: so many events a second, per shop, per key, per client address. Time is an argument."""

from collections import OrderedDict
from typing import Final

from relance.kernel.errors import NotNow

__all__ = ["Buckets", "OverRate"]

_KEYS_MAX: Final = 100_000


class OverRate(NotNow):
    """More events, or more keys that open nothing, than the sender's rate allows."""


class Buckets:
    """One bucket a key; at most `keys_max` of them, the one used longest ago makes room.

    A bucket holds one second's worth. It is asked before work is done: while anything is left a whole request passes,
    also one of more events than are left, and the debt is paid off before the next one passes. So the mean never
    exceeds the rate, and a shop with a small rate can still send a full batch.
    """

    def __init__(self, keys_max: int = _KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, and the second at which it held

    def admit(self, key: str, per_second: float, now_s: float, counted: str = "events") -> None:
        """Raise OverRate, with the seconds to wait, unless a request may pass now; takes nothing. 0 a second: no
        limit. `counted` says of what there were too many.
        """
        level = self._level(key, per_second, now_s) if per_second else 1.0
        if level <= 0:
            raise OverRate(f"more than {per_second:g} {counted} a second", (1.0 - level) / per_second)

    def take(self, key: str, events: int, per_second: float, now_s: float) -> None:
        """Take `events` from the bucket, into debt if need be."""
        if not per_second:
            return
        self._buckets[key] = (self._level(key, per_second, now_s) - events, now_s)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys_max:
            self._buckets.popitem(last=False)

    def _level(self, key: str, per_second: float, now_s: float) -> float:
        held = self._buckets.get(key)
        if held is None:
            return per_second
        level, at_s = held
        return min(per_second, level + max(0.0, now_s - at_s) * per_second)
