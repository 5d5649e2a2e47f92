"""The process of the raw topic is killed, or stands still: what it had not committed is read again, and no more."""

import itertools
import json
import os
import random
import signal
import time
from collections.abc import Iterator

import pytest

from relance.events.shops import Shop
from relance.kafka.shops import ShopRegister
from services.tracking.topology.raw import RawLimits
from services.tracking.topology.raw_process import RawProcess, RawSettings
from tests.integration.raw_kit import PATIENCE_S, Topic, World, event, eventually

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(300)]  # the first run compiles


@pytest.fixture
def world(kafka: str, fresh_topic: Topic) -> Iterator[World]:
    made = World(kafka, fresh_topic)
    yield made
    made.stop()


@pytest.fixture
def reading(world: World, fresh_topic: Topic) -> RawSettings:
    """For a process that reads what `world` writes, in small chunks."""
    shops = fresh_topic("shops", **{"cleanup.policy": "compact"})
    register = ShopRegister(world.kafka, topic=shops)
    eventually(lambda: register.change("demo", lambda _: Shop(shop="demo", version=0)))  # a new topic takes a moment
    return RawSettings(
        kafka=world.kafka, group=world.group, topics=world.topics, partitions=1, shops=shops,
        raw=RawLimits(topic=world.raw, dead_letters=world.topics.letters, chunk_events=100),
        consumer={"session.timeout.ms": 6_000},
    )  # fmt: skip


def test_a_reader_that_stood_still_past_its_session_commits_nothing_stale(
    world: World, reading: RawSettings, chaos_seed: int
) -> None:
    half, more = 150_000, 2_000  # more than a fast machine can do before the stop
    for partition in (0, 1):
        world.write([json.dumps(event(partition * half + n)).encode() for n in range(half)], partition=partition)
    stopped, heir = RawProcess(reading), RawProcess(reading)
    stopped.start()
    world.until_committed(random.Random(chaos_seed).randrange(1, 5_000))
    pid = stopped.pid or 0
    os.kill(pid, signal.SIGSTOP)
    try:
        held = world.committed()
        heir.start()
        world.until_committed(2 * half)
        assert held < 2 * half, "nothing was left to do"
    finally:
        os.kill(pid, signal.SIGCONT)
    reached = [world.offsets()]
    for partition in (0, 1):
        begin = 2 * half + partition * more
        world.write([json.dumps(event(begin + n)).encode() for n in range(more)], partition=partition)
    end_s = time.monotonic() + PATIENCE_S
    while sum(reached[-1].values()) < 2 * (half + more) or time.monotonic() < end_s - PATIENCE_S + 4:
        assert time.monotonic() < end_s
        reached.append(world.offsets() or reached[-1])
        time.sleep(0.1)
    assert all(later[n] >= earlier[n] for earlier, later in itertools.pairwise(reached) for n in earlier), (
        "it went back"
    )
    assert heir.stop(30.0)
    world.write([json.dumps(event(2 * (half + more))).encode()])
    world.until_committed(2 * (half + more) + 1)  # the one that stood still goes on alone, from where the other was
    assert stopped.stop(30.0)
    assert (stopped.exit_code, heir.exit_code) == (0, 0)
    assert world.pages() == {f"/{number}" for number in range(2 * (half + more) + 1)}


def test_kill_9_in_mid_stream_loses_nothing(world: World, reading: RawSettings, chaos_seed: int) -> None:
    count = 250_000  # more than a fast machine can do before the kill
    world.write([json.dumps(event(number)).encode() for number in range(count)])
    killed = RawProcess(reading)
    killed.start()
    world.until_committed(random.Random(chaos_seed).randrange(1, 10_000))
    assert killed.exit_code is None
    os.kill(killed.pid or 0, signal.SIGKILL)
    assert killed.stop(10.0)
    committed = world.committed()
    assert committed < count, "nothing was left to do"
    assert {f"/{number}" for number in range(committed)} <= world.pages()
    second = RawProcess(reading)
    second.start()
    world.until_committed(count)
    assert second.stop(30.0)
    assert second.exit_code == 0
    assert world.pages() == {f"/{number}" for number in range(count)}
