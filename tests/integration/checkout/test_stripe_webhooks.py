"""Webhooks as the bank sends them: once, twice, late, reversed, never, until they are taken; and what they mean."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.ports import Hint
from tests.integration.checkout.bank_kit import (
    Receiver,
    RunningBank,
    a_refund,
    an_attempt,
    opened,
    provider_of,
    running_bank,
    told,
)


@pytest.fixture
def bank() -> Iterator[RunningBank]:
    """One for each test: what pages of another do when the clock is moved would be heard, too."""
    with running_bank("--late-s", "1", "--settle-s", "3600") as started:
        yield started


@pytest.fixture
async def receiver(bank: RunningBank) -> AsyncIterator[Receiver]:
    async with Receiver() as receiving:
        bank.control("webhooks", url=receiving.url, mode="once")
        yield receiving
        bank.control("webhooks", url="")


@pytest.fixture
async def provider(bank: RunningBank) -> AsyncIterator[StripeProvider]:
    bank.control("clock", ahead_s=0)
    async with provider_of(bank.url) as connected:
        yield connected


def hints(provider: StripeProvider, receiver: Receiver) -> list[Hint]:
    read = [provider.hint(body, headers, datetime.now(UTC)) for body, headers in receiver.bodies]
    assert None not in read
    return [one for one in read if one is not None]


async def test_a_payment_is_told_with_the_ids_it_was_opened_with(
    bank: RunningBank, provider: StripeProvider, receiver: Receiver
) -> None:
    attempt, page = await opened(provider, an_attempt())
    bank.pay(page, "4242424242424242")
    await receiver.until(1)
    (hint,) = hints(provider, receiver)
    assert (hint.psp_id, hint.attempt_id, hint.shop, hint.refund_id) == (attempt.psp_id, attempt.id, "demo", "")
    assert hint.order_id == "7d5c4a8e-0001-4000-8000-000000000001"


async def test_a_decline_an_authentication_and_the_end_are_told(
    bank: RunningBank, provider: StripeProvider, receiver: Receiver
) -> None:
    attempt, page = await opened(provider, an_attempt())
    bank.pay(page, "4000009900000004")
    await receiver.until(2)
    bank.answer(page, "refuse")
    await receiver.until(3)
    await provider.close(attempt)
    await receiver.until(4)
    assert {one.attempt_id for one in hints(provider, receiver)} == {attempt.id}


async def test_twice_is_the_same_event(bank: RunningBank, provider: StripeProvider, receiver: Receiver) -> None:
    _, page = await opened(provider, an_attempt())
    bank.pay(page, "4000009900000038")
    await receiver.until(2)
    first, second = hints(provider, receiver)
    assert first == second


async def test_late_is_late(bank: RunningBank, provider: StripeProvider, receiver: Receiver) -> None:
    attempt, page = await opened(provider, an_attempt())
    bank.pay(page, "4000009900000046")
    assert (await provider.look(attempt)).status == "captured"
    assert not receiver.bodies
    await receiver.until(1)
    assert hints(provider, receiver)[0].attempt_id == attempt.id


async def test_reversed_order(bank: RunningBank, provider: StripeProvider, receiver: Receiver) -> None:
    _, page = await opened(provider, an_attempt())
    bank.control("webhooks", mode="reversed")
    bank.pay(page, "4000009900000004")
    await receiver.until(2)
    types = [body.split(b'"type":"')[1].split(b'"')[0] for body, _ in receiver.bodies]
    assert types == [b"payment_intent.requires_action", b"payment_intent.payment_failed"]


async def test_never(bank: RunningBank, provider: StripeProvider, receiver: Receiver) -> None:
    _, silent = await opened(provider, an_attempt())
    attempt, page = await opened(provider, an_attempt())
    bank.pay(silent, "4000009900000061")
    bank.pay(page, "4242424242424242")
    await receiver.until(1)
    assert [one.attempt_id for one in hints(provider, receiver)] == [attempt.id]


async def test_a_refund_is_told_with_its_id(bank: RunningBank, provider: StripeProvider, receiver: Receiver) -> None:
    attempt, page = await opened(provider, an_attempt())
    bank.pay(page, "4000009900000079")
    attempt = told(attempt, await provider.look(attempt))
    refund = a_refund(attempt, 100)
    ours = refund.id.encode()  # pages and refunds of others end in these two hours, too

    async def told_by_now(count: int) -> list[tuple[bytes, dict[str, str]]]:
        while True:
            found = [one for one in receiver.bodies if b'"type":"refund.' in one[0] and ours in one[0]]
            if len(found) >= count:
                return found
            await receiver.until(len(receiver.bodies) + 1)

    await provider.refund(refund, attempt)
    await told_by_now(1)  # before the bank's clock goes on
    bank.control("clock", ahead_s=2 * 3600)
    created, failed = await told_by_now(2)
    now = datetime.now(UTC)
    assert provider.hint(*failed, now) is None, "it is of two hours later"
    for told_of in (provider.hint(*created, now), provider.hint(*failed, now + timedelta(hours=2))):
        assert told_of is not None
        assert (told_of.refund_id, told_of.attempt_id, told_of.shop) == (refund.id, attempt.id, "demo")


async def test_an_event_is_sent_until_it_is_taken(bank: RunningBank, provider: StripeProvider) -> None:
    async with Receiver(refused=2) as reluctant:
        bank.control("webhooks", url=reluctant.url)
        attempt, page = await opened(provider, an_attempt())
        bank.pay(page, "4242424242424242")
        await reluctant.until(1)
        assert hints(provider, reluctant)[0].attempt_id == attempt.id
        bank.control("webhooks", url="")


async def test_an_event_sent_again_days_later_is_signed_anew(
    bank: RunningBank, provider: StripeProvider, receiver: Receiver
) -> None:
    _, page = await opened(provider, an_attempt())
    bank.pay(page, "4242424242424242")
    await receiver.until(1)
    (first,) = hints(provider, receiver)
    bank.control("clock", ahead_s=3 * 86_400)
    bank.control("webhooks", again=first.event_id)
    await receiver.until(2)
    body, headers = receiver.bodies[1]
    assert provider.hint(body, headers, datetime.now(UTC)) is None
    assert provider.hint(body, headers, datetime.now(UTC) + timedelta(days=3)) == first


async def test_a_bank_killed_and_restarted_knows_what_was_charged(tmp_path: Path) -> None:
    state = tmp_path / "bank.jsonl"
    attempt = an_attempt()
    with running_bank("--state", str(state)) as first:
        async with provider_of(first.url) as provider:
            attempt, page = await opened(provider, attempt)
            first.pay(page, "4242424242424242")
        first.process.kill()
        first.process.wait(10)
    state.write_bytes(state.read_bytes() + b'{"object":{"id":"ch_cut')
    with running_bank("--state", str(state)) as second:
        async with provider_of(second.url) as provider:
            assert (await provider.look(attempt)).status == "captured"
            refund = a_refund(attempt, 100)
            assert (await provider.refund(refund, attempt)).status == "succeeded"
        assert len(second.charged(attempt.id)) == 1
    with running_bank("--state", str(state)) as third:
        assert third.charged(attempt.id)[0]["amount_refunded"] == 100
