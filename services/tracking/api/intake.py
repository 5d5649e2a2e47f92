"""What every edge does with events once it has them: encode, hand to the batcher, wait for Kafka, say what was
refused.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from relance.events.envelope import shop_of
from relance.events.faults import Problem
from relance.kernel.errors import NotNow
from services.tracking.api.bodies import Slice
from services.tracking.api.keys import Grant
from services.tracking.api.limits import Buckets
from services.tracking.domain.columnar import Encoded, Refusal
from services.tracking.metrics import Metrics
from services.tracking.settings import Settings

__all__ = ["Encoder", "Intake", "Rejected", "Submits", "Unacknowledged", "event_id"]

_NONE: Final[Mapping[int, Problem]] = MappingProxyType({})


class Unacknowledged(NotNow):
    """Kafka did not say that it has the events; some of them may be there."""


class Encoder(Protocol):
    """Events to rows and facts."""

    def encode(self, values: Sequence[Slice], *, received_ms: int, shop: str) -> Encoded:
        """Never waits; what is wrong with an event stands in the refusals."""


class Submits(Protocol):
    """The way to Kafka."""

    def submit(self, encoded: Encoded) -> asyncio.Future[None]:
        """Done once Kafka has it on all in-sync replicas; raises NotNow when it cannot be taken."""


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

    def __init__(self, encoder: Encoder, batcher: Submits, metrics: Metrics, settings: Settings) -> None:
        self._encoder = encoder
        self._batcher = batcher
        self._metrics = metrics
        self._settings = settings
        self._shop_rates = Buckets()
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """Requests that wait for Kafka."""
        return self._in_flight

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
        aside = _oversized(values, self._settings.event_bytes_max) | dict(barred)
        taken = [value for place, value in enumerate(values) if place not in aside] if aside else values
        encoded = self._encoder.encode(taken, received_ms=time.time_ns() // 1_000_000, shop=shop.shop)
        if encoded.accepted:
            await self._acknowledged(encoded)
        self._metrics.events.labels(entry, "accepted").inc(encoded.accepted)
        if not encoded.refusals and not aside:
            return ()
        refusals = _merged(encoded.refusals, aside)
        self._metrics.events.labels(entry, "rejected").inc(len(refusals))
        return [_rejected(refusal, values[refusal.index], shop.shop) for refusal in refusals]

    async def _acknowledged(self, encoded: Encoded) -> None:
        waiting = self._batcher.submit(encoded)
        self._in_flight += 1
        try:
            async with asyncio.timeout(self._settings.request_deadline_s):
                await waiting
        except TimeoutError:
            raise Unacknowledged("Kafka has not acknowledged in time", 2.0) from None
        except NotNow as not_now:
            raise Unacknowledged(str(not_now), not_now.retry_after_s) from None
        finally:
            self._in_flight -= 1


def _oversized(values: Sequence[Slice], bytes_max: int) -> dict[int, Problem]:
    """The events that are too large, by place."""
    return {
        place: Problem("", f"the event has {size} bytes, at most {bytes_max} are taken")
        for place, value in enumerate(values)
        if (size := memoryview(value).nbytes) > bytes_max
    }


def _merged(refusals: Sequence[Refusal], aside: Mapping[int, Problem]) -> Sequence[Refusal]:
    """All refusals by their place in what was sent; `refusals` count without those set aside."""
    if not aside:
        return refusals
    merged = [Refusal(place, (problem,)) for place, problem in aside.items()]
    gaps = sorted(aside)
    for refusal in refusals:
        place = refusal.index
        for gap in gaps:
            place += gap <= place
        merged.append(Refusal(place, refusal.problems))
    return sorted(merged, key=lambda refusal: refusal.index)


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
