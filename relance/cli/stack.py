"""The services as processes: started, watched, started again after a defect, and ended in order."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from relance.kernel.errors import InputError, NotNow

__all__ = ["SERVICES", "Service", "Stack", "kept_secret"]

_RESTARTS_MAX: Final = 5  # within
_WINDOW_S: Final = 60.0
_POLL_S: Final = 0.1
_HASH_KEY: Final = "RELANCE_SESSION_HASH_KEY"
_WRONG_SETTINGS: Final = 2  # the exit code that no further start would change


class Service(msgspec.Struct, frozen=True):
    """What runs, and the ports that its settings have where the environment says nothing else."""

    name: str
    ports: tuple[tuple[str, int], ...]  # setting and port; METRICS_PORT answers /health/ready

    def port(self, setting: str, environ: Mapping[str, str]) -> int:
        """The port in force."""
        return int(environ.get(f"RELANCE_{self.name.upper()}_{setting}") or dict(self.ports)[setting])


SERVICES: Final = (
    Service("checkout", (("GRPC_PORT", 8083), ("METRICS_PORT", 9104))),
    Service("session", (("GRPC_PORT", 8082), ("METRICS_PORT", 9102))),
    Service("tracking", (("PORT", 8080), ("GRPC_PORT", 8081), ("METRICS_PORT", 9101))),
)


class Stack:
    """All services on one Kafka. Their output goes to `<home>/log/<service>.log`.

    Started in the order of `SERVICES`, ended in the reverse: what takes events in stops first. Where the environment
    gives no key for session's hashes, one is made and kept in `home`, so that a later start reads the same state.
    """

    def __init__(self, home: Path, kafka: str, environ: Mapping[str, str] | None = None) -> None:
        given = os.environ if environ is None else environ
        key = given.get(_HASH_KEY) or kept_secret(home / "session-hash-key")
        self._environ = {**given, "RELANCE_KAFKA": kafka, _HASH_KEY: key}
        self._logs = home / "log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts: deque[float] = deque()

    def start(self) -> None:
        """Start every service."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for service in SERVICES:
            self._start(service)

    def pids(self) -> dict[str, int]:
        """Process by service."""
        return {name: process.pid for name, process in self._processes.items()}

    def log(self, service: Service) -> Path:
        """Where the service's output goes."""
        return self._logs / f"{service.name}.log"

    def addresses(self) -> dict[str, str]:
        """What to call, by what it is for."""
        checkout, session, tracking = SERVICES
        at = {
            "events (HTTP)": f"http://127.0.0.1:{tracking.port('PORT', self._environ)}/v1/events",
            "events (gRPC)": f"127.0.0.1:{tracking.port('GRPC_PORT', self._environ)}",
            "sessions (gRPC)": f"127.0.0.1:{session.port('GRPC_PORT', self._environ)}",
            "law (gRPC)": f"127.0.0.1:{checkout.port('GRPC_PORT', self._environ)}",
        }
        for service in (tracking, session, checkout):
            at[f"metrics of {service.name}"] = f"{self._inside(service)}/metrics"
        return at

    def wait_ready(self, timeout_s: float) -> None:
        """Until every service is ready. Raises what `watch` raises, and NotNow when time runs out."""
        end_s = time.monotonic() + timeout_s
        for service in SERVICES:
            while not _is_ready(f"{self._inside(service)}/health/ready"):
                self.watch()
                if time.monotonic() > end_s:
                    raise NotNow(f"{service.name} is not ready after {timeout_s:.0f} s; see {self.log(service)}")
                time.sleep(_POLL_S)

    def watch(self) -> list[str]:
        """Start again what ended; the names of what was. Call it often.

        Raises InputError for wrong settings, NotNow when services end again and again.
        """
        again = []
        for service in SERVICES:
            code = self._processes[service.name].poll()
            if code is None:
                continue
            if code == _WRONG_SETTINGS:
                raise InputError(f"{service.name} cannot start: {self._last_words(service)}")
            self._count_restart(service, code)
            self._start(service)
            again.append(service.name)
        return again

    def stop(self, timeout_s: float = 40.0) -> bool:
        """SIGTERM to each in turn, so that it drains; False when one had to be killed."""
        is_orderly = True
        for service in reversed(SERVICES):
            process = self._processes.pop(service.name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                is_orderly = False
        return is_orderly

    def _start(self, service: Service) -> None:
        with self.log(service).open("ab") as out:
            # A session of its own: ctrl-C reaches the supervisor alone, which ends the services in order.
            self._processes[service.name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{service.name}"],
                env=self._environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _count_restart(self, service: Service, code: int) -> None:
        now_s = time.monotonic()
        self._restarts.append(now_s)
        while self._restarts[0] < now_s - _WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) > _RESTARTS_MAX:
            raise NotNow(f"{service.name} ends again and again (exit code {code}): {self._last_words(service)}")

    def _inside(self, service: Service) -> str:
        return f"http://127.0.0.1:{service.port('METRICS_PORT', self._environ)}"

    def _last_words(self, service: Service) -> str:
        lines = self.log(service).read_text(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it said nothing"


def kept_secret(path: Path) -> str:
    """A random secret of 64 letters that is made once, and for its owner alone to read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        number, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        with os.fdopen(number, "w") as out:
            out.write(f"{secrets.token_hex(32)}\n")
            out.flush()
            os.fsync(number)
        Path(fresh).replace(path)  # whole or not there
    return path.read_text().strip()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
