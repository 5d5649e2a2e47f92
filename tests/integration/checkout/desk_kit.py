"""A shop that sells lamps and a film, and shoppers who go through its checkout."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec

from relance.rules.law.book import default_book
from services.checkout.application.desk import Desk
from services.checkout.domain.articles import Article
from services.checkout.domain.checkouts import ConsentGiven, Contact, GiveContact, Press
from services.checkout.domain.offers import Price
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Pressed, View
from services.checkout.domain.records import Address, CartLine, NewCart, PressActs
from services.checkout.domain.shops import Shop
from services.checkout.store import Store

__all__ = ["AT", "HOME", "LAMP", "SHOP", "Clock", "at_recap", "now_utc", "ok", "open_shop", "ordered"]

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOME = Address(name="Ada Martin", line1="3 quai Jean-Bart", postcode="44000", city="Nantes")

_SHOP: dict[str, Any] = {
    "id": "lumen",
    "name": "Lumen",
    "trader": {
        "name": "Lampes de Loire SARL", "address": "3 quai Jean-Bart, 44000 Nantes", "phone": "+33 2 40 00 00 00",
        "email": "bonjour@lampes.example", "registration": "RCS Nantes 123 456 789", "capital": "20 000 EUR",
        "vat_number": "FR 12 123456789", "publication_director": "Anne Martin",
        "host": {"name": "Hébergeur SA", "address": "1 rue du Port, 59000 Lille", "phone": "+33 3 20 00 00 00"},
        "mediator": {
            "name": "Médiation Ouest", "address": "2 place Royale, 44000 Nantes",
            "website": "https://mediation.example",
        },
        "size": "small", "staff": 12,
    },
    "legal": {
        "terms_version": "7", "languages": ["fr", "en"], "sells": ["goods", "digital"],
        "archiving": "kept ten years, sent on request", "withdrawal_days": 14, "withdrawal_variants": ["a", "b", "c"],
        "withdrawal_function_url": "https://lampes.example/retractation",
        "withdrawal_function_label": "renoncer au contrat ici", "withdrawal_function_guests": True,
        "return_cost_borne_by": "consumer", "guarantee_words": ["garantie légale"], "accessible": True,
        "accessibility_statement": "what is met and how",
    },
    "base_url": "https://lampes.example",
    "return_urls": ["https://lampes.example/panier"],
    "languages": ["fr", "en"],
    "modes": [
        {"mode": {"id": "home", "kind": "home", "fee_minor": 490, "standard": True, "working_days": 2},
         "label": {"fr": "À domicile"}},
        {"mode": {"id": "express", "kind": "express", "fee_minor": 990, "working_days": 1},
         "label": {"fr": "Express"}},
        {"mode": {"id": "relay", "kind": "relay", "fee_minor": 350, "standard": True, "working_days": 3},
         "label": {"fr": "Point relais"}, "green": True},
    ],
    "places": [
        {"id": "r1", "modes": ["relay"], "name": "Tabac du Port", "line1": "1 rue du Port", "postcode": "44000",
         "city": "Nantes"},
    ],
    "means": [
        {"means": {"id": "card", "kind": "card"}, "label": {"fr": "Carte bancaire"}},
        {"means": {"id": "gift", "kind": "gift_card"}, "label": {"fr": "Carte cadeau"}},
        {"means": {"id": "transfer", "kind": "offline", "pay_within_days": 7}, "label": {"fr": "Virement"}},
    ],
    "button": {"fr": "Commander avec obligation de paiement", "en": "Order with obligation to pay"},
    "similar_goods": {"fr": "Je ne souhaite pas recevoir d'offres sur des produits similaires."},
    "similar_goods_version": "1",
    "psp": "bank",
    "texts": {"terms": {"fr": "Conditions générales de vente."}, "privacy": {"fr": "Vos données."}},
}  # fmt: skip
SHOP = msgspec.convert(_SHOP, Shop)
SAFETY = {
    "manufacturer": "Atelier du Laiton", "address": "5 rue des Forges, 63000 Clermont-Ferrand",
    "electronic_address": "contact@laiton.example", "picture": True, "identifier": "LL-40",
}  # fmt: skip
LAMP = Article(
    sku="L-1", product_id="lamp", name="Lampe", weight_g=900,
    facts={"characteristics": "lampe en laiton, 40 cm", "legal_guarantee": "deux ans", "safety": SAFETY},
)  # fmt: skip
FILM = Article(
    sku="F-1", product_id="film", name="Film", kind="digital",
    facts={
        "characteristics": "film de 90 minutes", "legal_guarantee": "deux ans",
        "digital": {"functionality": "lecture", "compatibility": "navigateurs", "interoperability": "aucune"},
    },
)  # fmt: skip


class Clock:
    """Time that stands still until it is told."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def __call__(self) -> datetime:
        """The present."""
        return self.at

    def passes(self, **much: float) -> None:
        """Later."""
        self.at += timedelta(**much)


async def open_shop(store: Store, clock: Clock, providers: Any = None, stock: int = 100, shop: Shop = SHOP) -> Desk:
    """A desk with a shop that has something to sell."""
    desk = Desk(store, default_book(), providers or {}, clock=clock)
    assert await desk.put_shop(shop) is None
    assert await desk.put_articles(shop.id, [LAMP, FILM]) is None
    since = AT - timedelta(days=60)
    for sku, minor in (("L-1", 4990), ("F-1", 500)):
        assert await desk.put_prices(shop.id, sku, [Price(id="p1", since=since, price_minor=minor)]) is None
    assert await desk.put_levels(shop.id, {"L-1": stock}) is None
    return desk


def ok(answer: Any) -> Any:
    """The answer, which is no refusal."""
    assert not isinstance(answer, Refusal), answer
    return answer


async def at_recap(
    desk: Desk, key: str = "k1", *, sku: str = "L-1", quantity: int = 1, means: str = "card",
    coupons: tuple[str, ...] = (), purses: tuple[str, ...] = (),
) -> View:  # fmt: skip
    """A shopper who has come as far as the order button."""
    cart = NewCart(
        cart_id=f"cart-{key}", lines=(CartLine(sku, quantity),), visitor_id=f"visitor-{key}", coupons=coupons
    )
    view = ok(await desk.create(SHOP.id, cart, f"{key}-{uuid4()}"))  # a bank knows an order for ever
    checkout = view.checkout.id
    contact = GiveContact(
        contact=Contact(email=f"{key}@example.org", locale="fr"),
        consents=(ConsentGiven(channel="email", purpose="marketing", granted=True, text_version="1"),),
        objected=True, objection_text_version="1",
    )  # fmt: skip
    ok(await desk.give_contact(SHOP.id, checkout, contact))
    if view.checkout.needs_delivery:
        ok(await desk.choose_delivery(SHOP.id, checkout, "home", HOME))
    ok(await desk.choose_means(SHOP.id, checkout, means, purses))
    shown, page = ok(await desk.show_recap(SHOP.id, checkout, page_of))
    assert isinstance(shown, View)
    assert shown.recap_hash.encode() in page
    return shown


def page_of(view: View) -> bytes:
    """A page with a recap's hash and button."""
    return f"<form>{view.recap_hash} {view.button.text}</form>".encode()


async def ordered(desk: Desk, view: View, acts: PressActs | None = None) -> Pressed:
    """The click."""
    press = Press(recap_hash=view.recap_hash, terms_accepted=True)
    pressed = ok(await desk.press(SHOP.id, view.checkout.id, press, acts or PressActs(button_text=view.button.text)))
    assert isinstance(pressed, Pressed)
    return pressed


def now_utc() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
