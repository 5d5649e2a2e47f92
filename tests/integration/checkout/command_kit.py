"""The command line in the test's own process: what it says is the same, and no interpreter has to start for it."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from relance.cli import program

Completed = subprocess.CompletedProcess[str]
Command = Callable[..., Completed]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`command("evidence", "show", …, RELANCE_HOME=…)`; never raises on an exit code."""

    def run(*arguments: str, **environ: str) -> Completed:
        with monkeypatch.context() as around:
            for name in [name for name in os.environ if name.startswith("RELANCE_")]:
                around.delenv(name)
            for name, value in ({"RELANCE_HOME": str(tmp_path / "home")} | environ).items():
                around.setenv(name, value)
            around.setattr(sys, "argv", ["relance", *arguments])
            with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as notes:
                code = program.main()
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), notes.getvalue())

    return run
