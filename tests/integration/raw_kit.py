"""Topics of a raw topic's test, what is written to them, and what was made of it."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from relance.kafka.consumer import BatchConsumer, consumer_config, read_all
from relance.kafka.records import RecordConsumer
from relance.kernel.errors import InputError, NotNow
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.shops import ShopTable
from services.tracking.metrics import Metrics
from services.tracking.topology.publisher import Limits, Publisher, Topics, producer_config
from services.tracking.topology.raw import RawLimits, RawTopic

PATIENCE_S = 60.0

Topic = Callable[..., str]


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"e-{number}", "source": "/shops/demo", "type": "page.viewed",
        "time": "2026-11-22T10:00:00.000Z", "visitorid": str(UUID(int=number + 1)), "data": {"page": f"/{number}"},
    } | more  # fmt: skip


def eventually(action: Callable[[], object]) -> None:
    """Try until it is no longer refused."""
    end_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            action()
        except InputError:
            assert time.monotonic() < end_s
            time.sleep(0.1)
        else:
            return


class World:
    """Topics of one test, and a loop over its raw topic in a thread."""

    def __init__(self, kafka: str, fresh_topic: Topic, partitions: int = 1) -> None:
        self.kafka = kafka
        self.partitions = partitions
        self.raw = fresh_topic("raw", partitions=2)
        self.topics = Topics(
            batches=fresh_topic("batches", partitions=partitions),
            facts=fresh_topic("facts"),
            letters=fresh_topic("letters"),
        )
        self.group = f"raw-{uuid4().hex[:8]}"
        self.metrics = Metrics(CollectorRegistry())
        self.shops = ["demo"]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def write(
        self, values: list[bytes | None], headers: list[tuple[str, bytes]] | None = None, partition: int = 0
    ) -> None:
        producer = Producer({"bootstrap.servers": self.kafka, "queue.buffering.max.messages": 1_000_000})
        for value in values:
            producer.produce(self.raw, value, partition=partition, headers=headers)
        assert producer.flush(PATIENCE_S) == 0

    def topic(self, **limits: Any) -> RawTopic:
        producer = Producer(producer_config(self.kafka, 67_108_864))
        publisher = Publisher(producer, Limits(), self.metrics, partitions=self.partitions, topics=self.topics)
        consumer = RecordConsumer(consumer_config(self.kafka, self.group) | {"session.timeout.ms": 6_000})
        bounds = RawLimits(topic=self.raw, dead_letters=self.topics.letters, **limits)
        return RawTopic(consumer, publisher, Encoder(ShopTable(["demo"])), lambda: self.shops, bounds, self.metrics)

    def start(self, **limits: Any) -> None:
        self._stop = threading.Event()
        topic = self.topic(**limits)

        def run() -> None:
            try:
                topic.run(self._stop.is_set)
            except BaseException as error:  # noqa: BLE001 - it is told to the test
                self.failure = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive()
        assert self.failure is None

    def committed(self) -> int:
        return sum(self.offsets().values())

    def offsets(self) -> dict[int, int]:
        """What is committed, by partition."""
        consumer = BatchConsumer(consumer_config(self.kafka, self.group))
        try:
            found = consumer.committed([(self.raw, number) for number in range(2)])
        except NotNow:
            return {}  # a broker that has just started has no coordinator for a moment
        finally:
            consumer.close()
        return {number: offset for (_, number), offset in found.items()}

    def until_committed(self, count: int) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while self.committed() < count:
            assert time.monotonic() < end_s, f"{self.committed()} of {count} committed"
            assert self.failure is None
            time.sleep(0.2)

    def rows(self) -> list[dict[str, Any]]:
        return [row for _, batch in self.batches() for row in batch.to_pylist()]

    def pages(self) -> set[str]:
        return {page for _, batch in self.batches() for page in batch.column("page").to_pylist()}

    def batches(self) -> list[tuple[int, pa.RecordBatch]]:
        return [
            (message.partition(), batch)
            for message in read_all(self.kafka, self.topics.batches)
            for batch in pa.ipc.open_stream(message.value())
        ]

    def facts(self) -> list[tuple[str, dict[str, Any]]]:
        return [(m.key().decode(), json.loads(m.value())) for m in read_all(self.kafka, self.topics.facts)]

    def letters(self) -> list[tuple[bytes, dict[str, str]]]:
        return [
            (m.value(), {name: text.decode() for name, text in m.headers()})
            for m in read_all(self.kafka, self.topics.letters)
        ]
