"""What happens while nothing fails: dead letters, ticks, control records, outputs in order, and what it refuses to
start on."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from relance.events.batch import TICK
from tests.integration.harness_kit import Scene, Worker, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def scene(kafka: str, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(kafka, tmp_path).create_topics()
    yield made
    made.close()


def caught_up(scene: Scene, worker: Worker) -> bool:
    return worker.ready and len(worker.owned) == 4 and all(row["lag"] == 0 for row in worker.owned.values())


def test_poison_is_dead_lettered_once_and_neighbours_flow(scene: Scene) -> None:
    worker = scene.worker()
    poison = [b"bad", b"\x00\xff\xfe", b"", b"bad " + b"x" * 900_000]
    scene.feed(200)
    offsets = [scene.say(value, partition=2) for value in poison]
    scene.feed(200, start=200)
    until(lambda: caught_up(scene, worker) and sum(r["offset"] for r in worker.owned.values()) > 396, worker)
    until(lambda: len(scene.read(scene.letters)) == len(poison), worker)
    assert worker.stop() == 0
    again = scene.worker()
    until(lambda: caught_up(scene, again), again)
    assert again.stop() == 0
    letters = scene.read(scene.letters)
    assert [letter.key().decode() for letter in letters] == [f"{scene.input}/2/{offset}" for offset in offsets]
    assert [letter.value() for letter in letters] == poison
    headers = dict(letters[0].headers())
    assert headers["reason"] == b"neither number nor order: b'bad'"
    assert (headers["topic"], headers["partition"], headers["offset"]) == (
        scene.input.encode(), b"2", b"%d" % offsets[0],
    )  # fmt: skip
    assert sum(record.value() is not None and record.value().isdigit() for record in scene.read(scene.input)) == 400
    scene.assert_exact()


def test_ticks_ring_an_alarm_soon_after_it_is_due(scene: Scene) -> None:
    worker = scene.worker()
    until(lambda: worker.ready and len(worker.owned) == 4, worker)
    said = scene.say(b"alarm 700", partition=1)
    until(lambda: scene.read(scene.outputs), worker)
    (rung,) = scene.read(scene.outputs)
    alarm_ms = next(record.append_ms for record in scene.log(1) if record.offset == said) + 700
    assert json.loads(rung.value()) == {"alarm": alarm_ms}
    ringer = next(record for record in scene.log(1) if record.append_ms >= alarm_ms)
    assert ringer.value == TICK
    assert f"1/{ringer.offset}" == rung.key().decode()
    assert ringer.append_ms - alarm_ms < 500  # a slow machine; the rule is 20 ms


def test_an_idle_partition_ticks_about_once_a_second(scene: Scene) -> None:
    worker = scene.worker()
    until(lambda: worker.ready and len(worker.owned) == 4, worker)
    before = {partition: row["offset"] for partition, row in worker.owned.items()}
    time.sleep(5)
    for partition, row in worker.owned.items():
        assert 2 <= row["offset"] - before[partition] <= 6
    assert all(record.value() == TICK for record in scene.read(scene.input))


def test_a_control_record_is_written_once_into_each_partition(scene: Scene) -> None:
    worker = scene.worker(environ={"WANTED_FACTOR": "3"})
    scene.feed(100)
    until(lambda: caught_up(scene, worker), worker)
    time.sleep(3)
    scene.feed(100, start=100)
    until(lambda: caught_up(scene, worker) and sum(r["offset"] for r in worker.owned.values()) > 200, worker)
    other = scene.worker(environ={"WANTED_FACTOR": "3"})
    until(lambda: other.ready and other.owned, worker, other)
    time.sleep(2)
    assert other.stop() == 0
    assert worker.stop() == 0
    factors = [r for r in scene.read(scene.input) if r.value() == b"factor 3"]
    assert sorted(record.partition() for record in factors) == [0, 1, 2, 3]
    scene.assert_exact()


def test_a_topic_without_append_time_is_refused(scene: Scene) -> None:
    create_time = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, scene.input, incremental_configs=[create_time])
    for future in scene.admin.incremental_alter_configs([topic]).values():
        future.result(10)
    scene.feed(8)
    worker = scene.worker()
    assert worker.process.wait(30) == 1
    assert "does not have message.timestamp.type=LogAppendTime" in worker.said()


def test_old_entries_and_expired_pieces_leave_the_changelog(scene: Scene) -> None:
    worker = scene.worker(round_s=0.5)
    scene.feed(1_500, per_s=300)
    until(lambda: caught_up(scene, worker), worker)
    time.sleep(11)  # the retention of pieces is 8 s
    assert worker.stop() == 0
    entries = scene.saved_entries(0)
    assert sum(key.startswith(b"bucket/") for key in entries) == 8
    assert sum(key.startswith(b"frame/") for key in entries) < 10
    scene.assert_exact()
