"""The verdict: which rules a checkout breaks on a day."""

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache

import msgspec

from relance.rules.law.acts import PARIS
from relance.rules.law.book import Book, Rule, default_book
from relance.rules.law.checks import MEANINGS, Meaning
from relance.rules.law.document import STAGES, Document

__all__ = ["Finding", "Verdict", "check", "explain"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One breach: rule and version, the article to cite, the dotted field, and what is wrong there."""

    rule: str
    version: int
    article: str
    field: str
    reason: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`allowed` is false exactly when there is a blocker."""

    allowed: bool
    blockers: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def check(document: Document, book: Book, on: date | None = None) -> Verdict:
    """What `document` breaks under the law of `on` (default: the Paris date of the document).

    Rules that apply by the contract's date are those of the day of conclusion once the contract is concluded; all
    others, and all rules before the conclusion, are those of `on`. A document that holds acts is at the stage `order`,
    whatever it says.
    """
    day = on if on is not None else document.at.astimezone(PARIS).date()
    contract_day = document.contract_on or day
    blockers: list[Finding] = []
    warnings: list[Finding] = []
    acted = document.order is not None or document.attempts or document.refunds
    stage = STAGES["order" if acted else document.stage]
    for rule, meaning in _enforced(book, contract_day, day, stage):
        for field, reason, article, warn in meaning.check(rule, document, document.at):
            found = warnings if warn or rule.severity == "warn" else blockers
            found.append(
                Finding(rule=rule.id, version=rule.version, article=article or rule.article, field=field, reason=reason)
            )
    return Verdict(allowed=not blockers, blockers=tuple(blockers), warnings=tuple(warnings))


@lru_cache(maxsize=256)
def _enforced(book: Book, contract_day: date, day: date, stage: int) -> tuple[tuple[Rule, Meaning], ...]:
    found = ((rule, MEANINGS[rule.id]) for rule in _chosen(book.on(contract_day), book.on(day)))
    return tuple((rule, meaning) for rule, meaning in found if meaning.stage <= stage)


def _chosen(at_contract: Mapping[str, Rule], today: Mapping[str, Rule]) -> Iterator[Rule]:
    for id_ in sorted({*at_contract, *today}):
        concluded, current = at_contract.get(id_), today.get(id_)
        if concluded is not None and concluded.applies_by == "contract":
            chosen: Rule | None = concluded
        else:
            chosen = current if current is not None and current.applies_by != "contract" else None
        if chosen is not None and chosen.severity != "out":
            yield chosen


def explain(id: str, on: date, book: Book | None = None) -> Rule:  # noqa: A002 - the word of the domain
    """The version of a rule in force on `on`. Raises NotInForce, which says when it was or will be."""
    return (book or default_book()).rule(id, on)
