"""`relance windows`: windows files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relance.cli.console import OUT
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from relance.rules.windows import Definitions, Window

__all__ = ["WindowsFile", "load_file", "register"]

WindowsFile = Annotated[Path, typer.Argument(help="Windows file (YAML).", metavar="FILE")]


def register(program: typer.Typer) -> None:
    """Add the group to the program."""
    group = typer.Typer(no_args_is_help=True, help="Windows files: what counts as abandoned, and when.")
    group.callback()(_windows)
    group.command()(check)
    program.add_typer(group, name="windows")


def _windows() -> None:
    """Make a group of one command a group."""


def load_file(path: Path) -> "Definitions":
    """The definitions of a file. Raises DefinitionsError with file, line and reason, or InputError."""
    from relance.rules.windows_file import load

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return load(text, str(path))


def check(file: WindowsFile) -> None:
    """Check a windows file and say in words what it means; exit code 2 with file, line and reason of a fault."""
    from relance.rules.windows_file import duration_text

    definitions = load_file(file)
    times = (definitions.session_gap, definitions.grace, definitions.allowed_lateness)
    gap, grace, lateness = (duration_text(time) for time in times)
    OUT.print(
        f"{file}: {len(definitions.windows)} windows; session gap {gap}, grace {grace}, allowed lateness {lateness}"
    )
    for window in definitions.windows:
        OUT.print(f"  {_words(window)}", markup=False)


def _words(window: "Window") -> str:
    import msgspec

    from relance.rules.windows_file import duration_text

    after = duration_text(window.inactivity)
    what = f"{after} without activity at stage {window.stage}" if window.stage else f"{after} after {window.event}"
    conditions = [f"{name} {value}" for name, value in msgspec.to_builtins(window.when).items()]
    return f"{window.id}: {what}" + (f", when {' and '.join(conditions)}" if conditions else "")
