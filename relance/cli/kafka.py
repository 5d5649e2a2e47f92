"""`relance kafka`: a real Apache Kafka broker on this machine."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from relance.cli.console import NOTES, OUT
from relance.kafka import connection, local

__all__ = ["DataDir", "register"]

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the broker's data lies; each directory is a broker of its own. "
                 "Default: RELANCE_HOME, else .relance", show_default=False),
]  # fmt: skip


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="A real Apache Kafka broker on this machine (one node, KRaft).")
    for command in (start, stop, status):
        group.command()(command)
    program.add_typer(group, name="kafka")


def _home(data_dir: Path | None) -> Path:
    return data_dir or connection.home_dir(os.environ)


def _external(data_dir: Path | None) -> str:
    """The cluster that RELANCE_KAFKA names, unless a data directory is given: that asks for a broker there."""
    return "" if data_dir is not None else os.environ.get("RELANCE_KAFKA", "").strip()


def start(
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Default: a free one, kept over restarts.",
                                             show_default=False)] = None,
    heap_mb: Annotated[int, typer.Option("--heap-mb", min=128, help="The broker's heap, in MB.")] = 512,
) -> None:  # fmt: skip
    """Start the broker and print its address; does nothing when it runs, or when RELANCE_KAFKA names a cluster."""
    external = _external(data_dir)
    if external:
        NOTES.print(f"RELANCE_KAFKA names a cluster, nothing is started: {external}")
        OUT.print(external)
        return
    home = _home(data_dir)
    began = time.monotonic()
    was = local.status(home)
    broker = local.start(home, port=port, heap_mb=heap_mb)
    how = "runs already" if was == broker else f"started in {time.monotonic() - began:.1f} s"
    NOTES.print(f"Kafka {how}: process {broker.pid}, log {local.log_file(home)}")
    OUT.print(broker.bootstrap)


def stop(data_dir: DataDir = None) -> None:
    """Stop the broker; its data stays."""
    home = _home(data_dir)
    NOTES.print("Kafka stopped" if local.stop(home) else f"no broker runs for {home}")


def status(data_dir: DataDir = None) -> None:
    """Print the broker's address; exit code 1 when none runs."""
    external = _external(data_dir)
    if external:
        NOTES.print("RELANCE_KAFKA names this cluster")
        OUT.print(external)
        return
    home = _home(data_dir)
    broker = local.status(home)
    if broker is None:
        NOTES.print(f"no broker runs for {home}: `relance kafka start`")
        raise typer.Exit(1)
    NOTES.print(f"Kafka runs: process {broker.pid}, log {local.log_file(home)}")
    OUT.print(broker.bootstrap)
