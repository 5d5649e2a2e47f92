"""A checkout as it is seen at an instant: priced, held against the law, and with the recap that it would make."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from relance.events.envelope import Item
from relance.rules.law.book import Book
from relance.rules.law.document import Document
from relance.rules.law.verdict import Verdict, check
from services.checkout.domain import placing
from services.checkout.domain.articles import law_line
from services.checkout.domain.checkouts import ChangeCart, Checkout
from services.checkout.domain.contracts import due_later_minor
from services.checkout.domain.disclosures import cart_document, order_texts, recap_document
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import LineView, View, step_of
from services.checkout.domain.pricing import Basis, Priced, Wanted, price
from services.checkout.domain.recap import Button, Chosen, Recap, Shown, compose, differences, digest
from services.checkout.domain.records import PressActs, Record, address_hash
from services.checkout.domain.shops import Shop, speak

__all__ = ["Seen", "blocked", "cart_of", "see", "wanted"]


class Seen(NamedTuple):
    """The view, and what it was made of."""

    view: View
    priced: Priced
    document: Document


def wanted(shop: Shop, checkout: Checkout, record: Record) -> Wanted:
    """What a checkout asks for so far."""
    chosen = checkout.means
    return Wanted(
        lines=record.lines,
        coupons=record.coupons,
        buyer=placing.buyer(checkout),
        person=checkout.context.person_id,
        language=shop.language(record.locale),
        to=record.destination(shop.zone, shop.places),
        mode=checkout.delivery.mode if checkout.delivery is not None else None,
        means=chosen.means if chosen is not None else None,
        purses=chosen.purses if chosen is not None else (),
        order_id=record.order_id,
    )


def cart_of(priced: Priced) -> ChangeCart:
    """The cart as the machine and events know it."""
    return ChangeCart(
        items=tuple(
            Item(
                product_id=line.product_id, sku=line.sku, name=line.name, quantity=line.quantity,
                price_minor=line.unit_minor,
            )
            for line in priced.lines
        ),
        total_minor=priced.sums.total_minor,
        needs_delivery=priced.needs_delivery,
    )  # fmt: skip


def see(
    checkout: Checkout,
    record: Record,
    basis: Basis,
    at: datetime,
    law: tuple[Book, date],
    acts: PressActs | None = None,
    priced: Priced | None = None,
) -> Seen:
    """The checkout at `at`; with `acts` as it stands when the order button is pressed. `priced`: what it wants, if that
    was priced already.
    """
    shop = basis.shop
    language = shop.language(record.locale)
    priced = priced or price(basis, wanted(shop, checkout, record), at, law)
    texts = order_texts(shop, language, basis.articles, priced.personalised, law)
    button = Button(text=speak(shop.button, language), language=language)
    recap = _recap(checkout, record, basis, priced, {name: one.sha256 for name, one in texts.items()}, button, law[1])
    recap_hash = "" if recap is None else digest(recap)
    if recap is None:
        document = cart_document(shop, checkout, record, priced, basis.articles, at, law)
    else:
        document = recap_document(shop, checkout, record, priced, basis.articles, at, law, recap_hash, acts)
    view = View(
        shop=shop,
        checkout=checkout,
        record=record,
        language=language,
        at=at,
        lines=_lines(priced, basis),
        sums=priced.sums,
        quotes=priced.quotes,
        cheapest=priced.cheapest,
        chosen=priced.chosen,
        places=shop.places,
        announced=tuple(one for one in shop.means if one.means.on),
        means=priced.means,
        tenders=priced.tenders,
        refusals=priced.refusals,
        verdict=check(document, law[0]),
        button=button,
        recap=recap,
        recap_hash=recap_hash,
        differences=() if recap is None or record.recap is None else differences(record.recap, recap),
        texts=texts,
        step=step_of(checkout),
        order_id=UUID(record.order_id) if record.order_id else None,
    )
    return Seen(view, priced, document)


def blocked(verdict: Verdict) -> Refusal | None:
    """The first thing that the law forbids here."""
    if verdict.allowed:
        return None
    found = verdict.blockers[0]
    return Refusal(found.field, found.reason, found.rule, found.article)


def _recap(
    checkout: Checkout, record: Record, basis: Basis, priced: Priced, texts: dict[str, str], button: Button, day: date
) -> Recap | None:  # fmt: skip
    """The recap, once all that it binds is known."""
    if checkout.contact is None or checkout.means is None or not priced.lines:
        return None
    if priced.needs_delivery and (checkout.delivery is None or priced.chosen is None):
        return None
    if sum(tender.amount_minor for tender in priced.tenders) != priced.sums.total_minor:
        return None
    delivery = None
    if priced.needs_delivery and priced.chosen is not None:
        delivery = Chosen(
            mode=priced.chosen.mode.id,
            address_hash=address_hash(record.address, record.place),
            expected_on=priced.chosen.expected_on,
        )
    shown = Shown(
        checkout_id=str(checkout.id),
        shop=basis.shop.id,
        delivery=delivery,
        coupons=tuple(one.code for one in priced.granted),
        tenders=priced.tenders,
        due_later_minor=_due_later_minor(priced, basis),
        terms_version=basis.shop.legal.terms_version,
        personalised_notice=priced.personalised,
        texts=texts,
        button=button,
        law_on=day,
    )
    return compose(priced.lines, priced.sums, shown)


def _due_later_minor(priced: Priced, basis: Basis) -> int:
    """What subscriptions oblige to pay after today."""
    sold = ((basis.articles[line.sku], line) for line in priced.lines if line.sku in basis.articles)
    return sum(due_later_minor(law_line(article, line)) for article, line in sold if "subscription" in article.facts)


def _lines(priced: Priced, basis: Basis) -> tuple[LineView, ...]:
    views = []
    for line, gross, net in zip(priced.lines, priced.sums.gross_minor, priced.sums.net_minor, strict=True):
        article, level = basis.articles.get(line.sku), basis.levels.get(line.sku)
        found = priced.priors.get(line.id)
        prior = found[0] if found is not None else None
        views.append(
            LineView(
                line=line,
                article=article,
                gross_minor=gross,
                net_minor=net,
                prior_minor=prior.prior_minor if prior is not None else None,
                percent=str(int(prior.percent)) if prior is not None and found is not None and found[1] else "",
                free=level.free if level is not None and article is not None and article.counted else None,
            )
        )
    return tuple(views)
