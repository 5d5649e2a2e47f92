"""Whole process trees: started in a group of their own, measured from /proc, ended without leftovers."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import psutil

__all__ = ["Tree", "cpu_of", "log_tail", "pin"]

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and its descendants, those too that have ended and were waited for; 0: it is gone."""
    return _usage(pid)[0]


def pin(pid: int, cores: Sequence[int]) -> None:
    """Bind all threads of a process."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def _usage(root: int) -> tuple[float, int]:
    """CPU seconds and resident bytes of a process and its descendants."""
    try:
        process = psutil.Process(root)
        pids = [root, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0, 0
    ticks = pages = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
        pages += int(fields[21])
    return ticks / _TICKS_PER_S, pages * _PAGE_BYTES


class Tree:
    """One process that was started here, with all its descendants."""

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environ: Mapping[str, str], directory: Path
    ) -> None:
        """Start `command` in `directory`; what it writes goes to `log`."""
        self.name = name
        self.log = log
        self.peak_rss_bytes = 0
        self._cpu_s = 0.0
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(environ),
                cwd=directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id of the root."""
        return self._process.pid

    def running(self) -> bool:
        """Whether the root still runs."""
        return self._process.poll() is None

    def sample(self) -> tuple[float, int]:
        """CPU seconds so far and resident bytes now; the largest of the latter is kept in `peak_rss_bytes`."""
        cpu_s, rss_bytes = _usage(self.pid)
        self._cpu_s = max(self._cpu_s, cpu_s)
        self.peak_rss_bytes = max(self.peak_rss_bytes, rss_bytes)
        return self._cpu_s, rss_bytes

    def kill(self) -> None:
        """SIGKILL the whole group at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End the tree: SIGTERM to the root, then SIGKILL to the group."""
        if self.running():
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for a message."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
