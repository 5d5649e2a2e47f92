"""`python -m benchmarks`: the rivals' table, and Relance's other numbers. `relance bench` calls this."""

import argparse
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.cluster import Cluster
from benchmarks.drain import Task
from benchmarks.machine import read_machine
from benchmarks.rounds import SYSTEMS, make_log, run_rounds
from benchmarks.systems import ROOT, build
from relance.kafka import local

_DIRECTORY: Final = ROOT / "build" / "bench"
_DEFAULT: Final = ("relance", "flink", "kafka_streams", "quix", "faust")
_CONSOLE: Final = Console(width=None if sys.stdout.isatty() else 200)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="relance bench", description=__doc__)
    parser.add_argument(
        "--systems", default=",".join(_DEFAULT), help=f"of {', '.join(SYSTEMS)}; default %(default)s; none: -"
    )
    parser.add_argument("--rounds", type=int, default=5, help="each system once a round (default %(default)s)")
    parser.add_argument("--events", type=int, default=2_000_000, help="in the raw topic (default %(default)s)")
    parser.add_argument(
        "--live", type=int, default=100_000, help="sessions open at once, by event time (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--limit", type=float, default=600, help="seconds that one drain may take (default %(default)s)"
    )
    parser.add_argument("--quick", action="store_true", help="one round of 200,000 events, 20,000 live sessions")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "benchmarks" / "results", help="where the numbers are kept"
    )
    parser.add_argument("--heap-mb", type=int, default=1024, help="of the broker (default %(default)s)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.events, arguments.live = 1, 200_000, 20_000
    arguments.names = [name for name in arguments.systems.split(",") if name and name != "-"]
    unknown = [name for name in arguments.names if name not in SYSTEMS]
    if unknown:
        parser.error(f"unknown systems: {', '.join(unknown)}")
    return arguments


def _java_version() -> str:
    found = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return found.stderr.partition("\n")[0].strip()


def main() -> int:
    """Run, print, keep. Exit code 1 when a system failed or an answer of Relance's was wrong."""
    arguments = _arguments()

    def told(text: str) -> None:
        _CONSOLE.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {text}", highlight=False)

    told("building what is not built yet")
    build(arguments.names)
    load_before = os.getloadavg()[0]
    if load_before > 0.5:
        told(f"[yellow]this machine is busy (load {load_before:.1f}): the numbers are indicative only[/]")
    home = _DIRECTORY / "broker"
    ran = local.status(home) is not None
    broker = local.start(home, heap_mb=arguments.heap_mb)
    try:
        cluster = Cluster(broker.bootstrap)
        workload, reference = make_log(
            cluster, _DIRECTORY / "logs", events=arguments.events, live=arguments.live, seed=arguments.seed, told=told
        )
        task = Task(workload=workload, reference=reference, broker_pid=broker.pid, limit_s=arguments.limit)
        drains, failures = run_rounds(arguments.names, arguments.rounds, task, broker.bootstrap, _DIRECTORY, told)
    finally:
        if not ran:
            local.stop(home)
    result = report.Result(
        at=datetime.now(UTC).isoformat(timespec="seconds"), machine=read_machine(_java_version()),
        load_before=load_before, workload=workload, drains=drains, failures=failures,
    )  # fmt: skip
    _CONSOLE.print(report.table(result, {name: SYSTEMS[name].title for name in arguments.names}))
    told(f"kept in {report.keep(result, arguments.results)}")
    wrong = any(drain.system == "relance" and not drain.comparable for drain in drains)
    return 1 if failures or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
