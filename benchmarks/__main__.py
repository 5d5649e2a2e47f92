"""`python -m benchmarks`: the rivals' table, and Relance's other numbers. `relance bench` calls this."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.checkout import desk_alone
from benchmarks.checkout.orders import orders
from benchmarks.checkout.till import Broker
from benchmarks.checkout.tunnel import tunnel
from benchmarks.cluster import Cluster
from benchmarks.detection_delay import detection_delay
from benchmarks.drain import Task
from benchmarks.http_intake import http_intake
from benchmarks.machine import read_machine
from benchmarks.report import Measure
from benchmarks.rounds import SYSTEMS, Told, make_log, run_rounds
from benchmarks.session_alone import session_alone
from benchmarks.systems import ROOT, build
from relance.kafka import local

_DIRECTORY: Final = ROOT / "build" / "bench"
_DEFAULT: Final = ("relance", "flink", "kafka_streams", "quix", "faust")
_MEASURES: Final = ("alone", "alone7", "delay", "http", "orders", "tunnel", "law", "paper")
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
    parser.add_argument(
        "--measures", default=",".join(_MEASURES), help=f"of {', '.join(_MEASURES)}; default: all; none: -"
    )
    parser.add_argument("--heap-mb", type=int, default=1024, help="of the broker (default %(default)s)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.events, arguments.live = 1, 200_000, 20_000
    arguments.names = [name for name in arguments.systems.split(",") if name and name != "-"]
    arguments.chosen = [name for name in arguments.measures.split(",") if name and name != "-"]
    unknown = [name for name in arguments.names if name not in SYSTEMS]
    unknown += [name for name in arguments.chosen if name not in _MEASURES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
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
    try:
        build(arguments.names)
    except RuntimeError as error:
        told(f"[red]{error}[/]")
        return 1
    load_before = os.getloadavg()[0]
    if load_before > 0.5:
        told(f"[yellow]this machine is busy (load {load_before:.1f}): the numbers are indicative only[/]")
    home = _DIRECTORY / "broker"
    ran = local.status(home) is not None
    broker = local.start(home, heap_mb=arguments.heap_mb)
    titles = {name: SYSTEMS[name].title for name in arguments.names}
    try:
        compared = _compare(arguments, broker, told) if arguments.names else report.Compared()
        measures, failures = _measure(arguments, broker, told)
    finally:
        if not ran:
            local.stop(home)
    result = report.Result(
        at=datetime.now(UTC).isoformat(timespec="seconds"), machine=read_machine(_java_version()),
        load_before=load_before, compared=compared, measures=measures, failures=failures,
    )  # fmt: skip
    if titles:
        _CONSOLE.print(report.table(compared, titles))
    if measures:
        _CONSOLE.print(report.measures_table(measures))
    told(f"kept in {report.keep(result, arguments.results)}")
    wrong = any(drain.system == "relance" and not drain.comparable for drain in compared.drains)
    return 1 if compared.failures or failures or wrong else 0


def _compare(arguments: argparse.Namespace, broker: local.Broker, told: Told) -> report.Compared:
    workload, reference = make_log(
        Cluster(broker.bootstrap),
        _DIRECTORY / "logs",
        events=arguments.events,
        live=arguments.live,
        seed=arguments.seed,
        told=told,
    )
    task = Task(workload=workload, reference=reference, broker_pid=broker.pid, limit_s=arguments.limit)
    drains, failures = run_rounds(arguments.names, arguments.rounds, task, broker.bootstrap, _DIRECTORY, told)
    return report.Compared(workload=workload, drains=drains, failures=failures)


def _measure(arguments: argparse.Namespace, broker: local.Broker, told: Told) -> tuple[list[Measure], dict[str, str]]:
    """Relance's other numbers; of those that could not be taken the reason."""
    cluster = Cluster(broker.bootstrap)
    till = Broker(cluster, broker.pid)
    scale = 10 if arguments.quick else 1

    def alone(sessions: int, *, with_restore: bool) -> list[Measure]:
        return session_alone(
            cluster,
            _DIRECTORY / "alone",
            sessions=sessions,
            events=20_000_000 // scale,
            with_restore=with_restore,
            told=told,
        )

    takers: dict[str, Callable[[], list[Measure]]] = {
        "alone": lambda: alone(1_000_000 // scale, with_restore=True),
        "alone7": lambda: alone(7_000_000 // scale, with_restore=False),
        "delay": lambda: detection_delay(cluster, _DIRECTORY, rate=50_000 / scale, seconds=60 / scale**0.3, told=told),
        "http": lambda: http_intake(cluster, _DIRECTORY, broker_pid=broker.pid, seconds=20 / scale**0.5, told=told),
        "orders": lambda: orders(till, _DIRECTORY, seconds=20 / scale**0.5, told=told),
        "tunnel": lambda: tunnel(till, _DIRECTORY, seconds=20 / scale**0.5, told=told),
        "law": lambda: desk_alone.law(_DIRECTORY, told),
        "paper": lambda: desk_alone.paper(_DIRECTORY, told),
    }
    measures: list[Measure] = []
    failures: dict[str, str] = {}
    for name in arguments.chosen:
        try:
            measures += takers[name]()
        except RuntimeError as error:
            failures[name] = str(error)
            told(f"{name} failed: {error}")
    return measures, failures


if __name__ == "__main__":
    sys.exit(main())
