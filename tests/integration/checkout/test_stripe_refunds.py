"""Refunds through the adapter: at once, later, never, and when an answer is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import msgspec
import pytest

from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.domain.attempts import Attempt
from tests.integration.checkout.bank_kit import (
    RunningBank,
    a_refund,
    an_attempt,
    opened,
    provider_of,
    running_bank,
    told,
)

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--settle-s", "3600") as started:
        yield started


@pytest.fixture
async def provider(bank: RunningBank) -> AsyncIterator[StripeProvider]:
    bank.control("clock", ahead_s=0)
    async with provider_of(bank.url) as connected:
        yield connected


async def paid(bank: RunningBank, provider: StripeProvider, number: str = "4242424242424242") -> Attempt:
    attempt, page = await opened(provider, an_attempt(5_000))
    bank.pay(page, number)
    return told(attempt, await provider.look(attempt))


def refunded(bank: RunningBank, attempt: Attempt) -> int:
    (charge,) = bank.charged(attempt.id)
    amount: int = charge["amount_refunded"]
    return amount


async def test_a_part_goes_back_once(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider)
    refund = a_refund(attempt, 1_200)
    answers = await asyncio.gather(*(provider.refund(refund, attempt) for _ in range(5)))
    assert {(one.status, one.attempted) for one in answers} == {("succeeded", 1)}
    assert (await provider.look_refund(refund, attempt)).status == "succeeded"
    assert refunded(bank, attempt) == 1_200
    rest = a_refund(attempt, 3_800)
    assert (await provider.refund(rest, attempt)).status == "succeeded"
    assert refunded(bank, attempt) == 5_000


async def test_more_than_is_left_fails(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider)
    assert (await provider.refund(a_refund(attempt, 5_001), attempt)).status == "failed"
    assert (await provider.refund(a_refund(attempt, 5_000), attempt)).status == "succeeded"
    assert (await provider.refund(a_refund(attempt, 1), attempt)).status == "failed"
    assert refunded(bank, attempt) == 5_000


async def test_what_was_never_paid_cannot_go_back(provider: StripeProvider) -> None:
    attempt, _ = await opened(provider, an_attempt())
    assert (await provider.refund(a_refund(attempt, 100), attempt)).status == "failed"


async def test_an_answer_that_is_lost_gives_nothing_back_twice(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider)
    refund = a_refund(attempt, 1_000)
    bank.control("faults", match="POST /v1/refunds", mode="hang_after", delay_s=3.0)
    async with provider_of(bank.url, answer_s=0.5) as impatient:
        assert (await impatient.refund(refund, attempt)).status == "pending"
    assert (await provider.look_refund(refund, attempt)).status == "succeeded"
    assert refunded(bank, attempt) == 1_000


async def test_a_call_that_never_arrived_is_made_again(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider)
    refund = a_refund(attempt, 1_000)
    bank.control("faults", match="POST /v1/refunds", mode="error_before", status=503)
    assert (await provider.refund(refund, attempt)).status == "pending"
    assert refunded(bank, attempt) == 0
    assert (await provider.look_refund(refund, attempt)).status == "succeeded"
    assert refunded(bank, attempt) == 1_000


async def test_a_refund_asked_for_again_after_a_day_is_found(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider)
    refund = a_refund(attempt, 1_000)
    await provider.refund(refund, attempt)
    bank.control("clock", ahead_s=30 * 3600)  # its key is forgotten
    async with provider_of(bank.url, ahead=timedelta(hours=30)) as later:
        assert (await later.refund(refund, attempt)).status == "succeeded"
    assert refunded(bank, attempt) == 1_000


async def test_a_slow_refund_is_pending_until_it_is_there(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider, "4000000000007726")
    refund = a_refund(attempt, 700)
    assert (await provider.refund(refund, attempt)).status == "pending"
    bank.control("clock", ahead_s=2 * 3600)
    async with provider_of(bank.url, ahead=timedelta(hours=2)) as later:
        news = await later.look_refund(replace(refund, state="pending"), attempt)
    assert news.status == "succeeded"
    assert news.psp_at > refund.requested_at + timedelta(hours=1), "not before the bank said so"


async def test_a_refund_fails_and_another_try_is_another_refund(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider, "4000009900000079")
    refund = a_refund(attempt, 700)
    assert (await provider.refund(refund, attempt)).status == "pending"
    bank.control("clock", ahead_s=2 * 3600)
    assert (await provider.look_refund(refund, attempt)).status == "failed"
    second = replace(refund, tries=2)
    news = await provider.refund(second, attempt)
    assert (news.status, news.attempted) == ("pending", 2)
    assert (await provider.look_refund(second, attempt)).status == "pending", "not the first try's failure"


async def test_a_refund_that_succeeded_can_still_fail_at_the_bank(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider, "4000000000005126")
    refund = a_refund(attempt, 700)
    assert (await provider.refund(refund, attempt)).status == "succeeded"
    bank.control("clock", ahead_s=2 * 3600)
    assert (await provider.look_refund(refund, attempt)).status == "failed"


async def test_money_that_goes_another_way_does_not_go_back_to_the_card(
    bank: RunningBank, provider: StripeProvider
) -> None:
    attempt = await paid(bank, provider)
    redirected = replace(a_refund(attempt, 700), state="redirected", means="transfer", tries=2)
    assert (await provider.refund(redirected, attempt)).status == "pending"
    assert (await provider.look_refund(redirected, attempt)).status == "pending"
    assert refunded(bank, attempt) == 0


async def test_a_bank_that_is_away_leaves_the_refund_pending(bank: RunningBank, provider: StripeProvider) -> None:
    attempt = await paid(bank, provider)
    async with provider_of("http://127.0.0.1:9", answer_s=1.0) as away:
        assert (await away.refund(a_refund(attempt, 700), attempt)).status == "pending"
    assert refunded(bank, attempt) == 0


async def test_a_refund_whose_failure_is_kept_under_its_key_succeeds_once_keys_are_forgotten(
    bank: RunningBank, provider: StripeProvider
) -> None:
    attempt = await paid(bank, provider)
    refund = a_refund(attempt, 1_000)
    bank.control("faults", match="POST /v1/refunds", mode="error_kept", status=500)
    assert (await provider.refund(refund, attempt)).status == "pending"
    assert (await provider.look_refund(refund, attempt)).status == "pending", "the same answer to the same key"
    assert refunded(bank, attempt) == 0
    day = timedelta(hours=25)
    bank.control("clock", ahead_s=day.total_seconds())
    async with provider_of(bank.url, ahead=day) as tomorrow:
        assert (await tomorrow.look_refund(refund, attempt)).status == "succeeded"
        assert (await tomorrow.look_refund(refund, attempt)).status == "succeeded"
    assert refunded(bank, attempt) == 1_000
    bank.control("clock", ahead_s=0)
