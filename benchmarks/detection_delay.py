"""Detection delay: from a signal's due time (deadline + grace) to the moment at which a consumer has it.

Events arrive on the raw topic at an even rate; broker, tracking, session, writer and reader share the machine.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from benchmarks.cluster import Cluster
from benchmarks.live_service import LiveService, free_port
from benchmarks.processes import Tree, log_tail
from benchmarks.relance_system import DEFINITIONS, fresh_topics, session_start, tracking_start, write_shop
from benchmarks.report import Measure
from benchmarks.systems import ROOT, Place
from benchmarks.workload import GAP_MS, GRACE_MS, generate
from relance.events.topics import ENDED, RAW, SIGNALS
from relance.kernel.instants import parse_ms

__all__ = ["detection_delay"]

_TARGETS_MS: Final = {50.0: 80.0, 99.0: 200.0, 99.9: 500.0}
_READY_LIMIT_S: Final = 300.0
_WARM_S: Final = 10.0  # of the signals: what comes before is warm-up


class _Signal(msgspec.Struct, frozen=True):
    fired_at: str


_signal: Final = msgspec.json.Decoder(_Signal)


def detection_delay(
    cluster: Cluster, directory: Path, *, rate: float, seconds: float, told: Callable[[str], None]
) -> list[Measure]:
    """Pace `rate` events a second for `seconds`, and time every signal that comes of them after the warm-up."""
    start_ms = int(time.time() // 3600 + 7) * 3_600_000
    live = int(rate * (GAP_MS + GRACE_MS) / 10_000)
    workload = generate(directory / "logs", events=int(rate * seconds * 1.02), live=live, seed=2, start_ms=start_ms)
    cluster.allow_times_ahead()
    fresh_topics(cluster, keep=(RAW,))
    cluster.drop([RAW.name])
    cluster.make_topic(RAW, partitions=1)
    write_shop(cluster.kafka, DEFINITIONS)
    ports = {name: free_port() for name in ("session", "tracking")}
    place = Place(kafka=cluster.kafka, input="", output="", group="", state=str(directory / "delay"))
    logs = directory / "delay"
    starts = {
        "session": session_start(place, METRICS_PORT=str(ports["session"])),
        "tracking": tracking_start(place, METRICS_PORT=str(ports["tracking"])),
    }
    services = [LiveService(starts[name], ports[name], logs) for name in starts]
    try:
        for service in services:
            service.wait(service.ready, _READY_LIMIT_S, "ready")
        told(f"pacing {rate:,.0f} events/s for {seconds:g} s")
        return _measures(*_time(cluster.kafka, workload.file, rate, seconds, logs), rate)
    finally:
        for service in reversed(services):
            service.tree.stop(30.0)


def _time(kafka: str, file: str, rate: float, seconds: float, logs: Path) -> tuple[list[float], float]:
    """Delays in ms of all signals after the warm-up, and how late the writer was at worst, in seconds."""
    reader = Consumer(
        {
            "bootstrap.servers": kafka, "group.id": "relance-bench-delay", "enable.auto.commit": False,
            "fetch.wait.max.ms": 10, "log_level": 2,
        }
    )  # fmt: skip
    reader.assign(
        [
            TopicPartition(topic.name, partition, 0)
            for topic in (SIGNALS, ENDED)
            for partition in range(topic.partitions)
        ]
    )
    command = (sys.executable, "-m", "benchmarks.pace", kafka, file, str(rate), str(seconds))
    writer = Tree("pace", command, log=logs / "pace.log", environ=os.environ, directory=ROOT)
    delays: list[float] = []
    first_s = 0.0
    until = time.monotonic() + 2 * seconds + 60
    after_s = (GAP_MS + GRACE_MS) / 1000 + 2
    try:
        while time.monotonic() < until:
            if after_s and not writer.running():
                until, after_s = time.monotonic() + after_s, 0.0
            messages = reader.consume(1_000, 0.002)
            now_ms = time.time() * 1000
            if messages and not first_s:
                first_s = time.monotonic()
            if first_s and time.monotonic() - first_s > _WARM_S:
                for message in messages:
                    delays.extend(
                        now_ms - due_ms for due_ms in _due(str(message.topic()), bytes(message.value() or b""))
                    )
    finally:
        reader.close()
        writer.stop()
    words = log_tail(writer.log, 1)
    try:
        return delays, float(words)
    except ValueError:
        message = f"the writer failed or did not end in time: {words}"
        raise RuntimeError(message) from None


def _due(topic: str, value: bytes) -> Iterator[int]:
    if topic == SIGNALS.name:
        yield parse_ms(_signal.decode(value).fired_at)
    else:
        for batch in pa.ipc.open_stream(value):
            yield from batch.column("fired_at").to_pylist()


def _measures(delays: list[float], late_s: float, rate: float) -> list[Measure]:
    if not delays:
        raise RuntimeError("no signal came after the warm-up")
    note = f"{len(delays):,} signals; the writer was late by {late_s * 1000:.0f} ms at worst"
    return [
        Measure(
            name=f"detection delay at {rate:,.0f} events/s, p{percent:g}",
            value=float(np.percentile(delays, percent)),
            unit="ms",
            target=target if rate >= 50_000 else None,
            at_least=False,
            note=note,
        )
        for percent, target in _TARGETS_MS.items()
    ]
