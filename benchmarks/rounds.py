"""Rounds of drains: every system once in each round, so that slow changes of the machine meet all alike."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.cluster import Cluster
from benchmarks.drain import Drain, Task, drain
from benchmarks.relance_system import RELANCE
from benchmarks.systems import RIVALS, Place, System
from benchmarks.workload import Answer, Workload, answer, generate
from relance.events.topics import RAW

__all__ = ["SYSTEMS", "Told", "make_log", "run_rounds"]

SYSTEMS: Final[dict[str, System]] = {system.name: system for system in (RELANCE, *RIVALS)}
_HOUR_S: Final = 3600
_AHEAD_S: Final = 6 * _HOUR_S  # event times begin so far ahead: no run may overtake them

Told = Callable[[str], None]


def make_log(
    cluster: Cluster, directory: Path, *, events: int, live: int, seed: int, told: Told
) -> tuple[Workload, Answer]:
    """Generate the log and the reference's answer, and fill the raw topic with it."""
    start_ms = int((time.time() + _AHEAD_S) // _HOUR_S + 1) * _HOUR_S * 1000
    told(f"generating {events:,} events")
    workload = generate(directory, events=events, live=live, seed=seed, start_ms=start_ms)
    told("working out the reference's answer")
    reference = answer(workload)
    told(f"filling {RAW.name} ({workload.events * 390 / 1e6:,.0f} MB)")
    cluster.allow_times_ahead()
    cluster.drop([RAW.name])
    cluster.make_topic(RAW, partitions=1)
    cluster.preload(RAW.name, workload)
    return workload, reference


def run_rounds(
    names: Sequence[str], rounds: int, task: Task, kafka: str, directory: Path, told: Told
) -> tuple[list[Drain], dict[str, str]]:
    """The drains, and of each system that failed the reason; it is left out of the rounds that follow."""
    cluster = Cluster(kafka)
    drains: list[Drain] = []
    failures: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for name in names:
            if name in failures:
                continue
            told(f"round {number} of {rounds}: {SYSTEMS[name].title}")
            unique = f"{int(time.time() * 1000)}"
            place = Place(
                kafka=kafka, input=RAW.name, output=f"bench-{name}-{unique}", group=f"bench-{name}-{unique}",
                state=str(directory / "state" / f"{name}-{unique}"),
            )  # fmt: skip
            try:
                drains.append(drain(SYSTEMS[name], place, task))
            except RuntimeError as error:
                failures[name] = str(error)
                told(f"{SYSTEMS[name].title} failed: {error}")
            finally:
                cluster.drop({topic for topic in cluster.topics() if unique in topic})
    return drains, failures
