"""The adapter against a bank that speaks Stripe's format: every way an attempt can go."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.checkout.adapters.stripe_connection import Connection
from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.domain.attempts import News
from services.checkout.ports import Opened
from tests.integration.checkout.bank_kit import (
    RunningBank,
    an_attempt,
    ask_of,
    opened,
    provider_of,
    running_bank,
    told,
)

PAYS = "4242424242424242"
METHODS = {"debit": ["sepa_debit"]}


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--silent-s", "0.2", "--settle-s", "3600") as started:
        yield started


@pytest.fixture(autouse=True)
def at_its_time(bank: RunningBank) -> None:
    """No test begins with the clock or the faults of another one."""
    bank.control("clock", ahead_s=0)
    bank.http.delete("/_bank/faults")


@pytest.fixture
async def provider(bank: RunningBank) -> AsyncIterator[StripeProvider]:
    async with provider_of(bank.url, methods=METHODS) as connected:
        yield connected


async def test_a_card_pays_what_the_tender_says(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt(5_480))
    assert attempt.state == "sent"
    assert (await provider.look(attempt)).status == "sent"
    done = bank.pay(page, PAYS)
    assert (done.status_code, done.headers["location"]) == (303, ask_of(attempt).return_url)
    news = await provider.look(attempt)
    assert (news.status, news.amount_minor, news.psp_id) == ("captured", 5_480, attempt.psp_id)
    assert abs((news.psp_at - datetime.now(UTC)).total_seconds()) < 5
    assert told(attempt, news).state == "captured"
    assert len(bank.charged(attempt.id)) == 1


@pytest.mark.parametrize(
    ("number", "code", "category", "retryable"),
    [
        ("4000000000000002", "generic_decline", "issuer_declined", True),
        ("4000000000009995", "insufficient_funds", "insufficient_funds", True),
        ("4000000000009987", "lost_card", "fraud", False),
        ("4000000000009979", "stolen_card", "fraud", False),
        ("4100000000000019", "fraudulent", "fraud", False),
        ("4000000000006975", "card_velocity_exceeded", "insufficient_funds", True),
        ("4000000000000069", "expired_card", "expired", False),
        ("4000000000000127", "incorrect_cvc", "issuer_declined", True),
        ("4000000000000119", "processing_error", "technical", True),
        ("4000009900000087", "do_not_honor", "issuer_declined", True),
        ("4000009900000095", "issuer_not_available", "technical", True),
        ("4000009900000103", "transaction_not_allowed", "issuer_declined", False),
        ("4999990000000007", "invalid_account", "issuer_declined", False),
    ],
)
async def test_a_decline_is_final_only_once_the_page_is_closed(
    bank: RunningBank, provider: StripeProvider, number: str, code: str, category: str, *, retryable: bool
) -> None:
    attempt, page = await opened(provider, an_attempt())
    assert bank.pay(page, number).status_code == 402
    news = await provider.look(attempt)
    assert (news.status, news.psp_code, news.challenge) == ("action_required", code, 1)
    attempt = told(attempt, news)
    assert attempt.live
    final = await provider.close(attempt)
    assert (final.status, final.category, final.psp_code, final.retryable) == ("failed", category, code, retryable)
    assert told(attempt, final).closed
    assert bank.pay(page, PAYS).status_code == 410
    assert not bank.charged(attempt.id)


async def test_each_soft_decline_is_another_challenge(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt())
    challenges = []
    bank.pay(page, "4000009900000004")  # declined for want of authentication, which is then asked for
    for act in ("refuse", "again", "refuse", "decline", "again", "confirm"):
        news = await provider.look(attempt)
        assert news.status == "action_required"
        attempt = told(attempt, news)
        challenges.append(attempt.challenges)
        again = await provider.look(attempt)
        assert told(attempt, again) == attempt, "the same state is no other challenge"
        if act == "again":
            bank.pay(page, "4000000000003220")
        elif act == "decline":
            bank.pay(page, "4000000000009995")
        else:
            bank.answer(page, act)
    assert challenges == sorted(set(challenges))
    news = await provider.look(attempt)
    assert news.status == "captured"
    assert len(bank.charged(attempt.id)) == 1


async def test_a_refused_authentication_can_be_tried_again_and_fails_when_left(
    bank: RunningBank, provider: StripeProvider
) -> None:
    attempt, page = await opened(provider, an_attempt())
    assert bank.pay(page, "4000000000003220").headers["location"].startswith("/c/challenge/")
    attempt = told(attempt, await provider.look(attempt))
    assert (attempt.state, attempt.challenges) == ("action_required", 1)
    refused = bank.answer(page, "refuse")
    assert (refused.status_code, "n'a pas pu vérifier" in refused.text) == (402, False)
    assert "Votre banque n&#39;a pas pu vérifier" in refused.text
    attempt = told(attempt, await provider.look(attempt))
    assert (attempt.challenges, attempt.psp_code) == (2, "payment_intent_authentication_failure")
    final = await provider.close(attempt)
    assert (final.status, final.category, final.retryable) == ("failed", "authentication", True)


async def test_authentication_before_a_decline(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt())
    bank.pay(page, "4000008260003178")
    attempt = told(attempt, await provider.look(attempt))
    assert bank.answer(page, "confirm").status_code == 402
    attempt = told(attempt, await provider.look(attempt))
    assert attempt.psp_code == "insufficient_funds"
    assert (await provider.close(attempt)).category == "insufficient_funds"


async def test_a_shopper_who_turns_back_has_cancelled(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt())
    final = await provider.close(attempt)
    assert (final.status, final.category) == ("failed", "cancelled_by_user")
    assert (await provider.close(attempt)).status == "failed"
    assert bank.pay(page, PAYS).status_code == 410
    in_challenge, page = await opened(provider, an_attempt())
    bank.pay(page, "4000009900000012")
    assert bank.answer(page, "confirm").status_code == 303, "it never ends"
    in_challenge = told(in_challenge, await provider.look(in_challenge))
    assert (await provider.close(in_challenge)).category == "cancelled_by_user"


async def test_a_page_left_open_ends_by_itself(bank: RunningBank, provider: StripeProvider) -> None:
    untouched, _ = await opened(provider, an_attempt())
    asked, page = await opened(provider, an_attempt())
    bank.pay(page, "4000009900000012")
    asked = told(asked, await provider.look(asked))
    bank.control("clock", ahead_s=2 * 3600)
    async with provider_of(bank.url, ahead=timedelta(hours=2)) as later:
        left, timed_out = await later.look(untouched), await later.look(asked)
    assert (left.status, left.category) == ("failed", "abandoned_at_bank")
    assert (timed_out.status, timed_out.category) == ("failed", "authentication_timeout")
    assert left.psp_at == ask_of(untouched).expires_at.replace(microsecond=0)


async def test_money_that_came_before_the_close_is_told(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt())
    bank.pay(page, PAYS)
    news = await provider.close(attempt)
    assert (news.status, news.amount_minor) == ("captured", attempt.amount_minor)


async def test_a_race_of_payment_and_close_has_one_winner(bank: RunningBank, provider: StripeProvider) -> None:
    for _ in range(10):
        attempt, page = await opened(provider, an_attempt())
        paid, news = await asyncio.gather(asyncio.to_thread(bank.pay, page, PAYS), provider.close(attempt))
        charged = len(bank.charged(attempt.id))
        assert (news.status, charged, paid.status_code) in {("captured", 1, 303), ("failed", 0, 410)}


async def test_the_page_is_silent_after_the_charge(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt())
    assert bank.pay(page, "4000009900000020").status_code == 504
    assert (await provider.look(attempt)).status == "captured"


async def test_a_debit_comes_days_later(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt(means="debit"))
    assert bank.pay_by_debit(page, "FR14 2004 1010 0505 0001 3M02 606").status_code == 303
    assert (await provider.look(attempt)).status == "sent"
    assert (await provider.close(attempt)).status == "sent", "no proof: it is not to be stopped"
    bank.control("settle", session=attempt.psp_id)
    assert (await provider.look(attempt)).status == "captured"


async def test_a_debit_is_refused_days_later(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, page = await opened(provider, an_attempt(means="debit"))
    bank.pay_by_debit(page, "FR8420041010050500013M02607")
    assert (await provider.look(attempt)).status == "sent"
    bank.control("settle", session=attempt.psp_id, works=False)
    news = await provider.look(attempt)
    assert (news.status, news.category) == ("failed", "insufficient_funds")


@pytest.mark.parametrize("mode", ["hang_after", "error_after"])
async def test_an_answer_that_is_lost_opens_no_second_page(
    bank: RunningBank, provider: StripeProvider, mode: str
) -> None:
    attempt = an_attempt()
    bank.control("faults", match="POST /v1/checkout/sessions", mode=mode, delay_s=3.0, status=500)
    async with provider_of(bank.url, answer_s=0.5) as impatient:
        lost = await impatient.open(ask_of(attempt))
        assert isinstance(lost, News)
        assert lost.status == "unknown"
        attempt = told(attempt, lost)
        assert attempt.state == "unknown"
        found = await impatient.look(attempt)
        assert found.status == "sent", "it is found without its id"
        again = await impatient.open(ask_of(attempt))
    assert isinstance(again, Opened)
    assert again.psp_id == found.psp_id
    sessions = bank.http.get("/_bank/sessions").json()["data"]
    assert sum(one["client_reference_id"] == attempt.id for one in sessions) == 1


async def test_the_library_repeats_a_call_with_its_key(bank: RunningBank) -> None:
    attempt = an_attempt()
    bank.control("faults", match="POST /v1/checkout/sessions", mode="error_after", status=503)
    async with provider_of(bank.url, retries=2) as patient:
        assert isinstance(await patient.open(ask_of(attempt)), Opened)
    sessions = bank.http.get("/_bank/sessions").json()["data"]
    assert sum(one["client_reference_id"] == attempt.id for one in sessions) == 1


async def test_two_opens_at_once_are_one_page(provider: StripeProvider) -> None:
    attempt = an_attempt()
    answers = await asyncio.gather(*(provider.open(ask_of(attempt)) for _ in range(20)))
    assert len({answer.psp_id for answer in answers if isinstance(answer, Opened)}) == 1
    assert all(isinstance(answer, Opened) for answer in answers)


async def test_other_parameters_under_the_key_open_no_other_page(bank: RunningBank, provider: StripeProvider) -> None:
    attempt, _ = await opened(provider, an_attempt())
    other = await provider.open(ask_of(attempt)._replace(amount_minor=1))
    assert isinstance(other, News)
    assert (other.status, other.psp_code) == ("unknown", "idempotency")
    reworded = await provider.open(ask_of(attempt)._replace(description="Order 1001"))
    assert isinstance(reworded, Opened)
    assert reworded.psp_id == attempt.psp_id, "the words of a former release, the same amount"
    sessions = bank.http.get("/_bank/sessions").json()["data"]
    assert [one["amount_total"] for one in sessions if one["client_reference_id"] == attempt.id] == [4_990]


async def test_nothing_is_opened_once_the_key_may_be_forgotten(bank: RunningBank, provider: StripeProvider) -> None:
    paid, page = await opened(provider, an_attempt())
    never = an_attempt()
    bank.pay(page, PAYS)
    before = len(bank.http.get("/_bank/sessions").json()["data"])
    bank.control("clock", ahead_s=25 * 3600)
    async with provider_of(bank.url, ahead=timedelta(hours=25)) as later:
        found, nothing = await later.open(ask_of(paid)), await later.open(ask_of(never))
    assert isinstance(found, News)
    assert (found.status, found.amount_minor) == ("captured", 4_990)
    assert isinstance(nothing, News)
    assert (nothing.status, nothing.psp_code) == ("failed", "not_opened_in_time")
    assert len(bank.http.get("/_bank/sessions").json()["data"]) == before


async def test_an_attempt_that_never_reached_the_bank(provider: StripeProvider) -> None:
    attempt = an_attempt()
    assert (await provider.look(attempt)).status == "unknown", "it may still be opened"
    final = await provider.close(attempt)
    assert (final.status, final.psp_code) == ("failed", "not_opened")
    assert (await provider.look(told(attempt, final))).status == "failed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount_minor": 49}, "amount_too_small"),
        ({"return_url": "javascript:alert(1)"}, "url_invalid"),
        ({"expires_at": timedelta(minutes=5)}, "parameter_invalid"),  # from when the test runs
        ({"expires_at": timedelta(hours=26)}, "parameter_invalid"),
        ({"currency": "ZZZ"}, "parameter_invalid"),
    ],
)
async def test_what_stripe_refuses_has_failed(provider: StripeProvider, change: dict[str, Any], code: str) -> None:
    now = datetime.now(UTC)
    change = {name: now + value if isinstance(value, timedelta) else value for name, value in change.items()}
    answer = await provider.open(ask_of(an_attempt())._replace(**change))
    assert isinstance(answer, News)
    assert (answer.status, answer.category, answer.psp_code) == ("failed", "technical", code)


async def test_a_bank_that_is_away_is_unknown_and_bounded(provider: StripeProvider) -> None:
    attempt, _ = await opened(provider, an_attempt())
    begun = asyncio.get_running_loop().time()
    async with provider_of("http://127.0.0.1:9", answer_s=1.0, timeout_s=2.0) as away:
        answers = [await away.look(attempt), await away.close(attempt), await away.open(ask_of(an_attempt()))]
    assert [answer.status for answer in answers if isinstance(answer, News)] == ["unknown"] * 3
    assert asyncio.get_running_loop().time() - begun < 8


async def test_a_bank_that_hangs_does_not_hold_the_caller(bank: RunningBank) -> None:
    bank.control("faults", match="GET /v1/checkout/sessions", mode="hang_after", delay_s=5.0, times=9)
    async with provider_of(bank.url, answer_s=30.0, timeout_s=0.5) as impatient:
        begun = asyncio.get_running_loop().time()
        assert (await impatient.look(an_attempt())).status == "unknown"
        assert asyncio.get_running_loop().time() - begun < 3


async def test_a_wrong_key_is_told_at_once(bank: RunningBank, caplog: pytest.LogCaptureFixture) -> None:
    provider = StripeProvider(Connection("not a key of stripe", bank.url, retries=0), ["whsec_x"])
    answer = await provider.open(ask_of(an_attempt()))
    await provider.aclose()
    assert isinstance(answer, News)
    assert (answer.status, answer.category) == ("failed", "technical")
    assert "not a key of stripe" not in caplog.text
    assert "camille@example.org" not in caplog.text


async def test_fifty_shoppers_pay_at_once(bank: RunningBank, provider: StripeProvider) -> None:
    async def shop() -> str:
        attempt, page = await opened(provider, an_attempt())
        await asyncio.to_thread(bank.pay, page, PAYS)
        return (await provider.look(attempt)).status

    assert set(await asyncio.gather(*(shop() for _ in range(50)))) == {"captured"}
