"""Invoices and credit notes as pages: all mentions that the tax code asks for, from the facts alone."""

from decimal import Decimal
from functools import cache
from typing import Final

from services.checkout.adapters.documents.filling import environment
from services.checkout.adapters.documents.words import words
from services.checkout.domain.papers import PaperFacts

__all__ = ["paper_page"]

_environment: Final = cache(environment)


def paper_page(facts: PaperFacts) -> str:
    """The whole page, for the press: the same for the same facts."""
    w, paper = words(facts.shop.language(facts.language)), facts.paper
    named = "papers.invoice.title" if paper.kind == "invoice" else "papers.credit_note.title"
    by_rate = sorted(paper.taxed_minor.items(), key=lambda part: -Decimal(part[0]))
    rows = [(rate, amount, paper.vat_minor.get(rate, 0)) for rate, amount in by_rate]
    return _environment().get_template("page.html").render(
        w=w, body="papers/paper.html", title=f"{w(named)} {paper.id}", heading=w(named), author=facts.shop.trader.name,
        facts=facts, issued=paper, shop=facts.shop, trader=facts.shop.trader, rates=rows,
        taxed=bool(paper.vat_minor), net=sum(paper.taxed_minor.values()) - sum(paper.vat_minor.values()),
    )  # fmt: skip
