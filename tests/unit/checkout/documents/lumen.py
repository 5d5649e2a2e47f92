"""A shop of lamps, and an order of it: goods, a made-to-measure shade, a digital guide started at once."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec

from relance.evidence.entries import Head
from relance.rules.law.book import default_book
from relance.rules.law.goods import Digital, EarlyStart, Equipment, Guarantee, Line
from relance.rules.law.shop import Channel, Host, Legal, Mediator, Trader
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.delivery import Mode
from services.checkout.domain.events import Context
from services.checkout.domain.orders import Order, OrderLine
from services.checkout.domain.recap import Button, Chosen, Recap, RecapLine
from services.checkout.domain.records import Address, Record
from services.checkout.domain.shops import Help, OfferedMeans, OfferedMode, Place, Shop
from services.checkout.domain.tenders import Means, Tender

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
DAY = date(2026, 11, 23)
LAW = (default_book(), DAY)
ORDER_ID = UUID("0f0ff1cc-53c6-4f0e-9a4e-6f3f5ce1d0bb")
replace = msgspec.structs.replace

TRADER = Trader(
    name="Lumen SAS",
    address="12 rue des Lampes, 75011 Paris, France",
    phone="01 23 45 67 89",
    email="bonjour@lumen.example",
    registration="RCS Paris 123 456 789",
    capital="10 000 €",
    vat_number="FR12123456789",
    publication_director="Ada Lumière",
    complaints="Service clients, 12 rue des Lampes, 75011 Paris ; réponse sous dix jours",
    host=Host(name="Nuage SA", address="1 quai du Port, 13002 Marseille", phone="04 00 00 00 00"),
    mediator=Mediator(
        name="Médiation du commerce", address="5 rue du Pont, 75001 Paris", website="https://mediation.example"
    ),
    channels=(Channel(name="Messagerie du compte client", keeps_record=True),),
)
LEGAL = Legal(
    terms_version="2026-11",
    terms_downloadable=True,
    languages=("fr", "en"),
    sells=("goods", "digital", "service"),
    steps=True,
    correction=True,
    archiving="Le contrat est archivé par Lumen SAS et accessible à tout moment par le lien de la commande.",
    withdrawal_days=14,
    withdrawal_variants=("a", "b", "c"),
    withdrawal_form_sha256="d53cbfea2886b8a07e5e7c675ca9dd7b44ce3624d053cfc4e44b9d55adff67b0",
    withdrawal_function_url="https://lumen.example/retractation",
    withdrawal_function_label="renoncer au contrat ici",
    withdrawal_function_guests=True,
    withdrawal_function_sentence_in=("information", "terms", "confirmation"),
    return_cost_borne_by="consumer",
    phone_ban_in_contract=True,
    accessible=True,
    accessibility_statement="Les pages de commande sont conformes au niveau AA des WCAG 2.2.",
)
SHOP = Shop(
    id="lumen",
    name="Lumen",
    trader=TRADER,
    legal=LEGAL,
    base_url="https://lumen.example",
    languages=("fr", "en"),
    help=Help(
        phone="01 23 45 67 89",
        email="aide@lumen.example",
        hours={"fr": "du lundi au vendredi, 9 h - 18 h", "en": "Monday to Friday, 9 am to 6 pm"},
    ),
    modes=(
        OfferedMode(
            mode=Mode(id="home", kind="home", fee_minor=490, standard=True, working_days=3),
            label={"fr": "À domicile", "en": "Home delivery"},
        ),
        OfferedMode(
            mode=Mode(id="relay", kind="relay", fee_minor=390, standard=True, working_days=4, free_from_minor=6000),
            label={"fr": "En point relais", "en": "Relay point"},
        ),
    ),
    places=(
        Place(
            id="r1",
            modes=("relay",),
            name="Tabac du Pont",
            line1="3 rue du Pont",
            postcode="75011",
            city="Paris",
            hours={"fr": "8 h - 20 h"},
        ),
    ),
    means=(
        OfferedMeans(means=Means(id="card", kind="card"), label={"fr": "Carte bancaire", "en": "Bank card"}),
        OfferedMeans(means=Means(id="gift", kind="gift_card"), label={"fr": "Carte cadeau", "en": "Gift card"}),
    ),
    button={"fr": "Commander avec obligation de paiement", "en": "Order with obligation to pay"},
    texts={
        "privacy": {
            "fr": "Vos données sont hébergées en France et ne quittent pas l'Union européenne.",
            "en": "Your data are hosted in France and do not leave the European Union.",
        }
    },
)

LAMP = Line(
    id="1",
    name="Lampe Élise",
    quantity=2,
    unit_minor=4990,
    delivery_on=date(2026, 11, 26),
    characteristics="Lampe de bureau articulée en acier, 40 cm, ampoule E14 fournie.",
    legal_guarantee="Garantie légale de conformité de deux ans et garantie des vices cachés",
    equipment=Equipment(spare_parts="dix ans, jusqu'au 23 novembre 2036"),
    guarantees=(
        Guarantee(
            title="contrat de garantie commerciale",
            years=5,
            guarantor="Lumen SAS, 12 rue des Lampes, 75011 Paris, bonjour@lumen.example",
            exclusions="Ampoules et usages professionnels",
            besides_legal=True,
            durable_medium=True,
        ),
    ),
)
SHADE = Line(
    id="2",
    name="Abat-jour sur mesure",
    unit_minor=3500,
    delivery_on=date(2026, 11, 26),
    characteristics="Abat-jour en lin cousu à vos dimensions : 30 x 20 cm.",
    legal_guarantee="Garantie légale de conformité de deux ans et garantie des vices cachés",
    exception=3,
    exception_shown=True,
)
GUIDE = Line(
    id="3",
    name="Guide « Éclairer chez soi »",
    kind="digital",
    unit_minor=900,
    delivery_days=0,
    vat_percent="5.5",
    characteristics="Livre numérique de 80 pages, PDF et EPUB, téléchargeable.",
    legal_guarantee="Garantie légale de conformité de deux ans",
    digital=Digital(
        functionality="Lecture et impression, sans mesure technique de protection",
        compatibility="Tout lecteur PDF ou EPUB",
        interoperability="Liseuses et ordinateurs courants",
    ),
    exception=13,
    exception_shown=True,
    early=EarlyStart(requested_at=AT, loss_acknowledged_at=AT),
)
FITTING = Line(
    id="4",
    name="Pose à domicile",
    kind="service",
    unit_minor=6000,
    delivery_days=7,
    characteristics="Pose et réglage de deux lampes à domicile, une heure.",
    early=EarlyStart(requested_at=AT, loss_acknowledged_at=AT),
)


ADDRESS = Address(name="Ada Łukasiewicz", line1="4 rue de la Paix", line2="Bâtiment B", postcode="75002", city="Paris")


def facts(*lines: Line, language: str = "fr", fee_minor: int = 490, **more: Any) -> ConfirmationFacts:
    """The facts of an order of these lines, delivered at home and paid by card."""
    goods = any(line.kind == "goods" for line in lines)
    recap = _recap(lines, fee_minor if goods else 0, delivered=goods)
    given: dict[str, Any] = {
        "shop": SHOP,
        "language": language,
        "order": _order(recap),
        "recap": recap,
        "record": Record(id="c", shop="lumen", lines=(), address=ADDRESS if goods else None, billing=ADDRESS),
        "lines": lines,
        "email": "ada@example.org",
        "head": Head(shop="lumen", order=str(ORDER_ID), length=14, hash="5f" * 32),
    }
    return ConfirmationFacts(**given | more)


def _recap(lines: tuple[Line, ...], fee_minor: int, *, delivered: bool) -> Recap:
    total = sum(line.amount_minor for line in lines) + fee_minor
    return Recap(
        checkout_id="c",
        shop="lumen",
        currency="EUR",
        lines=tuple(
            RecapLine(
                id=line.id,
                product_id=line.id,
                sku=line.id,
                name=line.name,
                quantity=line.quantity,
                unit_minor=line.unit_minor,
                net_minor=line.amount_minor,
                offer_id="",
                vat_percent=line.vat_percent,
                gift=False,
            )
            for line in lines
        ),
        delivery=Chosen(mode="home", address_hash="a", expected_on=date(2026, 11, 26)) if delivered else None,
        coupons=(),
        tenders=(Tender(means="card", kind="card", amount_minor=total),),
        discount_minor=0,
        delivery_minor=fee_minor,
        vat_minor={"20": 1745},
        total_minor=total,
        due_later_minor=0,
        terms_version="2026-11",
        personalised_notice="",
        texts={},
        button=Button(text="Commander avec obligation de paiement", language="fr"),
        law_on=DAY,
    )


def _order(recap: Recap) -> Order:
    return Order(
        id=ORDER_ID,
        context=Context(shop="lumen", cart_id="k", visitor_id="v"),
        checkout_id="c",
        recap_hash="h",
        total_minor=recap.total_minor,
        delivery_minor=recap.delivery_minor,
        tenders=recap.tenders,
        placed_at=AT,
        deadline=datetime(2026, 11, 24, 10, tzinfo=UTC),
        lines=tuple(
            OrderLine(
                id=line.id,
                product_id=line.product_id,
                name=line.name,
                quantity=line.quantity,
                unit_minor=line.unit_minor,
                net_minor=line.net_minor,
            )
            for line in recap.lines
        ),
    )
