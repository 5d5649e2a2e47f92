"""What the machines say, on its way to Kafka: produced at once, acknowledged later, and known to be so.

A *mark* divides what a partition said before it from what it says after; `settled` waits until all before is
acknowledged by all in-sync replicas. So a bucket can be snapshot, and records go on being applied, while its outputs
are under way.

One move of the clock may make a machine say more than the client's queue takes. What has no room there waits behind it,
in order, and follows as acknowledgements come in; nothing more is applied meanwhile (`room`).
"""

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from relance.kafka.harness.settings import HarnessSettings
from relance.kafka.machine import Message
from relance.kernel.errors import Defect

__all__ = ["Outbox"]

_POLL_S = 0.1

Leaving = tuple[Message, Any, Callable[[KafkaError | None, Any], None]]
"""A message, its headers, and who hears what became of it."""


class Outbox:
    """One idempotent producer for all partitions of a worker; used from one event loop.

    `failed` is called, in that loop, with the first output that Kafka did not take: the process must then end.
    """

    def __init__(self, settings: HarnessSettings, failed: Callable[[Exception], None]) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "enable.idempotence": True,
                "acks": "all",
                "partitioner": "murmur2_random",
                "linger.ms": settings.output_linger_ms,
                "compression.type": "lz4",
                "delivery.timeout.ms": int(settings.output_timeout_s * 1_000),
                "queue.buffering.max.messages": 10 * settings.outputs_in_flight,
                "queue.buffering.max.kbytes": 1_048_576,
                "message.max.bytes": 8_388_608,
            }
        )
        self._failed = failed
        self._most = settings.outputs_in_flight, settings.outputs_in_flight_bytes
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._marks: dict[int, int] = defaultdict(int)
        self._open: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))  # partition, mark: unacknowledged
        self._in_flight = [0, 0]
        self._waiting: list[asyncio.Event] = []
        self._turn = threading.Lock()  # who produces: the loop, or the thread that lets the next ones follow
        self._behind: deque[Leaving] = deque()  # no room in the client's queue yet
        self._closing = False
        self._thread = threading.Thread(target=self._poll, name="outbox", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """How many messages are not acknowledged."""
        return self._in_flight[0]

    def send(self, partition: int, messages: Sequence[Message], headers: Any = None) -> None:
        """Produce what a partition's machine said, in order."""
        if not messages:
            return
        mark = self._marks[partition]
        with self._lock:
            self._open[partition][mark] += len(messages)
            self._in_flight[0] += len(messages)
            self._in_flight[1] += sum(len(message.value) for message in messages)
        with self._turn:
            for message in messages:
                leaving = message, headers, self._on_delivery(partition, mark, len(message.value))
                if self._behind or not self._produce(leaving):
                    self._behind.append(leaving)

    def ask(self, topic: str, partition: int, value: bytes, told: Callable[[int | None], None]) -> None:
        """Produce a record that nothing depends on (a tick); `told` hears, in the loop, its offset or None."""

        def on_delivery(error: KafkaError | None, message: Any) -> None:
            self._tell(told, None if error else message.offset())

        try:
            self._producer.produce(topic, value=value, partition=partition, on_delivery=on_delivery)
        except BufferError:
            told(None)

    async def room(self) -> None:
        """Wait while too much is unacknowledged."""
        while self._in_flight[0] >= self._most[0] or self._in_flight[1] >= self._most[1]:
            await self._changed()

    def mark(self, partition: int) -> int:
        """Divide what was said until now from what will be."""
        with self._lock:
            mark = self._marks[partition]
            self._marks[partition] = mark + 1
        return mark

    async def settled(self, partition: int, mark: int) -> None:
        """Wait until all that the partition said up to the mark is acknowledged."""
        while self._unsettled(partition, mark):
            await self._changed()

    async def close(self, timeout_s: float) -> None:
        """Wait for what is under way, at most so long, and end."""
        await asyncio.to_thread(self._flush, timeout_s)
        self._closing = True
        await asyncio.to_thread(self._thread.join)

    def _produce(self, leaving: Leaving) -> bool:
        """Put it into the client's queue; False when there is no room."""
        message, headers, on_delivery = leaving
        place = {} if message.partition is None else {"partition": message.partition}
        try:
            self._producer.produce(
                message.topic, value=message.value, key=message.key, headers=headers, on_delivery=on_delivery, **place
            )
        except BufferError:
            return False
        return True

    def _follow(self) -> None:
        """Let those that are behind leave, as far as there is room."""
        with self._turn:
            try:
                while self._behind and self._produce(self._behind[0]):
                    self._behind.popleft()
            except KafkaException as error:  # it stays where it is, unacknowledged: nothing overtakes it
                self._tell(self._failed, Defect(f"an output was not taken: {error.args[0].str()}"))

    def _unsettled(self, partition: int, mark: int) -> bool:
        with self._lock:
            return any(opened <= mark for opened in self._open[partition])

    def _on_delivery(self, partition: int, mark: int, size: int) -> Callable[[KafkaError | None, Any], None]:
        def on_delivery(error: KafkaError | None, message: Any) -> None:
            if error is not None:
                self._tell(self._failed, Defect(f"an output to {message.topic()} was not taken: {error.str()}"))
                return  # it stays unacknowledged, so that nothing is saved that rests on it
            with self._lock:
                self._in_flight[0] -= 1
                self._in_flight[1] -= size
                counts = self._open[partition]
                counts[mark] -= 1
                if not counts[mark]:
                    del counts[mark]
                waiting, self._waiting = self._waiting, []
            for event in waiting:
                self._tell(event.set)

        return on_delivery

    async def _changed(self) -> None:
        event = asyncio.Event()
        with self._lock:
            self._waiting.append(event)
        try:  # the limit covers an acknowledgement that came between the caller's look and ours
            async with asyncio.timeout(_POLL_S):
                await event.wait()
        except TimeoutError:
            pass

    def _tell(self, what: Callable[..., None], *args: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *args)

    def _poll(self) -> None:
        while not self._closing:
            self._producer.poll(_POLL_S)
            if self._behind:
                self._follow()

    def _flush(self, timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while self._behind and time.monotonic() < end_s:
            time.sleep(_POLL_S)
        self._producer.flush(max(0.0, end_s - time.monotonic()))
