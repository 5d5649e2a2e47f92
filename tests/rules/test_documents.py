"""Checkout documents: what is refused with its field, and that no fact which is accepted makes a check fail."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relance.kernel.errors import InputError
from relance.rules.law.book import default_book
from relance.rules.law.cases import read_bases
from relance.rules.law.document import decode
from relance.rules.law.verdict import check

BOOK = default_book()
BASES = read_bases((Path(__file__).parent / "bases.yaml").read_text(), "bases.yaml", BOOK)
ODD: tuple[Any, ...] = (None, "", "x", 0, -1, 10**18, True, False, [], {}, "1900-01-01", "2200-12-31T23:59:59Z")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from places(item, (*path, key))


def with_fact(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    target: Any = changed
    for key in path[:-1]:
        target = target[key]
    if value is None and isinstance(target, dict):
        target.pop(path[-1])
    else:
        target[path[-1]] = value
    return changed


@pytest.mark.parametrize("base", BASES)
def test_no_fact_that_is_accepted_makes_a_check_fail(base: str) -> None:
    """Each fact of a lawful checkout in turn is taken away or replaced by something odd: there is always a verdict."""
    accepted = 0
    for path in places(BASES[base]):
        for value in ODD:
            try:
                document = decode(with_fact(BASES[base], path, value))
            except InputError:
                continue
            accepted += 1
            verdict = check(document, BOOK)
            assert verdict.allowed == (not verdict.blockers)
    assert accepted > 300


@pytest.mark.parametrize("stage", ["shop", "cart", "recap"])
def test_an_earlier_stage_is_held_against_less(stage: str) -> None:
    bare = {key: BASES["goods"][key] for key in ("at", "trader", "legal")} | {"stage": stage}
    found = {finding.rule for finding in check(decode(bare), BOOK).blockers}
    assert found == {"shop": set(), "cart": {"A06"}, "recap": {"A01", "A02", "A04", "A06", "A07"}}[stage]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("at",), "2026-11-22T10:00:00", "at: a time with its zone is needed"),
        (("at",), "9999-12-31T23:59:59Z", "at lies outside the years 1900 to 2200"),
        (("lines", 0, "price"), 3, "lines[0].price: there is no such field"),
        (("stage",), "checkout", "stage: 'checkout' is none of the words that can stand here"),
        (("recap", "total_minor"), "6490", "recap.total_minor: a whole number or nothing is needed, not a text"),
    ],
)
def test_what_is_no_document_is_refused_with_its_field(path: tuple[Any, ...], value: Any, said: str) -> None:
    with pytest.raises(InputError) as raised:
        decode(with_fact(BASES["goods"], path, value))
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"at": 3}'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not a checkout document: "):
        decode(text)
