"""`relance bench`: Relance and its rivals on the same topic; from a checkout, for the bench is not in the package."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

from relance.kernel.errors import InputError

__all__ = ["register"]

_ROOT: Final = Path(__file__).resolve().parents[2]


def register(program: typer.Typer) -> None:
    """Add the command to the program."""
    program.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
        add_help_option=False,
    )(bench)


def bench(context: typer.Context) -> None:
    """Compare Relance with Flink SQL, Kafka Streams, Quix and Faust, and take its other numbers (options: --help)."""
    if not (_ROOT / "benchmarks" / "__main__.py").is_file():
        raise InputError("the bench is in the repository: run `relance bench` from a checkout")
    try:
        done = subprocess.run([sys.executable, "-m", "benchmarks", *context.args], cwd=_ROOT, check=False)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if done.returncode:
        raise typer.Exit(done.returncode)
