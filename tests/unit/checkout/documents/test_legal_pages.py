"""Legal pages: what they hold in both languages, what keeps them from being published, what they may never say."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from typing_extensions import override

from relance.rules.law.shop import Mediator
from services.checkout.adapters.documents import Documents, papers
from services.checkout.adapters.documents.plain import plain_text
from services.checkout.adapters.documents.words import words
from services.checkout.domain.legal_pages import LEGAL_PAGES, check_pages
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop
from tests.unit.checkout.documents import lumen
from tests.unit.checkout.documents.paper import catalogue, words_of

replace = lumen.replace
VOID = {"meta", "br", "img", "link", "input"}
BOTH = [(name, language) for name in LEGAL_PAGES for language in ("fr", "en")]


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(lumen.LAW[0])


def page(documents: Documents, name: str, language: str = "fr", shop: Shop = lumen.SHOP) -> str:
    made = documents.page(shop, name, language, lumen.DAY)
    assert isinstance(made, bytes), made
    return made.decode()


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", plain_text(html))


def with_legal(**change: object) -> Shop:
    return replace(lumen.SHOP, legal=replace(lumen.LEGAL, **change))


def with_trader(**change: object) -> Shop:
    return replace(lumen.SHOP, trader=replace(lumen.TRADER, **change))


class _Outline(HTMLParser):
    """Tags in order, and whether each is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(("name", "language"), BOTH)
def test_each_page_is_accessible_light_and_loads_nothing(documents: Documents, name: str, language: str) -> None:
    html = page(documents, name, language)
    assert len(html.encode()) < 100_000
    outline = _Outline(html)
    assert outline.open == []
    tags = [tag for tag, _ in outline.tags]
    assert dict(outline.tags)["html"] == {"lang": language}
    assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(found.get("scope") in {"row", "col"} for tag, found in outline.tags if tag == "th")
    assert not {"script", "img", "link", "iframe", "form", "object"} & set(tags)
    assert not re.search(r"url\(|@import| style=| on\w+=", html)


@pytest.mark.parametrize(("name", "language"), BOTH)
def test_a_page_is_the_same_bytes_each_time(documents: Documents, name: str, language: str) -> None:
    assert page(documents, name, language) == page(Documents(lumen.LAW[0]), name, language)


def test_both_languages_have_the_same_words_and_the_same_sections(documents: Documents) -> None:
    assert words("fr").names() == words("en").names()
    for name in LEGAL_PAGES:
        french, english = (
            [
                tag
                for tag, _ in _Outline(page(documents, name, language)).tags
                if tag in {"h1", "h2", "h3", "table", "ol"}
            ]
            for language in ("fr", "en")
        )
        assert french == english, name


def test_every_word_of_the_catalogue_is_used() -> None:
    home = Path(papers.__file__).parent
    said = "".join(path.read_text() for path in [*home.rglob("*.html"), *home.glob("*.py")])
    families = [*re.findall(r'"([a-z_.]+\.)" ~', said), "pages.titles."]
    unused = [key for key in words("fr").names() if key not in said and not key.startswith(tuple(families))]
    assert not unused


def test_the_imprint_says_who_publishes_and_who_hosts(documents: Documents) -> None:
    said = plain(page(documents, "imprint"))
    trader = lumen.TRADER
    for fact in (
        trader.name,
        trader.address,
        trader.phone,
        trader.email,
        trader.registration,
        trader.vat_number,
        trader.publication_director,
        trader.host.name,
        trader.host.address,
        trader.host.phone,
        trader.mediator.name,
        trader.mediator.address,
        trader.mediator.website,
    ):
        assert fact in said


def test_the_terms_hold_what_an_electronic_offer_says_and_the_prescribed_texts(documents: Documents) -> None:
    book = lumen.LAW[0]
    for language in ("fr", "en"):
        said = plain(page(documents, "terms", language))
        for rule, wording in (("A19", "box"), ("A20", "once")):
            text = book.rule(rule, lumen.DAY).wordings[wording].text or ""
            assert " ".join(text.split()[-30:]) in said
            assert " ".join(text.split()[:40]) in said
        assert "Il est interdit de démarcher par téléphone un consommateur sans son consentement préalable." in said
        assert lumen.LEGAL.archiving in said
        assert "https://lumen.example/retractation" in said
        assert "MODÈLE DE FORMULAIRE DE RÉTRACTATION" in said
    said = plain(page(documents, "terms"))
    for part in (
        "étapes",
        "corriger une erreur",
        "français, anglais",
        "Commander avec obligation de paiement",
        "24 heures",
        "4,90",
        "À domicile",
        "Carte cadeau",
        "France",
    ):
        assert part in said


def test_the_terms_as_pdf_are_tagged_and_say_the_same(documents: Documents) -> None:
    first = documents.terms(lumen.SHOP, "fr", lumen.DAY)
    assert isinstance(first, bytes)
    assert documents.terms(lumen.SHOP, "fr", lumen.DAY) == first
    assert len(first) < 500_000
    assert "/StructTreeRoot" in catalogue(first)
    text = words_of(first)
    assert "Conditionsgénéralesdevente" in text
    assert "Version2026-11" in text
    assert "Ledélaiderétractationexpirequatorzejoursaprèslejour" in text


def test_the_withdrawal_page_has_each_variant_of_the_shop_and_the_function(documents: Documents) -> None:
    html = page(documents, "withdrawal")
    said = plain(html)
    takes = "où vous-même, ou un tiers autre que le transporteur et désigné par vous, prend physiquement possession"
    for passage in ("de la conclusion du contrat.", f"{takes} du bien.", f"{takes} du dernier bien."):
        assert f"Le délai de rétractation expire quatorze jours après le jour {passage}" in said
    assert '<a class="act" href="https://lumen.example/retractation" lang="fr">renoncer au contrat ici</a>' in html
    assert "13° De fourniture d'un contenu numérique sans support matériel" in said


@pytest.mark.parametrize(
    ("shop", "name", "field", "rule", "article"),
    [
        (with_trader(publication_director=""), "imprint", "trader.publication_director", "G01", "LCEN, 1-1"),
        (with_trader(host=replace(lumen.TRADER.host, phone="")), "imprint", "trader.host.phone", "G01", "LCEN, 1-1"),
        (with_trader(vat_number=""), "imprint", "trader.vat_number", "G02", "LCEN, 19"),
        (with_trader(mediator=Mediator()), "imprint", "trader.mediator.name", "G03", "L616-1"),
        (with_trader(phone=""), "guarantees", "trader.phone", "A27", "R221-2 1°"),
        (with_legal(archiving=""), "terms", "legal.archiving", "A09", "Code civil, 1127-1 4°"),
        (with_legal(languages=("en",)), "terms", "legal.languages", "A09", "Code civil, 1127-1 3°"),
        (with_legal(terms_version=""), "terms", "legal.terms_version", "A09", "Code civil, 1127-1"),
        (with_legal(withdrawal_days=7), "withdrawal", "legal.withdrawal_days", "B01", "L221-18"),
        (with_legal(withdrawal_days=None), "withdrawal", "legal.withdrawal_days", "B03", "L221-20"),
        (with_legal(withdrawal_variants=()), "withdrawal", "legal.withdrawal_variants", "B02", "L221-18"),
        (
            with_legal(withdrawal_function_label="click"),
            "withdrawal",
            "legal.withdrawal_function_label",
            "B05",
            "L221-21 last al.",
        ),
        (
            with_legal(withdrawal_function_url="javascript:alert(1)"),
            "withdrawal",
            "legal.withdrawal_function_url",
            "B10",
            "L221-5 I 7°",
        ),
        (with_legal(return_cost_borne_by=""), "withdrawal", "legal.return_cost_borne_by", "A01", "L221-5 I"),
        (with_legal(sells=("continuous",)), "guarantees", "legal.counsel_texts.A20.continuous", "A20", "D211-4 annex"),
        (with_legal(accessible=False), "accessibility", "legal.accessible", "G05", "L412-13"),
        (
            with_legal(accessibility_statement=""),
            "accessibility",
            "legal.accessibility_statement",
            "G06",
            "D412-57 annex",
        ),
        (replace(lumen.SHOP, texts={}), "privacy", "texts.privacy.fr", "E26", "RGPD, 13"),
    ],
)
def test_a_missing_fact_keeps_a_page_from_being_published(
    documents: Documents, shop: Shop, name: str, field: str, rule: str, article: str
) -> None:
    found = documents.page(shop, name, "fr", lumen.DAY)
    assert isinstance(found, Refusal)
    every = documents.faults(shop, "fr", lumen.DAY)
    assert found in every
    assert (field, rule, article) in {(one.field, one.rule, one.article) for one in every}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Le client renonce à son droit\u00a0de rétractation.", "B19"),
        ("Litiges : https://ec.europa.eu/consumers/odr", "G04"),
    ],
)
def test_what_no_page_may_say_is_found_in_the_shop_s_own_words(documents: Documents, text: str, rule: str) -> None:
    shop = replace(lumen.SHOP, texts={**lumen.SHOP.texts, "terms": {"fr": text}})
    found = documents.page(shop, "terms", "fr", lumen.DAY)
    assert isinstance(found, Refusal)
    assert (found.field, found.rule) == ("legal.texts.terms", rule)
    paper = documents.terms(shop, "fr", lumen.DAY)
    assert isinstance(paper, Refusal)


def test_a_page_that_is_none_says_so(documents: Documents) -> None:
    found = documents.page(lumen.SHOP, "../secrets", "fr", lumen.DAY)
    assert isinstance(found, Refusal)
    assert found.field == "name"


def test_a_shop_cannot_bring_markup_into_its_pages(documents: Documents) -> None:
    shop = replace(lumen.SHOP, name="<b>L</b>", texts={"privacy": {"fr": "<script>x</script>{{ shop }}"}})
    html = page(documents, "privacy", "fr", shop)
    assert "<b>L" not in html
    assert "<script" not in html
    assert "{{ shop }}" in html


def test_a_shop_without_a_text_in_the_language_shows_the_french_one_as_french(documents: Documents) -> None:
    shop = replace(lumen.SHOP, texts={"privacy": {"fr": "Rien ne sort de France."}})
    assert '<p lang="fr">Rien ne sort de France.</p>' in page(documents, "privacy", "en", shop)


def test_before_the_online_function_was_law_the_notice_does_not_speak_of_it(documents: Documents) -> None:
    made = documents.page(
        with_legal(withdrawal_function_url="", withdrawal_function_label=""), "guarantees", "fr", lumen.DAY
    )
    assert isinstance(made, bytes)
    old = documents.faults(with_legal(withdrawal_function_url=""), "fr", lumen.DAY.replace(month=1))
    assert not [one for one in old if one.rule == "B10"]


@pytest.mark.parametrize(
    ("shop", "rule"),
    [
        (with_legal(terms_version=""), "A09"),
        (with_legal(withdrawal_variants=()), "B02"),
        (replace(lumen.SHOP, texts={}), "E26"),
    ],
)
def test_a_shop_with_a_gap_in_a_legal_page_is_not_taken(shop: Shop, rule: str) -> None:
    """Nobody is to accept terms that the link beside the box does not show."""
    assert check_pages(lumen.SHOP, lumen.LAW) is None
    refused = check_pages(shop, lumen.LAW)
    assert refused is not None
    assert refused.rule == rule
    assert refused.article
