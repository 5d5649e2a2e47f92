"""Requests as Kafka has them: an offset is committed once what stands before it is in SQL."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from relance.events.topics import MESSAGES
from relance.kafka.consumer import BatchConsumer, consumer_config
from relance.kernel.errors import NotNow
from relance.observability.logs import logger
from services.notification.domain.deliveries import Source

__all__ = ["Inbox", "Take"]

Take = Callable[[list[tuple[Source, bytes]]], Awaitable[None]]
"""Keeps records; when it returns they are kept. Raises NotNow."""

_AT_ONCE: Final = 200
_POLL_S: Final = 0.2


class Inbox:
    """Reads `checkout.messages.v1` as one of a group."""

    def __init__(self, kafka: str, group: str, take: Take) -> None:
        self._consumer = BatchConsumer(consumer_config(kafka, group))
        self._take = take
        self._log = logger("inbox")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Ends with InputError when the topic is not there, with Defect when the client cannot go on."""
        try:
            await asyncio.to_thread(self._consumer.subscribe, [MESSAGES.name])
            while not stop.is_set():
                found = await asyncio.to_thread(self._consumer.consume, _AT_ONCE, _POLL_S)
                if found:
                    await self._keep(found, stop)
        finally:
            await asyncio.to_thread(self._consumer.close)

    async def _keep(self, found: list[Any], stop: asyncio.Event) -> None:
        records = [
            (Source(each.topic(), each.partition(), each.offset()), bytes(each.value() or b"")) for each in found
        ]
        while True:
            try:
                await self._take(records)
                break
            except NotNow as error:
                self._log.warning("requests_wait", reason=str(error))
                if stop.is_set():
                    return  # not committed: they are read again
                await asyncio.sleep(error.retry_after_s)
        offsets: dict[tuple[str, int], int] = {}
        for source, _ in records:
            place = (source.topic, source.partition)
            offsets[place] = max(offsets.get(place, 0), source.offset + 1)
        try:
            await asyncio.to_thread(self._consumer.commit, offsets)
        except NotNow as error:
            self._log.warning("offsets_not_committed", reason=str(error))  # they are read again, and change nothing
