"""What is wrong with a question, in words that name no type of a programming language."""

import json
from typing import Any

import pytest

from relance.rules.law.book import default_book
from relance.rules.law.faults import in_words, place_and_words
from relance.rules.law.questions import KINDS, answer_line
from tests.unit.law.asking import TODAY, ask


def answered(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer_line(line, default_book(), TODAY))
    return found


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Object missing required field `on`", "is missing"),
        ("Object contains unknown field `colour`", "there is no such field"),
        ("Expected `int`, got `str`", "a whole number is needed, not a text"),
        ("Expected `int`, got `float`", "a whole number is needed, not a fraction"),
        ("Expected `bool | object`, got `array`", "true or false or an object is needed, not a list"),
        ("Expected `int` >= 0", "a number not below 0 is needed"),
        ("Expected `array` of length >= 1", "at least one is needed"),
        ("Invalid enum value 'animal'", "'animal' is none of the words that can stand here"),
        ("something else", "something else"),
    ],
)
def test_a_message_is_said_in_plain_words(message: str, said: str) -> None:
    assert in_words(message) == said


def test_a_missing_key_is_part_of_the_path() -> None:
    assert place_and_words("Object missing required field `id` - at `$.lines[2]`") == ("lines[2].id", "is missing")


def test_an_unknown_question_is_told_the_known_ones() -> None:
    found = ask("totls")
    assert found["field"] == "ask"
    assert all(kind in found["error"] for kind in KINDS)


@pytest.mark.parametrize("line", [b"", b"\n", b"  \r\n", b"\xef\xbb\xbf\n"])
def test_an_empty_line_is_no_question(line: bytes) -> None:
    assert answered(line) == {"error": "an empty line is no question", "field": ""}


def test_the_mark_that_some_editors_put_before_a_text_is_passed_over() -> None:
    question = b'{"ask":"archive.until","total_minor":12000,"concluded_on":"2026-03-02","deliveries":[]}'
    assert answered(b"\xef\xbb\xbf" + question)["result"] == "2036-03-02"


@pytest.mark.parametrize("lines", [[2500, 7500], 10_000])
def test_what_was_paid_for_lines_is_given_each_or_in_all(lines: object) -> None:
    given = {"delivery_paid_minor": 0, "modes": [], "service": None}
    assert ask("refund.amount", lines_minor=lines, **given)["result"] == {"refund_minor": 10_000}


@pytest.mark.parametrize(("at", "rule"), [("2026-03-01", "B01"), ("2026-03-02", "B01"), ("2026-03-03", "B03")])
def test_information_on_the_day_of_the_contract_is_in_time(at: str, rule: str) -> None:
    line = {"id": "s", "kind": "service"}
    found = ask("withdrawal.deadline", concluded_at="2026-03-02T10:00:00Z", lines=[line], informed={"at": at})
    assert found["rule"] == rule
