"""What the harness tests share: topics of their own, worker processes, and an exact look at what they left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from relance.kafka.harness import HarnessSettings
from relance.kafka.harness.ledger import choose
from relance.kafka.machine import Record
from tests.integration.harness_machine import BUCKETS, RETENTION_MS, CountingFactory, CountingMachine, recomputed

ROOT = Path(__file__).parents[2]
PATIENCE_S = 40.0


class Scene:
    """Topics with a name of their own, the workers on them, and what is in them."""

    def __init__(self, kafka: str, logs: Path, partitions: int = 4, **settings: Any) -> None:
        self.kafka, self.logs, self.partitions = kafka, logs, partitions
        self.name = f"harness-{uuid4().hex[:8]}"
        self.input, self.outputs, self.letters = self.name, f"{self.name}-outputs", f"{self.name}-letters"
        self.changelog = f"{self.name}-sessions-changelog"
        self.settings = {
            "kafka": kafka, "app_id": self.name, "table": "sessions", "input_topic": self.input,
            "partitions": partitions, "dead_letter_topic": self.letters, "round_s": 2.0, "session_timeout_s": 6.0,
            "heartbeat_s": 1.0, "request_timeout_s": 10.0, "rebalance_timeout_s": 15.0,
            "datadir": str(logs / "faust"),
        } | settings  # fmt: skip
        self.workers: list[Worker] = []
        self.admin = AdminClient({"bootstrap.servers": kafka})

    def create_topics(self, **changelog: str) -> "Scene":
        appended = {"message.timestamp.type": "LogAppendTime"}
        compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"} | changelog
        topics = [
            NewTopic(self.input, self.partitions, 1, config=appended),
            NewTopic(self.outputs, self.partitions, 1),
            NewTopic(self.letters, 1, 1),
            NewTopic(self.changelog, self.partitions, 1, config=compacted),
        ]
        for future in self.admin.create_topics(topics).values():
            future.result(30)
        return self

    def worker(self, *, environ: dict[str, str] | None = None, **settings: Any) -> "Worker":
        started = Worker(self, len(self.workers), self.settings | settings, environ or {})
        self.workers.append(started)
        return started

    def feed(self, count: int, *, start: int = 0, per_s: float = 1e9) -> None:
        """The numbers from `start`, evenly over the partitions, at most so many a second."""
        began = time.monotonic()
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 5, "acks": "all"})
        for number in range(start, start + count):
            while True:
                try:
                    producer.produce(self.input, b"%d" % number, partition=number // BUCKETS % self.partitions)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
            if (ahead_s := (number - start) / per_s - (time.monotonic() - began)) > 0:
                time.sleep(ahead_s)
        assert producer.flush(100) == 0  # a broker that was killed comes back by then

    def say(self, value: bytes, partition: int = 0) -> int:
        """One record; its offset."""
        told: list[Any] = []
        producer = Producer({"bootstrap.servers": self.kafka, "acks": "all"})
        producer.produce(self.input, value, partition=partition, on_delivery=lambda error, m: told.append((error, m)))
        assert producer.flush(30) == 0
        assert told[0][0] is None
        return int(told[0][1].offset())

    def read(self, topic: str) -> list[Any]:
        """Every record that is in a topic now."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka, "group.id": uuid4().hex, "auto.offset.reset": "earliest",
             "enable.partition.eof": False, "fetch.wait.max.ms": 50}
        )  # fmt: skip
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), 10) for p in partitions}
        consumer.assign([TopicPartition(topic, p, low) for p, (low, high) in ends.items() if high > low])
        records: list[Any] = []
        behind = {p for p, (low, high) in ends.items() if high > low}
        deadline = time.monotonic() + PATIENCE_S
        while behind and time.monotonic() < deadline:
            for message in consumer.consume(10_000, 0.2):
                assert message.error() is None, message.error()
                if message.offset() < ends[message.partition()][1]:
                    records.append(message)
            behind = {p for p in behind if consumer.position([TopicPartition(topic, p)])[0].offset < ends[p][1]}
        consumer.close()
        assert not behind, f"{topic} could not be read to its end"
        return records

    def log(self, partition: int, records: list[Any] | None = None) -> list[Record]:
        """The input of one partition."""
        taken = self.read(self.input) if records is None else records
        return sorted(Record(m.offset(), m.timestamp()[1], m.value()) for m in taken if m.partition() == partition)

    def committed(self) -> dict[int, int]:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": self.name})
        wanted = [TopicPartition(self.input, partition) for partition in range(self.partitions)]
        offsets = {tp.partition: tp.offset for tp in consumer.committed(wanted, 10)}
        consumer.close()
        return offsets

    def saved_entries(self, partition: int, records: list[Any] | None = None) -> dict[bytes, bytes]:
        """What the changelog holds of a partition."""
        entries: dict[bytes, bytes] = {}
        for message in self.read(self.changelog) if records is None else records:
            if message.partition() == partition:
                entries.pop(message.key(), None)
                if message.value() is not None:
                    entries[message.key()] = message.value()
        return entries

    def restored(self, partition: int, entries: dict[bytes, bytes], log: list[Record]) -> tuple[CountingMachine, int]:
        """The machine that a new owner would have at the end of the log, and how many records it would replay."""
        checkpoint, _ = choose(entries, "reader", buckets=BUCKETS, retention_ms=RETENTION_MS)
        machine = CountingFactory(self.outputs).restore(partition, checkpoint)
        replay = [record for record in log if record.offset > checkpoint.offset]
        for record in replay:
            if not record.value.startswith(b"bad"):
                machine.apply(record)
        return machine, len(replay)

    def assert_exact(self) -> dict[int, int]:
        """What is saved and what was said is what the log says; how many records a new owner would replay."""
        log, saved, said = self.read(self.input), self.read(self.changelog), self.read(self.outputs)
        outputs: dict[bytes, set[bytes]] = {}
        for message in said:
            outputs.setdefault(message.key(), set()).add(message.value())
        contradictions = {key: bodies for key, bodies in outputs.items() if len(bodies) > 1}
        assert not contradictions
        replayed: dict[int, int] = {}
        for partition in range(self.partitions):
            records = self.log(partition, log)
            assert [record.offset for record in records] == list(range(len(records)))
            machine, replayed[partition] = self.restored(partition, self.saved_entries(partition, saved), records)
            expected = recomputed(records)
            state = machine.state()
            assert {name: state[name] for name in ("counts", "factor", "seen")} == {
                name: expected[name] for name in ("counts", "factor", "seen")
            }
            wanted = {f"{partition}/{offset}".encode(): body for offset, body in expected["said"].items()}
            mine = {
                key: json.loads(min(bodies)) for key, bodies in outputs.items() if key.startswith(b"%d/" % partition)
            }
            assert {key: body for key, body in mine.items() if "number" in body} == wanted
        return replayed

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()


class Worker:
    """A process that runs a harness; its last status line is read in a thread."""

    def __init__(self, scene: Scene, number: int, settings: dict[str, Any], environ: dict[str, str]) -> None:
        self.log = scene.logs / f"{scene.name}-{number}.log"
        self.status: dict[str, Any] = {"partitions": [], "unready": "starting"}
        checked = msgspec.convert(settings, HarnessSettings)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.harness_worker", msgspec.json.encode(checked).decode()],
                stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=os.environ | environ,
            )  # fmt: skip
        self.listening = threading.Thread(target=self._listen, daemon=True)
        self.listening.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if line.startswith(b"{") and line.endswith(b"}\n"):  # a killed one may have said half a line
                    self.status = json.loads(line)

    @property
    def listened(self) -> bool:
        """Whether it has said anything yet."""
        return bool(self.status["unready"] != "starting")

    @property
    def owned(self) -> dict[int, dict[str, Any]]:
        return {row["partition"]: row for row in self.status["partitions"] if row["live"]}

    @property
    def ready(self) -> bool:
        return self.status["unready"] is None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, also when stopped; returns when the process is dead."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.listening.join(10)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def story(self) -> str:
        """What the harness itself said, and what others complained of."""
        lines = self.said().splitlines()
        return "\n".join(line for line in lines if '"logger":"harness"' in line or '"level":"info"' not in line)[
            -6_000:
        ]


def until(what: Callable[[], Any], *workers: Worker, timeout_s: float = PATIENCE_S) -> None:
    """Wait for a fact; workers must live meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not what():
        for worker in workers:
            assert worker.process.poll() is None, f"a worker ended: {worker.story()}"
        assert time.monotonic() < deadline, f"never came: {[(w.status, w.story()) for w in workers]}"
        time.sleep(0.05)
