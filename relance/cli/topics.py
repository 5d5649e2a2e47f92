"""`relance topics`: the topics of the system, created and compared with the map in `relance/events/topics.py`."""

from typing import TYPE_CHECKING, Annotated

import typer

from relance.cli.cluster import bootstrap
from relance.cli.console import NOTES, OUT

if TYPE_CHECKING:
    from relance.kafka.admin import TopicState

__all__ = ["register"]

Partitions = Annotated[
    int | None,
    typer.Option("--partitions", min=1, max=1_000, show_default=False,
                 help="For the topics that are partitioned. It never changes once they are there."),
]  # fmt: skip


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="The topics of the system, as relance/events/topics.py maps them.")
    group.command()(create)
    group.command()(describe)
    program.add_typer(group, name="topics")


def create(
    partitions: Partitions = None,
    align: Annotated[bool, typer.Option("--align", help="Also set what differs on topics that are there.")] = False,
) -> None:
    """Create the topics that are missing; tells what differs on those that are there."""
    from relance.kafka.admin import align_topics, describe_topics, ensure_topics

    kafka = bootstrap()
    states = ensure_topics(kafka, partitions)
    made = [state.name for state in states if state.created]
    NOTES.print(f"{len(made)} topics created, {len(states) - len(made)} were there")
    if align and any(state.drift for state in states):
        NOTES.print(f"{align_topics(kafka, states)} settings set")
        states = describe_topics(kafka, partitions)
    _warn(states)


def describe(partitions: Partitions = None) -> None:
    """Show each topic as the cluster has it; exit code 1 when one is missing or differs."""
    from rich.table import Table

    from relance.events.topics import ALL
    from relance.kafka.admin import describe_topics

    states = describe_topics(bootstrap(), partitions)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("topic", "partitions", "replicas", "records", "kept", "said by", "heard by"):
        is_count = heading in {"partitions", "replicas", "records"}
        table.add_column(heading, justify="right" if is_count else "left", no_wrap=heading in {"topic", "kept"})
    for topic, state in zip(ALL, states, strict=True):
        counts = [
            str(number) if state.partitions else "-" for number in (state.partitions, state.replicas, state.records)
        ]
        kept = "newest a key" if topic.compact else f"{topic.retention_ms // 86_400_000} days"
        table.add_row(topic.name, *counts, kept, ", ".join(topic.says), ", ".join(topic.hears))
    OUT.print(table)
    missing = [state.name for state in states if not state.partitions]
    if missing:
        NOTES.print(f"missing: {', '.join(missing)}: run `relance topics create`")
    _warn(states)
    if missing or any(state.drift for state in states):
        raise typer.Exit(1)


def _warn(states: "list[TopicState]") -> None:
    for state in states:
        for drift in state.drift:
            hint = "it cannot be changed" if drift.setting == "partitions" else "set it with --align"
            NOTES.print(
                f"[yellow]differs[/]: {state.name} {drift.setting} is {drift.found}, not {drift.wanted} ({hint})"
            )
