"""`relance replay`: a log of the past goes through the running system, as fast as wished."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from relance.cli.cluster import bootstrap
from relance.cli.console import NOTES
from relance.cli.windows import load_file
from relance.kernel.errors import InputError
from relance.kernel.instants import parse_ms

if TYPE_CHECKING:
    from relance.rules.windows import Definitions

__all__ = ["DEFAULT_WINDOWS", "register"]

DEFAULT_WINDOWS: Final = Path(__file__).parents[2] / "rules" / "windows" / "default.yaml"
_LONGEST_MS: Final = 1_000 * 365 * 86_400_000


def register(program: typer.Typer) -> None:
    """Add the command to the program."""
    program.command()(replay)


def replay(
    file: Annotated[Path, typer.Argument(help="The log.", metavar="FILE")],
    log_format: Annotated[
        str, typer.Option("--format", help="cloudevents, segment, ga4, rees46 or ecommerce-sessions.")
    ],
    speed: Annotated[float, typer.Option(help="How many times as fast: gaps and windows are divided by it.")] = 1.0,
    windows: Annotated[Path, typer.Option(help="Windows file.", show_default="the default set")] = DEFAULT_WINDOWS,
    windows_out: Annotated[
        Path | None,
        typer.Option(help="Write the divided windows here, for `relance simulate`.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N events.", show_default=False)] = None,
    shop: Annotated[
        str, typer.Option(help="The fresh shop.", show_default="made of the file's name and the time")
    ] = "",
    tracking: Annotated[
        str, typer.Option(envvar="RELANCE_URL", help="The tracking service.")
    ] = "http://127.0.0.1:8080",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the last window could fire.")] = True,
) -> None:
    """Play a log into a fresh shop: its first event is now, the others follow at --speed times their pace.

    Windows and session gap are divided alike; grace and lateness are not. Exit code 2 when an event was rejected.
    """
    from relance.cli.opening import check_tracking, open_shop
    from relance.cli.replaying import Run
    from relance.cli.retiming import scaled
    from relance.events.logs import read

    if not 0 < speed < float("inf"):
        raise InputError(f"--speed {speed:g}: must be greater than 0")
    definitions = scaled(load_file(windows), speed)
    events = list(read(file, log_format, limit))
    if not events:
        raise InputError(f"{file} has no events")
    _check_span(events, speed)
    if windows_out is not None:
        _write_windows(windows_out, definitions)
    name = shop or _name(file)
    kafka = bootstrap()
    check_tracking(tracking)
    with NOTES.status(f"opening the shop {name}"):
        key = open_shop(kafka, tracking, name, definitions)
    run = Run(kafka, tracking, name, key, definitions)
    run.play(events, speed, wait=wait)
    if run.rejected:
        raise typer.Exit(2)


def _check_span(events: list[dict[str, Any]], speed: float) -> None:
    """Raise InputError when the last event would have to be sent in another millennium."""
    first_ms, last_ms = (parse_ms(events[place]["time"]) for place in (0, -1))
    if (last_ms - first_ms) / speed > _LONGEST_MS:
        raise InputError(f"--speed {speed:g}: the last event would come in more than a thousand years")


def _write_windows(path: Path, definitions: "Definitions") -> None:
    from relance.rules.windows_file import dump

    try:
        path.write_text(dump(definitions), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def _name(file: Path) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._")[:40] or "log"
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
