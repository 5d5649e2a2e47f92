"""One run of one system: it drains the preloaded topic from the beginning, and everything it costs is measured."""

import os
import shutil
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import machine
from benchmarks.answers import Outputs, differences
from benchmarks.cluster import Cluster
from benchmarks.processes import Tree, cpu_of, log_tail
from benchmarks.systems import ROOT, Place, System
from benchmarks.workload import Answer, Workload, last_row

__all__ = ["Drain", "Point", "Task", "drain"]

_SAMPLE_S: Final = 0.25
_COMMITTED_EVERY: Final = 2  # samples
_NUDGE_EVERY: Final = 4  # samples
_SURPLUS_S: Final = 1.0  # how long the bench listens for results too many
_WARM_SHARE: Final = 0.2  # of the events: what comes before is warm-up
_LATE_SHARE: Final = 0.7  # of the events: what comes after is too little to tell


class Point(msgspec.Struct, frozen=True):
    """How far the system had committed, and what it had cost by then."""

    seconds: float
    offset: int
    cpu_s: float


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """What one run showed. `steady_*`: without start and warm-up; null when the run was too short for it."""

    system: str
    events: int
    finished: bool
    differences: list[str]
    cpu_s: float
    cpu_by_process: dict[str, float]
    broker_cpu_s: float
    wall_s: float
    peak_rss_bytes: int
    steal: float
    steady_cpu_s_per_million: float | None
    steady_events_per_s: float | None
    points: list[Point] = []

    @property
    def comparable(self) -> bool:
        """Whether the answer was right."""
        return self.finished and not self.differences

    @property
    def cpu_s_per_million(self) -> float:
        """CPU-seconds of all the system's processes, start included, per million events."""
        return self.cpu_s / self.events * 1e6

    @property
    def events_per_s(self) -> float:
        """Events by wall time, start included."""
        return self.events / self.wall_s


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What every system has to do: the log in the raw topic, its answer, and the time it may take."""

    workload: Workload
    reference: Answer
    broker_pid: int
    limit_s: float


def drain(system: System, place: Place, task: Task) -> Drain:
    """Start the system, wait until it has said all or `limit_s` is over, end it."""
    workload, reference = task.workload, task.reference
    cluster = Cluster(place.kafka)
    system.prepare(cluster, place)
    state = Path(place.state)
    state.mkdir(parents=True, exist_ok=True)
    outputs = Outputs(place.kafka, system.outputs(place), system.rows)
    before, broker_before = machine.cpu_times(), cpu_of(task.broker_pid)
    started_ms = time.time() * 1000
    trees = [
        Tree(
            start.name,
            start.command,
            log=state / f"{start.name}.log",
            environ={**os.environ, **start.environ},
            directory=ROOT,
        )
        for start in system.starts(place)
    ]
    try:
        run = _Run(system, place, cluster, outputs, trees, last_row(workload))
        finished = run.watch(len(reference.ended) + len(reference.abandoned), task.limit_s)
        wall_s = max(
            _SAMPLE_S, (outputs.last_append_ms - started_ms - system.wait_ms) / 1000 if finished else task.limit_s
        )
        broker_cpu_s = cpu_of(task.broker_pid) - broker_before
        cpu_by_process = {tree.name: tree.sample()[0] for tree in trees}
        steal = machine.steal_share(before, machine.cpu_times())
        if finished:
            outputs.poll(_SURPLUS_S)
    finally:
        for tree in trees:
            tree.stop()
        outputs.close()
    steady = _steady(run.points, workload.events, run.cpu_s, wall_s)
    result = Drain(
        system=system.name, events=workload.events, finished=finished, differences=differences(outputs.said, reference),
        cpu_s=run.cpu_s, cpu_by_process=cpu_by_process, broker_cpu_s=broker_cpu_s, wall_s=wall_s,
        peak_rss_bytes=run.peak_rss_bytes, steal=steal, steady_cpu_s_per_million=steady[0],
        steady_events_per_s=steady[1], points=run.points,
    )  # fmt: skip
    if result.comparable:
        shutil.rmtree(state, ignore_errors=True)
    return result


class _Run:
    """The loop that watches one run."""

    def __init__(
        self, system: System, place: Place, cluster: Cluster, outputs: Outputs, trees: list[Tree], sentinel: bytes
    ) -> None:
        self._group = system.groups(place)
        self._input = place.input
        self._nudged = system.nudged
        self._cluster = cluster
        self._outputs = outputs
        self._trees = trees
        self._sentinel = sentinel
        self._started = time.monotonic()
        self.points: list[Point] = []
        self.cpu_s = 0.0
        self.peak_rss_bytes = 0

    def watch(self, results: int, limit_s: float) -> bool:
        """Sample until `results` results are there (True) or the time is over (False).

        Raises RuntimeError when a process ends by itself.
        """
        turn = 0
        while time.monotonic() - self._started < limit_s:
            count = self._outputs.poll(_SAMPLE_S)
            self._sample()
            for tree in self._trees:
                if not tree.running():
                    message = f"{tree.name} ended by itself:\n{log_tail(tree.log)}"
                    raise RuntimeError(message)
            if count >= results:
                return True
            turn += 1
            if turn % _COMMITTED_EVERY == 0:
                self._committed()
            if self._nudged and turn % _NUDGE_EVERY == 0:
                self._cluster.append(self._input, self._sentinel)
        return False

    def _sample(self) -> None:
        samples = [tree.sample() for tree in self._trees]
        self.cpu_s = sum(cpu_s for cpu_s, _ in samples)
        self.peak_rss_bytes = max(self.peak_rss_bytes, sum(rss_bytes for _, rss_bytes in samples))

    def _committed(self) -> None:
        offset = self._cluster.committed(self._group, self._input)
        if offset and (not self.points or offset > self.points[-1].offset):
            self.points.append(Point(time.monotonic() - self._started, offset, self.cpu_s))


def _steady(points: list[Point], events: int, cpu_s: float, wall_s: float) -> tuple[float | None, float | None]:
    """CPU-seconds per million events, and events per second, from the first commit after the warm-up to the end."""
    warm = next((point for point in points if point.offset >= _WARM_SHARE * events), None)
    if warm is None or warm.offset > _LATE_SHARE * events or warm.seconds >= wall_s:
        return None, None
    count = events - warm.offset
    return (cpu_s - warm.cpu_s) / count * 1e6, count / (wall_s - warm.seconds)
