"""`relance simulate`: the production engine over a file. Exact meaning: docs/detection.md."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import msgspec
import typer

from relance.kernel.errors import DefinitionsError, InputError
from relance.kernel.instants import parse_ms
from relance.rules.windows import Definitions
from relance.rules.windows_file import load

if TYPE_CHECKING:
    from relance.cli.lines import LineReader
    from relance.events.signals import Signal
    from services.session.domain.engine import Engine

__all__ = ["register", "signals_of", "simulate"]

CHUNK_LINES: Final = 5_000
LONG_FILE_BYTES: Final = 4_000_000  # about a second of work: from here on a progress bar is shown
STANDARD: Final = "-"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(simulate)


def simulate(
    windows: Annotated[str, typer.Option(help="Windows file (YAML): the default set of every shop.", metavar="FILE")],
    events: Annotated[
        str, typer.Option(help="CloudEvents, one a line, in order of arrival; - for stdin.", metavar="FILE")
    ],
    signals: Annotated[
        str, typer.Option(help="Where the signals go, one JSON object a line; - for stdout.", metavar="FILE")
    ],
    until: Annotated[str | None, typer.Option(help="Simulate up to this time (RFC 3339).", metavar="TIME")] = None,
) -> None:
    """Run the detection of sessions and windows over a file of events."""
    definitions = _definitions(windows)
    until_ms = _until(until)
    encode = msgspec.json.Encoder().encode
    with _lines(events) as lines, _output(signals) as output:
        for signal in signals_of(definitions, lines, until_ms, file="stdin" if events == STANDARD else events):
            output.write(encode(signal) + b"\n")


def signals_of(
    definitions: Definitions, lines: Iterable[bytes], until_ms: int | None = None, file: str = "events"
) -> Iterator["Signal"]:
    """The signals of a file's lines, in order; `definitions` are the default set, in force from the start.

    Raises InputError at the first line that cannot be read; `file` is its name there.
    """
    from relance.cli.lines import LineReader
    from services.session.domain.engine import Engine

    engine = Engine()
    reader = LineReader(file, until_ms)
    for line in lines:
        if not reader.add(line):
            break
        if len(reader) >= CHUNK_LINES:
            yield from _applied(engine, reader, definitions)
    yield from _applied(engine, reader, definitions)
    end_ms = reader.stream_ms if until_ms is None else until_ms
    if end_ms is not None:
        yield from engine.advance(end_ms).to_signals()


def _applied(engine: "Engine", reader: "LineReader", definitions: Definitions) -> Iterator["Signal"]:
    if reader.first_ms is None or not len(reader):
        return
    if engine.book.version("*") < 0:
        yield from engine.define(reader.first_ms, "*", 0, definitions).to_signals()
    batch, append_ms = reader.take()
    yield from engine.apply(batch, append_ms).to_signals()


def _definitions(path: str) -> Definitions:
    try:
        return load(Path(path).read_text(encoding="utf-8"), path)
    except UnicodeDecodeError:
        raise DefinitionsError(path, 1, "not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _until(text: str | None) -> int | None:
    try:
        return None if text is None else parse_ms(text)
    except ValueError:
        raise InputError(f"--until {text!r} is no RFC 3339 time with a zone, such as 2026-11-22T10:00:00Z") from None


@contextmanager
def _lines(path: str) -> Iterator[Iterable[bytes]]:
    if path == STANDARD:
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - the error is about opening alone
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size >= LONG_FILE_BYTES and sys.stderr.isatty():
            yield _watched(file, size)
        else:
            yield file


def _watched(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """The file's lines, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulate", total=size_bytes)
        waiting_bytes = 0
        for line in file:
            waiting_bytes += len(line)
            if waiting_bytes >= 1_000_000:
                progress.advance(task, waiting_bytes)
                waiting_bytes = 0
            yield line


@contextmanager
def _output(path: str) -> Iterator[BinaryIO]:
    """Where the signals are written; a file appears whole, at the end, or not at all."""
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    if target.exists() and not target.is_file():  # /dev/stdout, a pipe: nothing can be put in its place
        if target.is_dir():
            raise InputError(f"{path}: Is a directory")
        with target.open("wb") as file:
            yield file
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
