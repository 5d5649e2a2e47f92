"""What Stripe is asked is a function of what was written down, and adds nothing to the recap's amount."""

from datetime import UTC, datetime

import pytest

from services.checkout.adapters.stripe_asking import refund_params, session_params
from services.checkout.domain.refunds import Refund
from services.checkout.ports import Ask

AT = datetime(2026, 11, 23, 10, 30, 0, 999_999, tzinfo=UTC)
ASK = Ask(
    attempt_id="a-1", order_id="o-1", shop="demo", amount_minor=5_480, currency="EUR", means="card",
    description="Commande 1001", email="ada@example.org", return_url="https://shop.example/o/1?back=paid",
    cancel_url="https://shop.example/o/1?back=left", expires_at=AT, locale="fr-FR",
)  # fmt: skip


def test_one_line_of_the_tenders_amount() -> None:
    params = session_params(ASK, ("card",))
    (line,) = params["line_items"]
    assert (line["quantity"], line["price_data"]["unit_amount"], line["price_data"]["currency"]) == (1, 5_480, "eur")
    assert params["mode"] == "payment"
    assert params["payment_intent_data"]["capture_method"] == "automatic"
    assert params["adaptive_pricing"] == {"enabled": False}
    assert not {"discounts", "automatic_tax", "tax_id_collection", "shipping_options", "optional_items"} & set(params)


def test_only_announced_means_are_offered() -> None:
    params = session_params(ASK, ("card", "sepa_debit"))
    assert params["payment_method_types"] == ["card", "sepa_debit"]
    assert params["wallet_options"]["link"]["display"] == "never"


def test_attempt_order_and_shop_are_named_on_the_page_and_its_money() -> None:
    params = session_params(ASK, ("card",))
    named = {"attempt": "a-1", "order": "o-1", "shop": "demo"}
    assert params["client_reference_id"] == "a-1"
    assert params["metadata"] == params["payment_intent_data"]["metadata"] == named


def test_the_same_is_asked_each_time() -> None:
    assert session_params(ASK, ("card",)) == session_params(ASK, ("card",))
    assert session_params(ASK, ("card",))["expires_at"] == int(AT.timestamp())


@pytest.mark.parametrize(
    ("locale", "language"), [("fr", "fr"), ("fr_FR", "fr"), ("EN-gb", "en"), ("xx", "auto"), ("", "auto")]
)
def test_the_page_speaks_the_shoppers_language(locale: str, language: str) -> None:
    assert session_params(ASK._replace(locale=locale), ("card",))["locale"] == language


def test_an_unknown_address_is_left_out_and_a_long_description_cut() -> None:
    params = session_params(ASK._replace(email="", description="x" * 600), ("card",))
    assert "customer_email" not in params
    assert len(params["payment_intent_data"]["description"]) == 250


def test_a_refund_is_named_by_its_try() -> None:
    refund = Refund(
        id="r-1", tender=0, amount_minor=100, cause="withdrawal", requested_at=AT, attempt_id="a-1", tries=2
    )
    params = refund_params(refund, "pi_1", {"attempt": "a-1", "order": "o-1", "shop": "demo"})
    assert (params["payment_intent"], params["amount"]) == ("pi_1", 100)
    assert params["metadata"] == {"attempt": "a-1", "order": "o-1", "shop": "demo", "refund": "r-1", "try": "2"}
