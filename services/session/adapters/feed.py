"""Signals as they become readable: one thread reads the ends of the topics while somebody listens."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from confluent_kafka import OFFSET_END, Consumer, Message, TopicPartition

from relance.events.signals import Signal, from_ended
from relance.events.topics import ENDED, SIGNALS
from relance.kernel.errors import InputError
from relance.observability.logs import logger

__all__ = ["KafkaSignalFeed"]

_AT_ONCE: Final = 1_000
_POLL_S: Final = 0.05
_METADATA_LIMIT_S: Final = 10.0
_DECODER: Final = msgspec.json.Decoder(Signal)


class _Reader:
    def __init__(self, wanted: Callable[[Signal], bool], backlog_max: int, *, with_ended: bool) -> None:
        self.wanted = wanted
        self.with_ended = with_ended
        self._backlog_max = backlog_max
        self._waiting: asyncio.Queue[Signal | None] = asyncio.Queue()
        self._is_cut = False

    async def next(self) -> Signal | None:
        """The next signal; None when the subscription was cut off."""
        return await self._waiting.get()

    def offer(self, signals: list[Signal]) -> None:
        """Called in the loop."""
        if self._is_cut:
            return
        if self._waiting.qsize() + len(signals) > self._backlog_max:
            self.cut()
            return
        for signal in signals:
            self._waiting.put_nowait(signal)

    def cut(self) -> None:
        """No more signals; what waits is dropped."""
        self._is_cut = True
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)


class KafkaSignalFeed:
    """Made in the event loop in which its readers are. `close` when the service ends."""

    def __init__(self, kafka: str, backlog_max: int) -> None:
        self._kafka = kafka
        self._backlog_max = backlog_max
        self._loop = asyncio.get_running_loop()
        self._readers: set[_Reader] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @contextmanager
    def subscribe(self, wanted: Callable[[Signal], bool], *, with_ended: bool) -> Iterator[_Reader]:
        """Signals from now on for which `wanted` holds."""
        reader = _Reader(wanted, self._backlog_max, with_ended=with_ended)
        self._readers.add(reader)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._read, name="signal-feed", daemon=True)
            self._thread.start()
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def close(self) -> None:
        """End the thread and all subscriptions."""
        self._stop.set()
        for reader in list(self._readers):
            reader.cut()
        if self._thread is not None:
            self._thread.join(_METADATA_LIMIT_S)

    def _read(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._kafka,
                "group.id": "session-feed",  # required by the client; nothing is committed
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        try:
            topics = consumer.list_topics(timeout=_METADATA_LIMIT_S).topics
            names = [name for name in (SIGNALS.name, ENDED.name) if name in topics]
            ends = [TopicPartition(name, number, OFFSET_END) for name in names for number in topics[name].partitions]
            consumer.assign(ends)
            while not self._stop.is_set():
                messages = consumer.consume(_AT_ONCE, _POLL_S)
                if messages and self._readers:
                    self._pass_on(messages)
        except Exception as error:  # noqa: BLE001 - whatever it is, the readers must not wait for ever
            logger("feed").warning("feed_ended", error=repr(error))
            self._loop.call_soon_threadsafe(self._cut_all)
        finally:
            consumer.close()

    def _pass_on(self, messages: list[Message]) -> None:
        readers = list(self._readers)
        needs_ended = any(reader.with_ended for reader in readers)
        signals: list[Signal] = []
        for message in messages:
            value = message.value()
            if message.error() or value is None or (message.topic() == ENDED.name and not needs_ended):
                continue
            try:
                signals += from_ended(value) if message.topic() == ENDED.name else [_DECODER.decode(value)]
            except (msgspec.MsgspecError, InputError) as error:
                logger("feed").warning("signal_unreadable", error=str(error))
        for reader in readers:
            wanted = [signal for signal in signals if reader.wanted(signal)]
            if wanted:
                self._loop.call_soon_threadsafe(reader.offer, wanted)

    def _cut_all(self) -> None:
        for reader in list(self._readers):
            reader.cut()
