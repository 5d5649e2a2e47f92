"""What every edge does with events once it has them: encode, hand to the batcher, wait for Kafka, say what was
refused.
"""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
from prometheus_client import Counter

from relance.events.envelope import shop_of
from relance.events.faults import Problem
from relance.kernel.errors import NotNow
from services.tracking.api.bodies import Slice
from services.tracking.api.gather import Gatherer
from services.tracking.api.keys import Grant
from services.tracking.api.limits import Buckets
from services.tracking.domain.columnar import Refusal
from services.tracking.metrics import Metrics
from services.tracking.settings import Settings

__all__ = ["Intake", "Rejected", "event_id"]

_NONE: Final[Mapping[int, Problem]] = MappingProxyType({})


class Rejected(msgspec.Struct, frozen=True):
    """An event that was not taken. `foreign`: it is another shop's than the key's."""

    index: int
    id: str | None
    problems: tuple[Problem, ...]
    foreign: bool = False

    def shown(self) -> dict[str, object]:
        """As a sender sees it."""
        return {"index": self.index, "id": self.id, "problems": self.problems}


class Intake:
    """Shared by all edges of one process."""

    def __init__(self, gatherer: Gatherer, metrics: Metrics, settings: Settings) -> None:
        self._gatherer = gatherer
        self._accepted: dict[str, Counter] = {}
        self._rejected: dict[str, Counter] = {}
        self._metrics = metrics
        self._settings = settings
        self._shop_rates = Buckets()
        self._in_flight = 0
        self._held_bytes = 0

    @property
    def in_flight(self) -> int:
        """Requests that wait for Kafka."""
        return self._in_flight

    def hold(self, size_bytes: int) -> None:
        """Account for a body that is about to be read, or was inflated. Raises NotNow when too much is held already."""
        if self._held_bytes + size_bytes > self._settings.bodies_bytes_max:
            raise NotNow("too many bodies are being read")
        self._held_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """The body is held no more."""
        self._held_bytes -= size_bytes

    def admit(self, grant: Grant) -> None:
        """Raise OverRate when the grant's shop is over its rate; ask before reading what it sends."""
        if grant.shop.events_per_second:
            self._shop_rates.admit(grant.shop.shop, grant.shop.events_per_second, time.monotonic())

    async def take(
        self, grant: Grant, values: Sequence[Slice], entry: str, barred: Mapping[int, Problem] = _NONE
    ) -> Sequence[Rejected]:
        """Return what was rejected, once all others are in Kafka, on all in-sync replicas.

        `barred`: places in `values` that the edge itself rejects. `entry` names the edge in the metrics. Raises NotNow
        when Kafka did not take them within the deadline. They may still arrive: the sender sends all of them again, and
        receivers drop what they have seen.
        """
        if self._in_flight >= self._settings.requests_max:
            raise NotNow("too many requests are being answered")
        shop = grant.shop
        if shop.events_per_second:
            self._shop_rates.take(shop.shop, len(values), shop.events_per_second, time.monotonic())
        aside = _oversized(values, self._settings.event_bytes_max)
        if barred:
            aside |= barred
        taken = [value for place, value in enumerate(values) if place not in aside] if aside else values
        refusals = await self._refusals(shop.shop, taken) if taken else ()
        self._count(entry, len(taken) - len(refusals), len(refusals) + len(aside))
        if not refusals and not aside:
            return ()
        return [_rejected(one, values[one.index], shop.shop) for one in _merged(refusals, aside, len(values))]

    async def _refusals(self, shop: str, values: Sequence[Slice]) -> Sequence[Refusal]:
        self._in_flight += 1
        try:
            return await self._gatherer.put(shop, values)
        finally:
            self._in_flight -= 1

    def _count(self, entry: str, accepted: int, rejected: int) -> None:
        if entry not in self._accepted:
            self._accepted[entry] = self._metrics.events.labels(entry, "accepted")
            self._rejected[entry] = self._metrics.events.labels(entry, "rejected")
        self._accepted[entry].inc(accepted)
        if rejected:
            self._rejected[entry].inc(rejected)


def _oversized(values: Sequence[Slice], bytes_max: int) -> dict[int, Problem]:
    """The events that are too large, by place."""
    return {
        place: Problem("", f"the event has {size} bytes, at most {bytes_max} are taken")
        for place, value in enumerate(values)
        if (size := memoryview(value).nbytes) > bytes_max
    }


def _merged(refusals: Sequence[Refusal], aside: Mapping[int, Problem], count: int) -> Sequence[Refusal]:
    """All refusals by their place among the `count` sent; `refusals` count without those set aside."""
    if not aside:
        return refusals
    taken = [place for place in range(count) if place not in aside]
    merged = {taken[refusal.index]: refusal.problems for refusal in refusals}
    merged |= {place: (problem,) for place, problem in aside.items()}
    return [Refusal(place, merged[place]) for place in range(count) if place in merged]


class _Head(msgspec.Struct):
    id: object = None
    source: object = None


_HEAD = msgspec.json.Decoder(_Head)


def _rejected(refusal: Refusal, value: Slice, shop: str) -> Rejected:
    """With the event's own id, if it has one that can be read."""
    head = _head(value)
    try:
        foreign = isinstance(head.source, str) and shop_of(head.source) != shop
    except ValueError:
        foreign = False
    shown = head.id if isinstance(head.id, str) else None
    return Rejected(refusal.index, shown, refusal.problems, foreign)


def event_id(value: Slice) -> str:
    """The id of an event; empty where it has none that can be read."""
    found = _head(value).id
    return found if isinstance(found, str) else ""


def _head(value: Slice) -> _Head:
    try:
        return _HEAD.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Head()
