"""How a shop that is stored stands before the law of a day: what keeps it from selling, and what will.

A shop is looked at when it is put; the law goes on changing after that.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from relance.rules.law.book import Book
from relance.rules.law.calendar import PARIS
from relance.rules.law.verdict import Finding, check
from services.checkout.domain.disclosures import shop_document
from services.checkout.domain.legal_pages import LEGAL_PAGES, compose_page
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.recap import check_buttons
from services.checkout.domain.shops import Shop

__all__ = ["Standing", "coming", "standing"]


class Standing(NamedTuple):
    """What the law of `day` finds in a shop. With a blocker no page of it is shown and no order taken."""

    shop: str
    day: date
    blockers: tuple[Refusal, ...]
    warnings: tuple[Refusal, ...]

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules that block."""
        return tuple(sorted({found.rule for found in self.blockers}))


def standing(shop: Shop, book: Book, day: date) -> Standing:
    """The shop under the law of `day`: its own facts, each legal page in each language, the words of its button."""
    noon = datetime.combine(day, time(12), PARIS)
    verdict = check(shop_document(shop, book, noon, day), book, day)
    blockers = [*map(_refusal, verdict.blockers), *_pages(shop, book, day), *_buttons(shop, book, day)]
    named = {(found.rule, found.field): found for found in reversed(blockers)}
    return Standing(shop.id, day, tuple(reversed(named.values())), tuple(map(_refusal, verdict.warnings)))


def coming(shop: Shop, book: Book, day: date, days: int) -> tuple[Standing, ...]:
    """The days after `day`, within `days`, on which rules begin to block the shop, with those new blockers alone."""
    last = day + timedelta(days=days)
    turns = {turn for rule in book.all() for turn in (rule.valid_from, rule.valid_to) if turn and day < turn <= last}
    known = {(found.rule, found.field) for found in standing(shop, book, day).blockers}
    found = []
    for turn in sorted(turns):
        then = standing(shop, book, turn)
        if fresh := tuple(one for one in then.blockers if (one.rule, one.field) not in known):
            found.append(then._replace(blockers=fresh))
            known |= {(one.rule, one.field) for one in fresh}
    return tuple(found)


def _refusal(found: Finding) -> Refusal:
    return Refusal(found.field, found.reason, found.rule, found.article)


def _pages(shop: Shop, book: Book, day: date) -> Iterator[Refusal]:
    for name in LEGAL_PAGES:
        for language in shop.languages:
            page = compose_page(shop, name, language, (book, day))
            if isinstance(page, tuple):
                yield from page


def _buttons(shop: Shop, book: Book, day: date) -> Iterator[Refusal]:
    if "A04" not in book.on(day):
        return
    for language in shop.languages:
        if refused := check_buttons({language: shop.button.get(language, "")}, (book, day)):
            yield refused
