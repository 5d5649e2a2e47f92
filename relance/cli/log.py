"""`relance log export`: the log as it stands, as a file that `relance simulate` takes."""

import heapq
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Final, NamedTuple

import msgspec
import typer

from relance.cli.cluster import bootstrap
from relance.cli.console import NOTES
from relance.kernel.instants import format_ms

__all__ = ["Appended", "effective", "register"]

_TELL_EVERY: Final = 200_000


class Appended(NamedTuple):
    """One record; `append_ms` is its effective append time: the largest in its partition up to and with it."""

    append_ms: int
    partition: int
    value: bytes


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="The log of events.")
    group.callback()(_log)
    group.command()(export)
    program.add_typer(group, name="log")


def _log() -> None:
    """Make a group of one command a group."""


def export(
    file: Annotated[Path, typer.Argument(help="Where the events go, one CloudEvent a line.", metavar="FILE")],
    shop: Annotated[str, typer.Option(help="Only this shop's events.", show_default=False)] = "",
) -> None:
    """Write every event of the log with its append time as `receivedtime`, in the order in which it was applied.

    `relance simulate` over the file says what the session service said, ids included.
    """
    from relance.events.topics import BATCHES, FACTS
    from relance.kafka.consumer import read_all

    kafka = bootstrap()
    with tempfile.TemporaryDirectory(prefix="relance-export-") as scratch:
        from relance.cli.log_events import FactStore

        facts = FactStore(Path(scratch) / "facts.db")
        facts.add(message.value() for message in read_all(kafka, FACTS.name) if message.value())
        part = file.with_name(f"{file.name}.part")
        try:
            with part.open("wb") as out:
                events, last_ms = _write(out, _merged(kafka, BATCHES.name), facts, shop)
            os.replace(part, file)  # noqa: PTH105 - one step, on the same disk
        finally:
            part.unlink(missing_ok=True)
            facts.close()
    until = "" if last_ms is None else f"; the log's clock stands at {format_ms(last_ms)} (simulate --until)"
    NOTES.print(f"{events} events in {file}{until}")


def _merged(kafka: str, topic: str) -> Iterator[Appended]:
    """All records by effective append time; each partition in its own order."""
    from relance.kafka.admin import partition_count
    from relance.kafka.consumer import read_partition

    def partition(number: int) -> Iterator[Appended]:
        records = read_partition(kafka, (topic, number))
        return effective(number, ((message.timestamp()[1], message.value() or b"") for message in records))

    streams = [partition(number) for number in range(partition_count(kafka, topic))]
    return heapq.merge(*streams, key=lambda record: (record.append_ms, record.partition))


def effective(partition: int, records: Iterable[tuple[int, bytes]]) -> Iterator[Appended]:
    """(append time, value) with the clock that never goes back."""
    stream_ms = 0
    for append_ms, value in records:
        stream_ms = max(stream_ms, append_ms)
        yield Appended(stream_ms, partition, value)


def _write(out: IO[bytes], records: Iterable[Appended], facts: Any, shop: str) -> tuple[int, int | None]:
    """(events written, the log's clock at its end)."""
    from relance.cli.log_events import events_of

    encode = msgspec.json.Encoder().encode
    count = 0
    last_ms = None
    for record in records:
        last_ms = record.append_ms
        for event in events_of(record.value, record.append_ms, facts):
            if shop and event.pop("_shop") != shop:
                continue
            event.pop("_shop", None)
            out.write(encode(event) + b"\n")
            count += 1
            if count % _TELL_EVERY == 0:
                NOTES.print(f"{count} events …")
    return count, last_ms
