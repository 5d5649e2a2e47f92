"""`relance simulate`: files in, files out, one clear error."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from relance.cli.lines import LineReader
from relance.cli.program import main
from relance.rules.windows_file import load
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.rows import to_batch
from services.tracking.domain.shops import ShopTable
from tests.reference.model import run
from tests.reference.shoppers import Shoppers

WINDOWS = """\
windows:
  - {id: cart, stage: cart, inactivity: PT20M}
  - {id: payment-failed, event: payment.failed, inactivity: PT0S}
"""
READ_ELSEWHERE = {"event_hash", "cart_hash", "product", "page", "campaign"}  # hashes are our own; pages are not written


def line(kind: str, time: str, **fields: Any) -> dict[str, Any]:
    base = {
        "id": f"{kind}-{time}",
        "source": "/shops/demo",
        "type": kind,
        "time": f"2026-01-01T{time}Z",
        "visitorid": "v",
    }
    return base | fields


CART = line("cart.product_added", "10:00:00", data={"currency": "EUR", "items": [{"price_minor": 500, "quantity": 2}]})
FAILED = line("payment.failed", "10:05:00", data={})


class Desk:
    """A directory with a windows file, and the command run in it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.signals = path / "signals.jsonl"
        self.monkeypatch = monkeypatch
        (path / "windows.yaml").write_text(WINDOWS)

    def simulate(self, events: list[Any] | str, *options: str, windows: str = "windows.yaml") -> int:
        text = events if isinstance(events, str) else "".join(json.dumps(event) + "\n" for event in events)
        (self.path / "events.jsonl").write_text(text)
        argv = ["relance", "simulate", "--windows", str(self.path / windows), "--signals", str(self.signals)]
        argv += ["--events", str(self.path / "events.jsonl"), *options]
        self.monkeypatch.setattr(sys, "argv", argv)
        return main()

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.signals.read_text().splitlines()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_signals_of_a_file(desk: Desk) -> None:
    assert desk.simulate([CART, FAILED, line("page.viewed", "11:00:00", visitorid="w")]) == 0
    assert [(s["kind"], s["window"], s["fired_at"][11:]) for s in desk.said()] == [
        ("abandoned", "payment-failed", "10:05:02.000Z"),
        ("ended", None, "10:35:02.000Z"),
    ]
    assert desk.said()[0]["cart_total_minor"] == 1000
    assert "windows" not in desk.said()[0]


def test_without_until_it_ends_with_the_last_line(desk: Desk) -> None:
    desk.simulate([CART, line("page.viewed", "10:20:01.999", visitorid="w")])
    assert desk.said() == []
    desk.simulate([CART, line("page.viewed", "10:20:02", visitorid="w")])
    assert len(desk.said()) == 1
    desk.simulate([CART, line("page.viewed", "10:20:02", visitorid=None)])
    assert len(desk.said()) == 1


def test_until_leaves_later_lines_out_and_moves_the_clock(desk: Desk) -> None:
    later = line("page.viewed", "10:04:00", receivedtime="2026-01-01T10:06:00Z")
    desk.simulate([CART, later], "--until", "2026-01-01T10:20:02Z")
    assert desk.said() == []
    later["receivedtime"] = "2026-01-01T10:20:02.001Z"
    desk.simulate([CART, later, "this is never read"], "--until", "2026-01-01T11:20:02+01:00")
    assert [s["window"] for s in desk.said()] == ["cart"]
    later["receivedtime"] = "2026-01-01T10:20:02Z"
    desk.simulate([CART, later], "--until", "2026-01-01T10:20:02Z")
    assert [s["window"] for s in desk.said()] == ["cart"]


def test_nothing_comes_of_nothing(desk: Desk) -> None:
    assert desk.simulate("\n\n", "--until", "2026-01-01T10:20:02Z") == 0
    assert desk.said() == []


def test_lines_that_tracking_would_refuse_for_data_that_detection_does_not_read(desk: Desk) -> None:
    events = [
        line("product.viewed", "10:00:00"),
        line(
            "cart.updated",
            "10:00:01",
            data={"items": [{"price_minor": 5, "name": 7}], "total_minor": 5, "cart_id": None},
        ),
        line("coupon.applied", "10:00:02", data=None, specversion=None),
        line("payment.failed", "10:00:03", data={"category": "rain"}, personid=""),
        line("page.viewed", "10:00:04", visitorid=17, unknown={"deep": [1]}),
        line("page.viewed", "10:00:05", visitorid=""),
    ]
    assert desk.simulate(events, "--until", "2026-01-02T00:00:00Z") == 0
    assert [(s["kind"], s["items"]) for s in desk.said()] == [("abandoned", 1), ("ended", 1), ("ended", 0)]


BAD = [
    ("{", "truncated"),
    ("[]", "array"),
    (line("page.seen", "10:00:00"), "no type of the catalog"),
    (line("page.viewed", "25:00:00"), "no RFC 3339 time"),
    (line("page.viewed", "") | {"time": "2026-01-01T10:00:00"}, "no RFC 3339 time with a zone"),
    (line("page.viewed", "10:00:00", receivedtime="yesterday"), "'yesterday'"),
    (line("page.viewed", "") | {"time": "0001-01-01T00:00:00+14:00"}, "the years 1 to 9999"),
    (line("page.viewed", "10:00:00", receivedtime="9999-12-31T23:59:59-14:00"), "the years 1 to 9999"),
    (line("page.viewed", "10:00:00", arrivedtime="9999-12-31T23:59:59-14:00"), "the years 1 to 9999"),
    (line("page.viewed", "10:00:00", id=""), "$.id"),
    (line("page.viewed", "10:00:00", source="demo"), "/shops/"),
    (line("page.viewed", "10:00:00", device="fridge"), "$.device"),
    (line("page.viewed", "10:00:00", returning="yes"), "$.returning"),
    (line("cart.updated", "10:00:00", data={"items": {}}), "$.data.items"),
    (line("cart.updated", "10:00:00", data={"items": [{"price_minor": 1.5}]}), "$.data.items[0].price_minor"),
    (line("cart.updated", "10:00:00", data={"items": [{"quantity": -1}]}), "$.data.items[0].quantity"),
    (line("cart.updated", "10:00:00", data={"currency": "euro"}), "euro"),
    (line("cart.updated", "10:00:00", data={"total_minor": 10**30}), "$.data.total_minor"),
    (line("page.viewed", "10:00:00", data={"consent": ["email"]}), "$.data.consent"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_line_is_one_clear_error_and_leaves_no_output(
    desk: Desk, capsys: pytest.CaptureFixture[str], bad: Any, reason: str
) -> None:
    desk.signals.write_text("from before\n")
    text = json.dumps(CART) + "\n\n" + (bad if isinstance(bad, str) else json.dumps(bad)) + "\n"
    assert desk.simulate(text) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1
    assert "events.jsonl:3: " in told.err
    assert reason in told.err
    assert desk.signals.read_text() == "from before\n"
    assert sorted(path.name for path in desk.path.iterdir()) == ["events.jsonl", "signals.jsonl", "windows.yaml"]


def test_the_ends_of_the_calendar_are_within(desk: Desk) -> None:
    first = line("page.viewed", "") | {"time": "0001-01-01T00:00:00Z"}
    last = line("page.viewed", "", visitorid="w") | {"time": "9999-12-31T23:59:59.999Z"}
    assert desk.simulate([first, last], "--until", "9999-12-31T23:59:59.999Z") == 0
    assert [said["fired_at"] for said in desk.said()] == ["0001-01-01T00:30:02.000Z"]


def test_wrong_input_is_exit_code_2(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.simulate([CART], windows="absent.yaml") == 2
    (desk.path / "bad.yaml").write_text("windows:\n- {id: a}\n")
    assert desk.simulate([CART], windows="bad.yaml") == 2
    assert desk.simulate([CART], "--until", "tomorrow") == 2
    assert desk.simulate([CART], "--until", "9999-12-31T23:59:59-14:00") == 2
    assert desk.simulate([CART], "--events", str(desk.path / "absent.jsonl")) == 2
    assert desk.simulate([CART], "--signals", str(desk.path / "no" / "where.jsonl")) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 6
    assert "bad.yaml:2: a window needs inactivity" in lines[1]


def test_standard_input_and_output(desk: Desk) -> None:
    command = [sys.executable, "-m", "relance.cli", "simulate", "--windows", str(desk.path / "windows.yaml")]
    command += ["--events", "-", "--signals", "-", "--until", "2026-01-02T00:00:00Z"]
    done = subprocess.run(command, input=json.dumps(CART).encode(), capture_output=True, check=True, timeout=100)
    assert [json.loads(text)["kind"] for text in done.stdout.splitlines()] == ["abandoned", "ended"]
    assert done.stderr == b""


def test_many_lines_equal_the_model(desk: Desk) -> None:
    """Chunks of the command are larger than a test's usual log: here the borders between them count."""
    shoppers = Shoppers(random.Random(11))
    events = list(shoppers.lines(12_000))
    assert desk.simulate(events) == 0
    assert desk.said() == run(events, load(WINDOWS, "windows.yaml"))


def test_columns_are_those_of_tracking_for_events_that_it_takes(root: Path) -> None:
    files = sorted((root / "schemas/examples").rglob("*.json"))
    raw = [json.dumps(json.loads(file.read_text())).encode() for file in files]
    raw = [event for event in raw if b'"visitorid"' in event and b'"senttime"' not in event]
    encoded = Encoder(ShopTable(open_to_all=True)).encode(raw)
    assert not encoded.refusals
    reader = LineReader("examples")
    taken = [event for place, event in enumerate(raw) if place in set(encoded.index)]
    for event in taken:
        reader.add(event)
    assert len(taken) >= 45
    found, expected = reader.take().batch, to_batch(encoded.rows, encoded.strings, encoded.shops)
    for name in set(expected.schema.names) - READ_ELSEWHERE:
        assert found.column(name).to_pylist() == expected.column(name).to_pylist(), name
