"""What the pages say to the shopper because the law asks for it, and the checkout as a document of the law.

The facts of the pages below are those that our own pages keep by construction; what a shop brings of its own (traders,
texts, goods) comes from the shop.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, Literal

import msgspec

from relance.evidence.entries import RuleRef
from relance.rules.law import goods, pages
from relance.rules.law.book import Book, Rule
from relance.rules.law.document import Document
from relance.rules.law.goods import EarlyStart
from services.checkout.domain.articles import Article, law_line
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.contracts import due_later_minor
from services.checkout.domain.legal_facts import ShopKey, renewal_texts, shop_document, shown_legal
from services.checkout.domain.lending import law_means
from services.checkout.domain.pricing import Priced
from services.checkout.domain.records import PressActs, Record, TextShown
from services.checkout.domain.shops import Shop, speak
from services.checkout.domain.tenders import LENT

__all__ = [
    "cart_document", "contact_facts", "near_button", "order_texts", "payment_facts", "recap_document",
    "renewal_texts", "rule_ref", "shop_document", "shown_legal",
]  # fmt: skip

replace = msgspec.structs.replace

BLOCKS: Final = ("cart", "contact", "delivery", "payment")
EMAIL_NOTICE: Final = {
    "fr": (
        "Votre adresse sert à traiter cette commande et à vous en donner des nouvelles. Elle n'est enregistrée que "
        "lorsque vous validez cette étape. Détails et droits : page Données personnelles."
    ),
    "en": (
        "We use your address to handle this order and to tell you how it goes. It is kept only once you submit this "
        "step. Details and your rights: see the privacy page."
    ),
}


EARLY_REQUEST: Final = {
    "fr": (
        "Je demande que la fourniture du contenu numérique, ou le service, commence tout de suite, "
        "avant la fin du délai de rétractation."
    ),
    "en": (
        "I ask that the supply of the digital content, or the service, begins at once, before the end of the "
        "withdrawal period."
    ),
}
EARLY_LOSS: Final = {
    "fr": {
        "digital": "Je reconnais que je perds alors mon droit de rétractation pour le contenu numérique.",
        "service": (
            "Je reconnais que je perds mon droit de rétractation pour le service une fois celui-ci "
            "pleinement exécuté ; si je me rétracte avant, je paie ce qui a été fourni."
        ),
    },
    "en": {
        "digital": "I acknowledge that I then lose my right of withdrawal for the digital content.",
        "service": (
            "I acknowledge that I lose my right of withdrawal for the service once it is fully performed; if I "
            "withdraw before, I pay for what was supplied."
        ),
    },
}


def rule_ref(rule: Rule, article: str = "") -> RuleRef:
    """The rule as evidence names it."""
    return RuleRef(id=rule.id, version=rule.version, article=article or rule.article)


def order_texts(
    shop: Shop, language: str, articles: Mapping[str, Article], personalised: str, law: tuple[Book, date]
) -> dict[str, TextShown]:
    """The texts that the tunnel shows for these articles, by name: as they are, word for word."""
    book, day = law
    found = dict(_shop_texts(shop, language, book, day))
    if any(article.kind == "digital" for article in articles.values()):  # of services the right ends later: A12
        _add(found, "early_start", book, day, "A11", "consent")
    kinds = {article.kind for article in articles.values()} - {"goods"}
    if kinds:
        id_ = "A11" if "digital" in kinds else "A12"
        _put(found, "early_request", EARLY_REQUEST.get(language, EARLY_REQUEST["fr"]), book, day, id_)
        loss = EARLY_LOSS.get(language, EARLY_LOSS["fr"])
        _put(found, "early_loss", " ".join(loss[kind] for kind in sorted(kinds)), book, day, id_)
    if personalised:
        _add(found, "personalised_price", book, day, "D06", "notice")
    return found


@lru_cache(maxsize=1024)
def _shop_texts_of(key: ShopKey) -> tuple[tuple[str, TextShown], ...]:
    shop, language, book, day = key.shop, key.language, key.book, key.day
    found: dict[str, TextShown] = {}
    _add(found, "guarantee_goods", book, day, "A19", "box")
    if {"digital", "continuous"} & set(shop.legal.sells):
        _add(found, "guarantee_digital", book, day, "A20", "once")
    _add(found, "withdrawal_form", book, day, "B11", "form")
    _add(found, "phone_field", book, day, "E10", "field")
    _put(found, "email_notice", speak(shop.texts.get("email_notice") or EMAIL_NOTICE, language), book, day, "E26")
    if "alcohol_banner" in shop.texts:
        _put(found, "alcohol_banner", speak(shop.texts["alcohol_banner"], language), book, day, "G14")
    if shop.similar_goods:
        _put(found, "similar_goods", speak(shop.similar_goods, language), book, day, "E02")
    for asked in shop.consents:
        _put(found, f"consent.{asked.channel}.{asked.purpose}", speak(asked.text, language), book, day, "E07")
    return tuple(found.items())


def _shop_texts(shop: Shop, language: str, book: Book, day: date) -> tuple[tuple[str, TextShown], ...]:
    return _shop_texts_of(ShopKey(shop, language, book, day))


def _add(found: dict[str, TextShown], name: str, book: Book, day: date, id: str, wording: str) -> None:  # noqa: A002
    rule = book.on(day).get(id)
    given = rule.wordings.get(wording) if rule is not None else None
    if rule is None or given is None or given.text is None or given.sha256 is None:
        return
    found[name] = TextShown(
        text=given.text, sha256=given.sha256, rule=rule.id, version=rule.version, article=given.article
    )


def _put(found: dict[str, TextShown], name: str, text: str, book: Book, day: date, id: str) -> None:  # noqa: A002
    rule = book.on(day).get(id)
    if rule is None or not text:
        return
    found[name] = TextShown(
        text=text, sha256=sha256(text.encode()).hexdigest(), rule=rule.id, version=rule.version, article=rule.article
    )


def cart_document(
    shop: Shop, checkout: Checkout | None, record: Record, priced: Priced, articles: Mapping[str, Article],
    at: datetime, law: tuple[Book, date], stage: Literal["cart", "recap"] = "cart",
) -> Document:  # fmt: skip
    """The cart page as the law sees it."""
    book, day = law
    expected = priced.chosen or priced.cheapest
    soon = expected.expected_on if expected is not None else None
    early = EarlyStart(requested_at=record.early_at, loss_acknowledged_at=record.loss_at)
    lines = tuple(
        law_line(
            articles[line.sku],
            line,
            soon if line.kind == "goods" else None,
            early if line.kind != "goods" and stage == "recap" and record.early_at is not None else None,
            _reduction(priced, line.id),
        )
        for line in priced.lines
        if line.sku in articles
    )
    return Document(
        stage=stage,
        at=at,
        language=record.locale,
        country=record.destination(shop.zone, shop.places).country,
        trader=shop.trader,
        legal=shown_legal(shop, book, day),
        lines=lines,
        coupons=_coupons(priced),
        delivery=_delivery(shop, checkout, priced),
        payment=payment_facts(shop, checkout),
        contact=contact_facts(shop, checkout, record, book, day, at),
        display=pages.Display(french="fr" in shop.languages, alcohol_banner="alcohol_banner" in shop.texts),
    )


def recap_document(
    shop: Shop, checkout: Checkout, record: Record, priced: Priced, articles: Mapping[str, Article],
    at: datetime, law: tuple[Book, date], recap_hash: str = "", acts: PressActs | None = None,
) -> Document:  # fmt: skip
    """The recap page as the law sees it; with `acts` as it stands when the button is pressed."""
    document = cart_document(shop, checkout, record, priced, articles, at, law, "recap")
    language = shop.language(record.locale)
    button = pages.Button(text=speak(shop.button, language), language=language)
    if acts is not None and acts.button_text:
        button = replace(button, text=acts.button_text)
    gross = sum(line.unit_minor * line.quantity for line in priced.lines)
    sums = priced.sums
    terms = [line.subscription for line in document.lines if line.subscription is not None]
    page = pages.Recap(
        button=button,
        rendered=_rendered(document, priced),
        linked=("guarantees", "mediator", "withdrawal"),
        near_button=near_button(terms),
        blocks=_blocks(checkout),
        modify=_blocks(checkout),
        total_minor=sums.total_minor,
        delivery_minor=sums.delivery_minor,
        discount_minor=gross - sum(sums.net_minor),
        nets_minor={line.id: net for line, net in zip(priced.lines, sums.net_minor, strict=True)},
        due_now_minor=sums.total_minor,
        due_later_minor=sum(due_later_minor(line) for line in document.lines),
        personalised_price=bool(priced.personalised),
        personalised_notice=priced.personalised,
        terms_ticked_by="consumer" if acts is not None else "",
        terms_version=shop.legal.terms_version,
        hash=recap_hash,
    )
    return replace(document, recap=page)


def near_button(terms: Sequence[goods.Subscription]) -> tuple[str, ...]:
    """What stands beside the button; of subscriptions also how long they last and bind."""
    shown = ["characteristics", "price", "total"]
    if any(term.duration for term in terms):
        shown.append("duration")
    if any(term.minimum_months for term in terms):
        shown.append("minimum_commitment")
    return tuple(shown)


def _blocks(checkout: Checkout) -> tuple[str, ...]:
    return tuple(block for block in BLOCKS if block != "delivery" or checkout.needs_delivery)


def _rendered(document: Document, priced: Priced) -> tuple[str, ...]:
    shown = ["characteristics", "price", "delivery", "trader", "return_cost"]
    if any(line.exception is not None for line in document.lines):
        shown.append("no_withdrawal")
    if any(line.early is not None for line in document.lines):
        shown.append("early_service")
    if priced.personalised:
        shown.append("personalised_price")
    return tuple(shown)


def _reduction(priced: Priced, line_id: str) -> goods.Reduction | None:
    found = priced.priors.get(line_id)
    return found[1] if found is not None else None


def _coupons(priced: Priced) -> tuple[pages.Coupon, ...]:
    gross = sum(line.unit_minor * line.quantity for line in priced.lines)
    amount = gross - sum(priced.sums.net_minor)
    return tuple(
        pages.Coupon(
            code=coupon.code,
            scope="individual" if coupon.individual else "public",
            amount_minor=amount if coupon.kind in {"percent", "amount"} else 0,
            single_use=coupon.uses_max == 1,
            person_bound=coupon.individual,
            prior_shown=all(line.id in priced.priors for line in priced.lines if not line.gift),
            scored=coupon.automated,
            free_delivery=coupon.kind == "free_delivery",
        )
        for coupon in priced.granted
    )


def _delivery(shop: Shop, checkout: Checkout | None, priced: Priced) -> pages.Delivery | None:
    if not priced.quotes:
        return None
    green = {offered.mode.id for offered in shop.modes if offered.green}
    chosen = checkout.delivery.mode if checkout is not None and checkout.delivery is not None else ""
    return pages.Delivery(
        modes=tuple(
            pages.Mode(
                id=quote.mode.id,
                fee_minor=quote.fee_minor,
                standard=quote.mode.caps_refunds,
                pick_up=quote.mode.kind == "collect",
                expected_on=quote.expected_on,
                green=quote.mode.id in green,
                stated_green=quote.mode.id in green,
            )
            for quote in priced.quotes
        ),
        chosen=chosen,
        countries=shop.countries,
        restrictions_shown_at="cart",
        cost_shown_before_order=True,
        reservations_note=True,
    )


_MEANS: Final[dict[str, Literal["card", "wallet", "gift_card", "loyalty", "offline"]]] = {
    "card": "card", "wallet": "wallet", "gift_card": "gift_card", "voucher": "loyalty", "offline": "offline",
}  # fmt: skip


def payment_facts(shop: Shop, checkout: Checkout | None) -> pages.Payment:
    """How the shop is paid."""
    on = [one.means for one in shop.means if one.means.on]
    chosen = checkout.means.means if checkout is not None and checkout.means is not None else ""
    return pages.Payment(
        announced=tuple(one.id for one in on),
        announced_at="cart",
        means=tuple(
            law_means(one) if one.kind in LENT else pages.Means(id=one.id, kind=_MEANS[one.kind]) for one in on
        ),
        chosen=chosen,
        card_fields="psp_redirect",
    )


def contact_facts(
    shop: Shop, checkout: Checkout | None, record: Record, book: Book, day: date, at: datetime
) -> pages.Contact:
    """What is asked of the shopper, and what stands beside it."""
    given = checkout.contact if checkout is not None else None
    field = book.on(day).get("E10")
    notice = (field.wordings["field"].text or "") if field is not None else ""
    return pages.Contact(
        email_notice=True,
        similar_goods_objection="unticked" if shop.similar_goods else "none",
        consents=tuple(
            pages.Consent(purpose=one.purpose, granted=one.granted, text_version=one.text_version, at=at)
            for one in (given.consents if given is not None else ())
        ),
        phone=pages.PhoneField(required=shop.phone_needed, carrier_needs_it=shop.phone_needed, notice=notice),
        guest=True,
        age_declared=record.adult,
    )
