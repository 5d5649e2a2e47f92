import hashlib
import re
import sys
from pathlib import Path

import pytest

from relance.cli import main
from relance.cli.shop import _expiring, checked_name, new_key
from relance.events.shops import Key
from relance.kernel.errors import InputError


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["relance", *arguments])
    return main()


def test_help_names_every_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    shown = capsys.readouterr().out
    for command in ("up", "kafka", "topics", "shop", "windows", "send", "signals", "sessions", "log", "dead-letters"):
        assert f" {command} " in shown


@pytest.mark.parametrize("command", [["send"], ["shop", "defaults"], ["dead-letters", "replay"]])
def test_an_argument_that_may_be_absent_is_in_brackets_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run(monkeypatch, *command, "--help") == 0
    usage = next(line for line in capsys.readouterr().out.splitlines() if "Usage:" in line)
    assert re.search(r" \[[A-Z]+](\.\.\.)? *$", usage)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["kafka", "start", "--port", "many"], "'--port'"),
        (["windows", "check", "no-such-file.yaml"], "no-such-file.yaml: No such file"),
        (["shop", "show", "bad name"], "'bad name' is no name for a shop"),
        (["shop", "create", "demo", "--origin", "https://a.example/path"], "is no origin"),
        (["shop", "rotate-key", "demo", "--grace", "soon"], "--grace"),
        (["dead-letters", "replay"], "--all"),
        (["send"], "either a FILE of events or --type"),
        (["send", "--type", "page.viewed", "--key", "é"], "--key"),
        (["send", "--type", "page.viewed", "--key", "sk", "--url", "nonsense"], "'nonsense' is no URL"),
        (["send", "--type", "page.viewed", "--key", "sk", "--url", "http://[::1"], "'http://[::1' is no URL"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.delenv("RELANCE_KAFKA", raising=False)
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


def test_without_kafka_the_command_to_run_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("RELANCE_KAFKA", raising=False)
    monkeypatch.setenv("RELANCE_HOME", str(tmp_path))
    for command in (["topics", "create"], ["shop", "list"], ["signals", "tail"], ["dead-letters", "list"]):
        assert run(monkeypatch, *command) == 2
        assert "relance kafka start" in capsys.readouterr().err


def test_windows_file_is_said_in_words_or_refused_with_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("windows:\n  - {id: big, stage: cart, inactivity: PT20M, when: {currency: EUR}}\n")
    assert run(monkeypatch, "windows", "check", str(good)) == 0
    assert "big: PT20M without activity at stage cart, when currency EUR" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "windows:\n  - {id: big, stage: cart, inactivity: PT20M}\n  - {id: x, stage: nowhere, inactivity: PT1M}\n"
    )
    assert run(monkeypatch, "windows", "check", str(bad)) == 2
    assert f"{bad}:3: " in capsys.readouterr().err


def test_key_is_long_named_after_its_shop_and_kept_as_a_hash() -> None:
    seen = set()
    for kind, prefix in (("publishable", "pk_demo_"), ("secret", "sk_demo_")):
        text, key = new_key("demo", kind)  # type: ignore[arg-type]
        assert text.startswith(prefix)
        assert len(text.removeprefix(prefix)) >= 22  # 128 bits in base64
        assert key.sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert text.endswith(key.hint)
        assert text not in str(key)
        seen.add(text)
    assert len(seen) == 2


def test_rotation_ends_old_keys_of_the_kind_and_never_prolongs_them() -> None:
    def key(kind: str, ends_ms: int | None) -> Key:
        return Key(kind=kind, sha256=f"{kind}{ends_ms}", hint="", created_at_ms=0, expires_at_ms=ends_ms)  # type: ignore[arg-type]

    keys = (key("secret", None), key("secret", 50), key("secret", 150), key("secret", 900), key("publishable", None))
    after = _expiring(keys, "secret", expiry_ms=500, now_ms=100)
    assert [(one.kind, one.expires_at_ms) for one in after] == [
        ("secret", 500), ("secret", 150), ("secret", 500), ("publishable", None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["", "a b", "é", "-a", "a" * 65, "a/b", "*"])
def test_names_that_no_source_can_have_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        checked_name(name)
