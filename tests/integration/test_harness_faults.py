"""Workers and brokers die, stop and refuse, and what a later owner restores is what the log says."""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from relance.kafka import local
from relance.kafka.harness.entries import owner_of
from tests.integration.harness_kit import Scene, Worker, until

pytestmark = [pytest.mark.kafka, pytest.mark.chaos]


@pytest.fixture
def scene(kafka: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(kafka, tmp_path).create_topics()
    yield made
    made.close()


def drained(count: int, *workers: Worker) -> bool:
    rows = [row for worker in workers for row in worker.owned.values()]
    return len(rows) == 4 and all(row["lag"] == 0 for row in rows) and sum(row["offset"] + 1 for row in rows) >= count


def offsets(worker: Worker) -> dict[int, int]:
    return {partition: row["offset"] for partition, row in worker.owned.items()}


def restored_offsets(worker: Worker) -> dict[int, int]:
    """Where the worker resumed, by what it said when it restored; the last time counts."""
    said = re.findall(r'"partition":(\d+),"offset":(-?\d+),"entries"', worker.said())
    return {int(partition): int(offset) for partition, offset in said}


def test_kill_9_of_one_of_two_workers(scene: Scene, chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    first, second = scene.worker(), scene.worker()
    until(lambda: first.owned and second.owned, first, second)
    feeding = threading.Thread(target=scene.feed, args=(8_000,), kwargs={"per_s": 900})
    feeding.start()
    time.sleep(draw.uniform(3.0, 7.0))  # more than one round of 2 s
    victim, heir = draw.sample([first, second], 2)
    held = offsets(victim)
    victim.kill()
    assert victim.process.returncode == -signal.SIGKILL
    assert feeding.is_alive()
    until(lambda: len(heir.owned) == 4 and heir.ready, heir)
    resumed = restored_offsets(heir)
    for partition, offset in held.items():
        # 900 a second over 4 partitions; a round of 2 s, and as much again for a slow machine
        assert offset - resumed[partition] < 900 / 4 * 2.0 * 2
    feeding.join()
    until(lambda: drained(8_000, heir), heir)
    assert heir.stop() == 0
    scene.assert_exact()


def test_all_workers_killed_again_and_again(scene: Scene, chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    feeding = threading.Thread(target=scene.feed, args=(6_000,), kwargs={"per_s": 900})
    feeding.start()
    for _ in range(3):
        worker = scene.worker(round_s=0.5)
        until(lambda: worker.owned, worker)  # noqa: B023 - used within the turn
        time.sleep(draw.uniform(0.2, 2.5))
        worker.kill()
    feeding.join()
    worker = scene.worker()
    until(lambda: drained(6_000, worker), worker, timeout_s=60)
    assert worker.stop() == 0
    scene.assert_exact()


def test_a_worker_stopped_past_its_session_changes_no_later_restore(scene: Scene, chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    zombie, heir = scene.worker(round_s=0.2), scene.worker(round_s=1.0)
    until(lambda: zombie.owned and heir.owned, zombie, heir)
    feeding = threading.Thread(target=scene.feed, args=(8_500,), kwargs={"per_s": 900})
    feeding.start()
    time.sleep(draw.uniform(2.0, 4.0))
    lost = set(zombie.owned)
    zombie.signal(signal.SIGSTOP)
    stopped_at_ms = time.time_ns() // 1_000_000
    until(lambda: len(heir.owned) == 4, heir)
    time.sleep(2.5)  # the heir's first rounds are done: it has removed what the zombie had saved
    owners = {p: {owner_of(key) for key in scene.saved_entries(p) if b"/" in key} for p in lost}
    zombie.signal(signal.SIGCONT)
    assert zombie.process.wait(20) == 1
    assert "stood still for" in zombie.said()
    assert heir.process.poll() is None
    for message in scene.read(scene.changelog):  # what it had under way arrives late; it began to write nothing more
        key, partition = message.key(), message.partition()
        told = message.value() is not None and b"/" in key  # the heir removes what it finds under its owner's name
        if told and partition in lost and owner_of(key) not in owners[partition]:
            assert message.timestamp() < (TIMESTAMP_CREATE_TIME, stopped_at_ms + 1)
    feeding.join()
    until(lambda: drained(8_500, heir), heir)
    heir.kill()
    last = scene.worker()
    until(lambda: drained(8_500, last), last)
    assert last.stop() == 0
    scene.assert_exact()


def test_a_refused_changelog_write_ends_the_process_and_moves_no_offset(scene: Scene) -> None:
    worker = scene.worker()
    scene.feed(2_000)
    until(lambda: drained(2_000, worker), worker)
    until(lambda: sum(scene.committed().values()) >= 2_000, worker)
    refuse = ConfigEntry("max.message.bytes", "150", incremental_operation=AlterConfigOpType.SET)
    changelog = ConfigResource(ResourceType.TOPIC, scene.changelog, incremental_configs=[refuse])
    for future in scene.admin.incremental_alter_configs([changelog]).values():
        future.result(10)
    scene.feed(4_000, start=2_000)
    assert worker.process.wait(30) == 1
    assert "harness_failed" in worker.story()
    for partition, committed in scene.committed().items():
        _, replayed = scene.restored(partition, scene.saved_entries(partition), log := scene.log(partition))
        assert committed <= len(log) - replayed  # nothing beyond what is saved
    assert sum(scene.committed().values()) < 6_000


def test_the_watchdog_ends_a_worker_that_silently_stopped_reading(scene: Scene) -> None:
    worker = scene.worker(environ={"STALL": "1"}, watchdog_s=3.0)
    until(lambda: worker.ready and worker.owned, worker)
    time.sleep(1.0)
    scene.feed(100)
    assert worker.process.wait(20) == 1
    assert "none was applied for 3.0 s" in worker.said()


def test_a_broker_that_is_killed_and_comes_back(own_broker: Path, tmp_path: Path) -> None:
    broker = local.start(own_broker)
    scene = Scene(broker.bootstrap, tmp_path).create_topics()
    try:
        worker = scene.worker()
        until(lambda: worker.owned, worker)
        feeding = threading.Thread(target=scene.feed, args=(6_000,), kwargs={"per_s": 900})
        feeding.start()
        time.sleep(3.0)
        os.kill(broker.pid, signal.SIGKILL)
        time.sleep(3.0)
        assert feeding.is_alive()
        local.start(own_broker)
        feeding.join()
        until(lambda: drained(6_000, worker), worker, timeout_s=60)
        assert worker.stop() == 0
        scene.assert_exact()
    finally:
        scene.close()


def test_records_removed_before_they_were_applied_are_noticed(scene: Scene) -> None:
    worker = scene.worker()
    scene.feed(800)
    until(lambda: drained(800, worker), worker)
    assert worker.stop() == 0
    scene.feed(800, start=800)
    before = [TopicPartition(scene.input, 2, scene.log(2)[-1].offset)]
    for future in scene.admin.delete_records(before).values():
        future.result(10)
    worker = scene.worker()
    assert worker.process.wait(30) == 1
    assert "records were removed before they were applied" in worker.said()


def test_a_hole_in_the_log_is_noticed(scene: Scene) -> None:
    worker = scene.worker(hole_limit_s=1.0)
    scene.feed(400)
    until(lambda: drained(400, worker), worker)
    producer = Producer({"bootstrap.servers": scene.kafka, "transactional.id": scene.name})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(scene.input, b"1000", partition=1)
    producer.commit_transaction(20)  # its marker takes an offset that no reader sees
    producer.begin_transaction()
    producer.produce(scene.input, b"1001", partition=1)
    producer.commit_transaction(20)
    assert worker.process.wait(30) == 1
    assert "was next" in worker.said()


def test_a_bucket_that_is_missing_is_a_defect(scene: Scene) -> None:
    worker = scene.worker()
    scene.feed(400)
    until(lambda: drained(400, worker), worker)
    assert worker.stop() == 0
    missing = next(key for key in scene.saved_entries(3) if b"/00005/" in key)
    producer = Producer({"bootstrap.servers": scene.kafka})
    producer.produce(scene.changelog, None, key=missing, partition=3)
    assert producer.flush(10) == 0
    worker = scene.worker()
    assert worker.process.wait(30) == 1
    assert "the changelog lacks 1 of 8 buckets, the first is 5" in worker.said()


def test_an_exception_of_the_machine_ends_the_process_and_skips_nothing(scene: Scene) -> None:
    worker = scene.worker()
    scene.feed(400)
    until(lambda: drained(400, worker), worker)
    offset = scene.say(b"defect now", partition=0)
    assert worker.process.wait(20) == 1
    again = scene.worker()
    assert again.process.wait(30) == 1
    assert again.said().count("RuntimeError('told to')") == 1
    assert scene.committed()[0] <= offset
