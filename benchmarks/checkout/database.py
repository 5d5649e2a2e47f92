"""A PostgreSQL of the bench's own: Debian's, durable as installed, on a free port, gone at the end."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.live_service import free_port

__all__ = ["Database"]

_PLACES: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_STEP_S: Final = 60.0


class Database:
    """A cluster in a directory of its own with one empty database, its processes bound to `cores`.

    `url`: of the database. Raises RuntimeError when PostgreSQL is missing or does not start.
    """

    def __init__(self, cores: Sequence[int]) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="relance-bench-postgres-"))  # /tmp: the user postgres may enter
        if os.geteuid() == 0:
            shutil.chown(self._home, "postgres")
        self._data = str(self._home / "data")
        port = free_port()
        settings = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self._home, "fsync": "on",
            "max_connections": 100, "shared_buffers": "256MB",
        }  # fmt: skip
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        on = ("taskset", "-c", ",".join(map(str, cores)))
        try:
            _run(_program("initdb"), "-D", self._data, "-U", "relance", "-A", "trust", "-E", "UTF8", "--locale=C")
            log = str(self._home / "log")
            _run(*on, _program("pg_ctl"), "-D", self._data, "-w", "-l", log, "-o", options, "start")
            server = f"postgresql://relance@127.0.0.1:{port}"
            _run(_program("psql"), "-q", "-c", "CREATE DATABASE checkout", f"{server}/postgres")
        except RuntimeError:
            self.stop()
            raise
        self.url = f"{server}/checkout"

    def stop(self) -> None:
        """End it and delete what it kept."""
        if Path(self._data, "postmaster.pid").exists():
            _run(_program("pg_ctl"), "-D", self._data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(self._home, ignore_errors=True)


def _program(name: str) -> str:
    """Path of one of PostgreSQL's programs, of the newest version that is installed."""
    found = next((str(place / name) for place in _PLACES if (place / name).exists()), shutil.which(name))
    if found is None:
        raise RuntimeError(f"{name} is missing: apt-get install -y postgresql")
    return found


def _run(*command: str) -> None:
    """As the user postgres: the server does not run as root."""
    before = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*before, *command], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=_STEP_S,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {done.stderr[-500:]}")
