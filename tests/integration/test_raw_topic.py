"""The raw topic on a real broker: what shops write is in batches, facts or dead letters before it is committed."""

import copy
import json
import time
from collections.abc import Iterator
from uuid import UUID

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from relance.kernel.errors import Defect
from relance.kernel.partitioning import partition_of
from services.tracking.topology.publisher import Topics
from tests.integration.raw_kit import PATIENCE_S, Topic, World, event

pytestmark = pytest.mark.timeout(300)  # the first run compiles
OLDEST = "message.timestamp.before.max.ms"


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


def test_what_waits_behind_an_unacknowledged_chunk_is_bounded(kafka: str, fresh_topic: Topic) -> None:
    world = World(kafka, fresh_topic)
    refusing = {"message.timestamp.type": "CreateTime", OLDEST: "0"}  # each comes too late, which is not for good
    facts = fresh_topic("held", **refusing)
    world.topics = Topics(batches=world.topics.batches, facts=facts, letters=world.topics.letters)
    count = 30_000
    fact = json.dumps(event(0, type="cart.viewed", data={"cart_id": "c"})).encode()
    world.write([fact, *(json.dumps(event(number)).encode() for number in range(1, count))])
    world.start(chunk_events=500, in_flight_bytes_max=300_000)
    seen = -1
    end_s = time.monotonic() + PATIENCE_S
    while (read := len(world.pages())) > seen or not read:  # its first chunk is written again and again
        assert time.monotonic() < end_s
        seen = read
        time.sleep(1.0)
    assert 0 < seen < count / 2, "it reads on, and remembers all that it read"
    assert world.committed() == 0
    take_all(kafka, facts)
    world.until_committed(count)
    world.stop()
    assert len(world.pages()) == count  # the first has none
    assert len(world.facts()) == 1


def take_all(kafka: str, topic: str) -> None:
    """Messages may be of any age from now on."""
    entry = ConfigEntry(OLDEST, str(2**63 - 1), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka})  # which must outlive what it was asked
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


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
