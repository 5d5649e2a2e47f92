"""Questions whose answers were derived by hand from the articles: `relance law ask` gives them, field by field."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from relance.rules.law.book import default_book
from relance.rules.law.questions import KINDS, answer_line

QUESTIONS = sorted((Path(__file__).parent / "questions").glob("*.yaml"))
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TODAY = date(2026, 11, 22)


def asked() -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}-{place}")
        for file in QUESTIONS
        for place, case in enumerate(yaml.load(file.read_text(encoding="utf-8"), LOADER), start=1)  # noqa: S506 - safe
    ]


@pytest.mark.parametrize("case", asked())
def test_the_answer_is_that_of_the_text(case: dict[str, Any]) -> None:
    answer = json.loads(answer_line(json.dumps(case["question"]).encode(), default_book(), TODAY))
    if "wrong" in case:
        assert set(answer) == {"error", "field"}, case["says"]
        assert answer["field"] == case["wrong"], case["says"]
        return
    for key in ("result", "rule", "article", "reading"):
        assert answer.get(key) == case[key], (case["says"], key, answer)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"ask": "refund.due", "notice_on": "2026-03-02", "notice_on": "2026-04-02"}', "notice_on"),
        (
            '{"ask": "withdrawal.deadline", "lines": [{"id": "a"}, {"id": "b", "kind": "goods", "id": "c"}]}',
            "lines[1].id",
        ),
        ('{"ask": "archive.until", "total_minor": 1e400}', "total_minor"),
    ],
)
def test_what_json_leaves_open_is_refused(line: str, field: str) -> None:
    """A reader that takes the last of two dates, and one that takes the first, would answer differently."""
    answer = json.loads(answer_line(line.encode(), default_book(), TODAY))
    assert set(answer) == {"error", "field"}
    assert answer["field"] == field


def test_every_question_of_the_format_is_asked() -> None:
    assert {case.values[0]["question"].get("ask") for case in asked()} >= set(KINDS)
