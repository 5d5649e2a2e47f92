"""Papers as a table for a spreadsheet: RFC 4180, and no cell of words that a spreadsheet would take for a formula.

Rows come one by one, so that a table of any length is written without being held.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from services.checkout.domain.papers import Paper

__all__ = ["PLAIN", "SPREADSHEET", "Form", "guarded", "head_of", "row_of", "table"]


class Form(NamedTuple):
    """How a table is written. `mark`: what stands before it, by which a spreadsheet knows that it is UTF-8."""

    separator: str = ","
    point: str = "."
    mark: str = ""


PLAIN: Final = Form()
"""As programs read it."""
SPREADSHEET: Final = Form(separator=";", point=",", mark="\ufeff")
"""As a spreadsheet of a French machine opens it."""
_FORMULA: Final = frozenset("=+-@|%\u2212")  # the last is the minus of typographers
_SKIPPED: Final = frozenset("\"'`´‘’“”«»")  # noqa: RUF001 - quotes of any kind, which some programs take off
_COLUMNS: Final = ("number", "kind", "date", "order", "corrects", "currency", "total", "tax", "lines")


def table(papers: Iterable[Paper], form: Form = PLAIN) -> str:
    """A header and a row for each paper, with its sums by rate. Sums are plain numbers, those of credit notes below
    zero; all else is words.
    """
    rows = list(papers)
    rates = sorted({rate for paper in rows for rate in paper.taxed_minor}, key=Decimal)
    return head_of(rates, form) + "".join(row_of(paper, rates, form) for paper in rows)


def head_of(rates: Sequence[str], form: Form = PLAIN) -> str:
    """What stands before the rows of a table with these rates."""
    named = (f"{name} at {rate} %" for rate in rates for name in ("before tax", "tax"))
    return form.mark + _line([*_COLUMNS, *named], form)


def row_of(paper: Paper, rates: Sequence[str], form: Form = PLAIN) -> str:
    """The row of a paper in a table with these rates."""

    def number(minor: int) -> str:
        return str(Decimal(minor).scaleb(-2)).replace(".", form.point)

    sign = -1 if paper.kind == "credit_note" else 1
    lines = "; ".join(f"{line.quantity} x {line.name}" if line.name else line.what for line in paper.lines)
    sums = [
        number(sign * amount)
        for rate in rates
        for amount in (paper.taxed_minor.get(rate, 0) - paper.vat_minor.get(rate, 0), paper.vat_minor.get(rate, 0))
    ]
    words = [paper.id, paper.kind, paper.issued_on.isoformat(), paper.order_id, paper.of, "EUR"]
    total, tax = number(sign * paper.total_minor), number(sign * sum(paper.vat_minor.values()))
    return _line([*map(guarded, words), total, tax, guarded(lines), *sums], form)


def guarded(text: str) -> str:
    """Words as they may stand in a cell: what would begin a formula gets an apostrophe before it, and what would end
    its line or is not to be seen becomes a space. Quotes, spaces and signs without width before a formula do not hide
    it, nor do the wide forms of its sign; a line break of a cell could begin one as well.
    """
    shown = "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} else sign for sign in text)
    return f"'{shown}" if _begins_formula(text) or _begins_formula(shown) else shown


def _begins_formula(text: str) -> bool:
    if text[:1] in {"\t", "\r", "\n"}:
        return True
    bare = (sign for sign in unicodedata.normalize("NFKC", text) if not _is_skipped(sign))
    return next(bare, "") in _FORMULA


def _is_skipped(sign: str) -> bool:
    """White space, signs without width, accents that stand alone, and quotes."""
    return sign in _SKIPPED or sign.isspace() or unicodedata.category(sign) in {"Cc", "Cf", "Mn"}


def _line(cells: Sequence[str], form: Form) -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=form.separator, lineterminator="\r\n").writerow(cells)
    return written.getvalue()
