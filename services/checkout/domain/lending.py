"""Instalments through a third party: regulated credit from 20/11/2026 (F12), so what a shop must show to offer them."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from relance.rules.law import pages
from relance.rules.law.book import Book
from relance.rules.law.document import Document
from relance.rules.law.verdict import check
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.tenders import LENT, Lender, Means

__all__ = ["check_lending", "law_means"]

_RULE: Final = "F12"


def check_lending(
    means: Sequence[Means], document: Document, law: tuple[Book, date], lenders: Collection[str] = ()
) -> Refusal | None:
    """Whether instalments may be switched on. `document`: the shop's, which this asks the rule about; `lenders`: ids of
    the means whose lender is connected here.
    """
    book, day = law
    for place, one in enumerate(means):
        if one.kind not in LENT or not one.on:
            continue
        rule = book.on(day).get(_RULE)
        if rule is not None:
            asked = Document(
                stage="cart", at=document.at, language=document.language, country=document.country,
                trader=document.trader, legal=document.legal, payment=pages.Payment(means=(law_means(one),)),
            )  # fmt: skip
            for found in check(asked, book).blockers:
                if found.rule == _RULE:
                    field = found.field.replace("payment.means.0", f"means.{place}.means")
                    return Refusal(field, found.reason, found.rule, found.article)
            if lacks := _lacks(one.lender or Lender()):
                reason = f"{one.id} is announced with its lender: {lacks} is missing"
                return Refusal(f"means.{place}.means.lender.{lacks}", reason, _RULE, rule.article)
        if one.id not in lenders:
            return Refusal(f"means.{place}.means.on", f"no lender of {one.id} is connected here: it stays off")
    return None


def law_means(one: Means) -> pages.Means:
    """Instalments as the law sees them."""
    lender = one.lender
    return pages.Means(
        id=one.id,
        kind="instalments",
        lender="third_party" if lender is not None and lender.name else "",
        lender_hosted=lender is not None and _is_page(lender.flow_url),
    )


def _is_page(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and parts.username is None


def _lacks(lender: Lender) -> str:
    for name in ("licence", "information"):
        if not getattr(lender, name):
            return name
    return ""
