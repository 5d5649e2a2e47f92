"""Logs of the past through the running system: what it says is what the simulator says of the log that it leaves."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from relance.cli.demo.shoppers import shopping
from relance.cli.demo.system import System
from relance.cli.playing import now_ms
from relance.kernel.instants import format_ms, parse_ms
from relance.rules.windows_file import load

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

WINDOWS = """
session_gap: PT12M
grace: PT1S
windows:
  - {id: payment-failed, event: payment.failed, inactivity: PT0S}
  - {id: cart-big, stage: cart, inactivity: PT4M, when: {cart_total_at_least_minor: 20000, currency: EUR}}
  - {id: cart-abandoned, stage: cart, inactivity: PT6M}
  - {id: checkout-abandoned, stage: checkout, inactivity: PT6M}
  - {id: payment-unresolved, stage: payment, inactivity: PT5M}
  - {id: product-abandoned, stage: product, inactivity: PT7M, when: {device: mobile}}
  - {id: browse-abandoned, stage: browse, inactivity: PT8M, when: {known_person: false}}
"""
SPEED = 120.0


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """A broker and both services of their own: their topics and groups have the names of production."""
    system = System(print)
    try:
        system.start()
        yield system
    finally:
        system.stop(with_logs=False)


@pytest.fixture
def replay(system: System, relance: Callable[..., CompletedProcess[str]]) -> Callable[..., CompletedProcess[str]]:
    """`relance replay` with the addresses of the system."""

    def run(*arguments: object) -> CompletedProcess[str]:
        return relance(
            "replay", *map(str, arguments), timeout_s=300, RELANCE_KAFKA=system.kafka, RELANCE_URL=system.tracking
        )

    return run


@pytest.fixture
def said(system: System, relance: Callable[..., CompletedProcess[str]]) -> Callable[[str], dict[str, Any]]:
    """All signals of a shop, by id, as the topics hold them."""

    def read(shop: str) -> dict[str, Any]:
        tail = relance("signals", "tail", "--json", "--once", "--shop", shop, RELANCE_KAFKA=system.kafka)
        assert tail.returncode == 0, tail.stderr
        signals = [json.loads(line) for line in tail.stdout.splitlines()]
        by_id = {signal["signal_id"]: signal for signal in signals}
        assert all(by_id[signal["signal_id"]] == signal for signal in signals), "one id, two contents"
        return by_id

    return read


@pytest.fixture
def simulated(
    system: System, relance: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> Callable[[str, Path], dict[str, Any]]:
    """The signals that the simulator finds in the exported log of a shop, by id."""

    def simulate(shop: str, windows: Path) -> dict[str, Any]:
        log, out = tmp_path / "log.jsonl", tmp_path / "simulated.jsonl"
        export = relance("log", "export", str(log), "--shop", shop, RELANCE_KAFKA=system.kafka)
        assert export.returncode == 0, export.stderr
        until = re.search(r"the log's clock stands at (\S+)", export.stderr)
        assert until is not None
        done = relance(
            "simulate", "--windows", str(windows), "--events", str(log), "--until", until[1], "--signals", str(out)
        )
        assert done.returncode == 0, done.stderr
        signals = [json.loads(line) for line in out.read_text().splitlines()]
        return {signal["signal_id"]: signal for signal in signals}

    return simulate


def shop_name() -> str:
    return f"replay-{uuid4().hex[:8]}"


def simulated_shop(path: Path, seconds: float) -> list[dict[str, Any]]:
    """A log of shoppers, two minutes of theirs as long as a second was; it ends before all of them have left."""
    first_ms = parse_ms("2026-03-01T10:00:00Z")
    events = [
        {**planned.event, "time": format_ms(first_ms + round(planned.time_ms * SPEED)), "senttime": format_ms(first_ms)}
        for planned in shopping(11, "elsewhere", 200, seconds)
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return events


def test_a_log_of_carts_orders_and_failures_says_what_the_simulator_says(
    replay: Callable[..., CompletedProcess[str]],
    said: Callable[[str], dict[str, Any]],
    simulated: Callable[[str, Path], dict[str, Any]],
    tmp_path: Path,
) -> None:
    shop, log, windows, divided = shop_name(), tmp_path / "log.ndjson", tmp_path / "w.yaml", tmp_path / "divided.yaml"
    events = simulated_shop(log, 16)
    windows.write_text(WINDOWS)
    began_ms = now_ms()
    done = replay(
        log, "--format", "cloudevents", "--speed", SPEED, "--shop", shop, "--windows", windows, "--windows-out", divided
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(events)} events of" in done.stderr
    assert "0 rejected" in done.stderr
    live = said(shop)
    assert live == simulated(shop, divided)
    counts = Counter((signal["kind"], signal["window"]) for signal in live.values())
    assert {"abandoned", "converted", "ended"} <= {kind for kind, _ in counts}
    assert len([window for kind, window in counts if kind == "abandoned"]) == 7
    assert all(parse_ms(signal["last_activity"]) >= began_ms for signal in live.values())


class SharedLog(NamedTuple):
    """A log, how it is played, and how many signals there are at least: without `ended`, and all."""

    name: str
    log_format: str
    speed: int
    limit: int
    spoken: int
    total: int


SHARED_LOGS = [
    SharedLog("rees46-2019-10-sample.csv", "rees46", 5_000, 1_000, 100, 400),
    SharedLog("ecommerce-sessions-a.csv", "ecommerce-sessions", 300_000, 2_000, 100, 200),
]


@pytest.mark.parametrize("log", SHARED_LOGS, ids=[log.log_format for log in SHARED_LOGS])
def test_shared_logs_say_what_the_simulator_says(
    replay: Callable[..., CompletedProcess[str]], said: Callable[[str], dict[str, Any]],
    simulated: Callable[[str, Path], dict[str, Any]], tmp_path: Path, shared: Path, log: SharedLog,
) -> None:  # fmt: skip
    shop, divided = shop_name(), tmp_path / "divided.yaml"
    done = replay(
        shared / "data" / log.name, "--format", log.log_format, "--speed", log.speed, "--limit", log.limit,
        "--shop", shop, "--windows-out", divided,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    live = said(shop)
    assert live == simulated(shop, divided)
    assert sum(signal["kind"] != "ended" for signal in live.values()) >= log.spoken
    assert len(live) >= log.total
    assert re.search(rf"^all +{len(live)}$", done.stdout, re.MULTILINE), "the summary counts what was said"


def test_windows_and_gap_are_divided_and_grace_and_lateness_are_not(
    replay: Callable[..., CompletedProcess[str]], system: System, relance: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    shop, log, windows, divided = shop_name(), tmp_path / "log.ndjson", tmp_path / "w.yaml", tmp_path / "divided.yaml"
    simulated_shop(log, 2)
    windows.write_text(WINDOWS)
    done = replay(
        log, "--format", "cloudevents", "--speed", 60, "--shop", shop, "--windows", windows, "--windows-out", divided,
        "--no-wait",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = load(divided.read_text(), "divided")
    assert (found.session_gap.total_seconds(), found.grace.total_seconds()) == (12, 1)
    assert found.allowed_lateness.total_seconds() == 300
    assert [window.inactivity.total_seconds() for window in found.windows] == [0, 4, 6, 6, 5, 7, 8]
    known = json.loads(relance("shop", "show", shop, RELANCE_KAFKA=system.kafka).stdout)
    assert known["definitions"]["session_gap"] == "PT12S"


def test_events_go_out_at_their_new_times(
    replay: Callable[..., CompletedProcess[str]], system: System, relance: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    shop, log, exported = shop_name(), tmp_path / "log.ndjson", tmp_path / "exported.jsonl"
    hours = (0, 1, 1.5, 4)
    log.write_text("".join(json.dumps(page(number, hour)) + "\n" for number, hour in enumerate(hours)))
    done = replay(log, "--format", "cloudevents", "--speed", 3_600, "--shop", shop, "--no-wait")
    assert done.returncode == 0, done.stderr
    assert relance("log", "export", str(exported), "--shop", shop, RELANCE_KAFKA=system.kafka).returncode == 0
    events = sorted(map(json.loads, exported.read_text().splitlines()), key=lambda event: parse_ms(event["time"]))
    times = [parse_ms(event["time"]) for event in events]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [1_000, 500, 2_500]
    assert all(parse_ms(event["receivedtime"]) >= parse_ms(event["time"]) for event in events)
    assert now_ms() - times[0] < 300_000


def page(number: int, hour: float) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"p-{number}", "source": "/shops/elsewhere", "type": "page.viewed",
        "time": format_ms(parse_ms("2020-01-01T00:00:00Z") + round(hour * 3_600_000)), "visitorid": "somebody",
        "data": {"page": "/"},
    }  # fmt: skip


def test_rejected_events_are_counted_and_the_first_is_told(
    replay: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    log = tmp_path / "log.ndjson"
    bad = page(1, 0.1) | {"id": "bad-one", "type": "page.exploded"}
    log.write_text("".join(json.dumps(event) + "\n" for event in (page(0, 0), bad, page(2, 0.2))))
    done = replay(log, "--format", "cloudevents", "--speed", 3_600, "--no-wait")
    assert done.returncode == 2
    assert "2 events of 1 visitors accepted, 1 rejected" in done.stderr
    assert "the first rejected: bad-one" in done.stderr


def test_what_cannot_be_replayed_is_told_in_one_line(
    replay: Callable[..., CompletedProcess[str]], system: System, relance: Callable[..., CompletedProcess[str]],
    tmp_path: Path,
) -> None:  # fmt: skip
    log = tmp_path / "log.ndjson"
    log.write_text(json.dumps(page(0, 0)))
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    shop = shop_name()
    assert relance("shop", "create", shop, RELANCE_KAFKA=system.kafka).returncode == 0
    wrong = {
        "nothing there": (tmp_path / "nothing.csv", "--format", "rees46"),
        "no format": (log, "--format", "excel"),
        "no events": (empty, "--format", "cloudevents"),
        "a shop that is there": (log, "--format", "cloudevents", "--shop", shop),
        "no speed": (log, "--format", "cloudevents", "--speed", 0),
    }
    for what, arguments in wrong.items():
        done = replay(*arguments)
        assert (done.returncode, done.stderr.count("error:")) == (2, 1), f"{what}: {done.stderr}"
        assert len(done.stderr.strip().splitlines()) == 1, what
    away = relance(
        "replay", str(log), "--format", "cloudevents", RELANCE_KAFKA=system.kafka, RELANCE_URL="http://127.0.0.1:9"
    )
    assert away.returncode == 1
    assert "no tracking service" in away.stderr


def test_convert_prints_the_events_that_replay_sends(
    relance: Callable[..., CompletedProcess[str]], shared: Path, tmp_path: Path
) -> None:
    path = shared / "data" / "rees46-2019-10-sample.csv"
    done = relance("convert", str(path), "--format", "rees46", "--limit", "10")
    assert done.returncode == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["id"] for event in events] == [f"rees46-{line}" for line in range(2, 12)]
    assert relance("convert", str(tmp_path / "nothing.csv"), "--format", "rees46").returncode == 2
