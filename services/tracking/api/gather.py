"""Events of many requests are encoded together: what an encoding costs by itself is then paid once for all of them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Protocol

from relance.kernel.errors import NotNow
from services.tracking.api.bodies import Slice
from services.tracking.domain.columnar import Encoded, Refusal

__all__ = ["Encoder", "Gatherer", "Submits", "Unacknowledged"]

_GATHER_S: Final = 0.002
_GATHER_EVENTS: Final = 512  # then a group is closed at once: the loop is not held up for long
_LATER_S: Final = 2.0


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


class _Part:
    """The events of one request in their group. `done` has its refusals, counted from the request's first event."""

    __slots__ = ("done", "first", "last")

    def __init__(self, first: int, last: int, done: asyncio.Future[Sequence[Refusal]]) -> None:
        self.first = first
        self.last = last
        self.done = done


class _Group:
    """Requests of one shop that are encoded together."""

    __slots__ = ("closing", "expiry", "parts", "values")

    def __init__(self, closing: asyncio.TimerHandle) -> None:
        self.closing = closing
        self.expiry: asyncio.TimerHandle | None = None
        self.parts: list[_Part] = []
        self.values: list[Slice] = []


class Gatherer:
    """One per event loop. `deadline_s`: how long a request waits for Kafka at most."""

    def __init__(self, encoder: Encoder, batcher: Submits, deadline_s: float) -> None:
        self._encoder = encoder
        self._batcher = batcher
        self._deadline_s = deadline_s
        self._loop = asyncio.get_running_loop()
        self._groups: dict[str, _Group] = {}

    def put(self, shop: str, values: Sequence[Slice]) -> asyncio.Future[Sequence[Refusal]]:
        """Refusals, once Kafka has all other events on all in-sync replicas; fails with NotNow when it has not.

        Cancelling the future cancels the waiting of this request only.
        """
        done: asyncio.Future[Sequence[Refusal]] = self._loop.create_future()
        group = self._groups.get(shop)
        if group is None:
            group = self._groups[shop] = _Group(self._loop.call_later(_GATHER_S, self._close, shop))
        first = len(group.values)
        group.values.extend(values)
        group.parts.append(_Part(first, len(group.values), done))
        if len(group.values) >= _GATHER_EVENTS:
            group.closing.cancel()
            self._close(shop)
        return done

    def _close(self, shop: str) -> None:
        """Encode a group and hand it on."""
        group = self._groups.pop(shop)
        try:
            encoded = self._encoder.encode(group.values, received_ms=time.time_ns() // 1_000_000, shop=shop)
            acknowledged = self._batcher.submit(encoded)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear it
            _fail(group.parts, error)
            return
        refusals = encoded.refusals
        group.values = []
        group.expiry = self._loop.call_later(self._deadline_s, _fail, group.parts, None)

        def answer(future: asyncio.Future[None]) -> None:
            assert group.expiry is not None
            group.expiry.cancel()
            if future.cancelled():
                _fail(group.parts, None)
            elif error := future.exception():
                _fail(group.parts, Unacknowledged(str(error), getattr(error, "retry_after_s", _LATER_S)))
            else:
                _succeed(group.parts, refusals)

        acknowledged.add_done_callback(answer)


def _succeed(parts: Sequence[_Part], refusals: Sequence[Refusal]) -> None:
    for part in parts:
        if part.done.done():
            continue
        own: Sequence[Refusal] = ()
        if refusals:
            own = [
                Refusal(one.index - part.first, one.problems) for one in refusals if part.first <= one.index < part.last
            ]
        part.done.set_result(own)


def _fail(parts: Sequence[_Part], error: Exception | None) -> None:
    """`error` None: the deadline has passed."""
    for part in parts:
        if not part.done.done():
            part.done.set_exception(error or Unacknowledged("Kafka has not acknowledged in time", _LATER_S))
