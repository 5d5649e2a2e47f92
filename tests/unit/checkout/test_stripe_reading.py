"""What Stripe's objects say of an attempt: pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.checkout.adapters.stripe_declines import category_of, may_retry
from services.checkout.adapters.stripe_reading import news_of, news_of_refund, page_of, returned_of
from services.checkout.domain.attempts import Attempt
from services.checkout.domain.refunds import Refund

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
BEGUN = NOW - timedelta(minutes=5)
ATTEMPT = Attempt(id="a", tender=0, means="card", psp="stripe", amount_minor=500, created_at=BEGUN)


def page(intent: dict[str, Any] | None = None, **fields: Any) -> Any:
    whole = {"id": "cs_1", "status": "open", "payment_status": "unpaid", "url": "https://x", "created": 1,
             "amount_total": 500, "expires_at": int((NOW + timedelta(hours=1)).timestamp()), **fields}  # fmt: skip
    return page_of({**whole, "payment_intent": {"id": "pi_1", **intent} if intent else None})


@pytest.mark.parametrize(
    ("intent", "fields", "status"),
    [
        (None, {}, "sent"),
        ({"status": "requires_payment_method"}, {}, "sent"),
        ({"status": "requires_confirmation"}, {}, "sent"),
        ({"status": "processing"}, {}, "sent"),
        ({"status": "processing"}, {"status": "complete"}, "sent"),
        ({"status": "requires_action"}, {}, "action_required"),
        ({"status": "requires_payment_method", "last_payment_error": {"code": "x"}}, {}, "action_required"),
        ({"status": "requires_capture", "amount_capturable": 500}, {"status": "complete"}, "authorised"),
        ({"status": "succeeded", "amount_received": 500}, {"status": "complete"}, "captured"),
        ({"status": "succeeded", "amount_received": 500}, {"status": "expired"}, "captured"),
        ({"status": "requires_payment_method", "last_payment_error": {}}, {"status": "complete"}, "failed"),
        ({"status": "canceled"}, {}, "failed"),
        ({"status": "canceled"}, {"status": "expired"}, "failed"),
        (None, {"status": "expired"}, "failed"),
        (None, {"status": "complete", "payment_status": "paid"}, "captured"),
        ({"status": "a state of the future"}, {}, "sent"),
    ],
)
def test_each_state_has_its_news(intent: dict[str, Any] | None, fields: dict[str, Any], status: str) -> None:
    news = news_of(page(intent, **fields), ATTEMPT, 0, NOW)
    assert (news.status, news.psp_id) == (status, "cs_1")
    assert BEGUN.year == 2026
    if status in {"captured", "authorised"}:
        assert news.amount_minor == 500


def test_money_comes_at_the_time_of_its_charge_and_never_before_its_attempt() -> None:
    def at(seconds: float) -> datetime:
        charge = {"id": "ch", "created": int((BEGUN + timedelta(seconds=seconds)).timestamp())}
        intent = {"status": "succeeded", "amount_received": 500, "latest_charge": charge}
        return news_of(page(intent, status="complete"), ATTEMPT, 0, NOW).psp_at

    assert at(60) == BEGUN + timedelta(seconds=60)
    assert at(-30) == BEGUN


def test_the_amount_is_what_was_received() -> None:
    intent = {"status": "succeeded", "amount_received": 499}
    assert news_of(page(intent, status="complete"), ATTEMPT, 0, NOW).amount_minor == 499


def test_a_decline_before_the_end_says_why_it_ended() -> None:
    known = msgspec.structs.replace(ATTEMPT, psp_code="insufficient_funds", challenges=1)
    news = news_of(page({"status": "canceled"}, status="expired"), known, 0, NOW)
    assert (news.category, news.psp_code) == ("insufficient_funds", "insufficient_funds")
    asked = msgspec.structs.replace(ATTEMPT, psp_code="requires_action", challenges=1)
    assert news_of(page(None, status="expired"), asked, 0, NOW).category == "authentication_timeout"


@pytest.mark.parametrize("broken", [{}, {"id": 1}, {"id": "cs", "status": "new"}, {"id": "cs"}])
def test_an_answer_that_is_no_page_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        page_of(broken)


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("authentication_required", "authentication"),
        ("payment_intent_authentication_failure", "authentication"),
        ("insufficient_funds", "insufficient_funds"),
        ("do_not_honor", "issuer_declined"),
        ("a code of the future", "issuer_declined"),
        ("processing_error", "technical"),
        ("stolen_card", "fraud"),
        ("expired_card", "expired"),
        ("payment_method_customer_decline", "cancelled_by_user"),
        ("payment_intent_payment_attempt_expired", "authentication_timeout"),
        ("charge_expired_for_capture", "authorization_expired"),
    ],
)
def test_codes_have_categories(code: str, category: str) -> None:
    assert category_of(code) == category


def test_the_issuers_advice_decides_where_there_is_one() -> None:
    assert may_retry("generic_decline", "")
    assert not may_retry("generic_decline", "do_not_try_again")
    assert may_retry("lost_card", "try_again_later")
    assert may_retry("incorrect_cvc", "confirm_card_data")
    assert not may_retry("lost_card", "")


@pytest.mark.parametrize(
    ("status", "said"),
    [("succeeded", "succeeded"), ("pending", "pending"), ("requires_action", "pending"), ("failed", "failed"),
     ("canceled", "failed")],
)  # fmt: skip
def test_refunds(status: str, said: str) -> None:
    refund = Refund(id="r", tender=0, amount_minor=1, cause="lapsed", requested_at=NOW, attempt_id="a", tries=3)
    told = {"id": "re", "status": status, "amount": 1, "created": 1_700_000_000}
    news = news_of_refund(returned_of(told), refund, NOW)
    assert (news.status, news.attempted) == (said, 3)
    other = news_of_refund(returned_of(told | {"amount": 2}), refund, NOW)
    assert (other.status, other.reason) == ("failed", "another_amount")
