"""What notification says of messages: read from Kafka, committed once it was taken."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from relance.events.messages import MessageOutcome, decode_outcome
from relance.kafka.consumer import BatchConsumer, Partition, consumer_config
from relance.kernel.errors import InputError, NotNow, RelanceError
from relance.observability import logs

__all__ = ["Inbox"]

_BATCH: Final = 200
_POLL_S: Final = 0.5
_PAUSE_S: Final = 1.0
_TRIES_MAX: Final = 5  # of a message that makes whoever hears it fail; while something is away, tries have no end


class _Unheard(RelanceError):  # noqa: N818 - a reason to read it again
    """Hearing a message failed as it never should."""


Heard = Callable[[MessageOutcome], Awaitable[None]]


class Inbox:
    """Hears a topic of outcomes for a group. `heard` may be told one twice; `count` is told each result: heard, refused
    (no outcome), or set_aside: it failed again and again, and those behind it go on. `problem`: why nothing is heard.
    """

    def __init__(self, bootstrap: str, topic: str, group: str, heard: Heard, count: Callable[[str], None]) -> None:
        self._config = consumer_config(bootstrap, group)
        self._topic = topic
        self._heard = heard
        self._count = count
        self._log = logs.logger("inbox")
        self._failed: dict[tuple[str, int, int], int] = {}
        self.problem: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. While Kafka or the database is away it waits, and reads the same again."""
        while not stop.is_set():
            consumer = BatchConsumer(self._config)
            try:
                consumer.subscribe([self._topic])
                while not stop.is_set():
                    await self._round(consumer)
                    self.problem = None
            except RelanceError as error:
                self.problem = str(error)
                self._log.warning("not_heard", reason=str(error))
                await _wait(stop)
            finally:
                await self._in_thread(consumer.close)
        self._thread.shutdown(wait=False)

    async def _round(self, consumer: BatchConsumer) -> None:
        records = await self._in_thread(consumer.consume, _BATCH, _POLL_S)
        offsets: dict[Partition, int] = {}
        for record in records:
            await self._take(record)
            offsets[record.topic(), record.partition()] = record.offset() + 1
        if offsets:
            await self._in_thread(consumer.commit, offsets)

    async def _take(self, record: Any) -> None:
        try:
            outcome = decode_outcome(record.value() or b"")
        except InputError as error:
            self._count("refused")
            self._log.error("not_an_outcome", partition=record.partition(), offset=record.offset(), reason=str(error))
            return
        place = record.topic(), record.partition(), record.offset()
        try:
            await self._heard(outcome)
        except NotNow:
            raise
        except Exception as error:
            tries = self._failed[place] = self._failed.get(place, 0) + 1
            if tries < _TRIES_MAX:
                raise _Unheard(f"hearing a message failed: {type(error).__name__}") from error
            self._log.error("set_aside", partition=place[1], offset=place[2], error=type(error).__name__)
            self._count("set_aside")
        else:
            self._count("heard")
        self._failed.pop(place, None)

    async def _in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)


async def _wait(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_PAUSE_S):
            await stop.wait()
    except TimeoutError:
        return
