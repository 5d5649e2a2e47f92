"""Cases that a lawyer can read: given facts, and the rules that must be found broken. Coverage of the book by them."""

import copy
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from relance.kernel.errors import InputError
from relance.rules.law.acts import PARIS
from relance.rules.law.book import Book, Rule
from relance.rules.law.document import Document, decode
from relance.rules.law.nodes import Entry, entries
from relance.rules.law.verdict import Verdict, check

__all__ = ["Bases", "Case", "Coverage", "coverage", "read_bases", "read_cases", "run"]

Bases = Mapping[str, dict[str, Any]]
KEYS = {"rule", "passes", "fails", "base", "given", "date", "finds"}


class Case(NamedTuple):
    """`title` says in words what is given; `finds`: all the rules that must be found, and no others."""

    rule: str
    title: str
    passing: bool
    base: str
    given: dict[str, Any]
    on: date | None
    finds: frozenset[str]
    place: str


def read_bases(text: str, file: str, book: Book) -> Bases:
    """The lawful documents that cases start from. Raises DefinitionsError with file, line and reason."""
    bases: dict[str, dict[str, Any]] = {}
    for entry in entries(text, file):
        name, start = entry.value.get("base"), entry.value.get("from")
        if not isinstance(name, str) or (start is not None and start not in bases):
            raise entry.fault("from", "a base needs a name, and starts from one that stands before it")
        document = copy.deepcopy(bases[start]) if start is not None else {}
        bases[name] = _patched(document, _resolved(entry.value.get("document", {}), entry, book), entry)
    return bases


def read_cases(text: str, file: str, book: Book) -> list[Case]:
    """The cases of a file. Raises DefinitionsError with file, line and reason."""
    return [_case(entry, book) for entry in entries(text, file)]


def _case(entry: Entry, book: Book) -> Case:
    value = entry.value
    if unknown := set(value) - KEYS:
        raise entry.fault(min(unknown), f"unknown key {min(unknown)!r} in a case")
    if ("passes" in value) == ("fails" in value) or not isinstance(value.get("rule"), str):
        raise entry.fault("rule", "a case has a rule, and either passes or fails")
    passing = "passes" in value
    finds = frozenset(value.get("finds", [] if passing else [value["rule"]]))
    if (value["rule"] in finds) == passing:
        raise entry.fault("finds", "a case that passes does not find its rule, one that fails does")
    return Case(
        rule=value["rule"],
        title=str(value["passes" if passing else "fails"]),
        passing=passing,
        base=value.get("base", "goods"),
        given=_resolved(value.get("given", {}), entry, book),
        on=value.get("date"),
        finds=finds,
        place=f"{entry.file}:{entry.lines['']}",
    )


def run(case: Case, bases: Bases, book: Book) -> tuple[Document, Verdict]:
    """The document of a case and the verdict on it. Raises InputError when its facts make no document."""
    if case.base not in bases:
        raise InputError(f"{case.place}: there is no base {case.base!r}")
    value = copy.deepcopy(bases[case.base])
    if case.on is not None and "at" not in case.given:
        value["at"] = datetime(case.on.year, case.on.month, case.on.day, 10, tzinfo=PARIS)
    try:
        document = decode(_patched(value, case.given, None))
    except (InputError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{case.place}: {error}") from None
    return document, check(document, book, case.on)


def _patched(document: dict[str, Any], given: Mapping[str, Any], entry: Entry | None) -> dict[str, Any]:
    """`document` with the values of `given` at their dotted paths; null takes a fact away."""
    for path, value in given.items():
        steps: list[Any] = [int(part) if part.isdigit() else part for part in str(path).split(".")]
        *way, last = steps
        target: Any = document
        for part in way:
            target = target[part] if isinstance(target, list) else target.setdefault(part, {})
        if isinstance(target, list) and last == len(target):
            target.append(value)
        elif value is None and isinstance(target, dict):
            target.pop(last, None)
        elif isinstance(target, dict | list):
            target[last] = value
        elif entry is not None:
            raise entry.fault("document", f"{path} leads nowhere")
    return document


def _resolved(value: Any, entry: Entry, book: Book) -> Any:
    """Texts of the book in place of their names: `@B11.form` is the text's hash, `@@E10.field` the text, and several
    names with spaces between are the texts one after another.
    """
    if isinstance(value, dict):
        return {key: _resolved(item, entry, book) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, entry, book) for item in value]
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    found = []
    for part in value.split():
        rule, _, name = part.lstrip("@").partition(".")
        wording = book.versions(rule)[-1].wordings.get(name)
        if wording is None or wording.text is None:
            raise entry.fault("given", f"the book has no text {part.lstrip('@')}")
        found.append(wording.text if value.startswith("@@") else wording.sha256)
    return "\n\n".join(str(text) for text in found)


class Coverage(NamedTuple):
    """One rule of the book (its newest version) and its cases; `gap` says what is missing, "" when nothing is."""

    rule: Rule
    passing: tuple[Case, ...]
    failing: tuple[Case, ...]
    gap: str


def coverage(book: Book, cases: Iterable[Case]) -> list[Coverage]:
    """Each id of the book with its cases. An enforced id needs a passing and a failing case."""
    by_rule: dict[str, list[Case]] = {}
    for case in cases:
        by_rule.setdefault(case.rule, []).append(case)
    found = []
    for id_ in sorted({rule.id for rule in book.all()}):
        rule = book.versions(id_)[-1]
        passing = tuple(case for case in by_rule.get(id_, ()) if case.passing)
        failing = tuple(case for case in by_rule.get(id_, ()) if not case.passing)
        gap = ""
        if rule.severity != "out":
            missing = [name for name, some in (("passing", passing), ("failing", failing)) if not some]
            gap = f"no {' and no '.join(missing)} case" if missing else ""
        found.append(Coverage(rule, passing, failing, gap))
    return found
