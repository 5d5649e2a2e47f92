"""The session service alone: packed records in, many live sessions; then killed, and restored.

CPU is that of the whole process, the broker's apart. Rates and bytes are taken once all sessions are open.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.cluster import Cluster
from benchmarks.live_service import LiveService, free_port
from benchmarks.packed import EIGHT_WINDOWS, fill
from benchmarks.processes import log_tail
from benchmarks.relance_system import fresh_topics, session_start, write_shop
from benchmarks.report import Measure
from benchmarks.systems import Place
from relance.events.topics import BATCHES

__all__ = ["session_alone"]

_SAMPLE_S: Final = 0.5
_READY_LIMIT_S: Final = 300.0
_DRAIN_LIMIT_S: Final = 300.0
_RESTORE_TARGET_S: Final = 5.0
_ROUND_S: Final = 60.0
_MILLION: Final = 1_000_000
_GROUP: Final = "session"


class _Sample(msgspec.Struct, frozen=True):
    seconds: float
    cpu_s: float
    rss_bytes: int
    events: float
    live: float
    lag: float
    state_bytes: float
    filter_bytes: float
    checkpoint_bytes: float


def session_alone(
    cluster: Cluster, directory: Path, *, sessions: int, events: int, with_restore: bool, told: Callable[[str], None]
) -> list[Measure]:
    """Measure with `sessions` live sessions and `events` events on them; with_restore: also kill -9 and start again."""
    fresh_topics(cluster)
    write_shop(cluster.kafka, EIGHT_WINDOWS)
    idle_bytes = _idle(cluster, directory)
    told(f"opening {sessions:,} sessions")
    fill(cluster.kafka, sessions=sessions, events=None, partitions=BATCHES.partitions, seed=1)
    _open(cluster, directory, sessions)
    told(f"filling {BATCHES.name} with {events:,} events on them")
    fill(cluster.kafka, sessions=sessions, events=events, partitions=BATCHES.partitions, seed=1)
    told(f"session service alone, {sessions:,} live sessions")
    service = _start(cluster, directory)
    try:
        samples = _drain(service, sessions, events)
        measures = _measures(samples, sessions, idle_bytes)
        if with_restore:
            told("waiting for a whole round of checkpoints, then kill -9")
            since = time.monotonic()
            service.wait(lambda: _saved(service, since), 3 * _ROUND_S, "saved whole")
            service.tree.kill()
            service = _start(cluster, directory)
            measures += _restored(cluster, service, sessions)
        return measures
    finally:
        service.tree.stop(30.0)


def _start(cluster: Cluster, directory: Path) -> LiveService:
    port = free_port()
    place = Place(kafka=cluster.kafka, input="", output="", group="", state=str(directory))
    return LiveService(
        session_start(place, LOG_LEVEL="info", METRICS_PORT=str(port), ROUND_S=f"{_ROUND_S:g}"), port, directory
    )


def _idle(cluster: Cluster, directory: Path) -> int:
    """Resident bytes of the service with no session."""
    service = _start(cluster, directory)
    try:
        service.wait(service.ready, _READY_LIMIT_S, "ready")
        time.sleep(2.0)
        return service.tree.sample()[1]
    finally:
        service.tree.stop(30.0)


def _open(cluster: Cluster, directory: Path, sessions: int) -> None:
    """Let the service open all sessions and save them for the first time; it then hands over to the one that is
    measured, which so does what a service does in the long run.
    """
    service = _start(cluster, directory)
    try:
        service.wait(
            lambda: (
                service.metrics().get("relance_session_open_sessions") == sessions
                and len(service.series().get("relance_session_checkpoint_age_seconds", [])) == BATCHES.partitions
            ),
            _DRAIN_LIMIT_S,
            "full and saved",
        )
    finally:
        service.tree.stop(60.0)


def _sample(service: LiveService, began: float) -> _Sample | None:
    metrics = service.metrics()
    cpu_s, rss_bytes = service.tree.sample()
    if "relance_session_events_total" not in metrics:
        return None

    def gauge(name: str) -> float:
        return metrics.get(f"relance_session_{name}", 0.0)

    return _Sample(
        time.monotonic() - began, cpu_s, rss_bytes, metrics["relance_session_events_total"], gauge("open_sessions"),
        gauge("lag_records"), gauge("state_bytes"), gauge("filter_bytes"), gauge("checkpoint_bytes"),
    )  # fmt: skip


def _drain(service: LiveService, sessions: int, total: int) -> list[_Sample]:
    """Samples from the moment at which all sessions are open until all events are in."""
    began = time.monotonic()
    samples: list[_Sample] = []
    while True:
        sample = _sample(service, began)
        if sample is not None and sample.live >= sessions:
            samples.append(sample)
        if sample is not None and sample.events >= total * 0.999:
            return samples
        if time.monotonic() - began > _DRAIN_LIMIT_S or not service.tree.running():
            message = f"the session service did not apply {total:,} events within {_DRAIN_LIMIT_S:g} s: {sample}"
            raise RuntimeError(message)
        time.sleep(_SAMPLE_S)


def _measures(samples: list[_Sample], sessions: int, idle_bytes: int) -> list[Measure]:
    if len(samples) < 2:
        raise RuntimeError("too few events: all were in before two samples were taken; use more")
    first, last = samples[0], samples[-1]
    count = last.events - first.events
    rss_bytes = last.rss_bytes - idle_bytes
    apart = last.filter_bytes + last.checkpoint_bytes
    scale = f"{sessions / _MILLION:g} million sessions"
    at_one = sessions == _MILLION
    return [
        Measure(
            name=f"session service alone, {scale}", unit="events/CPU-s",
            value=count / (last.cpu_s - first.cpu_s), target=2_000_000.0 if at_one else None,
            note=f"{count / (last.seconds - first.seconds):,.0f} events/s by the clock",
        ),
        Measure(
            name=f"state, {scale}", value=last.state_bytes / last.live, unit="bytes/session",
            target=128.0, at_least=False,
            note=f"filter {last.filter_bytes / 1e6:,.0f} MB, checkpoints {last.checkpoint_bytes / 1e6:,.0f} MB apart",
        ),
        Measure(
            name=f"resident memory, {scale}", value=(rss_bytes - apart) / last.live, unit="bytes/session",
            target=200.0, at_least=False,
            note=f"{rss_bytes / last.live:,.0f} with filter and checkpoints; idle {idle_bytes / 1e6:,.0f} MB",
        ),
    ]  # fmt: skip


def _saved(service: LiveService, since: float) -> bool:
    """Every bucket of every partition was saved after `since` (monotonic): after the last event came in."""
    ages_s = service.series().get("relance_session_checkpoint_age_seconds", [])
    return len(ages_s) == BATCHES.partitions and max(ages_s) < time.monotonic() - since


def _restored(cluster: Cluster, service: LiveService, sessions: int) -> list[Measure]:
    """From the group's assignment to ready, as both show from outside."""
    began = assigned = time.monotonic()
    while not (service.ready() and service.metrics().get("relance_session_open_sessions") == sessions):
        if time.monotonic() - began > _READY_LIMIT_S or not service.tree.running():
            live = service.metrics().get("relance_session_open_sessions", 0.0)
            message = f"{live:,.0f} of {sessions:,} sessions were back in time:\n{log_tail(service.tree.log)}"
            raise RuntimeError(message)
        if not cluster.stable(_GROUP):
            assigned = time.monotonic()
        time.sleep(0.05)
    ready = time.monotonic()
    return [
        Measure(
            name=f"restore of {sessions / _MILLION:g} million sessions after kill -9", value=ready - assigned, unit="s",
            target=_RESTORE_TARGET_S, at_least=False,
            note=f"{ready - began:.1f} s from the new process's start, the dead worker's session included",
        )
    ]  # fmt: skip
