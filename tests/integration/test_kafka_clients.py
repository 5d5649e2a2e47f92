import asyncio
import threading
import time
from collections.abc import Callable

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING

from relance.events.shops import DEFAULTS, Shop
from relance.events.topics import ALL, BATCHES, SESSION_CHANGELOG, SHOPS, Topic
from relance.kafka.admin import align_topics, describe_topics, ensure_topics, partition_count
from relance.kafka.consumer import BatchConsumer, consumer_config, read_all, tail
from relance.kafka.producer import Placed, Producer, producer_config
from relance.kafka.shops import ShopDirectory, ShopRegister
from relance.kernel.errors import Defect, InputError, NotNow

pytestmark = pytest.mark.kafka

Fresh = Callable[..., str]


def fail(error: Defect) -> None:
    raise error


@pytest.fixture
def own_map(fresh_name: str) -> tuple[Topic, ...]:
    """The map of topics under names of their own."""
    return tuple(msgspec.structs.replace(topic, name=f"{fresh_name}-{topic.name}") for topic in ALL)


def test_topics_are_created_as_the_map_says_and_only_once(kafka: str, own_map: tuple[Topic, ...]) -> None:
    states = ensure_topics(kafka, topics=own_map)
    assert [(state.name, state.created, state.partitions, state.drift) for state in states] == [
        (topic.name, True, topic.partitions, ()) for topic in own_map
    ]
    again = ensure_topics(kafka, topics=own_map)
    assert not any(state.created or state.drift for state in again)


def test_partitions_given_replace_those_of_partitioned_topics(kafka: str, own_map: tuple[Topic, ...]) -> None:
    states = ensure_topics(kafka, 2, topics=own_map)
    assert [state.partitions for state in states] == [min(2, topic.partitions) for topic in own_map]
    asked_for_more = describe_topics(kafka, 8, topics=own_map)
    drifted = {state.name: state.drift[0].setting for state in asked_for_more if state.drift}
    assert drifted == {topic.name: "partitions" for topic in own_map if topic.partitions > 1}


def test_drift_is_told_and_brought_into_line(kafka: str, own_map: tuple[Topic, ...]) -> None:
    batches = next(topic for topic in own_map if topic.name.endswith(BATCHES.name))
    ensure_topics(kafka, topics=[msgspec.structs.replace(batches, retention_ms=1_000, append_time=False)])
    (state,) = describe_topics(kafka, topics=[batches])
    assert {(drift.setting, drift.found) for drift in state.drift} == {
        ("retention.ms", "1000"),
        ("message.timestamp.type", "CreateTime"),
    }
    assert align_topics(kafka, [state]) == 2
    (aligned,) = describe_topics(kafka, topics=[batches])
    assert aligned.drift == ()


def test_changelog_is_compacted_early(kafka: str, own_map: tuple[Topic, ...]) -> None:
    changelog = next(topic for topic in own_map if topic.name.endswith(SESSION_CHANGELOG.name))
    wrong = msgspec.structs.replace(changelog, extra={"min.cleanable.dirty.ratio": "0.1"})
    ensure_topics(kafka, topics=[changelog])
    (state,) = describe_topics(kafka, topics=[wrong])
    assert state.drift == ()


def test_missing_topic_is_named_with_the_command(kafka: str) -> None:
    with pytest.raises(InputError, match="relance topics create"):
        partition_count(kafka, "no-such-topic")
    with pytest.raises(InputError, match="relance topics create"):
        list(read_all(kafka, "no-such-topic"))


async def test_records_are_placed_in_order_and_read_back(kafka: str, fresh_topic: Fresh) -> None:
    topic = fresh_topic(partitions=2)
    producer = Producer(producer_config(kafka), fail)
    began_ms = time.time_ns() // 1_000_000
    sends = [producer.send(topic, b"%d" % n, key=b"k", headers=[("n", b"%d" % n)], partition=1) for n in range(100)]
    placed = await asyncio.gather(*sends)
    assert producer.close()
    assert [place.offset for place in placed] == list(range(100))
    assert all(abs(place.append_ms - began_ms) < 60_000 and place.partition == 1 for place in placed)

    read = list(read_all(kafka, topic))
    assert [message.value() for message in read] == [b"%d" % n for n in range(100)]
    assert read[7].headers() == [("n", b"7")]


def test_record_that_is_too_large_is_reported_and_harms_no_other(kafka: str, fresh_topic: Fresh) -> None:
    topic = fresh_topic(**{"max.message.bytes": "10000"})
    producer = Producer(producer_config(kafka) | {"compression.type": "none", "linger.ms": 0}, fail)
    with pytest.raises(NotNow, match="did not acknowledge"):
        producer.submit(topic, b"x" * 20_000).result(20)
    assert isinstance(producer.submit(topic, b"small").result(20), Placed)
    assert producer.close()


def test_full_queue_says_not_now(kafka: str, fresh_topic: Fresh) -> None:
    topic = fresh_topic()
    config = producer_config(kafka) | {"queue.buffering.max.messages": 10, "linger.ms": 500}
    producer = Producer(config, fail)

    def overfill() -> None:
        for _ in range(1_000):
            producer.produce(topic, b"x")

    with pytest.raises(NotNow, match="queue"):
        overfill()
    assert producer.close()
    assert 10 <= len(list(read_all(kafka, topic))) < 1_000


def test_group_goes_on_after_what_was_committed(kafka: str, fresh_topic: Fresh, fresh_name: str) -> None:
    topic = fresh_topic()
    producer = Producer(producer_config(kafka), fail)
    for n in range(10):
        producer.produce(topic, b"%d" % n)
    assert producer.close()

    def read(count: int) -> list[bytes]:
        consumer = BatchConsumer(consumer_config(kafka, fresh_name) | {"session.timeout.ms": 6_000})
        assigned: list[tuple[str, int]] = []
        consumer.subscribe([topic], assigned.extend)
        values: list[bytes] = []
        end_s = time.monotonic() + 30
        while len(values) < count and time.monotonic() < end_s:
            values += [message.value() for message in consumer.consume(count - len(values), 0.5)]
        assert assigned == [(topic, 0)]
        at = consumer.committed([(topic, 0)]).get((topic, 0), 0)
        consumer.commit({(topic, 0): at + len(values)})
        consumer.close()
        return values

    assert read(4) == [b"0", b"1", b"2", b"3"]
    assert read(6) == [b"4", b"5", b"6", b"7", b"8", b"9"]


def test_partition_assigned_by_hand_is_paused_and_resumed(kafka: str, fresh_topic: Fresh, fresh_name: str) -> None:
    topic = fresh_topic()
    producer = Producer(producer_config(kafka), fail)
    producer.submit(topic, b"one").result(20)
    consumer = BatchConsumer(consumer_config(kafka, fresh_name))
    consumer.assign({(topic, 0): OFFSET_BEGINNING})
    assert [message.value() for message in consumer.consume(10, 20)] == [b"one"]
    consumer.pause([(topic, 0)])
    producer.submit(topic, b"two").result(20)
    assert consumer.consume(10, 0.5) == []
    consumer.resume([(topic, 0)])
    assert [message.value() for message in consumer.consume(1, 20)] == [b"two"]
    assert consumer.ends([(topic, 0)]) == {(topic, 0): (0, 2)}
    consumer.close()
    assert producer.close()


def test_tail_misses_nothing_after_its_start(kafka: str, fresh_topic: Fresh) -> None:
    topic = fresh_topic(partitions=3)
    producer = Producer(producer_config(kafka), fail)
    producer.submit(topic, b"before", partition=0).result(20)
    stop = threading.Event()
    batches = tail(kafka, [topic], stop=stop)
    assert next(batches) == []
    for partition in range(3):
        producer.submit(topic, b"after", partition=partition).result(20)
    seen: list[bytes] = []
    end_s = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < end_s:
        seen += [message.value() for message in next(batches)]
    stop.set()
    assert list(batches) == []
    assert seen == [b"after"] * 3
    assert producer.close()


def with_origin(shop: Shop | None, origin: str) -> Shop:
    assert shop is not None
    return msgspec.structs.replace(shop, origins=(origin,))


@pytest.fixture
def shops_topic(fresh_topic: Fresh) -> str:
    return fresh_topic("shops", **{"cleanup.policy": "compact"})


def test_directory_reads_all_shops_then_follows(kafka: str, shops_topic: str) -> None:
    register = ShopRegister(kafka, topic=shops_topic)
    register.change("a", lambda _: Shop(shop="a", version=0, events_per_second=5))
    register.change(DEFAULTS, lambda _: Shop(shop=DEFAULTS, version=0))
    told: list[tuple[str, int | None]] = []
    directory = ShopDirectory(
        kafka, topic=shops_topic, on_change=lambda name, shop: told.append((name, shop.version if shop else None))
    )
    assert directory.unready() == "the shops are still being read"
    directory.start()
    assert directory.wait_ready(20)
    assert directory.unready() is None
    assert [shop.shop for shop in directory.all()] == ["a"]
    assert directory.get(DEFAULTS) is not None

    version = directory.version
    changed = register.change("a", lambda known: with_origin(known, "https://a.example"))
    assert (changed.version, changed.events_per_second) == (2, 5)
    until(lambda: directory.version > version)
    assert directory.get("a") == changed

    producer = Producer(producer_config(kafka), fail)
    producer.submit(shops_topic, msgspec.json.encode(msgspec.structs.replace(changed, version=1)), key=b"a").result(20)
    producer.submit(shops_topic, b"{nonsense", key=b"a").result(20)
    producer.submit(shops_topic, None, key=b"a").result(20)
    until(lambda: directory.get("a") is None)
    assert told == [("a", 1), (DEFAULTS, 1), ("a", 2), ("a", None)]
    assert directory.unready() is None
    assert producer.close()
    directory.close()


def test_empty_topic_is_ready_at_once_and_a_missing_one_says_what_to_run(kafka: str, shops_topic: str) -> None:
    empty = ShopDirectory(kafka, topic=shops_topic)
    empty.start()
    assert empty.wait_ready(20)
    empty.close()
    missing = ShopDirectory(kafka, topic="no-such-shops")
    missing.start()
    until(lambda: "relance topics create" in (missing.unready() or ""))
    assert not missing.ready
    missing.close()


def test_two_who_change_a_shop_at_once_both_count(kafka: str, shops_topic: str) -> None:
    register = ShopRegister(kafka, topic=shops_topic)
    register.change("a", lambda _: Shop(shop="a", version=0))
    raced: list[int] = []

    def slow(known: Shop | None) -> Shop:
        assert known is not None
        if not raced:
            raced.append(known.version)
            register.change("a", lambda now: msgspec.structs.replace(now or known, events_per_second=7))
        return with_origin(known, "https://a.example")

    register.change("a", slow)
    (final,) = register.read().values()
    assert (final.version, final.events_per_second, final.origins) == (3, 7, ("https://a.example",))


def until(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.02)


def test_shops_topic_is_one_partition() -> None:
    assert SHOPS.partitions == 1  # a shop's versions are in order only within one
