"""Each case of the lawyer's files, the gaps of their coverage, and what a case file that is wrong gets."""

from datetime import date
from pathlib import Path

import pytest

from relance.kernel.errors import DefinitionsError, InputError
from relance.rules.law.book import RULES, Book, default_book
from relance.rules.law.cases import Case, coverage, read_bases, read_cases, run
from relance.rules.law.checks import MEANINGS, PARTS
from relance.rules.law.verdict import check

HERE = Path(__file__).parent
BOOK = default_book()
BASES = read_bases((HERE / "bases.yaml").read_text(), "bases.yaml", BOOK)
CASES = [
    case
    for path in sorted(HERE.glob("*.yaml"))
    if path.name != "bases.yaml"
    for case in read_cases(path.read_text(), path.name, BOOK)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule} {case.place}")
def test_a_case_finds_exactly_what_it_says(case: Case) -> None:
    _, verdict = run(case, BASES, BOOK)
    found = {finding.rule for finding in (*verdict.blockers, *verdict.warnings)}
    assert found == case.finds, case.title


@pytest.mark.parametrize("base", BASES)
def test_a_base_is_lawful(base: str) -> None:
    case = Case("A01", base, passing=True, base=base, given={}, on=None, finds=frozenset(), place=base)
    _, verdict = run(case, BASES, BOOK)
    assert verdict.allowed
    assert verdict.blockers == verdict.warnings == ()


def test_every_enforced_rule_has_a_meaning_and_cases_on_both_sides() -> None:
    assert {rule.id for rule in BOOK.all() if rule.severity != "out"} == set(MEANINGS)
    assert not [(entry.rule.id, entry.gap) for entry in coverage(BOOK, CASES) if entry.gap]
    assert {meaning.check.__module__ for meaning in MEANINGS.values()} == {part.__name__ for part in PARTS}


def test_a_rule_without_a_case_is_a_gap() -> None:
    kept = [case for case in CASES if case.rule != "A04" or case.passing]
    assert [(entry.rule.id, entry.gap) for entry in coverage(BOOK, kept) if entry.gap] == [("A04", "no failing case")]


def test_every_finding_names_rule_version_article_and_field() -> None:
    for case in CASES:
        document, verdict = run(case, BASES, BOOK)
        for finding in (*verdict.blockers, *verdict.warnings):
            versions = {rule.version for rule in BOOK.versions(finding.rule)}
            assert finding.version in versions
            assert finding.article
            assert finding.reason
            assert finding.field.split(".")[0] in document.__struct_fields__, finding


@pytest.mark.parametrize(
    ("rule", "words", "blocks"),
    [
        ("G10", "there is no invoice (a warning)", False),
        ("G10", "lacks a mention (a warning)", False),
        ("B24", "leave out L241-3", True),
        ("B24", "and not L215-1-1 (a warning)", False),
        ("B24", "its terms say nothing of it", True),
    ],
)
def test_what_rests_on_our_reading_alone_never_blocks(rule: str, words: str, blocks: bool) -> None:  # noqa: FBT001 - a case
    case = next(case for case in CASES if case.rule == rule and words in case.title)
    _, verdict = run(case, BASES, BOOK)
    assert verdict.allowed != blocks
    assert {one.rule for one in (verdict.blockers if blocks else verdict.warnings)} == {rule}


def test_a_rule_that_comes_into_force_needs_no_code() -> None:
    def blocked_on(day: date) -> set[str]:
        case = next(case for case in CASES if case.rule == "G16" and "large firm" in case.title)
        document, _ = run(case, BASES, BOOK)
        return {finding.rule for finding in check(document, BOOK, day).blockers}

    assert "G16" not in blocked_on(date(2026, 8, 31))
    assert "G16" in blocked_on(date(2026, 9, 1))


def test_the_date_of_the_contract_decides_what_it_must_hold() -> None:
    """Concluded on the eve of 19/06/2026, looked at later: the online function is not held against it."""
    case = next(case for case in CASES if case.rule == "A01" and "18/06/2026" in case.title)
    document, _ = run(case, BASES, BOOK)
    later = check(document, BOOK, date(2026, 7, 1))
    assert not {"A01", "B03", "B05", "B10"} & {finding.rule for finding in later.blockers}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- {rule: A04, passes: a, wehn: {}}", "unknown key 'wehn' in a case"),
        ("- {rule: A04}", "either passes or fails"),
        ("- {rule: A04, fails: a, finds: [A05]}", "one that fails does"),
        ("- {rule: A04, passes: a, given: {recap.hash: '@A04.nothing'}}", "has no text A04.nothing"),
    ],
)
def test_a_wrong_case_is_refused_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(DefinitionsError, match=reason) as raised:
        read_cases(f"# a comment\n{text}", "cases.yaml", BOOK)
    assert str(raised.value).startswith("cases.yaml:2: ")


def test_facts_that_make_no_document_are_refused() -> None:
    case = read_cases("- {rule: A04, fails: a, given: {lines.0.price: 3}}", "cases.yaml", BOOK)[0]
    with pytest.raises(InputError, match=r"cases.yaml:1: not a checkout document: .*price"):
        run(case, BASES, BOOK)


def test_the_book_is_the_one_of_the_repository() -> None:
    assert [rule.id for rule in Book.load(RULES).all()] == [rule.id for rule in BOOK.all()]
