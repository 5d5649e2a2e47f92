"""Asks one question of the repository's own book, as `relance law ask` does."""

import json
from datetime import date
from typing import Any

from relance.rules.law.book import default_book
from relance.rules.law.questions import answer_line

TODAY = date(2026, 11, 22)


def ask(question: str, /, **given: Any) -> dict[str, Any]:
    line = json.dumps({"ask": question, **given}).encode()
    found: dict[str, Any] = json.loads(answer_line(line, default_book(), TODAY))
    return found
