"""`relance up` and `relance down`: the whole system on this machine."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import psutil
import typer

from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError, NotNow

__all__ = ["register"]

_WATCH_S: Final = 0.5
_POLL_S: Final = 0.1
_DOWN_S: Final = 200.0  # four services may take 40 s each to drain


def register(program: typer.Typer) -> None:
    """Add the commands to the program."""
    program.command()(up)
    program.command()(down)


def up(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Of topics that are created now.", show_default=False)
    ] = None,
    ready_s: Annotated[float, typer.Option("--ready-within", help="Seconds until all must be ready.")] = 300.0,
) -> None:
    """Start Kafka where needed, the topics and all services; go on until ctrl-C or SIGTERM, then end in order.

    A service that ends by a defect is started again. A broker that was started here is stopped at the end.
    """
    from relance.cli.stack import Stack
    from relance.kafka import connection, local
    from relance.kafka.admin import ensure_topics

    home = connection.home_dir(os.environ)
    external = os.environ.get("RELANCE_KAFKA", "").strip()
    _claim(home)
    signal.signal(signal.SIGTERM, _interrupt)
    started = None
    try:
        if not external and local.status(home) is None:
            started = local.start(home)
        kafka = connection.bootstrap_servers(os.environ, home)
        ensure_topics(kafka, partitions)
        stack = Stack(home, kafka)
        try:
            stack.start()
            stack.wait_ready(ready_s)
            OUT.print(f"{'Kafka':<20} {kafka}")
            for what, address in stack.addresses().items():
                OUT.print(f"{what:<20} {address}")
            NOTES.print(f"logs: {', '.join(str(stack.log(service)) for service in stack.servers)}; ctrl-C ends")
            while external or local.status(home) is not None:
                for name in stack.watch():
                    NOTES.print(f"[yellow]{name} had ended and was started again[/]")
                time.sleep(_WATCH_S)
            raise NotNow(f"the broker has ended; see {local.log_file(home)}")
        except KeyboardInterrupt:
            NOTES.print("ending")
        finally:
            if not stack.stop():
                NOTES.print("[yellow]a service did not end by itself and was killed[/]")
    finally:
        if started is not None:
            local.stop(home)
        _pid_file(home).unlink(missing_ok=True)


def down() -> None:
    """End what `relance up` runs for this RELANCE_HOME, and the local broker."""
    from relance.kafka import connection, local

    home = connection.home_dir(os.environ)
    running = _running(home)
    if running is not None:
        running.send_signal(signal.SIGTERM)
        end_s = time.monotonic() + _DOWN_S
        while _running(home) is not None:
            if time.monotonic() > end_s:
                raise NotNow(f"relance up (process {running.pid}) does not end")
            time.sleep(_POLL_S)
    stopped = local.stop(home)
    NOTES.print("down" if running is not None or stopped else f"nothing runs for {home}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _claim(home: Path) -> None:
    """Note this process as the one that runs the system of `home`. Raises InputError when there is another."""
    running = _running(home)
    if running is not None:
        raise InputError(f"relance up runs already for {home} (process {running.pid}); `relance down` ends it")
    home.mkdir(parents=True, exist_ok=True)
    me = psutil.Process()
    _pid_file(home).write_text(f"{me.pid} {me.create_time()}")


def _running(home: Path) -> psutil.Process | None:
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        pid, created_s = _pid_file(home).read_text().split()
        process = psutil.Process(int(pid))
        if abs(process.create_time() - float(created_s)) < 1.0 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def _pid_file(home: Path) -> Path:
    return home / "up.pid"
