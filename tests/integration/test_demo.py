"""The demo as a newcomer runs it: from nothing to a summary, and nothing is left of it."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Running

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """`relance demo --plain …`; all that it makes lies below `tmp_path/scratch`, and so what is left can be found."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        command = [sys.executable, "-m", "relance.cli", "demo", "--plain", *arguments]
        environ = clean | {"TMPDIR": str(scratch), "COLUMNS": "160", "PYTHONUNBUFFERED": "1"}
        running = Running("demo", command, environ, tmp_path / "demo.log")
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()
    for process in left(scratch):
        process.kill()


def left(scratch: Path) -> list[psutil.Process]:
    """Processes whose command or environment names the scratch directory."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.environ().get("TMPDIR", "")]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(scratch) in word for word in words):
            found.append(process)
    return found


def test_a_minute_of_a_shop_is_shown_summed_up_and_leaves_nothing(demo: Callable[..., Running], tmp_path: Path) -> None:
    running = demo("--seconds", "20", "--rate", "300", "--seed", "5")
    assert running.process.wait(400) == 0, running.said()
    said = running.said()
    assert re.search(r"Camille +puts two of them into her cart", said)
    assert re.search(r"Relance +cart-big fires: 4 s idle \+ 1 s grace, 276\.00 EUR; \d+ ms after due", said)
    assert re.search(r"\d+ events/s +[\d,]+ sessions open +[\d,]+ signals", said)
    counts = dict(re.findall(r"^abandoned +(\S+) .*? ([\d,]+)$", said, re.MULTILINE))
    assert len(counts) == 8
    assert int(counts["cart-abandoned"].replace(",", "")) > 0
    total = re.search(r"([\d,]+) events of ([\d,]+) visitors in 20 s .*; ([\d,]+) signals", said)
    assert total is not None
    events, visitors, signals = (int(number.replace(",", "")) for number in total.groups())
    assert events > 2_000
    assert visitors > 300
    assert signals > 200
    assert "rejected" not in said
    assert re.search(r"Relance +payment\.failed is in Kafka \d+ ms after she turned back", said)
    assert re.search(r"Relance +the confirmation is on a durable medium, .*\(A10, L221-13\)", said)
    assert re.search(r"Order [0-9a-f-]{36}: concluded, paid and confirmed; [3-9] letters in her mailbox", said)
    assert re.search(r"Relance +.* is in her mailbox; withdrawal\.requested is in Kafka", said)
    assert re.search(r"Relance +the money is due on \d{4}-\d\d-\d\d: notice .* goods back .*\(L221-24, B13\)", said)
    assert re.search(r"Relance +credit note A\d{4}-\d{6} of [\d.]+ EUR is issued and sent", said)
    assert re.search(r"She withdrew from a part of it, and got [\d.]+ EUR back", said)
    assert left(tmp_path / "scratch") == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_interrupted_it_sums_up_and_leaves_nothing(demo: Callable[..., Running], tmp_path: Path) -> None:
    running = demo("--seconds", "300", "--rate", "100")
    running.until_said("events/s", 300)
    running.signal(signal.SIGINT)
    assert running.process.wait(120) == 130, running.said()
    assert "events of" in running.said()
    assert "Traceback" not in running.said()
    assert left(tmp_path / "scratch") == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_terminated_while_it_starts_it_leaves_nothing(demo: Callable[..., Running], tmp_path: Path) -> None:
    running = demo("--seconds", "300")
    running.until_said("starting the services", 300)
    time.sleep(0.5)
    running.signal(signal.SIGTERM)
    assert running.process.wait(120) == 130, running.said()
    assert "Traceback" not in running.said()
    assert left(tmp_path / "scratch") == []
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.chaos
def test_when_the_broker_dies_it_says_so_and_keeps_the_logs(demo: Callable[..., Running], tmp_path: Path) -> None:
    running = demo("--seconds", "300", "--rate", "100")
    running.until_said("events/s", 300)
    scratch = tmp_path / "scratch"
    (broker,) = [process for process in left(scratch) if "java" in process.name()]
    broker.kill()
    assert running.process.wait(300) == 1, running.said()
    assert "error: the broker has ended" in running.said()
    assert left(scratch) == []
    (home,) = scratch.iterdir()
    assert (home / "log" / "session.log").is_file()
    assert f"logs: {home}" in running.said()
