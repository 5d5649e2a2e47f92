"""The micro-batcher on a real broker: who is told what, and when."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from relance.kafka.consumer import read_all
from relance.kernel.errors import Defect, NotNow
from relance.kernel.partitioning import partition_of
from services.tracking.domain.columnar import Encoded, Encoder
from services.tracking.domain.shops import ShopTable
from services.tracking.metrics import Metrics
from services.tracking.topology.batcher import Batcher
from services.tracking.topology.publisher import Limits, Publisher, Topics, producer_config

pytestmark = pytest.mark.timeout(300)  # the first run compiles
PATIENCE_S = 30.0

Topic = Callable[..., str]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(ShopTable(["demo"]))


def encoded(encoder: Encoder, first: int, count: int, kind: str = "page.viewed") -> Encoded:
    return encoder.encode(
        [
            json.dumps(
                {
                    "specversion": "1.0", "id": f"e-{number}", "source": "/shops/demo", "type": kind,
                    "time": "2026-11-22T10:00:00Z", "visitorid": str(UUID(int=number + 1)),
                    "data": {"page": f"/{number}", "cart_id": "c"},
                }
            ).encode()
            for number in range(first, first + count)
        ]
    )  # fmt: skip


def batcher(kafka: str, topics: Topics, limits: Limits, partitions: int = 4, **config: Any) -> Batcher:
    def on_fatal(defect: Defect) -> None:
        raise defect

    metrics = Metrics(CollectorRegistry())
    producer = Producer(producer_config(kafka, limits.queue_bytes_max) | config)
    return Batcher(
        Publisher(producer, limits, metrics, partitions=partitions, topics=topics), limits, metrics, on_fatal=on_fatal
    )


async def test_small_submissions_share_records_and_each_is_told(
    kafka: str, fresh_topic: Topic, encoder: Encoder
) -> None:
    topics = Topics(batches=fresh_topic("batches", partitions=4), facts=fresh_topic("facts"))
    made = batcher(kafka, topics, Limits())
    waiting = [made.submit(encoded(encoder, 10 * number, 10)) for number in range(300)]
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*waiting)
    records = list(read_all(kafka, topics.batches))
    assert len(records) <= 8
    pages: list[str] = []
    for record in records:
        for batch in pa.ipc.open_stream(record.value()):
            assert {partition_of(visitor, 4) for visitor in batch.column("visitor").to_pylist()} == {record.partition()}
            pages += batch.column("page").to_pylist()
    assert sorted(pages) == sorted(f"/{number}" for number in range(3000))


async def test_records_stay_below_their_bounds(kafka: str, fresh_topic: Topic, encoder: Encoder) -> None:
    topics = Topics(batches=fresh_topic("batches"), facts=fresh_topic("facts"))
    made = batcher(kafka, topics, Limits(batch_events_max=100, batch_bytes_max=8_000), partitions=1)
    async with asyncio.timeout(PATIENCE_S):
        await made.submit(encoded(encoder, 0, 1000))
    sizes = [len(record.value()) for record in read_all(kafka, topics.batches)]
    assert len(sizes) >= 10
    assert max(sizes) < 16_000


async def test_a_failed_fact_fails_its_submission_alone(kafka: str, fresh_topic: Topic, encoder: Encoder) -> None:
    topics = Topics(batches=fresh_topic("batches", partitions=4), facts="no-such-topic")
    made = batcher(
        kafka,
        topics,
        Limits(),
        **{"topic.metadata.propagation.max.ms": 1_000, "delivery.timeout.ms": 3_000, "allow.auto.create.topics": False},
    )
    plain = [made.submit(encoded(encoder, 10 * number, 10)) for number in range(5)]
    with_fact = made.submit(encoded(encoder, 1000, 3, "cart.viewed"))
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(*plain, with_fact, return_exceptions=True)
    assert results[:5] == [None] * 5
    assert isinstance(results[5], NotNow)


async def test_too_much_waiting_is_turned_away_and_later_taken(
    kafka: str, fresh_topic: Topic, encoder: Encoder
) -> None:
    topics = Topics(batches=fresh_topic("batches", partitions=4), facts=fresh_topic("facts"))
    some = encoded(encoder, 0, 50)
    made = batcher(kafka, topics, Limits(queue_bytes_max=some.size_bytes * 3))
    waiting = [made.submit(some) for _ in range(3)]
    with pytest.raises(NotNow) as turned_away:
        made.submit(some)
    assert turned_away.value.retry_after_s > 0
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*waiting)
        await made.submit(some)
    assert made.waiting_bytes == 0


async def test_a_pair_that_kafka_did_not_take_is_written_with_the_next_event(
    kafka: str, fresh_topic: Topic, encoder: Encoder
) -> None:
    def phone() -> Encoded:
        told = {
            "specversion": "1.0", "id": "p", "source": "/shops/demo", "type": "page.viewed",
            "time": "2026-11-22T10:00:00Z",
            "visitorid": "phone-of-this-test",
        }  # fmt: skip
        return encoder.encode([json.dumps(told).encode()])

    topics = Topics(batches=fresh_topic("batches", partitions=4), facts=fresh_topic("facts"))
    full = batcher(kafka, topics, Limits(queue_bytes_max=1))
    with pytest.raises(NotNow):
        full.submit(phone())
    made = batcher(kafka, topics, Limits())
    async with asyncio.timeout(PATIENCE_S):
        await made.submit(phone())
        await made.submit(phone())
    (fact,) = [json.loads(message.value()) for message in read_all(kafka, topics.facts)]
    assert fact["data"]["anonymous_id"] == "phone-of-this-test"


async def test_drain_sends_what_lingers(kafka: str, fresh_topic: Topic, encoder: Encoder) -> None:
    topics = Topics(batches=fresh_topic("batches", partitions=4), facts=fresh_topic("facts"))
    made = batcher(kafka, topics, Limits(linger_ms=60_000))
    waiting = made.submit(encoded(encoder, 0, 10))
    assert await made.drain(PATIENCE_S)
    assert waiting.done()
    assert waiting.exception() is None
