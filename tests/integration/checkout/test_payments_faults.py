"""Orders whose bank answers late, twice, in another order, or not at all; pages that are left; time that runs out."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.checkout.domain.orders import Cancel
from services.checkout.domain.outcomes import Refusal
from services.checkout.store import Store
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of, running_bank
from tests.integration.checkout.desk_kit import SHOP, Clock, ok
from tests.integration.checkout.payments_kit import Till, open_till

TOTAL = 5_480


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--settle-s", "3600", "--late-s", "1", "--silent-s", "0.2") as running:
        yield running


@pytest.fixture
async def till(store: Store, clock: Clock, bank: RunningBank) -> AsyncIterator[Till]:
    async with Receiver() as door, provider_of(bank.url, now=clock, answer_s=1.0) as provider:
        yield await open_till(store, clock, bank, door, provider)
        bank.control("webhooks", url="")


async def test_webhooks_that_come_twice_are_one_payment(till: Till) -> None:
    order_id, page = await till.orders("twice")
    await till.pays(page, "4000009900000038")
    assert await till.hears(2) == [True, True]
    await till.effects.drain()
    version = (await till.order(order_id)).version
    for body, headers in till.door.bodies:
        assert await till.desk.heard("bank", body, headers)
    await till.effects.drain()
    assert (await till.order(order_id)).version == version
    assert (await till.said(order_id))["order.completed"] == 1


async def test_a_webhook_before_the_answer_and_one_of_a_past_state(till: Till) -> None:
    order_id, page = await till.orders("reversed")
    till.bank.control("webhooks", mode="reversed")
    await till.pays(page, "4000009900000004")
    await till.answers(page, "confirm")
    await till.hears(3)
    await till.effects.drain()
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state) == ("confirmed", "captured")
    assert (await till.said(order_id))["payment.failed"] == 0


async def test_a_late_webhook_finds_what_the_reconciler_has_done(till: Till) -> None:
    order_id, page = await till.orders("late")
    await till.pays(page, "4000009900000046")
    till.clock.passes(seconds=21)
    await till.time.round()
    version = (await till.order(order_id)).version
    assert (await till.order(order_id)).state == "confirmed"
    await till.hears()
    await till.effects.drain()
    assert (await till.order(order_id)).version == version


@pytest.mark.parametrize("number", ["4000009900000061", "4000009900000020"])
async def test_without_webhook_and_return_the_reconciler_finds_the_money(till: Till, number: str) -> None:
    order_id, page = await till.orders("never")
    assert await till.pays(page, number) in {303, 504}
    assert (await till.order(order_id)).state == "placed"
    await till.lives_through(0.4)
    assert (await till.order(order_id)).state == "confirmed"
    assert not till.door.bodies
    await till.agrees(order_id)


async def test_a_challenge_left_open_fails_after_ten_minutes_and_is_resumed(till: Till) -> None:
    order_id, page = await till.orders("open")
    await till.pays(page, "4000000000003220")
    await till.hears()
    await till.effects.drain()
    await till.lives_through(9)
    assert (await till.attempt(order_id)).state == "action_required"
    await till.lives_through(1.1)
    failed = await till.event(order_id, "payment.failed")
    assert (failed.data.category, failed.data.retryable) == ("authentication_timeout", True)
    assert (await till.order(order_id)).state == "placed"
    again = ok(await till.desk.start_payment(SHOP.id, order_id))
    assert isinstance(again, str)
    await till.works()
    assert await till.answers(page, "confirm") == 303
    assert till.at_bank(order_id)[0] == 0, "the first page was closed before the second one was opened"
    assert await till.pays(again) == 303
    ok(await till.desk.look_now(SHOP.id, order_id))
    assert (await till.order(order_id)).state == "confirmed"
    await till.agrees(order_id)


async def test_a_late_success_before_the_lapse_is_accepted(till: Till) -> None:
    order_id, page = await till.orders("accepted")
    await till.pays(page, "4000000000003220")
    ok(await till.desk.look_now(SHOP.id, order_id))
    till.clock.passes(minutes=11)
    await till.time.round()
    assert (await till.attempt(order_id)).state == "failed"
    assert await till.answers(page, "confirm") == 303
    await till.lives_through(1)
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state) == ("confirmed", "captured")
    await till.agrees(order_id)


async def test_an_order_lapses_once_the_bank_has_proven_that_nothing_comes(till: Till) -> None:
    order_id, page = await till.orders("lapse")
    await till.lives_through(31, 23 * 60)
    assert (await till.order(order_id)).state == "placed"
    await till.lives_through(30)
    order = await till.order(order_id)
    assert order.state == "lapsed"
    assert order.attempts[0].closed
    assert (await till.said(order_id))["order.expired"] == 1
    assert await till.pays(page) == 410
    refused = await till.desk.start_payment(SHOP.id, order_id)
    assert isinstance(refused, Refusal)
    await till.agrees(order_id)


async def test_no_lapse_without_proof(till: Till) -> None:
    order_id, _ = await till.orders("no-proof")
    till.bank.control("faults", match="GET /v1/checkout", mode="error_before", times=1_000)
    till.bank.control("faults", match="POST /v1/checkout", mode="error_before", times=1_000)
    await till.lives_through(31, 24 * 60, 30)
    order = await till.order(order_id)
    assert (order.state, order.lapsing) == ("placed", True), "the bank does not say"
    assert (await till.said(order_id))["order.expired"] == 0
    till.bank.http.delete("/_bank/faults")
    await till.lives_through(16, 16)
    assert (await till.order(order_id)).state == "lapsed"
    await till.agrees(order_id)


async def test_money_that_came_by_the_deadline_is_kept_and_after_the_lapse_goes_back(till: Till) -> None:
    order_id, page = await till.orders("deadline")
    await till.pays(page, "4000009900000061")
    till.bank.control("faults", match="GET /v1/checkout", mode="error_before", times=1_000)
    await till.lives_through(31, 24 * 60)
    assert (await till.order(order_id)).state == "placed"
    till.bank.http.delete("/_bank/faults")
    await till.lives_through(16, 16)
    order = await till.order(order_id)
    count, left = till.at_bank(order_id)
    assert count == 1
    assert (order.state, left) in {("confirmed", TOTAL), ("lapsed", 0)}
    await till.agrees(order_id)


async def test_a_payment_after_the_cancellation_goes_back(till: Till) -> None:
    order_id, page = await till.orders("cancel")
    till.bank.control("faults", match="POST /v1/checkout", mode="error_before", times=2)
    await till.does(order_id, Cancel(reason="changed my mind"))
    await till.pays(page)
    await till.hears()
    await till.lives_through(1, 1)
    order = await till.order(order_id)
    assert order.state == "cancelled"
    assert till.at_bank(order_id) == (1, 0)
    await till.agrees(order_id)


@pytest.mark.parametrize("mode", ["hang_after", "error_after", "error_before"])
async def test_the_bank_does_not_answer_the_click(till: Till, mode: str) -> None:
    till.bank.control("faults", match="POST /v1/checkout/sessions", mode=mode, delay_s=2.0, status=500)
    order_id, nowhere = await till.presses("unanswered")
    assert nowhere is None, "the order is there, its page is not"
    assert (await till.order(order_id)).state == "placed"
    await till.lives_through(0.1, 0.1)
    page = ok(await till.desk.start_payment(SHOP.id, order_id))
    assert isinstance(page, str)
    await till.pays(page)
    ok(await till.desk.look_now(SHOP.id, order_id))
    order = await till.order(order_id)
    assert (order.state, len(order.attempts)) == ("confirmed", 1)
    sessions = till.bank.http.get("/_bank/sessions").json()["data"]
    assert sum(one["metadata"]["order"] == str(order_id) for one in sessions) == 1
    await till.agrees(order_id)


async def test_the_answer_to_a_refund_is_lost(till: Till) -> None:
    order_id, page = await till.orders("lost-refund")
    await till.pays(page)
    ok(await till.desk.look_now(SHOP.id, order_id))
    till.bank.control("faults", match="POST /v1/refunds", mode="hang_after", delay_s=2.0)
    await till.does(order_id, Cancel(reason="changed my mind"))
    await till.works()
    await till.lives_through(1, 1)
    assert [refund.state for refund in (await till.order(order_id)).refunds] == ["succeeded"]
    assert till.at_bank(order_id) == (1, 0)


async def test_a_bank_that_is_killed_and_started_anew(store: Store, clock: Clock, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "bank.jsonl"))
    async with Receiver() as door:
        with running_bank(*state) as first:
            port = int(first.url.rsplit(":", 1)[1])
            async with provider_of(first.url, now=clock, answer_s=1.0) as provider:
                till = await open_till(store, clock, first, door, provider)
                order_id, page = await till.orders("killed")
                other_id, _ = await till.orders("other")
                await till.pays(page, "4000009900000061")
                first.process.kill()
                first.process.wait(10)
                await till.works()
                assert (await till.order(order_id)).state == "placed"
        with running_bank(*state, port=port) as second:
            async with provider_of(second.url, now=clock) as provider:
                till = await open_till(store, clock, second, door, provider)
                clock.passes(minutes=1)
                await till.works()
                assert (await till.order(order_id)).state == "confirmed"
                assert (await till.order(other_id)).state == "placed"
                await till.agrees(order_id)
                await till.agrees(other_id)


async def test_a_webhook_of_another_order_shop_or_account_changes_nothing(till: Till) -> None:
    order_id, page = await till.orders("mine")
    await till.pays(page)
    await till.door.until(1)
    body, headers = till.door.bodies[0]
    assert not await till.desk.heard("bank", body.replace(str(order_id).encode(), b"0" * 36), headers)
    assert not await till.desk.heard("bank", body, {})
    assert not await till.desk.heard("stripe", body, headers)
    till.clock.passes(minutes=6)
    assert not await till.desk.heard("bank", body, headers), "it is too old"
    till.clock.at -= timedelta(minutes=12)
    assert not await till.desk.heard("bank", body, headers), "it is from the future"
