"""The book of law: what it holds, which version is in force, and what a faulty rule file gets."""

import re
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.kernel.errors import DefinitionsError
from relance.rules.law.book import RULES, Book, NotInForce, default_book
from relance.rules.law.verdict import explain

BOOK = default_book()
SHARED = Path(__file__).parents[3] / "shared" / "reference"
PARTS = {"A": 32, "B": 27, "C": 11, "D": 20, "E": 30, "F": 12, "G": 17}
LOWERED = {"A03", "A22", "A23", "A28", "D18", "A29"}  # section K of the catalogue
RULE = """\
- id: A01
  version: 1
  title: A title
  statement: A statement.
  sources: [{code: Code civil, article: "1127-1"}]
  valid_from: 2020-01-01
  valid_to: 2021-01-01
  applies_by: contract
  severity: block
  evidence: V1
"""


def library(directory: Path, text: str) -> Path:
    (directory / "fr").mkdir()
    (directory / "codes.yaml").write_text('- {code: Code civil, url: "https://law.example"}\n')
    (directory / "fr" / "rules.yaml").write_text(text)
    return directory


def test_on_both_sides_of_each_change_the_rules_are_those_in_force() -> None:
    changes = {day for rule in BOOK.all() for day in (rule.valid_from, rule.valid_to) if day is not None}
    for day in {change + timedelta(days=days) for change in changes for days in (-1, 0, 1)}:
        assert dict(BOOK.on(day)) == {rule.id: rule for rule in BOOK.all() if rule.in_force(day)}


def test_days_without_a_change_between_them_have_the_same_book() -> None:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(730)]
    changes = {day for rule in BOOK.all() for day in (rule.valid_from, rule.valid_to) if day is not None}
    assert len({id(BOOK.on(day)) for day in days}) == 1 + sum(days[0] < change <= days[-1] for change in changes)


def test_every_id_of_the_catalogue_is_in_the_book() -> None:
    ids = {rule.id for rule in BOOK.all()}
    assert ids == {f"{part}{number:02}" for part, count in PARTS.items() for number in range(1, count + 1)}


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not beside this checkout")
def test_the_catalogue_has_no_id_that_the_book_lacks() -> None:
    rows = set(re.findall(r"^\| ([A-G]\d\d) \|", (SHARED / "law.md").read_text(), flags=re.MULTILINE))
    assert rows == {rule.id for rule in BOOK.all()}


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not beside this checkout")
def test_what_concerns_the_checkout_and_was_read_is_enforced() -> None:
    """Rows read in a text or a source (V1, V2) block, those with U or K alone warn unless what the checkout promises
    names them, what concerns others is out.
    """
    concerns = {
        "catalog", "pricing", "checkout", "payment", "order", "evidence", "legal", "withdrawal", "subscription",
    }  # fmt: skip
    noticed = {"B09", "E26"}  # the function is never hidden, the notice at the e-mail field
    for row in re.findall(r"^\| [A-G]\d\d \|.*$", (SHARED / "law.md").read_text(), flags=re.MULTILINE):
        id_, *_, services, _, evidence = (cell.strip() for cell in row.strip("|").split("|"))
        severity = BOOK.versions(id_)[-1].severity
        if id_ in LOWERED:
            assert severity == "warn", id_
        elif concerns & set(re.findall(r"[a-z]+", services)) or id_ in noticed:
            read = re.search("V1|V2", evidence) or id_ in noticed
            assert severity == ("block" if read else "warn"), id_
        else:
            assert severity == "out", id_


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is not beside this checkout")
def test_prescribed_texts_stand_word_for_word_in_their_sources() -> None:
    sources = "".join(path.read_text() for path in [SHARED / "law.md", *sorted((SHARED / "texts").glob("*.md"))])
    plain = re.sub(r"\s*\n\s*", "\n", re.sub(r"^> ?", "", sources, flags=re.MULTILINE))
    for path in sorted((RULES / "texts").glob("*.txt")):
        assert re.sub(r"\s*\n\s*", "\n", path.read_text()).strip() in plain, path.name


def test_every_text_is_used_and_pinned_by_its_hash() -> None:
    texts = {sha256(path.read_text().removesuffix("\n").encode()).hexdigest() for path in (RULES / "texts").iterdir()}
    pinned = {wording.sha256 for rule in BOOK.all() for wording in rule.wordings.values() if not wording.slot}
    assert pinned == texts


def test_what_is_missing_is_a_named_slot() -> None:
    slots = {f"{rule.id}.{name}" for rule in BOOK.all() for name, wording in rule.wordings.items() if wording.slot}
    assert slots == {"A03.label", "A20.continuous", "A22.notice"}


@pytest.mark.parametrize(
    ("id_", "first"),
    [
        ("A17", "2025-07-02"), ("B05", "2026-06-19"), ("B10", "2026-06-19"), ("E10", "2026-08-11"),
        ("A22", "2026-09-27"), ("F12", "2026-11-20"), ("G04", "2025-07-20"), ("D20", "2023-10-07"),
    ],
)  # fmt: skip
def test_a_rule_begins_on_its_day(id_: str, first: str) -> None:
    day = date.fromisoformat(first)
    assert BOOK.rule(id_, day).valid_from == day
    with pytest.raises(NotInForce, match=rf"{id_} is not in force on .*: version 1 from {day}"):
        BOOK.rule(id_, day - timedelta(days=1))
    assert id_ not in BOOK.on(day - timedelta(days=1))


def test_where_the_law_changes_both_versions_stand() -> None:
    assert [explain("A01", day).version for day in (date(2026, 6, 18), date(2026, 6, 19))] == [1, 2]
    assert [explain("A23", day).version for day in (date(2026, 9, 26), date(2026, 9, 27))] == [1, 2]
    assert [explain("G16", day).version for day in (date(2027, 8, 31), date(2027, 9, 1))] == [1, 2]


def test_section_k_warns_and_what_is_out_says_why() -> None:
    assert {rule.severity for rule in BOOK.all() if rule.id in LOWERED} == {"warn"}
    assert all(re.match(r"(after the order: |no part of a checkout: |not law)", rule.reason)
               for rule in BOOK.all() if rule.severity == "out")  # fmt: skip


def test_every_parameter_names_its_article() -> None:
    assert not [rule.id for rule in BOOK.all() if set(rule.parameters) != set(rule.parameter_articles)]


@given(st.dates(date(2010, 1, 1), date(2040, 1, 1)))
def test_on_a_day_at_most_one_version_of_a_rule_is_in_force(day: date) -> None:
    in_force = [rule.id for rule in BOOK.all() if rule.in_force(day)]
    assert sorted(in_force) == sorted(BOOK.on(day)) == sorted(set(in_force))


def test_an_unknown_rule_is_said_to_be_unknown() -> None:
    with pytest.raises(NotInForce, match="there is no rule 'Z99'"):
        BOOK.rule("Z99", date(2026, 1, 1))


def test_a_rule_ends_the_day_before_its_successor(tmp_path: Path) -> None:
    later = RULE.replace("version: 1", "version: 2").replace("2021", "2022").replace("2020-01-01", "2021-01-01")
    book = Book.load(library(tmp_path, RULE + later))
    assert [book.rule("A01", date(2020, 12, 31)).version, book.rule("A01", date(2021, 1, 1)).version] == [1, 2]
    with pytest.raises(NotInForce, match="version 1 from 2020-01-01 to 2020-12-31; version 2 from 2021-01-01 to"):
        book.rule("A01", date(2022, 1, 1))


@pytest.mark.parametrize(
    ("wrong", "right", "line", "reason"),
    [
        ("block", "stop", 9, "Invalid enum value 'stop'"),
        ("valid_to: 2021-01-01", "valid_to: 2020-01-01", 7, "would end before it is in force"),
        ("severity: block", "severity: out", 9, "out needs a reason"),
        ("Code civil", "Code x", 5, "unknown code 'Code x'"),
        ("evidence: V1", "evidens: V1", 10, "evidens"),
        ("evidence: V1", "title: V1", 10, "the key 'title' stands twice"),
        ("evidence: V1", "evidence: V1\n  parameters: {days: 3}", 11, "parameter days needs a value and its article"),
        ("evidence: V1", "evidence: [V1", 11, "not YAML"),
        (
            "evidence: V1",
            "evidence: V1\n  wordings: {a: {article: x, source: y, text: z, sha256: " + "0" * 64 + "}}",
            11,
            "wording a has the hash",
        ),
    ],
)
def test_a_faulty_rule_is_refused_with_file_line_and_reason(
    tmp_path: Path, wrong: str, right: str, line: int, reason: str
) -> None:
    with pytest.raises(DefinitionsError, match=re.escape(reason)) as raised:
        Book.load(library(tmp_path, RULE.replace(wrong, right)))
    assert raised.value.file.endswith("rules.yaml")
    assert raised.value.line == line


def test_versions_that_overlap_are_refused(tmp_path: Path) -> None:
    later = RULE.replace("version: 1", "version: 2").replace("2020-01-01", "2020-06-01")
    with pytest.raises(DefinitionsError, match="A01: versions 1 and 2 overlap") as raised:
        Book.load(library(tmp_path, RULE + later))
    assert raised.value.line == 16


def test_a_directory_without_rules_is_refused(tmp_path: Path) -> None:
    (tmp_path / "codes.yaml").write_text("[]")
    with pytest.raises(DefinitionsError, match="holds no rule"):
        Book.load(tmp_path)
