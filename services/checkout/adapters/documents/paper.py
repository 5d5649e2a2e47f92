"""Invoices and credit notes as pages: all mentions that the tax code asks for, from the facts alone."""

from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Final, NamedTuple

from relance.rules.law.totals import half_up
from services.checkout.adapters.documents.filling import environment
from services.checkout.adapters.documents.words import words
from services.checkout.domain.papers import Paper, PaperFacts, PaperLine

__all__ = ["paper_page"]

_environment: Final = cache(environment)
_WHOLE: Final = 100


class _Row(NamedTuple):
    """A line with its unit price before tax, in cents, and its rates: of more than one, it has its share of each."""

    line: PaperLine
    unit_net_minor: int
    rates: tuple[str, ...]


def paper_page(facts: PaperFacts) -> str:
    """The whole page, for the press: the same for the same facts."""
    w, paper = words(facts.shop.language(facts.language)), facts.paper
    named = "papers.invoice.title" if paper.kind == "invoice" else "papers.credit_note.title"
    rows = _rows(paper)
    rates = [(rate, paper.taxed_minor[rate], paper.vat_minor.get(rate, 0)) for rate in _by_rate(paper)]
    return _environment().get_template("page.html").render(
        w=w, body="papers/paper.html", title=f"{w(named)} {paper.id}", heading=w(named), author=facts.shop.trader.name,
        facts=facts, issued=paper, shop=facts.shop, trader=facts.shop.trader, rates=rates, rows=rows,
        pro_rata=any(len(row.rates) > 1 for row in rows),
        taxed=bool(paper.vat_minor), net=sum(paper.taxed_minor.values()) - sum(paper.vat_minor.values()),
    )  # fmt: skip


def _by_rate(paper: Paper) -> list[str]:
    return sorted(paper.taxed_minor, key=lambda rate: -Decimal(rate))


def _rows(paper: Paper) -> list[_Row]:
    """Lines with what each unit costs before tax. What has no rate of its own, delivery above all, has that of the
    goods, pro rata.
    """
    left = {rate: paper.taxed_minor[rate] for rate in _by_rate(paper)}
    for line in paper.lines:
        if line.vat_percent in left:
            left[line.vat_percent] -= line.amount_minor
    shared = {rate: part for rate, part in left.items() if part > 0} or dict.fromkeys(left, 1)
    return [_row(line, {line.vat_percent: 1} if line.vat_percent else shared) for line in paper.lines]


def _row(line: PaperLine, shares: dict[str, int]) -> _Row:
    unit = Fraction(line.unit_minor) or Fraction(line.amount_minor, line.quantity or 1)
    whole = sum(shares.values())
    net = sum(unit * part / whole * _WHOLE / (_WHOLE + Fraction(rate)) for rate, part in shares.items())
    return _Row(line, half_up(Fraction(net)), tuple(shares))
