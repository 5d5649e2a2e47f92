"""Many small submissions become few records: they wait together for the linger, or until rows or bytes are enough."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from relance.kernel.errors import Defect, NotNow
from services.tracking.domain.columnar import Encoded
from services.tracking.metrics import Metrics
from services.tracking.topology.publisher import Limits, Member, Publisher

__all__ = ["Batcher"]

_POLL_S: Final = 0.002  # how often delivery reports are served while something is in flight


class Batcher:
    """The micro-batcher of one event loop; everything is called from that loop's thread.

    ::

        encoded = encoder.encode(values, received_ms=now_ms, shop=shop)   # never waits
        await batcher.submit(encoded)                                     # until Kafka has it on all in-sync replicas
        # encoded.refusals says what was wrong with which event; everything else is in Kafka

    `on_fatal` is called once when the producer is beyond repair: the process must end and be started again.
    """

    def __init__(
        self, publisher: Publisher, limits: Limits, metrics: Metrics, *, on_fatal: Callable[[Defect], None]
    ) -> None:
        self._publisher = publisher
        self._limits = limits
        self._metrics = metrics
        self._on_fatal = on_fatal
        self._loop = asyncio.get_running_loop()
        self._pool: list[Member] = []
        self._pool_rows = 0
        self._pool_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._poller: asyncio.TimerHandle | None = None
        self._broken: Defect | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting_bytes(self) -> int:
        """What is held in memory for Kafka."""
        return self._pool_bytes + self._publisher.in_flight_bytes

    def submit(self, encoded: Encoded) -> asyncio.Future[None]:
        """A future that is done once Kafka acknowledged all rows and facts of `encoded`.

        It fails with NotNow when Kafka did not take them (send the same events again: receivers drop what is there
        already). Raises NotNow at once when too much is waiting. Cancelling the future cancels the waiting only.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        if self._broken:
            raise NotNow(str(self._broken), 5.0)
        if not len(encoded.rows) and not encoded.fact_values:
            future.set_result(None)
            return future
        member = Member(encoded, partial(_resolve, future))
        if self.waiting_bytes + member.size_bytes > self._limits.queue_bytes_max:
            self._metrics.turned_away.inc()
            if encoded.undone:
                encoded.undone()
            message = "too much is waiting for Kafka"
            raise NotNow(message, 1.0)
        self._pool.append(member)
        self._pool_rows += len(encoded.rows)
        self._pool_bytes += member.size_bytes
        if self._pool_rows >= self._limits.batch_events_max or self._pool_bytes >= self._limits.batch_bytes_max * 4:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._limits.linger_ms / 1000, self.flush)
        return future

    def flush(self) -> None:
        """Send what is pooled now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pool:
            return
        pool, self._pool, self._pool_rows, self._pool_bytes = self._pool, [], 0, 0
        self._idle.clear()
        self._publisher.publish(pool)
        self._poll()

    async def drain(self, timeout_s: float) -> bool:
        """Send everything and wait for Kafka's answers; False when time ran out first."""
        self.flush()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return not self._broken

    def _poll(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            self._poller = None
        try:
            self._publisher.poll()
        except Defect as defect:
            self._broken = defect
            self._idle.set()
            self._on_fatal(defect)
            return
        if self._publisher.in_flight_groups:
            self._poller = self._loop.call_later(_POLL_S, self._poll)
        else:
            self._idle.set()


def _resolve(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
