"""The program: all command groups, and one place that turns errors into one clear line and an exit code.

0 done, 1 failed, 2 wrong input, 130 interrupted.
"""

from typing import Any

import typer
from rich.markup import escape

from relance.cli import (
    bench,
    checkout,
    convert,
    dead_letters,
    demo,
    evidence,
    kafka,
    law,
    log,
    orders,
    replay,
    send,
    sessions,
    shop,
    signals,
    simulate,
    topics,
    up,
    windows,
)
from relance.cli.console import NOTES
from relance.kernel.errors import InputError, RelanceError

__all__ = ["build", "main"]

# Typer brings its own click or uses an installed one, by version: its base of all usage errors is found, not imported.
_UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__base__ is Exception)


def build() -> typer.Typer:
    """The program with all its commands."""
    program = typer.Typer(
        name="relance",
        help="Relance notices, while it happens, that a shopper hesitates, leaves or cannot pay.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # What a command needs it imports when it runs; so this costs little.
    for module in (up, kafka, topics, shop, windows, send, signals, sessions, log, law, checkout, orders, evidence,
                   simulate, dead_letters, replay, convert, demo, bench):  # fmt: skip
        module.register(program)
    return program


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        result = build()(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except _UsageError as error:
        return _misused(error)
    except InputError as error:
        return _complain(str(error), 2)
    except (RelanceError, OSError) as error:
        return _complain(str(error) or type(error).__name__, 1)
    return result if isinstance(result, int) else 0


def _misused(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # its text is the help
        NOTES.print(error.format_message(), markup=False)
        return 2
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return _complain(error.format_message() + hint, 2)


def _complain(text: str, code: int) -> int:
    NOTES.print(f"[bold red]error[/]: {escape(' '.join(text.split()))}")
    return code
