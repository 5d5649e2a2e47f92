"""A cart priced and seen: what may be announced, what is missing, what the pages must say."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from relance.rules.law.book import default_book
from relance.rules.law.verdict import check
from services.checkout.domain import checkouts
from services.checkout.domain.articles import Article, check_article
from services.checkout.domain.checkouts import ChangeCart, Checkout, ChooseDelivery, ChooseMeans, Contact, GiveContact
from services.checkout.domain.coupons import Coupon
from services.checkout.domain.disclosures import shop_document
from services.checkout.domain.events import Context
from services.checkout.domain.offers import History, Price
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.pricing import Basis
from services.checkout.domain.records import Address, CartLine, Record, check_address
from services.checkout.domain.shops import AftercareTerms, Shop, allowed_return, check_shop
from services.checkout.domain.stock import Level
from services.checkout.domain.viewing import see
from tests.integration.checkout.desk_kit import AT, FILM, HOME, LAMP, SHOP

replace = msgspec.structs.replace
BOOK = default_book()
LAW = (BOOK, AT.date())
OLD = Price(id="p1", since=AT - timedelta(days=60), price_minor=4990)
ID = UUID("6e1ff1cc-53c6-4f0e-9a4e-6f3f5ce1d0aa")


def basis(prices: tuple[Price, ...] = (OLD,), stock: int = 9, shop: Shop = SHOP, **more: Any) -> Basis:
    histories = {"L-1": History(sku="L-1", prices=prices), "F-1": History(sku="F-1", prices=(OLD,))}
    levels = {"L-1": Level(sku="L-1", on_hand=stock)}
    return Basis(shop=shop, articles={"L-1": LAMP, "F-1": FILM}, histories=histories, levels=levels, **more)


def checkout(*acts: checkouts.Act, needs_delivery: bool = True) -> Checkout:
    cart = ChangeCart(items=(), total_minor=0, needs_delivery=needs_delivery)
    state = checkouts.begin(ID, Context(shop="lumen", cart_id="c"), cart, AT).state
    for act in acts:
        moved = checkouts.step(state, act, AT)
        assert not isinstance(moved, Refusal)
        state = moved.state
    return state


def seen(
    found: Basis, *acts: checkouts.Act, lines: tuple[CartLine, ...] = (CartLine("L-1", 1),),
    coupons: tuple[str, ...] = (),
) -> View:  # fmt: skip
    record = Record(id=str(ID), shop="lumen", lines=lines, coupons=coupons, address=HOME)
    return see(checkout(*acts), record, found, AT, LAW).view


READY = (
    GiveContact(contact=Contact(email="ada@example.org")), ChooseDelivery(mode="home"), ChooseMeans(means="transfer"),
)  # fmt: skip


def test_the_cheapest_delivery_and_its_date_are_in_the_cart() -> None:
    view = seen(basis())
    assert view.cheapest is not None
    assert (view.cheapest.mode.id, view.sums.total_minor) == ("relay", 4990 + 350)
    assert (view.recap, view.step) == (None, (1, 5))
    assert view.verdict.allowed


def test_the_recap_binds_what_was_chosen() -> None:
    view = seen(basis(), *READY)
    assert view.recap is not None
    assert view.recap.delivery is not None
    assert (view.recap.delivery.mode, view.recap.total_minor, len(view.recap_hash)) == ("home", 5480, 64)
    assert view.recap.texts["phone_field"] == view.texts["phone_field"].sha256
    assert not view.verdict.blockers


def test_a_reduction_shows_the_price_of_the_days_before() -> None:
    lower = Price(id="p2", since=AT - timedelta(days=1), price_minor=3992, campaign="winter")
    line = seen(basis((OLD, lower))).lines[0]
    assert (line.line.unit_minor, line.prior_minor, line.percent) == (3992, 4990, "20")
    first = Price(id="p0", since=AT - timedelta(days=1), price_minor=3992, campaign="winter")
    assert seen(basis((first,))).lines[0].prior_minor is None  # nothing to compare with


def test_a_code_open_to_all_is_an_announced_reduction() -> None:
    coupon = Coupon(
        code="ALL",
        kind="percent",
        percent=Decimal(10),
        starts_at=AT - timedelta(days=1),
        ends_at=AT + timedelta(days=1),
    )
    view = seen(basis(coupons={"ALL": coupon}), coupons=("all",))
    assert (view.lines[0].prior_minor, view.lines[0].net_minor) == (4990, 4491)
    assert view.verdict.allowed


@pytest.mark.parametrize(
    ("lines", "coupons", "stock", "field"),
    [
        ((CartLine("L-1", 3),), (), 2, "lines.L-1"),
        ((CartLine("L-1", 1), CartLine("L-1", 2)), (), 2, "lines.L-1"),
        ((CartLine("X", 1),), (), 9, "lines.X"),
        ((CartLine("L-1", 1),), ("NONE",), 9, "coupons.0"),
    ],
)
def test_what_keeps_an_order_from_passing_is_named(
    lines: tuple[CartLine, ...], coupons: tuple[str, ...], stock: int, field: str
) -> None:
    view = seen(basis(stock=stock), lines=lines, coupons=coupons)
    assert [refusal.field for refusal in view.refusals] == [field]


def test_digital_content_asks_two_acts() -> None:
    view = seen(basis(), lines=(CartLine("F-1", 1),))
    assert view.digital
    assert view.texts["early_start"].rule == "A11"
    assert not view.quotes


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("", True),
        ("https://lampes.example/panier", True),
        ("https://lampes.example/panier/2?x=1", True),
        ("https://lampes.example/panierx", False),
        ("https://lampes.example.evil/panier", False),
        ("https://lampes.example@evil/panier", False),
        ("https://evil\\@lampes.example/panier", False),
        ("//lampes.example/panier", False),
        ("javascript:alert(1)", False),
        ("http://lampes.example/panier", False),
        ("https://lampes.example:444/panier", False),
        ("https://lampes.example/panier/../admin", False),
        ("https://lampes.example/panier\n", False),
        ("https://[::1/panier", False),
    ],
)
def test_a_shopper_is_sent_back_only_where_the_shop_said(url: str, allowed: bool) -> None:  # noqa: FBT001
    assert allowed_return(SHOP, url) is allowed


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"postcode": "4400"}, "address.postcode"),
        ({"country": "US"}, "address.country"),
        ({"name": "  "}, "address.name"),
        ({"city": "Nantes\nX-Header: 1"}, "address.city"),
        ({}, ""),
    ],
)
def test_an_address_can_be_read_by_a_carrier(change: dict[str, str], field: str) -> None:
    refused = check_address(replace(HOME, **change), ("FR",))
    assert (refused.field if refused is not None else "") == field
    assert isinstance(HOME, Address)


def test_an_article_has_no_facts_of_a_cart() -> None:
    wrong = replace(LAMP, facts={**LAMP.facts, "quantity": 3})
    assert getattr(check_article(wrong), "field", "") == "articles.L-1.facts.quantity"
    assert check_article(replace(LAMP, facts={"colour": "red"})) is not None
    assert check_article(replace(LAMP, vat_percent="120")) is not None
    assert check_article(Article(sku="s", product_id="p", name="n")) is None


def test_a_shop_with_a_missing_fact_is_not_published() -> None:
    day = datetime(2026, 11, 23, tzinfo=UTC).date()
    assert check_shop(SHOP) is None
    assert check(shop_document(SHOP, BOOK, AT, day), BOOK).allowed
    nobody = replace(SHOP, trader=replace(SHOP.trader, mediator=replace(SHOP.trader.mediator, website="")))
    assert {one.rule for one in check(shop_document(nobody, BOOK, AT, day), BOOK).blockers} == {"G03"}
    assert getattr(check_shop(replace(SHOP, button={})), "rule", "") == "A04"
    assert check_shop(replace(SHOP, places=())) is not None
    assert check_shop(SHOP, ["bank", "stripe"]) is None
    for since, field in ((date(2026, 10, 1), ""), (date.min, "aftercare.since"), (date.max, "aftercare.since")):
        assert getattr(check_shop(replace(SHOP, aftercare=AftercareTerms(since=since))), "field", "") == field
    assert getattr(check_shop(SHOP, ["stripe"]), "field", "") == "psp"
    by_transfer = tuple(one for one in SHOP.means if one.means.kind == "offline")
    assert check_shop(replace(SHOP, means=by_transfer), ["stripe"]) is None
