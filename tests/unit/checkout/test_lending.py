"""Third-party instalments: a port that is off, and regulated credit from 20/11/2026 (F12, L312-4)."""

from datetime import UTC, datetime

import msgspec
import pytest

from relance.rules.law.book import default_book
from relance.rules.law.calendar import paris_date
from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.domain.disclosures import shop_document
from services.checkout.domain.lending import check_lending
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop
from services.checkout.domain.tenders import Lender, Means, Tender, available, split
from services.checkout.ports import LendingProvider
from tests.integration.checkout.desk_kit import SHOP

BOOK = default_book()
LENDER = Lender(
    name="Banque du Fleuve", licence="REGAFI 12345", flow_url="https://credit.example/",
    information={"fr": "Un crédit de la Banque du Fleuve."},
)  # fmt: skip
BEFORE = datetime(2026, 11, 19, 22, 59, tzinfo=UTC)  # 23:59 in Paris
FROM = datetime(2026, 11, 19, 23, 0, tzinfo=UTC)


def asked(at: datetime, lender: Lender | None, *, on: bool = True, shop: Shop = SHOP) -> Refusal | None:
    """What becomes of a shop that puts instalments, at an instant."""
    means = Means(id="in-four", kind="instalments", on=on, lender=lender)
    day = paris_date(at)
    return check_lending((*shop.all_means, means), shop_document(shop, BOOK, at, day), (BOOK, day))


@pytest.mark.parametrize("lender", [None, LENDER], ids=["nobody", "lender"])
def test_off_it_harms_nobody_on_both_sides_of_the_date(lender: Lender | None) -> None:
    assert asked(BEFORE, lender, on=False) is None
    assert asked(FROM, lender, on=False) is None


@pytest.mark.parametrize(
    ("lender", "field"),
    [
        (None, "means.3.means.lender"),
        (msgspec.structs.replace(LENDER, flow_url=""), "means.3.means.lender_hosted"),
        (msgspec.structs.replace(LENDER, flow_url="http://credit.example/"), "means.3.means.lender_hosted"),
        (msgspec.structs.replace(LENDER, licence=""), "means.3.means.lender.licence"),
        (msgspec.structs.replace(LENDER, information={}), "means.3.means.lender.information"),
    ],
)
def test_from_the_day_on_the_rule_refuses_what_lacks_its_lender(lender: Lender | None, field: str) -> None:
    refused = asked(FROM, lender)
    assert refused is not None
    assert (refused.field, refused.rule, refused.article) == (field, "F12", "L312-4 4°-5°")
    earlier = asked(BEFORE, lender)
    assert earlier is not None
    assert (earlier.field, earlier.rule) == ("means.3.means.on", "")


def test_with_all_of_it_the_means_stays_off_while_no_lender_is_connected() -> None:
    refused = asked(FROM, LENDER)
    assert refused is not None
    assert (refused.field, refused.rule) == ("means.3.means.on", "")


def test_it_is_offered_to_nobody_even_when_it_is_stored_as_on() -> None:
    means = Means(id="in-four", kind="instalments", lender=LENDER)
    card = Means(id="card", kind="card")
    assert available((card, means), 10_000, "FR") == (card,)
    refused = split(10_000, (), "in-four", (card, means))
    assert isinstance(refused, Refusal)
    assert (refused.rule, refused.article) == ("A06", "L221-14 al. 3")
    assert split(10_000, (), "card", (card, means)) == (Tender(means="card", kind="card", amount_minor=10_000),)


def test_what_answers_the_port_for_cards_answers_it_not_for_credit() -> None:
    assert not issubclass(StripeProvider, LendingProvider)
