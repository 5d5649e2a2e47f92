"""`relance signals`: what the session service says, as it says it."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from relance.cli.cluster import bootstrap
from relance.cli.console import NOTES, OUT

if TYPE_CHECKING:
    from relance.events.signals import Signal

__all__ = ["in_words", "register", "signals_in"]


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="What the session service says.")
    group.callback()(_signals)
    group.command()(tail)
    program.add_typer(group, name="signals")


def _signals() -> None:
    """Make a group of one command a group."""


def tail(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    beginning: Annotated[bool, typer.Option("--from-beginning", help="Also what is in the topics already.")] = False,
    shop: Annotated[str, typer.Option(help="Only this shop's.", show_default=False)] = "",
    kind: Annotated[
        list[str] | None, typer.Option(help="abandoned, retracted, converted, ended; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many; 0: go on until ctrl-C.")] = 0,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of what is there now.")] = False,
) -> None:
    """Print signals as they come: JSON signals and the endings out of their Arrow batches."""
    shown = 0
    kinds = set(kind or ())
    for signal in _follow(beginning=beginning or once, once=once):
        if (shop and signal.shop != shop) or (kinds and signal.kind not in kinds):
            continue
        if as_json:
            sys.stdout.buffer.write(msgspec.json.encode(signal) + b"\n")
            sys.stdout.flush()
        else:
            OUT.print(in_words(signal), markup=False)
        shown += 1
        if limit and shown >= limit:
            return


def _follow(*, beginning: bool, once: bool) -> "Iterator[Signal]":
    from relance.events.topics import ENDED, SIGNALS
    from relance.kafka.consumer import read_all
    from relance.kafka.consumer import tail as follow

    kafka = bootstrap()
    if once:
        for topic in (SIGNALS.name, ENDED.name):
            for message in read_all(kafka, topic):
                yield from signals_in(message)
        return
    for messages in follow(kafka, [SIGNALS.name, ENDED.name], beginning=beginning):
        for message in messages:
            yield from signals_in(message)


def signals_in(message: Any) -> "list[Signal]":
    """The signals of one record of `session.signals.v1` or `session.ended.v1`; a record that holds none is told."""
    from relance.events.signals import Signal, from_ended
    from relance.events.topics import ENDED
    from relance.kernel.errors import InputError

    try:
        if message.topic() == ENDED.name:
            return from_ended(message.value() or b"")
        return [msgspec.json.decode(message.value() or b"", type=Signal)]
    except (msgspec.DecodeError, InputError) as error:
        NOTES.print(f"{message.topic()}/{message.partition()}/{message.offset()} is no signal: {error}", markup=False)
        return []


def in_words(signal: "Signal") -> str:
    """One line for people."""
    cart = ""
    if signal.items:
        total = (
            "" if signal.cart_total_minor is None else f", {signal.cart_total_minor / 100:.2f} {signal.currency or ''}"
        )
        cart = f" with {signal.items} items{total}"
    what = {
        "abandoned": f"abandoned at {signal.stage}{cart} (window {signal.window})",
        "retracted": f"took back {signal.window}: an order was there first",
        "converted": f"converted{cart}" + (f" after {', '.join(signal.windows)}" if signal.windows else ""),
        "ended": f"ended at {signal.stage} after {signal.events} events",
    }[signal.kind]
    return f"{signal.fired_at}  {signal.shop}  {signal.visitor}  {what}"
