"""A real broker for the tests, fresh topics on it, and services as processes that are gone when a test ends.

One broker serves all test processes of a run; a test that stops or kills a broker asks for one of its own.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from relance.kafka import jars, local

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0

# These files first: one that is begun last keeps one worker busy when the others have nothing to do any more. Of three
# that run beside each other two mostly wait (for clocks, brokers, restarts) and one computes. Rough order is enough.
LONGEST = (
    "test_replay", "test_harness_faults", "test_pages_browser", "test_demo", "test_spine_faults", "test_pages_seldom",
    "test_harness_rebalance", "test_service", "test_checkout_service_orders", "test_tracking_faults",
    "test_pages_after_browser", "test_cli", "test_spine_upsets", "test_law_service", "test_relance_js",
    "test_failed_refunds", "test_checkout_service", "test_harness_flow", "test_loops", "test_aftercare_years",
    "test_session_service", "test_printing", "test_full_disk", "test_raw_process", "test_store_relay",
    "test_aftercare_service", "test_service_kills", "test_local_kafka", "test_service_guards", "test_desk_trials",
    "test_evidence_commands",
)  # fmt: skip

Completed = subprocess.CompletedProcess[str]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first; the order within a file stays as it was drawn."""

    def place(item: pytest.Item) -> int:
        return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real cluster: the one that RELANCE_KAFKA names, else a broker of this run."""
    if named := os.environ.get("RELANCE_KAFKA"):
        yield named
        return
    is_shared = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if is_shared else base) / "shared-broker"
    users = home / "users"
    users.mkdir(parents=True, exist_ok=True)
    user = users / str(os.getpid())
    with jars.locked(home / "users.lock"):
        user.touch()
    try:
        yield local.start(home).bootstrap
    finally:
        with jars.locked(home / "users.lock"):
            user.unlink()
            if not any(users.iterdir()):  # the last one to leave
                local.stop(home)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Path]:
    """The home of a broker that only this test has: start, kill and start it with `relance.kafka.local`."""
    home = tmp_path / "own-broker"
    yield home
    if (broker := local.status(home)) is not None:
        os.kill(broker.pid, signal.SIGKILL)


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> str:
    """A name that no topic, group or shop has had."""
    stem = "".join(letter if letter.isalnum() else "-" for letter in request.node.originalname.removeprefix("test_"))
    return f"{stem[:40]}-{uuid4().hex[:8]}"


@pytest.fixture
def fresh_topic(kafka: str, fresh_name: str) -> Callable[..., str]:
    """Creates a topic with a new name: `fresh_topic("raw", partitions=4, **{"cleanup.policy": "compact"})`."""
    admin = AdminClient({"bootstrap.servers": kafka})

    def create(suffix: str = "topic", partitions: int = 1, **config: str) -> str:
        name = f"{fresh_name}-{suffix}"
        settings = {"message.timestamp.type": "LogAppendTime"} | config
        for future in admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
            future.result(PATIENCE_S)
        return name

    return create


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port of the loopback that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


class Running:
    """A process that was started for a test, with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, env=dict(environ), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self.pid = self.process.pid

    def said(self) -> str:
        """All its output so far."""
        return self.log.read_text(errors="replace")

    def lives(self) -> bool:
        return self.process.poll() is None

    def until(self, holds: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until `holds()`; fails with the process's last words when it ends or time runs out first."""
        end_s = time.monotonic() + timeout_s
        while not holds():
            if not self.lives():
                pytest.fail(f"{self.name} ended with {self.process.returncode} before {what}:\n{self.said()[-3000:]}")
            if time.monotonic() > end_s:
                pytest.fail(f"{self.name}: not {what} in {timeout_s} s:\n{self.said()[-3000:]}")
            time.sleep(0.05)

    def until_said(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        self.until(lambda: text in self.said(), f"said {text!r}", timeout_s)

    def until_answers(self, url: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait for status 200."""
        self.until(lambda: answers(url), f"answered {url}", timeout_s)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        if self.lives():
            self.signal(signal.SIGKILL)
        self.process.wait(60)

    def end(self, timeout_s: float = PATIENCE_S) -> int:
        """SIGTERM; the exit code."""
        if self.lives():
            self.signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


def answers(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts `python <arguments>` with further variables: `start_process("-m", "services.session", RELANCE_KAFKA=…)`.

    Output goes to a file; what still runs when the test ends is killed.
    """
    started: list[Running] = []

    def start(*arguments: str, **environ: str) -> Running:
        name = f"{len(started)}-{arguments[-1].rpartition('/')[2][:40]}"
        log = tmp_path / f"{name}.log"
        running = Running(name, [sys.executable, *arguments], os.environ | environ, log)
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()


@pytest.fixture
def relance(tmp_path: Path) -> Callable[..., Completed]:
    """Runs the command line: `relance("topics", "create", RELANCE_KAFKA=…)`; never raises on an exit code."""

    def run(*arguments: str, timeout_s: float = 60.0, stdin: str = "", **environ: str) -> Completed:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        home = {"RELANCE_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
        command = [sys.executable, "-m", "relance.cli", *arguments]
        return subprocess.run(
            command, env=clean | home | environ, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False,
            timeout=timeout_s,
        )  # fmt: skip

    return run
