"""From the outbox to Kafka: at least once, in order for each key."""

import asyncio
from typing import Final

from relance.kafka.producer import Placed, Producer, producer_config
from relance.kernel.errors import Defect, NotNow
from relance.observability.logs import logger
from services.notification.ports import Outbox, Queued

__all__ = ["Relay"]

_AT_ONCE: Final = 500
_PAUSE_S: Final = 0.2


class Relay:
    """Says what the outbox has queued. `run` until told to stop, then `close`."""

    def __init__(self, kafka: str, outbox: Outbox) -> None:
        self._outbox = outbox
        self._fatal: Defect | None = None
        self._producer = Producer(producer_config(kafka, delivery_timeout_s=20.0), self._end)
        self._log = logger("relay")

    def _end(self, defect: Defect) -> None:
        self._fatal = defect  # called in the producer's thread; `run` looks at it

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` and the outbox is empty, or Kafka takes nothing. Raises Defect when the producer is broken."""
        while True:
            if self._fatal is not None:
                raise self._fatal
            try:
                said = await self.step()
            except NotNow as error:
                self._log.warning("outcomes_wait", reason=str(error))
                said = 0
                if stop.is_set():
                    return
                await asyncio.sleep(error.retry_after_s)
            if not said:
                if stop.is_set():
                    return
                await asyncio.sleep(_PAUSE_S)

    async def step(self) -> int:
        """Say what is queued; the number of records that Kafka has now. What it did not take stays, and all after it
        with the same key. Raises NotNow.
        """
        rows = await self._outbox.queued(_AT_ONCE)
        if not rows:
            return 0
        results = await asyncio.gather(*(self._send(row) for row in rows), return_exceptions=True)
        done = [row.id for row, result in zip(rows, results, strict=True) if isinstance(result, Placed)]
        if done:
            await self._outbox.said(done)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(done)

    def close(self) -> None:
        """Let go of Kafka."""
        self._producer.close(5.0)

    async def _send(self, row: Queued) -> Placed:
        headers = [(name, value.encode()) for name, value in row.headers.items()]
        return await self._producer.send(row.topic, row.value, key=row.key.encode(), headers=headers)
