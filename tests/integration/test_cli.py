"""The command line on a broker of its own: its commands use the topics' real names."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pyarrow as pa
import pytest

from relance.events.signals import ENDED_SCHEMA, Signal
from relance.events.topics import ALL, ENDED, RAW, SIGNALS, TRACKING_DEAD_LETTERS
from relance.kafka import local
from relance.kafka.admin import ensure_topics
from relance.kafka.consumer import read_all
from relance.kafka.producer import Producer, producer_config
from relance.kernel.instants import format_ms

pytestmark = pytest.mark.kafka

Completed = subprocess.CompletedProcess[str]
Relance = Callable[..., Completed]
QUESTION = '{"ask": "refund.due", "notice_on": "2026-04-17", "shipped": true, "collection_offered": false}'
WINDOWS = """
session_gap: PT4S
grace: PT0.5S
windows:
  - {id: big, stage: cart, inactivity: PT2S, when: {cart_total_at_least_minor: 5000, currency: EUR}}
  - {id: seen, stage: product, inactivity: PT1S}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("cli")
    ensure_topics(local.start(place).bootstrap, 2)
    yield place
    local.stop(place)


@pytest.fixture
def cluster(home: Path) -> str:
    broker = local.status(home)
    assert broker is not None
    return broker.bootstrap


@pytest.fixture
def run(relance: Relance, cluster: str) -> Relance:
    def command(*arguments: str, **how: str) -> Completed:
        return relance(*arguments, RELANCE_KAFKA=cluster, **how)

    return command


@pytest.fixture
def producer(cluster: str) -> Iterator[Producer]:
    made = Producer(producer_config(cluster), lambda error: pytest.fail(str(error)))
    yield made
    made.close()


def test_topics_are_told_and_their_drift_too(run: Relance) -> None:
    assert f"0 topics created, {len(ALL)} were there" in run("topics", "create").stderr
    described = run("topics", "describe")
    assert described.returncode == 0, described.stderr
    assert "tracking.batches.v1" in described.stdout
    wrong = run("topics", "describe", "--partitions", "3")
    assert wrong.returncode == 1
    assert "tracking.batches.v1 partitions is 2, not 3" in wrong.stderr


def test_life_of_a_shop(run: Relance, fresh_name: str, tmp_path: Path) -> None:
    shop = fresh_name
    created = run("shop", "create", shop, "--origin", "https://a.example", "--limit", "50")
    keys = dict(line.split() for line in created.stdout.splitlines())
    assert keys["publishable"].startswith(f"pk_{shop}_")
    assert keys["secret"].startswith(f"sk_{shop}_")
    again = run("shop", "create", shop)
    assert (again.returncode, again.stdout) == (2, "")

    rotated = run("shop", "rotate-key", shop, "--grace", "PT1H")
    (new,) = (line.split()[1] for line in rotated.stdout.splitlines())
    file = tmp_path / "windows.yaml"
    file.write_text(WINDOWS)
    assert run("shop", "set-windows", shop, str(file)).returncode == 0
    assert run("shop", "set-origins", shop, "https://b.example").returncode == 0
    assert run("shop", "set-limit", shop, "0").returncode == 0

    shown = json.loads(run("shop", "show", shop).stdout)
    assert [(key["kind"], key["expires_at_ms"] is None) for key in shown["keys"]] == [
        ("publishable", True), ("secret", False), ("secret", True),
    ]  # fmt: skip
    assert shown["version"] == 5
    assert (shown["origins"], shown["events_per_second"], shown["definitions_version"]) == (["https://b.example"], 0, 1)
    assert [window["id"] for window in shown["definitions"]["windows"]] == ["big", "seen"]
    assert not any(key in json.dumps(shown) for key in (*keys.values(), new))
    assert run("shop", "set-windows", shop, "--default").returncode == 0
    assert json.loads(run("shop", "show", shop).stdout)["definitions"] is None
    assert shop in run("shop", "list").stdout


def test_default_windows_are_set_and_shown(run: Relance, tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_text(WINDOWS)
    assert run("shop", "defaults", str(file)).returncode == 0
    assert "id: big" in run("shop", "defaults").stdout


def test_signals_and_endings_are_printed_alike(run: Relance, producer: Producer, fresh_name: str) -> None:
    signal = Signal(
        signal_id=uuid4(), kind="abandoned", shop=fresh_name, visitor=uuid4(), session_id=uuid4(), window="big",
        stage="cart", last_activity=format_ms(0), deadline=format_ms(1), fired_at=format_ms(2), cart_total_minor=1290,
        currency="EUR", items=2,
    )  # fmt: skip
    ended = {
        "signal_id": uuid4().bytes, "session_id": uuid4().bytes, "shop": fresh_name, "visitor": uuid4().bytes,
        "stage": 3, "last_activity": 5, "fired_at": 6, "cart_total_minor": None, "currency": None, "items": 0,
        "events": 7, "duration_ms": 8, "episode": 0, "landing_page": None, "campaign": None,
    }  # fmt: skip
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ENDED_SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([ended], schema=ENDED_SCHEMA))
    producer.submit(SIGNALS.name, msgspec.json.encode(signal)).result(20)
    producer.submit(ENDED.name, sink.getvalue().to_pybytes()).result(20)
    producer.submit(SIGNALS.name, b"no signal").result(20)

    shown = run("signals", "tail", "--once", "--json", "--shop", fresh_name)
    first, second = (json.loads(line) for line in shown.stdout.splitlines())
    assert msgspec.convert(first, Signal) == signal
    assert (second["kind"], second["stage"], second["events"], second["window"]) == ("ended", "cart", 7, None)
    assert "is no signal" in shown.stderr
    in_words = run("signals", "tail", "--once", "--shop", fresh_name, "--kind", "abandoned").stdout
    assert in_words.count("\n") == 1
    assert "with 2 items, 12.90 EUR (window big)" in in_words


def test_dead_letter_goes_back_once(run: Relance, producer: Producer, cluster: str, fresh_name: str) -> None:
    place = f"{RAW.name}/1/{time.time_ns()}"
    headers = [("reason", b"data: is required"), ("topic", RAW.name.encode()), ("partition", b"1"), ("offset", b"7"),
               ("append_ms", b"1000"), ("key", b"visitor-1"), ("ce_id", b"7")]  # fmt: skip
    value = fresh_name.encode()
    for _ in range(2):  # a service that was killed may write its letter twice
        producer.submit(TRACKING_DEAD_LETTERS.name, value, key=place.encode(), headers=headers).result(20)
    listed = run("dead-letters", "list", "--full")
    assert listed.stdout.count(place) == 1
    assert "data: is required" in listed.stdout
    assert fresh_name in listed.stdout

    assert "1 replayed" in run("dead-letters", "replay", place).stderr
    assert "0 replayed, 1 had been replayed before" in run("dead-letters", "replay", place).stderr
    assert "(replayed" in run("dead-letters", "list").stdout
    back = [message for message in read_all(cluster, RAW.name) if message.value() == value]
    assert [(message.key(), message.headers()) for message in back] == [(b"visitor-1", [("ce_id", b"7")])]
    assert run("dead-letters", "replay", f"{RAW.name}/9/9").returncode == 2


def test_send_without_a_service_is_a_failure_not_a_wrong_input(run: Relance, free_port: Callable[[], int]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    sent = run("send", "--type", "page.viewed", "--key", "sk_x", "--url", url)
    assert sent.returncode == 1
    assert "does not answer" in sent.stderr


@pytest.fixture
def running(relance: Relance, free_port: Callable[[], int], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a system that `relance up` runs; `relance down` has ended it in order afterwards."""
    settings = ("TRACKING_PORT", "TRACKING_GRPC_PORT", "TRACKING_METRICS_PORT", "TRACKING_RAW_METRICS_PORT",
                "SESSION_GRPC_PORT", "SESSION_METRICS_PORT", "CHECKOUT_GRPC_PORT", "CHECKOUT_HTTP_PORT",
                "CHECKOUT_METRICS_PORT", "NOTIFICATION_METRICS_PORT", "BANK_PORT", "MAILBOX_PORT",
                "MAILBOX_SMTP_PORT")  # fmt: skip
    environ = {f"RELANCE_{name}": str(free_port()) for name in settings} | {"RELANCE_HOME": str(tmp_path / "home")}
    log = tmp_path / "up.out"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "relance.cli", "up", "--partitions", "2", "--ready-within", "300"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        up = subprocess.Popen(command, env=clean | environ, stdout=out, stderr=out)
    try:
        # The first start on a machine compiles the kernels.
        wait(lambda: "ctrl-C ends" in log.read_text() or up.poll() is not None, 320, log)
        assert up.poll() is None, log.read_text()
        yield environ
    finally:
        down = relance("down", timeout_s=120, **environ)
        up.wait(60)
    assert (down.returncode, up.returncode) == (0, 0), log.read_text()
    assert local.status(tmp_path / "home") is None


@pytest.mark.timeout(500)
def test_up_carries_events_to_signals_that_simulate_alike(
    relance: Relance, running: dict[str, str], tmp_path: Path
) -> None:
    """The whole way: shop, events over HTTP and the raw topic, signals, export, simulation."""
    url = f"http://127.0.0.1:{running['RELANCE_TRACKING_PORT']}"
    log = tmp_path / "up.out"
    assert relance("up", **running).returncode == 2  # runs already
    law = f"127.0.0.1:{running['RELANCE_CHECKOUT_GRPC_PORT']}"
    assert json.loads(relance("law", "ask", "--server", law, stdin=QUESTION).stdout)["result"] == {"not_yet": True}
    assert relance("topics", "describe", "--partitions", "2", **running).returncode == 0
    windows = tmp_path / "windows.yaml"
    windows.write_text(WINDOWS)
    key = relance("shop", "create", "demo", "--windows", str(windows), **running).stdout.split()[-1]
    raw = tmp_path / "raw.jsonl"
    raw.write_bytes(b"\n".join(shopping(visitor) for visitor in range(40, 60)))

    def sent() -> bool:  # the new shop is known to tracking within a moment
        events = b"\n".join(shopping(visitor) for visitor in range(40)).decode()
        done = relance("send", "-", "--key", key, "--url", url, stdin=events, **running)
        return "40 events are in Kafka, 0 refused" in done.stderr

    wait(sent, 30, log)
    assert relance("send", str(raw), "--raw", **running).returncode == 0
    wait(lambda: len(signals(relance, running)) >= 120, 60, log)  # abandoned and ended of 60 visitors

    exported, simulated = tmp_path / "log.jsonl", tmp_path / "simulated.jsonl"
    told = relance("log", "export", str(exported), "--shop", "demo", **running).stderr
    until = told.partition("stands at ")[2].partition(" ")[0]
    done = relance("simulate", "--windows", str(windows), "--events", str(exported), "--signals", str(simulated),
                   "--until", until, timeout_s=120, **running)  # fmt: skip
    assert done.returncode == 0, done.stderr
    alike = {one["signal_id"]: one for one in map(json.loads, simulated.read_bytes().splitlines())}
    assert {one["signal_id"]: one for one in signals(relance, running)} == alike
    assert len(alike) == 120


def shopping(visitor: int) -> bytes:
    items = [{"product_id": "A", "quantity": 2, "price_minor": 3_000}]
    event = {
        "specversion": "1.0", "id": f"e-{visitor}", "source": "/shops/demo", "type": "cart.updated",
        "time": format_ms(time.time_ns() // 1_000_000), "visitorid": f"v-{visitor}",
        "data": {"cart_id": f"c-{visitor}", "currency": "EUR", "total_minor": 6_000, "items": items},
    }  # fmt: skip
    return json.dumps(event).encode()


def signals(relance: Relance, environ: dict[str, str]) -> list[dict[str, object]]:
    shown = relance("signals", "tail", "--once", "--json", "--shop", "demo", **environ)
    return [json.loads(line) for line in shown.stdout.splitlines()]


def wait(holds: Callable[[], object], timeout_s: float, log: Path) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, log.read_text()
        time.sleep(0.5)
