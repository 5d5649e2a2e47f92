"""`relance dead-letters`: records that could not be used, why, and back to where they came from."""

import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from relance.cli.cluster import bootstrap
from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms

__all__ = ["Letter", "register"]

_REPLAYED: Final = "replayed_at_ms"
_OWN_HEADERS: Final = frozenset(
    {"reason", "topic", "partition", "offset", "append_ms", "key", "cut_from_bytes", _REPLAYED}
)

Service = Literal["tracking", "session"]


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter; `id` is the record's place: topic/partition/offset."""

    id: str
    letters: str  # the topic that it lies in
    topic: str
    partition: int
    offset: int
    append_ms: int
    reason: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]  # those of the original
    cut: bool
    replayed_at_ms: int | None


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="Records that could not be used.")
    group.command("list")(list_letters)
    group.command()(replay)
    program.add_typer(group, name="dead-letters")


def list_letters(
    service: Annotated[Service | None, typer.Option(help="Only this service's.", show_default=False)] = None,
    full: Annotated[bool, typer.Option("--full", help="Also the original bytes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the dead letters: where each came from, when, and what was wrong with it."""
    letters = _read(bootstrap(), service)
    for letter in letters:
        if as_json:
            print(msgspec.json.encode(_plain(letter)).decode())
            continue
        state = "" if letter.replayed_at_ms is None else f"  (replayed {format_ms(letter.replayed_at_ms)})"
        OUT.print(f"{letter.id}  {format_ms(letter.append_ms)}  {letter.reason}{state}", markup=False)
        if full:
            OUT.print(f"    {letter.value.decode(errors='backslashreplace')}", markup=False)
    waiting = sum(letter.replayed_at_ms is None for letter in letters)
    NOTES.print(f"{len(letters)} dead letters, {waiting} not replayed")


def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="topic/partition/offset, as listed.", metavar="ID")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
    service: Annotated[Service | None, typer.Option(help="Only this service's.", show_default=False)] = None,
) -> None:
    """Put records back where they came from, once each: a record that was replayed is marked and left alone."""
    if bool(ids) == every:
        raise InputError("either the ids of dead letters or --all is needed")
    kafka = bootstrap()
    letters = {letter.id: letter for letter in _read(kafka, service)}
    unknown = [one for one in ids or () if one not in letters]
    if unknown:
        raise InputError(f"no dead letter {unknown[0]}: see `relance dead-letters list`")
    chosen = [letters[one] for one in dict.fromkeys(ids)] if ids else list(letters.values())
    done = _replay(kafka, [letter for letter in chosen if letter.replayed_at_ms is None and not letter.cut])
    marked = sum(letter.replayed_at_ms is not None for letter in chosen)
    cut = [letter.id for letter in chosen if letter.cut and letter.replayed_at_ms is None]
    NOTES.print(f"{done} replayed" + (f", {marked} had been replayed before" if marked else ""))
    if cut:
        NOTES.print(f"{len(cut)} cannot be replayed: they were too long to be kept whole ({', '.join(cut[:3])})")


def _replay(kafka: str, letters: Sequence[Letter]) -> int:
    """Write each record where it came from, and then its mark: a crash between the two replays it twice, never not."""
    from relance.events.topics import RAW
    from relance.kafka.producer import Producer, producer_config

    producer = Producer(producer_config(kafka), lambda _error: None)
    done = 0
    try:
        for letter in letters:
            # The raw topic spreads by key; elsewhere a visitor's records must stay in their partition.
            partition = None if letter.topic == RAW.name else letter.partition
            producer.submit(
                letter.topic, letter.value, key=letter.key, headers=letter.headers, partition=partition
            ).result()
            mark = [(_REPLAYED, b"%d" % (time.time_ns() // 1_000_000))]
            producer.submit(letter.letters, None, key=letter.id.encode(), headers=mark).result()
            done += 1
    finally:
        producer.close()
    return done


def _read(kafka: str, service: Service | None) -> list[Letter]:
    """All dead letters in the order of their arrival, each once, with its mark."""
    from relance.events.topics import SESSION_DEAD_LETTERS, TRACKING_DEAD_LETTERS
    from relance.kafka.consumer import read_all

    topics = {"tracking": TRACKING_DEAD_LETTERS.name, "session": SESSION_DEAD_LETTERS.name}
    letters: dict[str, Letter] = {}
    for name, topic in topics.items():
        if service in {None, name}:
            _collect(letters, read_all(kafka, topic))
    return sorted(letters.values(), key=lambda letter: letter.append_ms)


def _collect(letters: dict[str, Letter], messages: Iterable[Any]) -> None:
    for message in messages:
        headers = message.headers() or []
        told = {name: (text or b"").decode(errors="replace") for name, text in headers if name in _OWN_HEADERS}
        place = (message.key() or b"").decode(errors="replace")
        if _REPLAYED in told:
            if place in letters:
                letters[place] = msgspec.structs.replace(letters[place], replayed_at_ms=int(told[_REPLAYED]))
            continue
        # A service that was killed between its letter and its commit writes the letter again: its id is the same.
        if place not in letters:
            letters[place] = _letter(message, place, told, headers)


def _letter(message: Any, place: str, told: dict[str, str], headers: Iterable[tuple[str, bytes | None]]) -> Letter:
    original = tuple((name, text or b"") for name, text in headers if name not in _OWN_HEADERS)
    key = next((text for name, text in headers if name == "key"), None)
    return Letter(
        id=place, letters=message.topic(), topic=told.get("topic", ""), partition=int(told.get("partition", "-1")),
        offset=int(told.get("offset", "-1")), append_ms=int(told.get("append_ms", message.timestamp()[1])),
        reason=told.get("reason", ""), key=key, value=message.value() or b"", headers=original,
        cut="cut_from_bytes" in told, replayed_at_ms=None,
    )  # fmt: skip


def _plain(letter: Letter) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: getattr(letter, name) for name in ("id", "topic", "partition", "offset", "reason", "cut")
    }
    plain["time"] = format_ms(letter.append_ms)
    plain["replayed"] = None if letter.replayed_at_ms is None else format_ms(letter.replayed_at_ms)
    plain["value"] = letter.value.decode(errors="backslashreplace")
    return plain
