"""The demo's own system: a broker and the services on free ports, in a directory that goes with them."""

import os
import re
import shutil
import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final

from relance.cli.demo_checkout.stage import Stage
from relance.cli.stack import Stack
from relance.kafka import local
from relance.kafka.admin import ensure_topics
from relance.kernel.errors import NotNow

__all__ = ["Gauges", "System"]

_READY_S: Final = 240.0  # without compiled kernels the first start compiles them, on a busy machine for minutes
_DRAIN_S: Final = 40.0
_IN_VAIN_S: Final = 3.0  # without its broker a service has nowhere to put what it holds
_PORTS: Final = (
    "RELANCE_TRACKING_PORT", "RELANCE_TRACKING_GRPC_PORT", "RELANCE_TRACKING_METRICS_PORT",
    "RELANCE_TRACKING_RAW_METRICS_PORT", "RELANCE_SESSION_GRPC_PORT", "RELANCE_SESSION_METRICS_PORT",
    "RELANCE_CHECKOUT_GRPC_PORT", "RELANCE_CHECKOUT_HTTP_PORT", "RELANCE_CHECKOUT_METRICS_PORT",
    "RELANCE_NOTIFICATION_METRICS_PORT", "RELANCE_BANK_PORT", "RELANCE_MAILBOX_PORT", "RELANCE_MAILBOX_SMTP_PORT",
)  # fmt: skip
_SAMPLE: Final = re.compile(r"^relance_session_(open_sessions|lag_records)\{[^}]*\} (\S+)$", re.MULTILINE)


class System:
    """`start`, then `stop` whatever happened in between; `watch` now and then."""

    def __init__(self, told: Callable[[str], None]) -> None:
        """`told` is given a few words at each step."""
        self.home = Path(tempfile.mkdtemp(prefix="relance-demo-"))
        self.kafka = ""
        self.restarted: list[str] = []
        self._told = told
        self._stack: Stack | None = None
        self._stage: Stage | None = None
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        self._environ |= {name: str(port) for name, port in zip(_PORTS, _free_ports(len(_PORTS)), strict=True)}
        self._environ["TMPDIR"] = str(self.home)  # what the services' libraries leave behind goes too

    @property
    def tracking(self) -> str:
        """URL of the tracking service."""
        return f"http://127.0.0.1:{self._environ['RELANCE_TRACKING_PORT']}"

    @property
    def session_metrics(self) -> str:
        """URL of the session service's numbers."""
        return f"http://127.0.0.1:{self._environ['RELANCE_SESSION_METRICS_PORT']}/metrics"

    def start(self) -> None:
        """Ready on return. Raises InputError or NotNow."""
        self._told("starting Apache Kafka")
        self.kafka = local.start(self.home).bootstrap
        self._told("creating the topics")
        ensure_topics(self.kafka)
        self._told("starting the services (where their kernels are not compiled yet, this takes a minute)")
        self._stack = Stack(self.home, self.kafka, self._environ)
        self._stack.start()
        self._stack.wait_ready(_READY_S)

    def open_front(self, key: str) -> Stage:
        """The example shop's own pages, selling through the checkout. `key`: the shop's secret key of tracking."""
        if self._stack is None:
            raise NotNow("the services do not run")
        self._stage = Stage(self.home, self._stack.environ)
        self._stage.open(self.tracking, key)
        return self._stage

    def watch(self) -> None:
        """Start again what ended. Raises what `Stack.watch` raises, and NotNow when the broker is gone."""
        if local.status(self.home) is None:
            raise NotNow("the broker has ended")
        if self._stack is not None:
            self.restarted += self._stack.watch()
        if self._stage is not None:
            self._stage.watch()

    def stop(self, *, with_logs: bool) -> None:
        """End all processes and remove the directory, unless its logs are wanted."""
        try:
            if self._stage is not None:
                self._stage.stop()
            if self._stack is not None:
                self._stack.stop(_DRAIN_S if local.status(self.home) else _IN_VAIN_S)
        finally:
            local.stop(self.home)
            if not with_logs:
                shutil.rmtree(self.home, ignore_errors=True)

    def kept(self) -> list[str]:
        """What to type when everything stays: how to look around, and how to end it."""
        pids = [*(self._stage.pids() if self._stage else ()), *(self._stack.pids().values() if self._stack else ())]
        processes = " ".join(str(pid) for pid in pids)
        pages = self._stage.addresses() if self._stage else {}
        return [
            *(f"{what}: {address}" for what, address in pages.items()),
            f"export RELANCE_HOME={self.home} RELANCE_KAFKA={self.kafka} RELANCE_URL={self.tracking}",
            f"kill {processes}; relance kafka stop --data-dir {self.home}; rm -r {self.home}",
        ]


class Gauges:
    """The session service's own numbers, asked each second in a thread: open sessions and lag."""

    def __init__(self, url: str, told: Callable[[int, int], None]) -> None:
        self._url = url
        self._told = told
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="gauges", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(3.0)

    def _ask(self) -> None:
        while not self._stop.wait(1.0):
            try:
                with urllib.request.urlopen(self._url, timeout=2.0) as answer:  # noqa: S310 - our own loopback address
                    text = answer.read().decode()
            except (urllib.error.URLError, OSError):
                continue
            sums = {"open_sessions": 0.0, "lag_records": 0.0}
            for name, value in _SAMPLE.findall(text):
                sums[name] += float(value)
            self._told(round(sums["open_sessions"]), round(sums["lag_records"]))


def _free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
