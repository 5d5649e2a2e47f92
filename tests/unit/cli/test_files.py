"""Files that cannot be read as what they should be: one clear line and exit code 2, whichever command reads them."""

import gzip
import sys
from pathlib import Path

import pytest

from relance.cli.program import main

ROWS = "event_time,event_type,product_id,price,user_id,user_session\n"
EVENT = '{"id": "1", "source": "/shops/demo", "type": "page.viewed", "time": "%s", "visitorid": "v"}\n'
FILES = {
    "empty": b"",
    "rows.gz": gzip.compress(ROWS.encode()),
    "cut.gz": gzip.compress(ROWS.encode())[:12],
    "latin": b"\xe9\xe9\n",
    "deep": b"[" * 100_000,
    "broken": b'{"id": \n',
    "other-columns": b"a,b\n1,2\n",
    "no-time": ROWS.encode() + b"yesterday UTC,view,1,2.00,u,s\n",
    "short": ROWS.encode() + b"2019-10-01 00:00:00 UTC,view\n",
    "far": (EVENT % "9999-12-31T23:59:59-14:00").encode(),
    "ages": (EVENT % "0001-01-01T00:00:00Z" + EVENT % "9999-12-31T00:00:00Z").encode(),
}
CSV, LINES = ("--format", "rees46"), ("--format", "cloudevents")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["relance", *arguments])
    return main()


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "windows.yaml").write_text("windows:\n- {id: cart, stage: cart, inactivity: PT20M}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELANCE_KAFKA", "127.0.0.1:1")


@pytest.mark.parametrize("command", ["convert", "replay"])
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("absent", CSV, "absent: No such file or directory"),
        ("folder", CSV, "folder: Is a directory"),
        ("empty", CSV, "empty:1: the header lacks event_time"),
        ("other-columns", CSV, "other-columns:1: the header lacks event_time"),
        ("rows.gz", CSV, "rows.gz: is packed with gzip: unpack it first"),
        ("cut.gz", LINES, "cut.gz: is packed with gzip: unpack it first"),
        ("latin", CSV, "latin: not UTF-8"),
        ("short", CSV, "short:2: 2 fields, the header has 6"),
        ("no-time", CSV, "no-time:2: 'yesterday' is no time such as"),
        ("deep", LINES, "deep:1: is nested too deep"),
        ("broken", LINES, "broken:1: "),
        ("far", LINES, "far:1: '9999-12-31T23:59:59-14:00' is no RFC 3339 time"),
    ],
)
def test_a_log_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, name: str,
    options: tuple[str, str], said: str,
) -> None:  # fmt: skip
    assert run(monkeypatch, command, name, *options) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {said}")
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "empty", *LINES], "empty has no events"),
        (["replay", "ages", *LINES], "--speed 1: the last event would come in more than a thousand years"),
        (["send", "absent", "--key", "sk"], "absent: No such file or directory"),
        (["send", "folder", "--key", "sk"], "folder: Is a directory"),
        (["send", "empty", "--key", "sk"], "empty has no events"),
        (["send", "rows.gz", "--key", "sk"], "rows.gz: is packed with gzip: unpack it first"),
    ],
)
def test_what_cannot_be_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {said}"]


def test_send_leaves_lines_that_are_too_deep_to_the_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "send", "deep", "--key", "sk", "--url", "http://127.0.0.1:1") == 1
    assert "http://127.0.0.1:1 does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("events", "signals", "said"),
    [
        ("rows.gz", "out", "rows.gz: is packed with gzip: unpack it first"),
        ("folder", "out", "folder: Is a directory"),
        ("deep", "out", "deep:1: Expected `object`, got `array`"),
        ("ages", "folder", "folder: Is a directory"),
    ],
)
def test_what_cannot_be_simulated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], events: str, signals: str, said: str
) -> None:
    assert run(monkeypatch, "simulate", "--windows", "windows.yaml", "--events", events, "--signals", signals) == 2
    assert capsys.readouterr().err.splitlines() == [f"error: {said}"]
    assert not Path("out").exists()
