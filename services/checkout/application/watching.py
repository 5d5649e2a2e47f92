"""What waits to be said, as gauges: whoever runs the service sees what Kafka does not get, or will never take."""

import asyncio
from typing import Final, Protocol

from relance.kernel.errors import NotNow
from services.checkout.metrics import DeskMetrics

__all__ = ["OutboxGauges"]

_EVERY_S: Final = 15.0


class Waiting(Protocol):
    """An outbox that can be counted."""

    async def waiting(self) -> tuple[int, int, int]:
        """(messages that wait, age of the oldest in milliseconds, messages that were refused)."""


class OutboxGauges:
    """Counts an outbox now and then."""

    def __init__(self, outbox: Waiting, metrics: DeskMetrics, every_s: float = _EVERY_S) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. While the database is away the last numbers stand."""
        while not stop.is_set():
            try:
                waits, age_ms, refused = await self._outbox.waiting()
            except NotNow:
                pass
            else:
                self._metrics.outbox.labels("waiting").set(waits)
                self._metrics.outbox.labels("refused").set(refused)
                self._metrics.outbox_age.set(age_ms / 1000)
            try:
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
            except TimeoutError:
                continue
