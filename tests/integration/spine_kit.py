"""The whole spine for the system tests: a broker of their own, tracking, session workers, and what they said."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import httpx
from prometheus_client.parser import text_string_to_metric_families

from relance.cli.opening import open_shop
from relance.cli.signals import signals_in
from relance.events.signals import Signal
from relance.events.topics import ENDED, SIGNALS
from relance.kafka import local
from relance.kafka.admin import ensure_topics
from relance.kafka.consumer import read_all
from relance.kernel.instants import format_ms
from relance.kernel.partitioning import partition_of
from relance.rpc.session.v1 import session_pb2 as pb
from relance.rpc.session.v1.session_pb2_grpc import SessionServiceStub
from relance.rules.windows import Definitions, Window
from tests.integration.clock_kit import Clock
from tests.integration.conftest import Running, answers
from tests.integration.tracking_kit import BATCH, Service, start_service

PARTITIONS = 4
STARTED_S = 180.0  # a first start compiles the kernels
READY_S = 90.0
_SESSION = {
    "GRPC_PORT": "0", "METRICS_PORT": "0", "BUCKETS": "32", "ROUND_S": "5", "SESSION_TIMEOUT_S": "6",
    "HASH_KEY": "known-to-every-test",
}  # fmt: skip


class SessionWorker:
    """A process of the session service."""

    def __init__(self, kafka: str, log: Path, settings: Mapping[str, str], clock: Clock | None = None) -> None:
        variables = {f"RELANCE_SESSION_{name}": value for name, value in (_SESSION | dict(settings)).items()}
        environ = os.environ | variables | {"RELANCE_KAFKA": kafka, "TMPDIR": str(log.parent)}
        environ |= clock.environ if clock else {}
        self.running = Running(log.stem, [sys.executable, "-m", "services.session"], environ, log)
        self._channel: grpc.Channel | None = None

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of this event."""
        lines = [json.loads(line) for line in self.running.said().splitlines() if line[:1] + line[-1:] == "{}"]
        return [line for line in lines if line["event"] == event]

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.logged('listening')[-1]['metrics']}"

    def is_ready(self) -> bool:
        return answers(f"{self.metrics_url}/health/ready")

    def await_ready(self) -> "SessionWorker":
        """Returns once all that it is assigned is restored."""
        self.running.until(lambda: self.logged("listening"), "listening", STARTED_S)
        self.running.until(self.is_ready, "ready", READY_S)
        return self

    def samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of a metric, by the name that its samples have."""
        text = httpx.get(f"{self.metrics_url}/metrics", timeout=10).text
        families = text_string_to_metric_families(text)
        return [(one.labels, one.value) for family in families for one in family.samples if one.name == name]

    def total(self, name: str, **labels: str) -> float:
        """Sum of a metric over the samples that have these labels."""
        return sum(value for found, value in self.samples(name) if labels.items() <= found.items())

    def gauges(self, name: str) -> dict[int, float]:
        """A gauge by the partitions that it owns."""
        return {int(labels["partition"]): value for labels, value in self.samples(f"relance_session_{name}")}

    def resumed(self) -> dict[int, int]:
        """The offset that each partition was restored at, by what it logged; the last time counts."""
        return {line["partition"]: line["offset"] for line in self.logged("partition_restored")}

    def applied(self) -> dict[int, int]:
        """Offset of the last record applied, by the partitions that it owns."""
        records, resumed = self.gauges("records"), self.resumed()
        return {number: resumed[number] + round(count) for number, count in records.items()}

    @property
    def stub(self) -> Any:
        """A client of this worker."""
        if self._channel is None:
            self._channel = grpc.insecure_channel(f"127.0.0.1:{self.logged('listening')[-1]['grpc']}")
        return SessionServiceStub(self._channel)

    def ask(self, shop: str, visitor: object) -> Any:
        """`GetSession`, once; raises grpc.RpcError."""
        return self.stub.GetSession(pb.GetSessionRequest(shop=shop, visitor=str(visitor)), timeout=10).session

    def kill(self) -> None:
        """kill -9; returns when it is dead."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self.running.kill()

    def end(self) -> int:
        """SIGTERM; the exit code."""
        return self.running.end(60)


class Spine:
    """A broker, tracking and session workers. Start them in any order, `close` whatever happened."""

    def __init__(self, home: Path, logs: Path, **session: str) -> None:
        self.home, self.logs, self._session = home, logs, session
        self.kafka = local.start(home).bootstrap
        ensure_topics(self.kafka, PARTITIONS)
        self.tracking: Service
        self.tracking_clock: Clock | None = None  # what tracking takes for the time; None: the true one
        self.workers: list[SessionWorker] = []
        self._count = 0

    def worker(self, clock: Clock | None = None, **settings: str) -> SessionWorker:
        """A further session worker; it has only begun to start."""
        started = SessionWorker(self.kafka, self._log("session"), self._session | settings, clock)
        self.workers.append(started)
        return started

    def start_tracking(self, **settings: str) -> Service:
        """Tracking, ready."""
        raw = {"RAW_TOPIC": "true", "RAW_METRICS_PORT": "0"}
        self.tracking = start_service(self.kafka, self._log("tracking"), self.tracking_clock, **(raw | settings))
        return self.tracking

    def mend(self, workers: int = 2) -> None:
        """What a supervisor does: whatever has ended is started again, where it listened before."""
        assert local.start(self.home).bootstrap == self.kafka
        if not self.tracking.running.lives():
            self.tracking.client.close()
            ports = {"PORT": self.tracking.url, "GRPC_PORT": self.tracking.grpc}
            self.start_tracking(**{name: address.rpartition(":")[2] for name, address in ports.items()})
        # A worker whose broker goes away in the middle of a rebalance ends by itself, maybe while it is waited for.
        until(lambda: self._all_ready(workers), f"{workers} workers are ready", STARTED_S)

    def _all_ready(self, workers: int) -> bool:
        for ended in [worker for worker in self.workers if not worker.running.lives()]:
            ended.kill()
            self.workers.remove(ended)
        while len(self.workers) < workers:
            self.worker()
        return all(worker.logged("listening") and worker.is_ready() for worker in self.workers)

    def open(self, windows: Definitions) -> "OpenShop":
        """A fresh shop with these windows, which every part knows."""
        name = f"shop-{uuid4().hex[:8]}"
        return OpenShop(self, name, open_shop(self.kafka, self.tracking.url, name, windows))

    def said(self) -> tuple[dict[UUID, Signal], int]:
        """(all signals that can be read, by id; how often one came again). Fails on an id with two contents."""
        signals: dict[UUID, Signal] = {}
        again = 0
        for topic in (SIGNALS.name, ENDED.name):
            for message in read_all(self.kafka, topic):
                for signal in signals_in(message):
                    assert signals.setdefault(signal.signal_id, signal) == signal, "one id, two contents"
                    again += 1
        return signals, again - len(signals)

    def owned(self) -> dict[int, SessionWorker]:
        """Who owns which partition, by the workers' own word."""
        found: dict[int, SessionWorker] = {}
        for one in self.workers:
            with contextlib.suppress(httpx.TransportError):  # it is just starting, or ending
                found |= dict.fromkeys(one.gauges("lag_records") if one.running.lives() else (), one)
        return found

    def close(self) -> None:
        """End all."""
        for worker in self.workers:
            worker.kill()
        if hasattr(self, "tracking"):
            self.tracking.client.close()
            self.tracking.running.kill()
        local.stop(self.home, timeout_s=5)

    def _log(self, name: str) -> Path:
        self._count += 1
        return self.logs / f"{name}-{self._count}.log"


class OpenShop:
    """A shop and the secret key to send with."""

    def __init__(self, spine: Spine, name: str, key: str) -> None:
        self.spine, self.name, self.key = spine, name, key

    def event(self, type_name: str, visitor: object, data: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
        """An event that happens now."""
        return {
            "specversion": "1.0", "id": uuid4().hex, "source": f"/shops/{self.name}", "type": type_name,
            "time": format_ms(time.time_ns() // 1_000_000), "visitorid": str(visitor), "data": data,
        } | attributes  # fmt: skip

    def cart(self, visitor: object, total_minor: int = 6_000) -> dict[str, Any]:
        """A cart with two items."""
        items = [{"product_id": "A", "quantity": 2, "price_minor": total_minor // 2}]
        data = {"cart_id": f"c-{visitor}", "currency": "EUR", "total_minor": total_minor, "items": items}
        return self.event("cart.updated", visitor, data)

    def send(self, *events: Mapping[str, Any]) -> None:
        """All of them, acknowledged."""
        answer = self.spine.tracking.publish(self.key, list(events), BATCH)
        assert answer.status_code == 202, answer.text


def visitors_of_all_partitions(each: int = 1) -> list[UUID]:
    """So many new visitors of each partition."""
    found: dict[int, list[UUID]] = {number: [] for number in range(PARTITIONS)}
    while any(len(visitors) < each for visitors in found.values()):
        visitor = uuid4()
        of_partition = found[partition_of(visitor.bytes, PARTITIONS)]
        if len(of_partition) < each:
            of_partition.append(visitor)
    return [visitor for visitors in found.values() for visitor in visitors]


def windows(gap_s: float = 30.0, grace_s: float = 0.2, **stages_s: float) -> Definitions:
    """Stage windows: the name of each is its stage's, with so many seconds of inactivity."""
    return Definitions(
        session_gap=timedelta(seconds=gap_s),
        grace=timedelta(seconds=grace_s),
        windows=tuple(
            Window(id=stage, stage=stage, inactivity=timedelta(seconds=seconds))  # type: ignore[arg-type]
            for stage, seconds in stages_s.items()
        ),
    )


def until(holds: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Ask again and again until it holds."""
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, f"not in {within_s} s: {what}"
        time.sleep(0.1)
