"""What an act on an order's aftercare gives: the next Aftercare, acts of the order, evidence, letters, effects.

One function gives an Outcome, one use case applies it; a simulation applies it without a database.
"""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec

from relance.kernel.errors import Defect
from relance.rules.law import goods
from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from services.checkout.domain import lifecycle
from services.checkout.domain.aftercare import Aftercare, SoldLine
from services.checkout.domain.articles import Article
from services.checkout.domain.orders import ENDED, Order, OrderLine
from services.checkout.domain.orders import Act as OrderAct
from services.checkout.domain.outcomes import Effect, Refusal
from services.checkout.domain.recap import RecapLine
from services.checkout.domain.records import Record
from services.checkout.domain.shops import AftercareTerms

__all__ = ["Letter", "Noted", "Outcome", "Setting", "folded", "follows", "joined", "once", "opened"]

replace = msgspec.structs.replace

_NONE: Final[Mapping[str, str | int]] = MappingProxyType({})


class Setting(NamedTuple):
    """When and by what an act is looked at: the instant, the book of law, the shop's terms. `content`: the hash under
    which the words that came with the act are kept.
    """

    at: datetime
    book: Book
    terms: AftercareTerms = AftercareTerms()
    content: str = ""

    @property
    def on(self) -> date:
        """The Paris date."""
        return paris_date(self.at)

    @property
    def law(self) -> tuple[Book, date]:
        """The law of that day."""
        return self.book, self.on

    def law_of(self, day: date) -> tuple[Book, date]:
        """The law of another day: the contract's, the notice's."""
        return self.book, day


class Noted(NamedTuple):
    """An entry of evidence to be. `what` is one of the words of relance/evidence/wording.py; `rules`: ids; `facts`: no
    personal data, no fractions.
    """

    act: Literal["declared", "happened", "accepted"]
    what: str
    rules: tuple[str, ...]
    facts: dict[str, Any]
    by: Literal["checkout", "shop"] = "checkout"


class Letter(NamedTuple):
    """A message to the consumer, of a kind that notification knows. `ref` names what it is about when we write its
    body; else it is notification's template with these facts. A `link` that is empty becomes one to the order. `to`:
    another address than the order's own, for a template that opens nothing.
    """

    kind: str
    facts: Mapping[str, str | int] = _NONE
    ref: str = ""
    to: str = ""


class Outcome(NamedTuple):
    """What an act gives. `acts` are looked at before: the order machine refuses none of them."""

    after: Aftercare
    acts: tuple[OrderAct, ...] = ()
    noted: tuple[Noted, ...] = ()
    letters: tuple[Letter, ...] = ()
    effects: tuple[Effect, ...] = ()


def opened(order: Order, record: Record, articles: Mapping[str, Article], at: datetime) -> Aftercare:
    """The aftercare of an order, with its lines as they were sold. `articles` by sku, as they are now: what they say of
    ancillary contracts and returns is frozen here.
    """
    shown = {line.id: line for line in record.recap.lines} if record.recap is not None else {}
    law = {line.id: line for line in record.law_lines}
    by_line = {line.id: _article(line, record, articles) for line in order.lines}
    sold = tuple(
        _sold(line.id, line.name, law.get(line.id), shown.get(line.id), by_line[line.id], record)
        for line in order.lines
    )
    return Aftercare(
        id=str(order.id),
        checkout_id=order.checkout_id,
        opened_at=at,
        sold=tuple(replace(one, ancillary_to=_mains(one.id, by_line)) for one in sold),
        offered=record.offered,
        return_cost_borne_by=record.return_cost_borne_by,
    )


def folded(order: Order, outcome: Outcome, at: datetime) -> Order:
    """The order after the acts of an outcome. Raises Defect when it refuses one: who gave it had to look."""
    for act in outcome.acts:
        moved = lifecycle.step(order, act, at)
        if isinstance(moved, Refusal):
            raise Defect(f"order {order.id} refuses {act}: {moved.field}: {moved.reason}")
        order = moved.state
    return order


def joined(first: Outcome, second: Outcome) -> Outcome:
    """Two outcomes as one: `second` began where `first` ended."""
    return Outcome(
        second.after,
        first.acts + second.acts,
        first.noted + second.noted,
        first.letters + second.letters,
        first.effects + second.effects,
    )


def follows(before: Order, after: Order) -> bool:
    """Whether a transition is to be looked after: payment, units, parcels or refunds have moved, or the order ended."""
    return (
        before.paid_at != after.paid_at
        or before.lines != after.lines
        or before.parcels != after.parcels
        or before.refunds != after.refunds
        or (after.state in ENDED and before.state != after.state)
    )


def once(after: Aftercare, name: str) -> Aftercare | None:
    """The aftercare once `name` is told; None when it was told before."""
    return None if name in after.told else replace(after, told=(*after.told, name))


def _article(line: OrderLine, record: Record, articles: Mapping[str, Article]) -> Article | None:
    """What a line sold. It names no sku where nothing is counted: then it is the product that was in the cart."""
    if line.sku:
        return articles.get(line.sku)
    named = (articles.get(one.sku) for one in record.lines)
    return next((one for one in named if one is not None and one.product_id == line.product_id), None)


def _sold(
    id_: str, name: str, law: goods.Line | None, shown: RecapLine | None, article: Article | None, record: Record
) -> SoldLine:
    if law is None:
        return SoldLine(id=id_, name=name, kind="goods", vat_percent=shown.vat_percent if shown is not None else "20")
    return SoldLine(
        id=id_,
        name=name,
        kind=law.kind,
        vat_percent=shown.vat_percent if shown is not None else law.vat_percent,
        regular=law.regular,
        used=law.used,
        service_days=law.service_days,
        subscribed=law.subscription is not None,
        extra=article is not None and article.extra,
        exception=law.exception,
        exception_shown=law.exception_shown,
        requested_at=record.early_at if law.kind != "goods" else None,
        loss_at=record.loss_at if law.kind != "goods" else None,
        promised_on=law.delivery_on or (record.promised_on if law.kind == "goods" else None),
        essential=law.essential_date,
        return_cost_minor=law.return_cost_minor,
    )


def _mains(id_: str, by_line: Mapping[str, Article | None]) -> tuple[str, ...]:
    """The lines beside which an ancillary one stands: none for a line that is a contract of its own."""
    article = by_line[id_]
    if article is None or not article.ancillary:
        return ()
    others = {other: one for other, one in by_line.items() if other != id_ and (one is None or not one.ancillary)}
    if not article.ancillary_of:
        return tuple(others)
    return tuple(other for other, one in others.items() if one is not None and one.sku in article.ancillary_of)
