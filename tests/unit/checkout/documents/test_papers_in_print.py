"""Invoices and credit notes on paper: all mentions, tagged, the same bytes for the same facts."""

from typing import Any

import pytest

from services.checkout.adapters.documents import Documents
from services.checkout.adapters.documents.letters import render
from services.checkout.domain.letters import CreditNote, LetterFacts
from services.checkout.domain.papers import Paper, PaperFacts, PaperLine
from tests.unit.checkout.documents import lumen
from tests.unit.checkout.documents.paper import catalogue, fonts, squeezed, structure, words_of

replace = lumen.replace

LINES = (
    PaperLine(what="article", name="Lampe Élise", quantity=2, unit_minor=4990, amount_minor=8980, vat_percent="20"),
    PaperLine(what="article", name="Guide", unit_minor=900, amount_minor=900, vat_percent="5.5"),
    PaperLine(what="delivery", unit_minor=490, amount_minor=490),
)
INVOICE = Paper(
    id="F2026-000042", shop="lumen", order_id=str(lumen.ORDER_ID), kind="invoice", cause="order", issued_at=lumen.AT,
    lines=LINES, total_minor=10370, taxed_minor={"5.5": 944, "20": 9426}, vat_minor={"5.5": 49, "20": 1571},
    discount_minor=1000,
)  # fmt: skip
NOTE = replace(INVOICE, id="A2026-000007", kind="credit_note", cause="due/x", of="F2026-000042", discount_minor=0)


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(lumen.LAW[0])


def facts(paper: Paper = INVOICE, **more: Any) -> PaperFacts:
    given: dict[str, Any] = {
        "paper": paper, "shop": lumen.SHOP, "language": "fr", "buyer": lumen.ADDRESS, "placed_at": lumen.AT,
        "paid": (("Carte bancaire", 8370), ("Carte cadeau", 2000)), "paid_at": lumen.AT, "delivery_by": lumen.DAY,
        "invoice_on": lumen.DAY if paper.of else None,
    }  # fmt: skip
    return PaperFacts(**(given | more))


def holds(pdf: bytes, *said: str) -> None:
    words = words_of(pdf)
    for one in said:
        assert squeezed(one) in words, one


def test_an_invoice_has_every_mention(documents: Documents) -> None:
    pdf = documents.paper(facts())
    holds(
        pdf, "Facture F2026-000042", "23 novembre 2026", str(lumen.ORDER_ID), "Lumen SAS", "12 rue des Lampes",
        "RCS Paris 123 456 789", "10 000 €", "FR12123456789", "Ada Łukasiewicz", "4 rue de la Paix", "Lampe Élise",
        "49,90 €", "89,80 €", "Livraison", "baisse de prix de 10,00 €", "Total hors taxes", "87,50 €",
        "TVA à 20 % sur 78,55 € hors taxes", "15,71 €", "TVA à 5,5 % sur 8,95 € hors taxes", "0,49 €", "103,70 €",
        "Prix unitaire HT", "41,58 €", "8,53 €", "4,13 €", "au prorata des articles",
        "Carte bancaire 83,70 €", "Carte cadeau 20,00 €", "Payée le 23 novembre 2026",
    )  # fmt: skip
    assert squeezed("Corrige la facture") not in words_of(pdf)


def test_a_credit_note_names_the_invoice_that_it_corrects_in_negative_sums(documents: Documents) -> None:
    pdf = documents.paper(facts(NOTE))
    holds(
        pdf,
        "Avoir A2026-000007",
        "Corrige la facture F2026-000042, du 23 novembre 2026",
        "\N{MINUS SIGN}103,70 €",
        "\N{MINUS SIGN}15,71 €",
    )
    english = documents.paper(facts(NOTE, language="en"))
    holds(english, "Credit note A2026-000007", "Corrects invoice", "\N{MINUS SIGN}€103.70")


def test_a_seller_under_franchise_names_its_article_and_no_rate(documents: Documents) -> None:
    shop = replace(lumen.SHOP, trader=replace(lumen.TRADER, vat_franchise=True, vat_number="", form="individual"))
    pdf = documents.paper(facts(replace(INVOICE, vat_minor={}), shop=shop, buyer=None, delivered_on=lumen.DAY))
    holds(pdf, "TVA non applicable, article 293 B", "Client particulier", "(EI)", "Livraison achevée le")
    assert squeezed("hors taxes") not in words_of(pdf)
    assert "20%" not in words_of(pdf)
    assert "TTC" not in words_of(pdf)


def test_one_rate_is_that_of_all_lines_and_units_of_a_note_have_a_price_before_tax(documents: Documents) -> None:
    lines = replace(LINES[0], unit_minor=0, amount_minor=9980), replace(LINES[2])
    single = {"lines": lines, "total_minor": 10470, "taxed_minor": {"20": 10470}, "vat_minor": {"20": 1745}}
    pdf = documents.paper(facts(replace(NOTE, **single)))
    holds(pdf, "41,58 €", "4,08 €", "20 %", "87,25 €")
    assert squeezed("au prorata") not in words_of(pdf)


def test_a_part_of_the_price_that_is_of_no_line_is_named_so(documents: Documents) -> None:
    note = replace(NOTE, lines=(PaperLine(what="other", amount_minor=500),), total_minor=500)
    holds(documents.paper(facts(note)), "Remboursement partiel du prix", "\N{MINUS SIGN}5,00 €")


@pytest.mark.parametrize("paper", [INVOICE, NOTE])
def test_it_is_tagged_titled_with_its_fonts_and_the_same_bytes_each_time(documents: Documents, paper: Paper) -> None:
    pdf = documents.paper(facts(paper))
    assert pdf == documents.paper(facts(paper))
    root = catalogue(pdf)
    assert root["/MarkInfo"]["/Marked"]
    assert str(root["/Lang"]).startswith("fr")
    tags = {str(one["/S"]) for one in structure(pdf)}
    assert {"/H1", "/H2", "/Table", "/TR", "/TH", "/TD"} <= tags
    assert all("/FontFile3" in one or "/FontFile2" in one for one in fonts(pdf))
    assert len(pdf) < 60_000


def test_the_letter_that_brings_a_credit_note_names_both_and_the_sum() -> None:
    about = CreditNote(number="A2026-000007", invoice="F2026-000042", amount_minor=4990, order_number="0f0ff1cc")
    body = render(LetterFacts(shop=lumen.SHOP, language="fr", about=about, url="https://lumen.example/v/t"))
    assert body.subject == "Avoir A2026-000007, commande 0f0ff1cc, Lumen"
    for said in ("A2026-000007", "F2026-000042", "49,90 €", "https://lumen.example/v/t"):
        assert squeezed(said) in squeezed(body.text)
