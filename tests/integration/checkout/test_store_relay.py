"""The relay between the outbox and a real Kafka: nothing lost, in order for each key, within a second."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from relance.kafka import local
from relance.kafka.consumer import read_all
from services.checkout.adapters.relay import Relay
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.conftest import Running

pytestmark = pytest.mark.kafka

MASTER = MasterKey(b"m" * 32)
WORKER = Path(__file__).parent / "relay_worker.py"
PATIENCE_S = 30.0


class Relaying:
    """A relay as a task."""

    def __init__(self, store: Store, bootstrap: str) -> None:
        self.relay = Relay(store.outbox, bootstrap, store.said)
        self.store = store
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self.relay.run(self._stop))

    async def until_empty(self, timeout_s: float = PATIENCE_S) -> None:
        end_s = time.monotonic() + timeout_s
        while (await self.store.outbox.waiting())[0]:
            assert time.monotonic() < end_s, self.relay.problem
            assert not self._task.done() or self._task.result()
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        self._stop.set()
        await asyncio.wait_for(self._task, PATIENCE_S)


Start = Callable[[Store, str], Relaying]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url, MASTER)
    yield opened
    await opened.close()


@pytest.fixture
async def relay_of(store: Store) -> AsyncIterator[Start]:
    """Starts relays, which have ended when the test has."""
    started: list[Relaying] = []

    def start(box: Store, bootstrap: str) -> Relaying:
        started.append(Relaying(box, bootstrap))
        return started[-1]

    yield start
    for each in started:
        await each.end()


async def _queue(store: Store, topic: str, numbers: range, key: str = "k") -> None:
    for number in numbers:
        async with store.transaction() as tx:
            await tx.send(topic, f"{key}-{number % 3}", b"%d" % number, f"m-{number}")


def _heard(bootstrap: str, topic: str) -> dict[str, list[int]]:
    heard: dict[str, list[int]] = {}
    for record in read_all(bootstrap, topic):
        heard.setdefault(record.key().decode(), []).append(int(record.value()))
    return heard


def _first(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


async def test_messages_arrive_once_and_in_order_for_each_key(
    store: Store, relay_of: Start, kafka: str, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(partitions=4)
    relaying = relay_of(store, kafka)
    await _queue(store, topic, range(60))
    async with store.transaction() as tx:
        for number in range(60, 120):
            await tx.send(topic, f"k-{number % 3}", b"%d" % number, f"m-{number}")
    await relaying.until_empty()
    await relaying.end()
    heard = await asyncio.to_thread(_heard, kafka, topic)
    assert heard == {f"k-{key}": list(range(key, 120, 3)) for key in range(3)}
    assert (relaying.relay.relayed, relaying.relay.refused, relaying.relay.problem) == (120, 0, None)


async def test_a_message_leaves_within_a_second(
    store: Store, relay_of: Start, kafka: str, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic()
    relaying = relay_of(store, kafka)
    await _queue(store, topic, range(1))
    await relaying.until_empty()
    for number in range(1, 6):
        await asyncio.sleep(0.2)
        begun_s = time.monotonic()
        await _queue(store, topic, range(number, number + 1))
        await relaying.until_empty()
        assert time.monotonic() - begun_s < 1.0
    await relaying.end()


async def test_what_another_process_queued_leaves_as_well(
    store: Store, relay_of: Start, database_url: str, kafka: str, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic()
    other = await open_store(database_url, MASTER)
    relaying = [relay_of(each, kafka) for each in (store, other)]
    await _queue(other, topic, range(20))
    await relaying[0].until_empty()
    for each in relaying:
        await each.end()
    await other.close()
    assert sorted(each.relay.relayed for each in relaying) == [0, 20]
    heard = await asyncio.to_thread(_heard, kafka, topic)
    assert sum(map(len, heard.values())) == 20


async def test_a_message_that_kafka_will_never_take_is_marked_and_passed(
    store: Store, relay_of: Start, kafka: str, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic(**{"max.message.bytes": "20000"})
    async with store.transaction() as tx:
        await tx.send(topic, "k", b"1", "m-1")
        await tx.send(topic, "k", random.Random(1).randbytes(60_000), "m-2")
        await tx.send(topic, "k", b"3", "m-3")
    relaying = relay_of(store, kafka)
    await relaying.until_empty()
    await relaying.end()
    assert (await asyncio.to_thread(_heard, kafka, topic)) == {"k": [1, 3]}
    assert (await store.outbox.waiting())[2] == relaying.relay.refused == 1
    (aside,) = await store.outbox.set_aside(10)
    assert (aside.message_id, aside.size_bytes, aside.topic) == ("m-2", 60_000, topic)
    assert "too large" in aside.error.lower()
    assert await store.outbox.set_aside(10, aside.id) == []
    assert await store.outbox.again([aside.id, aside.id + 1]) == 1
    assert (await store.outbox.waiting())[0] == 1
    again = relay_of(store, kafka)
    await again.until_empty()
    await again.end()
    assert again.relay.refused == 1, "Kafka takes no more than before"


async def test_a_topic_that_is_not_there_yet_holds_its_messages_back_alone(
    store: Store, relay_of: Start, kafka: str, fresh_topic: Callable[..., str], fresh_name: str
) -> None:
    topic = fresh_topic()
    async with store.transaction() as tx:
        await tx.send(f"{fresh_name}-absent", "k", b"1", "m-1")
        await tx.send(topic, "k", b"2", "m-2")
    relaying = relay_of(store, kafka)
    end_s = time.monotonic() + PATIENCE_S
    while relaying.relay.problem is None or relaying.relay.relayed < 1:
        assert time.monotonic() < end_s
        await asyncio.sleep(0.05)
    await relaying.end()
    assert (await store.outbox.waiting())[0] == 1
    assert (await asyncio.to_thread(_heard, kafka, topic)) == {"k": [2]}


@contextmanager
def _frozen(broker: local.Broker) -> Iterator[None]:
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def test_a_broker_that_is_away_is_waited_for(store: Store, relay_of: Start, own_broker: Path) -> None:
    broker = await asyncio.to_thread(local.start, own_broker)
    relaying = relay_of(store, broker.bootstrap)
    await _make(broker.bootstrap, "said-later")
    await _queue(store, "said-later", range(3))
    await relaying.until_empty()
    with _frozen(broker):
        begun_s = time.monotonic()
        await _queue(store, "said-later", range(3, 30))
        assert time.monotonic() - begun_s < 5.0  # nobody waits for Kafka
        await asyncio.sleep(2)
        assert (await store.outbox.waiting())[0] == 27
    await relaying.until_empty()
    await relaying.end()
    heard = await asyncio.to_thread(_heard, broker.bootstrap, "said-later")
    assert {key: _first(numbers) for key, numbers in heard.items()} == {
        f"k-{key}": list(range(key, 30, 3)) for key in range(3)
    }


async def _make(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})  # held on to: its end would end what is under way
    await asyncio.to_thread(admin.create_topics([NewTopic(topic, 2, 1)])[topic].result, PATIENCE_S)


async def test_killed_between_commit_and_relay_nothing_is_lost_and_nothing_overtakes(
    database_url: str,
    kafka: str,
    fresh_topic: Callable[..., str],
    start_process: Callable[..., Running],
    chaos_seed: int,
) -> None:
    topic = fresh_topic(partitions=2)
    draw = random.Random(chaos_seed)
    worker = start_process(str(WORKER), database_url, kafka, topic, PYTHONPATH=str(WORKER.parents[3]))
    await asyncio.to_thread(worker.until_said, f"committed {draw.randrange(20, 120)}\n")
    worker.kill()
    committed = [int(line.split()[1]) for line in worker.said().splitlines() if line.startswith("committed ")]
    store = await open_store(database_url, MASTER)
    relaying = Relaying(store, kafka)
    await relaying.until_empty()
    await relaying.end()
    await store.close()
    heard = await asyncio.to_thread(_heard, kafka, topic)
    assert set(committed) <= {number for numbers in heard.values() for number in numbers}
    for numbers in heard.values():
        assert _first(numbers) == sorted(set(numbers))
