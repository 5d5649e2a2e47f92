"""Cart and recap as bytes: that a cart was ordered before, what stands beside the order button for whatever is sold."""

from typing import Any, cast

import msgspec
import pytest
from starlette.requests import Request

from services.checkout.api.pages import recap
from services.checkout.api.pages.beginning import Beginning
from services.checkout.api.pages.faces import Around, sums_of, tunnel_frame
from services.checkout.api.pages.frames import Painter, guard
from services.checkout.api.pages.sessions import Keys, Session
from services.checkout.api.pages.tongues import load_tongues
from services.checkout.api.pages.visits import PageSettings, Parts, Visit
from services.checkout.api.pages.walking import Here
from services.checkout.domain.articles import Article
from services.checkout.domain.checkouts import ChooseMeans, Contact, GiveContact
from services.checkout.domain.offers import History
from services.checkout.domain.pricing import Basis
from services.checkout.domain.records import CartLine, Record
from services.checkout.domain.viewing import see
from tests.integration.checkout.desk_kit import AT, FILM, HOME
from tests.unit.checkout.test_pricing_and_viewing import ID, LAW, OLD, basis, checkout

PAINTER = Painter(load_tongues())
ALTERATION = msgspec.structs.replace(
    FILM, sku="S-1", product_id="alteration", name="Retouche", kind="service",
    facts={"characteristics": "Ourlet à la main", "exception": 1, "legal_guarantee": "Responsabilité de droit commun"},
)  # fmt: skip


def painted(article: Article, language: str = "fr") -> str:
    base = basis()
    found = Basis(
        shop=base.shop, articles={article.sku: article},
        histories={article.sku: History(sku=article.sku, prices=(OLD,))},
    )  # fmt: skip
    acts = (GiveContact(contact=Contact(email="ada@example.org")), ChooseMeans(means="transfer"))
    record = Record(
        id=str(ID), shop="lumen", lines=(CartLine(article.sku, 1),), address=HOME, locale=language
    )  # fmt: skip
    view = see(checkout(*acts, needs_delivery=False), record, found, AT, LAW).view
    assert view.recap is not None
    tongue = PAINTER.tongue(language)
    visit = Visit(Request({"type": "http", "method": "GET", "headers": [], "path": "/"}), Session(), 0)
    page = tunnel_frame(view, tongue, Around("recap", "Vérifier", "csrf", guard(view.shop)))
    return " ".join(PAINTER.paint("recap", page, here="/c/1", **recap._facts(view, tongue, visit)).decode().split())


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_acts_for_digital_content_and_for_services_are_not_the_same(language: str) -> None:
    film, alteration = painted(FILM, language), painted(ALTERATION, language)
    assert "Je demande l&#39;exécution immédiate" in film
    assert "Je demande l&#39;exécution immédiate" not in alteration
    for page in (film, alteration):
        assert 'name="early_start"' in page
        assert 'name="loss_acknowledged"' in page
    if language == "fr":
        assert "je perds alors mon droit de rétractation pour le contenu numérique" in film
        assert "pleinement exécuté" in alteration
        assert "contenu numérique." not in alteration
        assert "à compter du jour de la commande" in film


@pytest.mark.parametrize("before", ["", "0f0ff1cc-53c6-4f0e-9a4e-6f3f5ce1d0bb"])
def test_a_cart_that_was_ordered_before_says_so_and_names_no_order(before: str) -> None:
    keys = Keys(("k" * 40,), lambda: "fresh")
    begin = Beginning(Parts(cast("Any", None), PageSettings(secrets=("k" * 40,)), PAINTER, keys))
    record = Record(id=str(ID), shop="lumen", lines=(CartLine("L-1", 1),), ordered_before=before)
    view = see(checkout(), record, basis(), AT, LAW).view
    here = Here(view, keys.entry("checkout", "lumen", str(ID), "open", 0), PAINTER.tongue("fr"))
    visit = Visit(Request({"type": "http", "method": "GET", "headers": [], "path": "/"}), Session(), 0)
    page = bytes(begin._cart(visit, here).body).decode()
    assert ("Vous avez déjà commandé ce panier" in page) is bool(before)
    assert not before or before not in page


def test_a_trader_without_tax_shows_none_and_french_texts_of_the_law_are_marked_french() -> None:
    shop = basis().shop
    free = msgspec.structs.replace(shop, trader=msgspec.structs.replace(shop.trader, vat_franchise=True))
    tongue = PAINTER.tongue("en")
    record = Record(id=str(ID), shop="lumen", lines=(CartLine("L-1", 1),), locale="en")
    view, untaxed = (see(checkout(), record, basis(shop=each), AT, LAW).view for each in (shop, free))
    assert len(sums_of(view, tongue, with_lines=False).vat) == 1
    assert not sums_of(untaxed, tongue, with_lines=False).vat
    keys = Keys(("k" * 40,), lambda: "fresh")
    begin = Beginning(Parts(cast("Any", None), PageSettings(secrets=("k" * 40,)), PAINTER, keys))
    here = Here(view, keys.entry("checkout", "lumen", str(ID), "open", 0), tongue)
    visit = Visit(Request({"type": "http", "method": "GET", "headers": [], "path": "/"}), Session(), 0)
    assert 'id="phone-after" lang="fr"' in bytes(begin.contact(visit, here).body).decode()
