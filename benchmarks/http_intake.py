"""HTTP intake: tracking on one core, the load generator and the broker on the others."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.cluster import Cluster
from benchmarks.live_service import LiveService, free_port
from benchmarks.processes import pin
from benchmarks.relance_system import DEFINITIONS, fresh_topics, tracking_start, write_shop
from benchmarks.report import Measure
from benchmarks.systems import ROOT, Place
from benchmarks.workload import SHOP
from relance.events.shops import Key

__all__ = ["http_intake"]

_KEY: Final = "sk_bench_only-for-the-loopback"
_CONNECTIONS: Final = (
    1_024  # an answer waits for its batch and for Kafka: with few connections these waits are the limit
)
_SINGLE_RATE: Final = 5_000
_READY_LIMIT_S: Final = 300.0


def http_intake(
    cluster: Cluster, directory: Path, *, broker_pid: int, seconds: float, told: Callable[[str], None]
) -> list[Measure]:
    """Bodies of 50 events as fast as they are acknowledged, then single events at 5,000 requests a second."""
    fresh_topics(cluster)
    digest = hashlib.sha256(_KEY.encode()).hexdigest()
    write_shop(cluster.kafka, DEFINITIONS, Key(kind="secret", sha256=digest, hint=_KEY[-4:], created_at_ms=0))
    port, metrics_port = free_port(), free_port()
    place = Place(kafka=cluster.kafka, input="", output="", group="", state=str(directory / "http"))
    start = tracking_start(place, PORT=str(port), METRICS_PORT=str(metrics_port), RAW_TOPIC="false")
    cores = sorted(os.sched_getaffinity(0))
    service = LiveService(start, metrics_port, directory / "http")
    try:
        service.wait(service.ready, _READY_LIMIT_S, "ready")
        pin(service.tree.pid, cores[-1:])
        pin(broker_pid, cores[:-1] or cores)
        told("HTTP: bodies of 50 events")
        many, cpu_s = _load(service, port, cores, "--events", "50", "--seconds", str(seconds))
        told("HTTP: single events")
        single, _ = _load(service, port, cores, "--events", "1", "--rate", str(_SINGLE_RATE), "--seconds", str(seconds))
    finally:
        pin(broker_pid, cores)
        service.tree.stop(30.0)
    events = many["events_per_s"]
    return [
        Measure(
            name="HTTP, bodies of 50 events, one core", value=events, unit="events/s", target=100_000.0,
            note=f"{events * seconds / cpu_s:,.0f} events/CPU-s; p99 {many['p99_ms']} ms; answers {many['statuses']}",
        ),
        Measure(
            name="HTTP, single events, one core", value=single["requests_per_s"], unit="requests/s",
            target=_SINGLE_RATE * 0.99, note=f"offered {_SINGLE_RATE}/s; answers {single['statuses']}",
        ),
        Measure(
            name="HTTP, single events, p99", value=single["p99_ms"], unit="ms", target=150.0, at_least=False,
            note=f"p50 {single['p50_ms']} ms, longest {single['max_ms']} ms",
        ),
    ]  # fmt: skip


def _load(service: LiveService, port: int, cores: list[int], *arguments: str) -> tuple[dict[str, float], float]:
    """What the generator counted, and the CPU seconds of tracking meanwhile."""
    before = service.tree.sample()[0]
    command = [sys.executable, "-m", "benchmarks.http_load", "--port", str(port), "--shop", SHOP, "--key", _KEY,
               "--connections", str(_CONNECTIONS), *arguments]  # fmt: skip
    done = subprocess.run(
        ["taskset", "-c", str(cores[0]), *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr[-1000:]}")
    time.sleep(0.2)
    return json.loads(done.stdout), service.tree.sample()[0] - before
