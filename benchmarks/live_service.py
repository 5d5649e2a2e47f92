"""One of Relance's services, running: its processes' cost, its metrics, its readiness."""

import http.client
import os
import re
import socket
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.processes import Tree, log_tail
from benchmarks.systems import ROOT, Start

__all__ = ["LiveService", "free_port"]

_LINE: Final = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})? (\S+)")
_POLL_S: Final = 0.05


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveService:
    """A started service; `metrics_port` is where it was told to answer."""

    def __init__(self, start: Start, metrics_port: int, directory: Path) -> None:
        self._port = metrics_port
        environ = {**os.environ, **start.environ}
        self.tree = Tree(
            start.name, start.command, log=directory / f"{start.name}.log", environ=environ, directory=ROOT
        )

    def metrics(self) -> dict[str, float]:
        """Every family's sum over its labels; nothing while the service does not answer."""
        return {name: sum(values) for name, values in self.series().items()}

    def series(self) -> dict[str, list[float]]:
        """Every family's values, one for each set of labels; nothing while the service does not answer."""
        status, text = self._ask("/metrics")
        found = (_LINE.match(line) for line in text.splitlines()) if status == 200 else ()
        values: dict[str, list[float]] = defaultdict(list)
        for line in found:
            if line is not None:
                values[line[1]].append(float(line[2]))
        return values

    def ready(self) -> bool:
        """Whether the service says that it is ready."""
        return self._ask("/health/ready")[0] == 200

    def _ask(self, path: str) -> tuple[int, str]:
        """Status and body; status 0 when nobody answers."""
        asking = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            asking.request("GET", path)
            answer = asking.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            asking.close()

    def wait(self, what: Callable[[], bool], limit_s: float, words: str) -> float:
        """Wait until `what` holds; returns the seconds it took. Raises RuntimeError: too long, or the service ended."""
        began = time.monotonic()
        while not what():
            if not self.tree.running():
                message = f"{self.tree.name} ended by itself:\n{log_tail(self.tree.log)}"
                raise RuntimeError(message)
            if time.monotonic() - began > limit_s:
                message = f"{self.tree.name}: not {words} within {limit_s:g} s:\n{log_tail(self.tree.log)}"
                raise RuntimeError(message)
            time.sleep(_POLL_S)
        return time.monotonic() - began
