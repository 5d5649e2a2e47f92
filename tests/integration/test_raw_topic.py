"""The raw topic on a real broker: what shops write is in batches, facts or dead letters before it is committed."""

import copy
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from relance.events.shops import Shop
from relance.kafka.consumer import BatchConsumer, consumer_config, read_all
from relance.kafka.records import RecordConsumer
from relance.kafka.shops import ShopRegister
from relance.kernel.errors import Defect, InputError, NotNow
from relance.kernel.partitioning import partition_of
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.shops import ShopTable
from services.tracking.metrics import Metrics
from services.tracking.topology.publisher import Limits, Publisher, Topics, producer_config
from services.tracking.topology.raw import RawLimits, RawTopic
from services.tracking.topology.raw_process import RawProcess, RawSettings

pytestmark = pytest.mark.timeout(300)  # the first run compiles
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
        consumer = BatchConsumer(consumer_config(self.kafka, self.group))
        try:
            return sum(consumer.committed([(self.raw, number) for number in range(2)]).values())
        except NotNow:
            return 0  # a broker that has just started has no coordinator for a moment
        finally:
            consumer.close()

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


@pytest.fixture
def world(kafka: str, fresh_topic: Topic) -> Iterator[World]:
    made = World(kafka, fresh_topic)
    yield made
    made.stop()


def test_structured_events_become_rows_facts_and_letters(world: World) -> None:
    good = [json.dumps(event(number)).encode() for number in range(300)]
    fact = json.dumps(event(300, type="cart.viewed", data={"cart_id": "c"})).encode()
    bad = [b"{", b"", json.dumps(event(301, type="cart.viewed", data={})).encode(), None]
    world.write([*good, fact, *bad])
    world.start()
    world.until_committed(305)
    rows = world.rows()
    assert [row["page"] for row in rows] == [*(f"/{number}" for number in range(300)), ""]
    assert all(abs(row["arrival"] / 1000 - time.time()) < PATIENCE_S for row in rows)
    assert world.facts() == [(str(UUID(int=301)), json.loads(fact))]
    letters = world.letters()
    assert [value for value, _ in letters] == [b"{", b"", bad[2], b""]
    assert [headers["offset"] for _, headers in letters] == ["301", "302", "303", "304"]
    assert letters[2][1] | {"append_ms": ""} == {
        "reason": "data.cart_id: is required", "topic": world.raw, "partition": "0", "offset": "303", "append_ms": "",
    }  # fmt: skip


def test_what_kafka_never_takes_ends_the_loop_with_the_reason(kafka: str, fresh_topic: Topic) -> None:
    world = World(kafka, fresh_topic)
    small = fresh_topic("small", **{"max.message.bytes": "100"})
    world.topics = Topics(batches=small, facts=world.topics.facts, letters=world.topics.letters)
    world.write([json.dumps(event(1)).encode()])
    world.start()
    end_s = time.monotonic() + PATIENCE_S
    while world.failure is None:
        assert time.monotonic() < end_s
        time.sleep(0.05)
    assert isinstance(world.failure, Defect)
    assert small in str(world.failure)
    assert "too large" in str(world.failure).lower()
    assert world.committed() == 0


def test_events_too_large_are_letters_and_hold_up_no_other(world: World) -> None:
    large = json.dumps(event(1, note="x" * 300_000)).encode()
    world.write([json.dumps(event(0)).encode(), large, json.dumps(event(2)).encode()])
    world.start(event_bytes_max=100_000)
    world.until_committed(3)
    assert [row["page"] for row in world.rows()] == ["/0", "/2"]
    ((value, headers),) = world.letters()
    assert value == large
    assert headers["reason"] == "event: is larger than 100000 bytes"


def test_binary_mode_is_read_from_headers(world: World) -> None:
    attributes = {
        "specversion": "1.0", "id": "b-1", "source": "/shops/demo", "type": "cart.viewed", "returning": "true",
        "time": "2026-11-22T10:00:00Z", "visitorid": "phone-1",
    }  # fmt: skip
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    world.write(
        [b'{"cart_id": "c-1"}', b'{},"id":"other"', b"\xff", None], [*headers, ("content-type", b"application/json")]
    )
    world.start()
    world.until_committed(4)
    assert len(world.rows()) == 1
    (_, link), (key, fact) = sorted(world.facts(), key=lambda pair: pair[1]["type"] != "identity.linked")
    assert link["data"] == {"anonymous_id": "phone-1", "visitor": key}
    assert (fact["visitorid"], fact["returning"], fact["data"]) == (key, True, {"cart_id": "c-1"})
    letters = world.letters()
    assert [value for value, _ in letters] == [b'{},"id":"other"', b"\xff", b""]
    assert all(headers["ce_id"] == "b-1" for _, headers in letters)


def test_a_wrong_clock_is_corrected_by_the_append_time(world: World) -> None:
    told = event(
        1, type="cart.viewed", data={"cart_id": "c"}, time="2026-01-01T00:00:00Z", senttime="2026-01-01T00:00:05Z"
    )
    world.write([json.dumps(told).encode()])
    world.start()
    world.until_committed(1)
    (row,) = world.rows()
    assert row["time"] == row["arrival"] - 5_000
    ((_, fact),) = world.facts()
    assert fact["senttime"] is None
    assert fact["time"].startswith(time.strftime("%Y-%m", time.gmtime(row["time"] / 1000)))


def test_a_shop_made_known_just_now_is_not_refused(world: World) -> None:
    world.shops = ["demo", "fresh"]
    world.write(
        [json.dumps(event(n, source=f"/shops/{shop}")).encode() for n, shop in enumerate(["fresh", "stranger"])]
    )
    world.start()
    world.until_committed(2)
    assert [row["shop"] for row in world.rows()] == ["fresh"]
    ((_, headers),) = world.letters()
    assert headers["reason"] == "source: the shop stranger is not known"


def test_a_visitor_stays_in_the_partition_of_its_uuid(kafka: str, fresh_topic: Topic) -> None:
    world = World(kafka, fresh_topic, partitions=4)
    world.write([json.dumps(event(number % 100)).encode() for number in range(1000)])
    world.write([json.dumps(event(number % 100)).encode() for number in range(1000)], partition=1)
    world.start()
    world.until_committed(2000)
    world.stop()
    for partition, batch in world.batches():
        for visitor in batch.column("visitor").to_pylist():
            assert partition_of(visitor, 4) == partition
    assert len(world.rows()) == 2000


@pytest.mark.chaos
def test_kill_9_in_mid_stream_loses_nothing(world: World, fresh_topic: Topic, chaos_seed: int) -> None:
    shops = fresh_topic("shops", **{"cleanup.policy": "compact"})
    register = ShopRegister(world.kafka, topic=shops)
    eventually(lambda: register.change("demo", lambda _: Shop(shop="demo", version=0)))  # a new topic takes a moment
    settings = RawSettings(
        kafka=world.kafka, group=world.group, topics=world.topics, partitions=1, shops=shops,
        raw=RawLimits(topic=world.raw, dead_letters=world.topics.letters, chunk_events=100),
        consumer={"session.timeout.ms": 6_000},
    )  # fmt: skip
    count = 250_000  # more than a fast machine can do before the kill
    world.write([json.dumps(event(number)).encode() for number in range(count)])
    killed = RawProcess(settings)
    killed.start()
    world.until_committed(random.Random(chaos_seed).randrange(1, 10_000))
    assert killed.exit_code is None
    os.kill(killed.pid or 0, signal.SIGKILL)
    assert killed.stop(10.0)
    committed = world.committed()
    assert committed < count, "nothing was left to do"
    assert {f"/{number}" for number in range(committed)} <= world.pages()
    second = RawProcess(settings)
    second.start()
    world.until_committed(count)
    assert second.stop(30.0)
    assert second.exit_code == 0
    assert world.pages() == {f"/{number}" for number in range(count)}


def test_a_partition_full_of_refusals_raises_the_alarm_and_is_paused(world: World) -> None:
    world.write([b"nonsense"] * 1_000)
    world.write([json.dumps(event(number)).encode() for number in range(200)], partition=1)
    world.start(chunk_events=100, alarm_share=0.5, pauses=True, pause_s=600.0)
    world.until_committed(300)
    time.sleep(1.0)
    assert world.committed() < 1_200, "the partition was not paused"
    assert world.metrics.dead_letter_alarm.labels("0")._value.get() == 1
    assert world.metrics.dead_letter_alarm.labels("1")._value.get() == 0
    assert world.metrics.paused._value.get() == 1


def test_two_workers_share_the_partitions_and_lose_nothing_when_one_leaves(kafka: str, fresh_topic: Topic) -> None:
    world = World(kafka, fresh_topic)
    other = copy.copy(world)
    values: list[bytes | None] = [json.dumps(event(number)).encode() for number in range(8_000)]
    for place in range(0, 8_000, 1_000):
        world.write(values[place : place + 1_000], partition=place // 1_000 % 2)
        if place == 1_000:
            world.start(chunk_events=200)
        if place == 3_000:
            other.start(chunk_events=200)
        if place == 5_000:
            world.stop()
    other.until_committed(8_000)
    other.stop()
    assert {row["page"] for row in world.rows()} == {f"/{number}" for number in range(8_000)}
