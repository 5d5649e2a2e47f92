"""`relance law`: what the law asks of a checkout, and what follows from an act."""

import typer

from relance.cli import law_ask

__all__ = ["register"]


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="The law: its rules by date, and answers to questions.")
    group.callback()(_law)
    law_ask.register(group)
    program.add_typer(group, name="law")


def _law() -> None:
    """Make a group of one command a group."""
