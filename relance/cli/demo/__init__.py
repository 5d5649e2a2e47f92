"""`relance demo`: a simulated shop on a real Kafka, live, for a minute."""

from typing import Annotated

import typer

__all__ = ["register"]


def register(program: typer.Typer) -> None:
    """Add the command to the program."""
    program.command()(demo)


def demo(
    seconds: Annotated[float, typer.Option(min=5, max=3_600, help="How long the shop is open.")] = 60.0,
    rate: Annotated[float, typer.Option(min=10, max=20_000, help="Events a second of its shoppers.")] = 1_000.0,
    seed: Annotated[int | None, typer.Option(help="The same shoppers again.", show_default="by chance")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, to look around.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines instead of a screen; so it is without a terminal.")
    ] = False,
) -> None:
    """Start a broker and the services, open a shop with thousands of shoppers, and show live what Relance notices.

    Everything is real but the shoppers: Apache Kafka, both services, HTTP.
    Only time is short: windows of minutes take seconds. Nothing is left behind.

    Exit code 1 when a part fails or no signal was seen.
    """
    from relance.cli.demo.show import run

    raise typer.Exit(run(seconds, rate, seed, keep=keep, plain=plain))
