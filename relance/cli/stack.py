"""The services as processes: started, watched, started again after a defect, and ended in order."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from relance.cli.servers import BANK, CHECKOUT, MAILBOX, SERVICES, SESSION, TRACKING, Server, wanted
from relance.cli.surroundings import surroundings
from relance.kernel.errors import InputError, NotNow

__all__ = ["Stack"]

_RESTARTS_MAX: Final = 5  # within
_WINDOW_S: Final = 60.0
_POLL_S: Final = 0.1
_WRONG_SETTINGS: Final = 2  # the exit code that no further start would change


class Stack:
    """All services on one Kafka, with stand-ins for a bank and a mail server where the environment names none.

    Their output goes to `<home>/log/<name>.log`. What the environment leaves open, secrets among it, is kept in `home`.
    """

    def __init__(self, home: Path, kafka: str, environ: Mapping[str, str] | None = None) -> None:
        given = os.environ if environ is None else environ
        self.servers = wanted(given)
        self._environ = surroundings(home, kafka, given, self.servers)
        self._home = home
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts: deque[float] = deque()

    @property
    def environ(self) -> Mapping[str, str]:
        """What the processes are started with."""
        return self._environ

    def start(self) -> None:
        """Start every process."""
        (self._home / "log").mkdir(parents=True, exist_ok=True)
        for server in self.servers:
            self._start(server)

    def pids(self) -> dict[str, int]:
        """Process by service."""
        return {name: process.pid for name, process in self._processes.items()}

    def log(self, server: Server) -> Path:
        """Where the process's output goes."""
        return self._home / "log" / f"{server.name}.log"

    def addresses(self) -> dict[str, str]:
        """What to call, by what it is for."""
        at = {
            "events (HTTP)": f"http://127.0.0.1:{self.port(TRACKING, 'PORT')}/v1/events",
            "events (gRPC)": f"127.0.0.1:{self.port(TRACKING, 'GRPC_PORT')}",
            "sessions (gRPC)": f"127.0.0.1:{self.port(SESSION, 'GRPC_PORT')}",
            "law, orders (gRPC)": f"127.0.0.1:{self.port(CHECKOUT, 'GRPC_PORT')}",
            "checkout's pages": self._environ["RELANCE_CHECKOUT_BASE_URL"],
        }
        if BANK in self.servers:
            at["bank (a stand-in)"] = f"http://127.0.0.1:{self.port(BANK, 'PORT')}"
        if MAILBOX in self.servers:
            at["mailbox"] = f"http://127.0.0.1:{self.port(MAILBOX, 'PORT')}"
        for service in reversed(SERVICES):
            at[f"metrics of {service.name}"] = f"{self._inside(service)}/metrics"
        return at

    def port(self, server: Server, setting: str) -> int:
        """A port in force."""
        return server.port(setting, self._environ)

    def wait_ready(self, timeout_s: float) -> None:
        """Until every service is ready. Raises what `watch` raises, and NotNow when time runs out."""
        end_s = time.monotonic() + timeout_s
        for server in self.servers:
            while not self._is_ready(server):
                self.watch()
                if time.monotonic() > end_s:
                    raise NotNow(f"{server.name} is not ready after {timeout_s:.0f} s; see {self.log(server)}")
                time.sleep(_POLL_S)

    def watch(self) -> list[str]:
        """Start again what ended; the names of what was. Call it often.

        Raises InputError for wrong settings, NotNow when services end again and again.
        """
        again = []
        for service in self.servers:
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
        for service in reversed(self.servers):
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

    def _start(self, server: Server) -> None:
        command = [sys.executable, "-m", server.module or f"services.{server.name}"]
        for setting, option in server.arguments:
            command += [option, str(self.port(server, setting))]
        if server is BANK:
            command += ["--webhook", f"{self._environ['RELANCE_CHECKOUT_BASE_URL']}/v1/psp/simulator"]
            command += ["--state", str(self._home / "bank.json")]
        elif server is MAILBOX:
            command += ["--folder", str(self._home / "mailbox")]
        with self.log(server).open("ab") as out:
            # A session of its own: ctrl-C reaches the supervisor alone, which ends the services in order.
            self._processes[server.name] = subprocess.Popen(
                command, env=self._environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def _count_restart(self, server: Server, code: int) -> None:
        now_s = time.monotonic()
        self._restarts.append(now_s)
        while self._restarts[0] < now_s - _WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) > _RESTARTS_MAX:
            raise NotNow(f"{server.name} ends again and again (exit code {code}): {self._last_words(server)}")

    def _inside(self, server: Server) -> str:
        return f"http://127.0.0.1:{self.port(server, 'METRICS_PORT')}"

    def _is_ready(self, server: Server) -> bool:
        if server.tells_health:
            return _answers(f"{self._inside(server)}/health/ready")
        return _listens(self.port(server, server.ports[0][0]))

    def _last_words(self, server: Server) -> str:
        lines = self.log(server).read_text(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it said nothing"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True
