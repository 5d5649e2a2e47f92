import asyncio
import io
import json
import logging
import os
import select
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import Counter

from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Health, Heartbeat
from relance.observability.shutdown import stop_requested, wind_down

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    stream = io.StringIO()
    library = logging.getLogger("uvicorn")  # a server that another test started in this process may have set it up
    monkeypatch.setattr(library, "propagate", True)
    monkeypatch.setattr(library, "handlers", [])
    logs.configure("tracking", "info", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def fetch(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_libraries_that_tell_each_step_or_what_is_stored_are_quiet() -> None:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    stream = io.StringIO()
    logs.configure("checkout", "debug", stream)
    try:
        logging.getLogger("weasyprint.progress").info("Step 1 - Fetching and parsing HTML")
        logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
        logging.getLogger("aiosqlite").debug("executing INSERT with %s", "jane@example.com")
        assert stream.getvalue() == ""
    finally:
        root.handlers, root.level = before, level
        structlog.reset_defaults()


def test_our_lines_and_those_of_libraries_are_json_of_one_form(lines: Lines) -> None:
    logs.logger("edge").info("batch_taken", events=3)
    logs.logger("edge").debug("not_shown")
    logging.getLogger("uvicorn.error").warning("took %d s", 7)
    try:
        raise ValueError("bad")  # noqa: TRY301 - a traceback is wanted
    except ValueError:
        logs.logger("edge").exception("broke")
    ours, theirs, broke = lines()
    assert {key: ours[key] for key in ("event", "events", "level", "logger", "service")} == {
        "event": "batch_taken", "events": 3, "level": "info", "logger": "edge", "service": "tracking",
    }  # fmt: skip
    assert (theirs["event"], theirs["level"], theirs["service"]) == ("took 7 s", "warning", "tracking")
    assert "ValueError: bad" in broke["exception"]
    assert all(line["at"].endswith("Z") for line in lines())


def test_metrics_and_health_are_served_and_follow_the_checks() -> None:
    reasons: dict[str, str] = {}
    health = Health(live={"loop": lambda: None}, ready={"kafka": lambda: reasons.get("kafka")})
    registry = make_registry()
    Counter("relance_test_things_total", "Things", registry=registry).inc(5)
    exposition = Exposition("127.0.0.1", 0, registry, health)
    exposition.start()
    try:
        assert fetch(exposition.port, "/health/ready") == (200, b'{"status":"ok","reasons":{}}')
        reasons["kafka"] = "no broker"
        assert fetch(exposition.port, "/health/ready")[0] == 503
        assert b"no broker" in fetch(exposition.port, "/health/ready")[1]
        assert fetch(exposition.port, "/health/live")[0] == 200
        health.drain()
        assert fetch(exposition.port, "/health/ready") == (503, b'{"status":"draining","reasons":{}}')
        assert b"relance_test_things_total 5.0" in fetch(exposition.port, "/metrics")[1]
        assert fetch(exposition.port, "/etc/passwd")[0] == 404
    finally:
        exposition.close()
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", exposition.port), 1):
        pass


def test_a_flood_of_idle_clients_costs_no_thread_each() -> None:
    exposition = Exposition("127.0.0.1", 0, make_registry(), Health())
    exposition.start()
    idle = [socket.create_connection(("127.0.0.1", exposition.port), 5) for _ in range(30)]
    try:
        refused: set[socket.socket] = set()
        until_s = time.monotonic() + 4  # then those that were not refused time out
        while len(refused) < 14 and time.monotonic() < until_s:
            refused.update(select.select(list(set(idle) - refused), [], [], 0.1)[0])
        refused.update(select.select(list(set(idle) - refused), [], [], 0.3)[0])
        assert len(refused) == 14
        assert all(one.recv(1) == b"" for one in refused)
    finally:
        for one in idle:
            one.close()
        exposition.close()


def test_a_loop_that_hangs_is_not_live() -> None:
    now_s = 100.0
    heartbeat = Heartbeat(5.0, lambda: now_s)
    assert heartbeat() is None
    now_s = 106.0
    assert heartbeat() == "no heartbeat for 6.0 s"
    heartbeat.beat()
    assert heartbeat() is None


async def test_a_signal_asks_for_the_end() -> None:
    loop = asyncio.get_running_loop()
    event = stop_requested(loop)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(event.wait(), 5)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)


async def test_a_step_that_fails_or_hangs_does_not_keep_the_next_from_being_taken() -> None:
    taken: list[str] = []

    async def good() -> None:
        taken.append("good")

    async def bad() -> None:
        raise OSError("gone")

    async def slow() -> None:
        await asyncio.sleep(60)

    assert await wind_down([("bad", bad, 1.0), ("slow", slow, 0.05), ("good", good, 1.0)]) == ["bad", "slow"]
    assert taken == ["good"]
