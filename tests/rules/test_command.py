"""`relance law list`, `explain`, `check` and `coverage`: what they print and their exit codes."""

import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from relance.cli import main
from relance.rules.law.book import default_book
from relance.rules.law.cases import read_bases

HERE = Path(__file__).parent
GOODS = read_bases((HERE / "bases.yaml").read_text(), "bases.yaml", default_book())["goods"]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["relance", "law", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    return main()


def document(directory: Path, button: str) -> str:
    path = directory / "checkout.json"
    path.write_bytes(msgspec.json.encode(GOODS | {"recap": GOODS["recap"] | {"button": {"text": button}}}))
    return str(path)


@pytest.mark.parametrize(("day", "times"), [("2026-06-18", 0), ("2026-06-19", 1)])
def test_list_shows_the_rules_of_a_day(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], day: str, times: int
) -> None:
    assert run(monkeypatch, "list", "--on", day, "--severity", "block") == 0
    shown = capsys.readouterr().out
    rows = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert rows.count("B05") == times  # the online withdrawal function
    assert "E25" in rows
    assert "no part of a checkout" not in shown
    assert f"the law on {day}: " in shown


def test_explain_shows_source_parameters_and_the_prescribed_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "explain", "b11", "--on", "2026-11-22") == 0
    shown = capsys.readouterr().out
    assert "R221-1 annex" in shown
    assert "MODÈLE DE FORMULAIRE DE RÉTRACTATION" in shown
    assert run(monkeypatch, "explain", "A23", "--on", "2026-09-26") == 0
    assert "also: version 2, from 2026-09-27" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("B15", "brackets: up to 10 days late the legal rate; up to 20 days late 5 %; up to 30 days late 10 %"),
        ("B15", "consequence: Owed by the law itself"),
        ("C05", "brackets: up to 14 days late 10 %; up to 30 days late 20 %; after that 50 % (L241-4)"),
        ("B27", "6.67 % from 2026-01-01 to 2026-06-30"),
        ("B17", "10: kinds: goods, digital, needs: single_copy"),
        ("B03", "function: yes (L221-5 I 7°)"),
        ("B09", "evidence: the rule is generally known, no source was read (K)"),
    ],
)
def test_explain_says_what_is_counted_with_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rule: str, said: str
) -> None:
    assert run(monkeypatch, "explain", rule, "--on", "2026-11-22") == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "B05", "--on", "2026-01-01"], "B05 is not in force on 2026-01-01: version 1 from 2026-06-19 on"),
        (["explain", "Z9"], "there is no rule 'Z9'"),
        (["list", "--severity", "all"], "--severity is one of block, warn, out"),
        (["list", "--on", "2026-02-30"], "'--on'"),
        (["check", "nothing.json"], "nothing.json: No such file"),
    ],
)
def test_wrong_input_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.splitlines()) == 1


def test_check_says_what_blocks_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "check", document(tmp_path, "Commander avec obligation de paiement")) == 0
    assert "allowed under the law of 2026-11-22: 0 blockers, 0 warnings" in capsys.readouterr().out
    assert run(monkeypatch, "check", document(tmp_path, "Valider")) == 1
    shown = capsys.readouterr().out
    assert "A04" in shown
    assert "recap.button.text" in shown
    assert "L221-14" in shown


def test_check_on_a_day_to_come_shows_what_will_block(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = document(tmp_path, "Commander avec obligation de paiement")
    assert run(monkeypatch, "check", path, "--on", "2027-09-01") == 1
    assert "G16" in capsys.readouterr().out


def test_coverage_of_one_rule_shows_its_cases_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "coverage", "a04") == 0
    shown = capsys.readouterr().out
    assert "passes: The button carries the words of the law." in shown
    assert 'fails: The button says "Valider".' in shown
    assert run(monkeypatch, "coverage", "Z1") == 2
    assert "there is no rule 'Z1'" in capsys.readouterr().err


def test_coverage_is_whole_and_a_gap_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "coverage") == 0
    assert "149 rules: 109 block, 13 warn, 27 out" in capsys.readouterr().out
    for path in HERE.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    contact = tmp_path / "contact.yaml"
    contact.write_text(contact.read_text().replace("{contact.email_notice: false}", "{contact.email_notice: true}"))
    assert run(monkeypatch, "coverage", "--cases", str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert "gap: E26" in shown.err
    assert "finds nothing, not E26" in shown.err
    assert "no failing case" in shown.out
