"""Papers as a table for a spreadsheet: RFC 4180, and no cell of words that a spreadsheet would take for a formula."""

import csv
import io
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from services.checkout.domain.papers import Paper

__all__ = ["guarded", "table"]

_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - some spreadsheets read the wide ones too
_COLUMNS: Final = ("number", "kind", "date", "order", "corrects", "currency", "total", "tax", "lines")


def table(papers: Iterable[Paper]) -> str:
    """A header and a row for each paper, with its sums by rate. Sums are plain numbers with a point, those of credit
    notes below zero; all else is words.
    """
    rows = list(papers)
    rates = sorted({rate for paper in rows for rate in paper.taxed_minor}, key=Decimal)
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow([*_COLUMNS, *(f"{name} at {rate} %" for rate in rates for name in ("before tax", "tax"))])
    writer.writerows(_row(paper, rates) for paper in rows)
    return written.getvalue()


def guarded(text: str) -> str:
    """Words as they may stand in a cell: what would begin a formula gets an apostrophe before it."""
    return f"'{text}" if text[:1] in _FORMULA or text.lstrip(" \u00a0")[:1] in _FORMULA else text


def _row(paper: Paper, rates: Iterable[str]) -> list[str]:
    sign = -1 if paper.kind == "credit_note" else 1
    lines = "; ".join(f"{line.quantity} x {line.name}" if line.name else line.what for line in paper.lines)
    sums = [
        _number(sign * amount)
        for rate in rates
        for amount in (paper.taxed_minor.get(rate, 0) - paper.vat_minor.get(rate, 0), paper.vat_minor.get(rate, 0))
    ]
    words = [paper.id, paper.kind, paper.issued_on.isoformat(), paper.order_id, paper.of, "EUR"]
    total, tax = _number(sign * paper.total_minor), _number(sign * sum(paper.vat_minor.values()))
    return [*map(guarded, words), total, tax, guarded(lines), *sums]


def _number(minor: int) -> str:
    return str(Decimal(minor).scaleb(-2))
