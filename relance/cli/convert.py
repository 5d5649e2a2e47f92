"""`relance convert`: a log of another system as CloudEvents, one a line, on standard output."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

__all__ = ["register"]

_AT_ONCE = 1_000


def register(program: typer.Typer) -> None:
    """Add the command to the program."""
    program.command()(convert)


def convert(
    file: Annotated[Path, typer.Argument(help="The log.", metavar="FILE")],
    log_format: Annotated[
        str, typer.Option("--format", help="cloudevents, segment, ga4, rees46 or ecommerce-sessions.")
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N events.", show_default=False)] = None,
) -> None:
    """Print a log's events as CloudEvents of the shop demo, one a line, in order of time."""
    from relance.events.logs import read

    encode = msgspec.json.Encoder().encode
    lines: list[bytes] = []
    for event in read(file, log_format, limit):
        lines.append(encode(event))
        if len(lines) >= _AT_ONCE:
            sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
            lines.clear()
    sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
    sys.stdout.buffer.flush()
