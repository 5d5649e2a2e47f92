"""What a run of the bench found: one table for people, one file to keep."""

import re
import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from rich.table import Table

from benchmarks.drain import Drain
from benchmarks.machine import Machine
from benchmarks.workload import Workload

__all__ = ["Compared", "Measure", "Result", "keep", "measures_table", "table"]

Numbers = Sequence[float]
STEAL_LIMIT: Final = 0.02  # a run in which the hypervisor took more is not trusted


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of Relance alone, beside what it should be."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = True  # whether the target is a lower bound
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The rounds of all systems over one log; of those that failed the reason."""

    workload: Workload | None = None
    drains: list[Drain] = []
    failures: dict[str, str] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run of the bench; `failures`: measures that could not be taken, with the reason."""

    at: str
    machine: Machine
    load_before: float
    compared: Compared
    measures: list[Measure] = []
    failures: dict[str, str] = {}


def keep(result: Result, directory: Path) -> Path:
    """Write `<date>-<machine>.json`; a second run of the day gets a number."""
    directory.mkdir(parents=True, exist_ok=True)
    cpu = re.sub(r"[^a-z0-9]+", "-", result.machine.cpu.lower()).strip("-")
    name = f"{datetime.fromisoformat(result.at):%Y-%m-%d}-{cpu}-{result.machine.cores}-cores"
    file = directory / f"{name}.json"
    number = 2
    while file.exists():
        file = directory / f"{name}-{number}.json"
        number += 1
    kept = msgspec.to_builtins(result)
    for compared in (kept, *(value for value in kept.values() if isinstance(value, dict))):
        if isinstance(compared.get("workload"), dict):
            compared["workload"].pop("file")  # a path of this machine
    file.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
    return file


def table(result: Compared, titles: dict[str, str], reference: str = "relance") -> Table:
    """One row a system: median (minimum to maximum) over the rounds."""
    rounds = max((sum(drain.system == name for drain in result.drains) for name in titles), default=0)
    events = result.workload.events if result.workload else 0
    shown = Table(
        title=f"{events:,} events of 390 bytes, raw topic to signals; {rounds} rounds interleaved: median (min - max)"
    )
    for heading in (
        "system",
        "CPU-s per million",
        "after warm-up",
        "events/s",
        "after warm-up",
        "memory MB",
        "broker CPU-s per million",
        "answer",
        "CPU against Relance",
    ):
        shown.add_column(heading, justify="left" if heading in {"system", "answer"} else "right")
    own = [drain.cpu_s_per_million for drain in result.drains if drain.system == reference and drain.comparable]
    for name, title in titles.items():
        drains = [drain for drain in result.drains if drain.system == name]
        if drains:
            shown.add_row(title, *_cells(drains, own))
        elif name in result.failures:
            shown.add_row(title, *[""] * 6, f"failed: {result.failures[name].splitlines()[0]}", "")
    return shown


def _cells(drains: Sequence[Drain], own: Numbers) -> list[str]:
    right = all(drain.comparable for drain in drains)
    cost = [drain.cpu_s_per_million for drain in drains]
    return [
        _spread(cost),
        _spread([drain.steady_cpu_s_per_million for drain in drains if drain.steady_cpu_s_per_million is not None]),
        _spread([drain.events_per_s for drain in drains], 0),
        _spread([drain.steady_events_per_s for drain in drains if drain.steady_events_per_s is not None], 0),
        _spread([drain.peak_rss_bytes / 1e6 for drain in drains], 0),
        _spread([drain.broker_cpu_s / drain.events * 1e6 for drain in drains]),
        _verdict(drains),
        f"{statistics.median(cost) / statistics.median(own):.1f} x" if right and own else "not comparable",
    ]


def _verdict(drains: Sequence[Drain]) -> str:
    if any(not drain.finished for drain in drains):
        return "not in time"
    words = sorted({word for drain in drains for word in drain.differences})
    stolen = "; steal above 2 %" if any(drain.steal > STEAL_LIMIT for drain in drains) else ""
    return ("; ".join(words) or "equal") + stolen


def _spread(values: Iterable[float], digits: int = 1) -> str:
    found = sorted(values)
    if not found:
        return "-"
    middle = f"{statistics.median(found):,.{digits}f}"
    return middle if len(found) == 1 else f"{middle} ({found[0]:,.{digits}f} - {found[-1]:,.{digits}f})"


def measures_table(measures: Sequence[Measure]) -> Table:
    """Relance's other numbers beside their targets."""
    shown = Table(title="Relance alone")
    for heading in ("what", "measured", "target", "reached", "how"):
        shown.add_column(heading, justify="right" if heading in {"measured", "target"} else "left")
    for measure in measures:
        target = "" if measure.target is None else f"{'>=' if measure.at_least else '<='} {measure.target:,.6g}"
        reached = {None: "", True: "yes", False: "no"}[measure.reached]
        shown.add_row(measure.name, f"{measure.value:,.6g} {measure.unit}", target, reached, measure.note)
    return shown
