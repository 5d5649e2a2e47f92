"""All that keeps a shop's settings from being taken, at once: what `put_shop` refuses one after the other."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from relance.rules.law.book import Book
from relance.rules.law.verdict import check
from services.checkout.domain.disclosures import shop_document
from services.checkout.domain.legal_pages import LEGAL_PAGES, compose_page
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.recap import check_buttons
from services.checkout.domain.shops import Shop, check_shop

__all__ = ["Problems", "shop_problems"]


class Problems(NamedTuple):
    """What refuses the shop, and what is only told."""

    refusals: tuple[Refusal, ...]
    warnings: tuple[Refusal, ...]


def shop_problems(shop: Shop, law: tuple[Book, date], at: datetime) -> Problems:
    """Each with its field, its reason and, where the law speaks, rule and article; said once where several pages lack
    the same.
    """
    book, day = law
    verdict = check(shop_document(shop, book, at, day), book)
    found = [Refusal(each.field, each.reason, each.rule, each.article) for each in verdict.blockers]
    found += _of_buttons(shop, law)
    if (refused := check_shop(shop)) is not None:
        found.append(refused)
    for name in LEGAL_PAGES:
        for language in shop.languages:
            page = compose_page(shop, name, language, law)
            found += page if isinstance(page, tuple) else ()
    told = tuple(Refusal(each.field, each.reason, each.rule, each.article) for each in verdict.warnings)
    return Problems(tuple(dict.fromkeys(found)), told)


def _of_buttons(shop: Shop, law: tuple[Book, date]) -> Iterator[Refusal]:
    for language in shop.languages:
        refused = check_buttons({language: shop.button.get(language, "")}, law)
        if refused is not None:
            yield refused
