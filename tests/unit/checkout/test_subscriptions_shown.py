"""What pages and documents say of contracts that go on: sums to come, how long, the articles that they reproduce."""

from datetime import date
from typing import Any

import msgspec
import pytest

from relance.rules.law.book import default_book
from relance.rules.law.goods import Line, Subscription
from services.checkout.domain.contracts import due_later_minor
from services.checkout.domain.legal_facts import renewal_texts, shown_legal
from services.checkout.domain.legal_pages import LegalPage, compose_page
from tests.unit.checkout.documents.lumen import SHOP

replace = msgspec.structs.replace

BOOK = default_book()
DAY = date(2026, 11, 23)


def line(unit_minor: int, quantity: int = 1, **term: Any) -> Line:
    return Line(
        id="1", name="Abonnement", kind="service", unit_minor=unit_minor, quantity=quantity,
        subscription=Subscription(**term),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sold", "later"),
    [
        (line(900, minimum_months=12, monthly_total_minor=900), 9900),
        (line(0, trial_days=30, monthly_total_minor=900), 900),
        (line(0, free_trial=True, period_total_minor=4900), 4900),
        (line(100, free_trial=True, monthly_total_minor=900), 800),
        (line(0, 2, trial_days=7, minimum_months=3, monthly_total_minor=900), 5400),
        (line(900, monthly_total_minor=900), 0),
        (Line(id="1", name="Lampe", unit_minor=4990), 0),
    ],
)
def test_what_a_line_obliges_to_pay_after_today(sold: Line, later: int) -> None:
    assert due_later_minor(sold) == later


def test_terms_of_services_reproduce_the_articles_and_others_do_not() -> None:
    for sells, count in ((("goods", "digital"), 0), (("goods", "service"), 6), (("continuous",), 6)):
        shop = replace(SHOP, legal=replace(SHOP.legal, sells=sells))
        assert len(renewal_texts(shop.legal, BOOK, DAY)) == count
        page = compose_page(shop, "terms", "fr", (BOOK, DAY))
        if isinstance(page, LegalPage):
            assert len(page.renewal) == count
            assert set(page.texts) >= {f"{text.slot}" for text in page.renewal}
        held = shown_legal(shop, BOOK, DAY).texts.get("terms", "")
        assert ("L. 215-1" in held or "reconduction tacite" in held) == bool(count)


def test_what_our_pages_ask_is_said_for_every_shop() -> None:
    legal = shown_legal(SHOP, BOOK, DAY)
    assert legal.withdrawal_fields == ("name", "contract", "electronic_means", "lines")
    assert legal.withdrawal_confirm_label == "confirmer la rétractation"
    assert (legal.termination_url, legal.termination_label) == (f"/terminate/{SHOP.id}", "résilier votre contrat")
    assert legal.termination_confirm_label == "notification de la résiliation"
    own = shown_legal(replace(SHOP, legal=replace(SHOP.legal, withdrawal_fields=("name", "reason"))), BOOK, DAY)
    assert own.withdrawal_fields == ("name", "reason")
