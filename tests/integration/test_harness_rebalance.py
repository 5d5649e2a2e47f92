"""Workers come and go under load, and every record is applied once."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.harness_kit import Scene, Worker, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def scene(kafka: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(kafka, tmp_path).create_topics()
    yield made
    made.close()


def share(*workers: Worker) -> bool:
    """All four partitions are owned, each worker has one, and none waits."""
    return sum(len(worker.owned) for worker in workers) == 4 and all(worker.owned for worker in workers)


def drained(scene: Scene, count: int, *workers: Worker) -> bool:
    rows = [row for worker in workers for row in worker.owned.values()]
    return len(rows) == 4 and all(row["lag"] == 0 for row in rows) and sum(row["offset"] + 1 for row in rows) >= count


@pytest.mark.timeout(240)
def test_a_backlog_of_100_000_records_survives_two_joins_and_a_leave(scene: Scene) -> None:
    scene.feed(100_000)
    first = scene.worker()
    until(lambda: sum(row["records"] for row in first.owned.values()) > 4_000, first)
    second = scene.worker()
    until(lambda: share(first, second), first, second)
    assert sum(row["lag"] for row in first.owned.values()) > 10_000
    third = scene.worker()
    until(lambda: share(first, second, third), first, second, third)
    assert sum(row["lag"] for row in first.owned.values()) > 5_000
    assert third.stop() == 0
    until(lambda: drained(scene, 100_000, first, second), first, second, timeout_s=150)
    assert first.stop() == 0
    assert second.stop() == 0
    assert max(scene.assert_exact().values()) == 0


def test_a_partition_that_stays_is_not_restored_again(scene: Scene) -> None:
    scene.feed(2_000)
    first = scene.worker()
    until(lambda: drained(scene, 2_000, first), first)
    second = scene.worker()
    until(lambda: share(first, second), first, second)
    assert first.said().count('"partition_restored"') == 4
    assert second.said().count('"partition_restored"') == len(second.owned)
    assert all(row["records"] >= 400 for row in first.owned.values())  # the same machines, counting on


def test_a_planned_hand_over_replays_nothing(scene: Scene) -> None:
    first, second = scene.worker(round_s=600.0), scene.worker(round_s=600.0)
    scene.feed(8_000)
    until(lambda: share(first, second), first, second)
    until(lambda: drained(scene, 8_000, first, second), first, second)
    took = first.owned
    began = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - began < 10
    saved = {p: entries for p in took if (entries := scene.saved_entries(p))}
    for partition, row in took.items():
        _, replayed = scene.restored(partition, saved[partition], scene.log(partition)[: row["offset"] + 1])
        assert replayed == 0
    until(lambda: len(second.owned) == 4, second)
    assert second.stop() == 0
    assert max(scene.assert_exact().values()) == 0


@pytest.mark.chaos
def test_workers_join_and_leave_all_the_time(scene: Scene, chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    feeding = threading.Thread(target=scene.feed, args=(8_000,), kwargs={"per_s": 900})
    feeding.start()
    workers = [scene.worker(), scene.worker()]
    ends = time.monotonic() + 12
    while time.monotonic() < ends:
        time.sleep(draw.uniform(1.0, 3.0))
        if len(workers) < 2 or (len(workers) < 4 and draw.random() < 0.5):
            workers.append(scene.worker())
        else:
            leaving = workers.pop(draw.randrange(len(workers)))
            if draw.random() < 0.5 or not leaving.listened:  # the second: it has hardly begun, and hears no SIGTERM yet
                leaving.kill()
            else:
                assert leaving.stop() == 0, leaving.story()
    feeding.join()
    until(lambda: all(worker.listened for worker in workers), *workers)
    until(lambda: drained(scene, 8_000, *workers), *workers, timeout_s=60)
    for worker in workers:
        assert worker.stop() == 0, worker.story()
    scene.assert_exact()
