"""The checkout service, started often: forked from a process that has read its code and done nothing else.

To read all of it takes seconds of a core, which says nothing about a service that is killed and started anew.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from tests.integration.conftest import ROOT, Running

__all__ = ["Forked", "Nest"]


class Nest:
    """A process that forks services."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.integration.checkout.fork_kit"]
        self._process = subprocess.Popen(
            command, env=dict(environ), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def fork(self, environ: Mapping[str, str], log: Path) -> int:
        """Begin `services.checkout` with these variables; its process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"environ": dict(environ), "log": str(log)}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Its services ended before."""
        self._process.communicate(timeout=30)


class _Process:
    """One that another process waits for: what Running needs of subprocess.Popen."""

    def __init__(self, pid: int, ended: Path) -> None:
        self.pid, self._ended = pid, ended
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and self._ended.exists():
            self.returncode = int(self._ended.read_text())
        return self.returncode

    def wait(self, timeout_s: float) -> int:
        end_s = time.monotonic() + timeout_s
        while (code := self.poll()) is None:
            assert time.monotonic() < end_s, f"process {self.pid} has not ended in {timeout_s} s"
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


class Forked(Running):
    """A service of a nest."""

    def __init__(self, name: str, nest: Nest, environ: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        log.touch()
        self.pid = nest.fork(environ, log)
        self.process = cast(Any, _Process(self.pid, _end_of(log, self.pid)))


def _end_of(log: Path, pid: int) -> Path:
    """The file that holds the exit code of a process."""
    return log.with_suffix(f".{pid}")


def _reap(logs: Mapping[int, Path]) -> None:
    while logs:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        part = _end_of(logs[pid], pid).with_suffix(".part")
        part.write_text(str(os.waitstatus_to_exitcode(status)))
        part.replace(_end_of(logs[pid], pid))


def _become(environ: Mapping[str, str], log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environ)
    out, nothing = os.open(log, os.O_WRONLY | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(out)
    os.close(nothing)


def main() -> None:
    """Fork for each line, until the end of them."""
    from services.checkout import app  # noqa: PLC0415 - who asks for forks needs none of it

    logs: dict[int, Path] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _reap(logs))
    while line := sys.stdin.readline():
        asked = json.loads(line)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        logs[pid] = Path(asked["log"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        if not pid:
            _become(asked["environ"], asked["log"])
            app.main()
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
