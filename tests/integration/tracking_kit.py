"""Shops, events and the tracking service for the tests of its edges; what arrived is read from Kafka."""

import hashlib
import json
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from relance.events.shops import Key, Shop
from relance.events.topics import BATCHES, FACTS
from relance.kafka.shops import ShopRegister
from relance.kernel.instants import format_ms
from services.tracking.domain.hashing import event_hash
from tests.integration.clock_kit import Clock
from tests.integration.conftest import Running

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"


class Service:
    """A running tracking service and its addresses."""

    def __init__(self, bootstrap: str, running: Running) -> None:
        self.bootstrap = bootstrap
        self.running = running
        running.until_said('"listening"', 90)
        line = next(line for line in running.said().splitlines() if '"listening"' in line)
        ports = json.loads(line)
        self.url = f"http://127.0.0.1:{ports['http']}"
        self.grpc = f"127.0.0.1:{ports['grpc']}"
        self.metrics_url = f"http://127.0.0.1:{ports['metrics']}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.client.close()
        return self.running.end()

    def publish(self, key: str, body: Any, kind: str = SINGLE, **headers: str) -> httpx.Response:
        """`POST /v1/events`."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = {"authorization": f"Bearer {key}", "content-type": kind, **headers}
        return self.client.post("/v1/events", content=content, headers=shown)

    def reader(self) -> psutil.Process:
        """The process that reads the raw topic. One that was started anew has a helper of the library beside it."""
        children = psutil.Process(self.running.pid).children()
        (found,) = [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]
        return found

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        text = httpx.get(f"{self.metrics_url}/metrics").text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def start_service(bootstrap: str, log: Path, clock: Clock | None = None, **settings: str) -> Service:
    """A service of its own, ready to take events; `settings` without their prefix."""
    own = {"PORT": "0", "GRPC_PORT": "0", "METRICS_PORT": "0", "RAW_TOPIC": "false"} | settings
    variables = {f"RELANCE_TRACKING_{name}": value for name, value in own.items()} | {"RELANCE_KAFKA": bootstrap}
    variables |= clock.environ if clock else {}
    running = Running("tracking", [sys.executable, "-m", "services.tracking"], os.environ | variables, log)
    try:
        service = Service(bootstrap, running)
        running.until_answers(f"{service.url}/health/ready", 60)
    except BaseException:
        running.kill()
        raise
    return service


class TestShop:
    """A shop that nobody else uses, known to the service."""

    __test__ = False

    def __init__(self, service: Service, events_per_second: int = 0) -> None:
        self.service = service
        self.name = f"shop-{uuid.uuid4().hex[:10]}"
        self.secret = f"sk_{uuid.uuid4().hex}"
        self.publishable = f"pk_{uuid.uuid4().hex}"
        self.origin = f"https://{self.name}.example"
        self.write(
            [self.key("secret", self.secret), self.key("publishable", self.publishable)],
            events_per_second=events_per_second,
        )
        wait_for(lambda: service.publish(self.secret, [], BATCH).status_code == 202)

    def key(self, kind: Literal["secret", "publishable"], text: str, expires_at_ms: int | None = None) -> Key:
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Key(kind=kind, sha256=digest, hint=text[-4:], created_at_ms=0, expires_at_ms=expires_at_ms)

    def write(self, keys: Iterable[Key], events_per_second: int = 0) -> None:
        """Write the shop with these keys."""

        def change(_known: Shop | None) -> Shop:
            return Shop(
                shop=self.name, version=0, keys=tuple(keys), origins=(self.origin,), events_per_second=events_per_second
            )

        ShopRegister(self.service.bootstrap).change(self.name, change)

    def event(self, type_name: str = "page.viewed", **attributes: Any) -> dict[str, Any]:
        """An event with an id of its own."""
        return {
            "specversion": "1.0",
            "id": uuid.uuid4().hex,
            "source": f"/shops/{self.name}",
            "type": type_name,
            "time": format_ms(time.time_ns() // 1_000_000),
            "visitorid": str(uuid.uuid4()),
            "data": {"page": "/"},
        } | attributes

    def events(self, count: int) -> list[dict[str, Any]]:
        return [self.event() for _ in range(count)]


class Log:
    """What was written to the topics of batches and facts since this object was made."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": f"log-{uuid.uuid4()}", "enable.auto.commit": False}
        )
        self._from = {
            (topic.name, number): self._end(topic.name, number)
            for topic in (BATCHES, FACTS)
            for number in range(topic.partitions)
        }

    def close(self) -> None:
        self._consumer.close()

    def hashes(self) -> list[int]:
        """Hashes of source and id of all events in the batches."""
        found: list[int] = []
        for value in self._read(BATCHES.name):
            if value.startswith(b"\xff\xff\xff\xff"):
                for batch in pa.ipc.open_stream(value):
                    found += batch.column("event_hash").to_pylist()
        return found

    def facts(self) -> list[dict[str, Any]]:
        """All facts."""
        return [json.loads(value) for value in self._read(FACTS.name)]

    def holds(self, events: Iterable[dict[str, Any]]) -> list[bool]:
        """For each event whether it is in the batches."""
        found = set(self.hashes())
        return [event_hash(event["source"], event["id"]) in found for event in events]

    def _end(self, topic: str, number: int) -> int:
        return int(self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)[1])

    def _read(self, topic: str) -> list[bytes]:
        """Everything up to the end as it is now: what is acknowledged must be there, without waiting."""
        begins = {number: begin for (name, number), begin in self._from.items() if name == topic}
        ends = {number: self._end(topic, number) for number in begins}
        self._consumer.assign([TopicPartition(topic, number, begin) for number, begin in begins.items()])
        missing = {number for number, end in ends.items() if end > begins[number]}
        values: list[bytes] = []
        until_s = time.monotonic() + 30
        while missing and time.monotonic() < until_s:
            for message in self._consumer.consume(1_000, 0.2):
                assert message.error() is None
                values.append(message.value())
                if message.offset() + 1 >= ends[message.partition()]:
                    missing.discard(message.partition())
        assert not missing
        return values


def wait_for(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    """Ask again and again until it holds."""
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.05)
