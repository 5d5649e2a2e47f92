"""Orders and the money for them, through the desk, against a bank that errs: cards, challenges, refunds, two tabs."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from services.checkout.domain.orders import Cancel, GiveBack
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.refunds import Redirect, Retry
from tests.integration.checkout.bank_kit import RunningBank, running_bank
from tests.integration.checkout.desk_kit import SHOP, ok
from tests.integration.checkout.payments_kit import Till, soon_after

TOTAL = 5_480


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--settle-s", "3600", "--late-s", "1", "--silent-s", "0.2") as running:
        yield running


async def test_a_webhook_confirms_the_order_at_the_banks_time(till: Till) -> None:
    order_id, page = await till.orders("plain")
    assert await till.pays(page) == 303
    assert await till.hears() == [True]
    await till.effects.drain()
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state) == ("confirmed", "captured")
    completed = await till.event(order_id, "order.completed")
    assert completed.time == order.confirmed_at
    assert soon_after(completed.time, till.clock.at)
    said = await till.said(order_id)
    assert [said[kind] for kind in ("order.placed", "payment.attempted", "payment.succeeded", "order.completed",
                                    "order.paid", "payment.failed")] == [1, 1, 1, 1, 1, 0]  # fmt: skip
    assert till.at_bank(order_id) == (1, TOTAL)


@pytest.mark.parametrize(
    ("number", "category", "retryable"),
    [
        ("4000000000000002", "issuer_declined", True),
        ("4000000000009995", "insufficient_funds", True),
        ("4000000000009987", "fraud", False),
        ("4000000000000069", "expired", False),
        ("4000000000000119", "technical", True),
    ],
)
async def test_a_decline_is_failed_when_the_shopper_turns_back(
    till: Till, number: str, category: str, *, retryable: bool
) -> None:
    order_id, page = await till.orders("declined")
    assert await till.pays(page, number) == 402
    await till.hears()
    await till.effects.drain()
    assert (await till.attempt(order_id)).state == "action_required", "he may try another card on the page"
    assert not (await till.said(order_id))["payment.failed"]
    ok(await till.desk.leave_payment(SHOP.id, order_id))
    failed = await till.event(order_id, "payment.failed")
    assert (failed.data.category, failed.data.retryable) == (category, retryable)
    assert await till.pays(page) == 410
    again = ok(await till.desk.start_payment(SHOP.id, order_id))
    assert isinstance(again, str)
    assert await till.pays(again) == 303
    ok(await till.desk.look_now(SHOP.id, order_id))
    assert (await till.order(order_id)).state == "confirmed"
    assert till.at_bank(order_id) == (1, TOTAL)


async def test_a_soft_decline_is_no_failure(till: Till) -> None:
    order_id, page = await till.orders("soft")
    assert await till.pays(page, "4000009900000004") == 303
    await till.hears(2)
    await till.effects.drain()
    attempt = await till.attempt(order_id)
    assert attempt.state == "action_required"
    assert attempt.waits_until == till.clock.at + timedelta(minutes=10)
    await till.answers(page, "confirm")
    await till.hears()
    await till.effects.drain()
    said = await till.said(order_id)
    assert (said["payment.failed"], said["payment.succeeded"]) == (0, 1)
    assert said["payment.action_required"] >= 1
    await till.agrees(order_id)


async def test_authentication_is_refused_then_the_order_is_paid_by_the_link(till: Till) -> None:
    order_id, page = await till.orders("refused")
    await till.pays(page, "4000000000003220")
    await till.answers(page, "refuse")
    ok(await till.desk.leave_payment(SHOP.id, order_id))
    failed = await till.event(order_id, "payment.failed")
    assert (failed.data.category, failed.data.retryable) == ("authentication", True)
    again = ok(await till.desk.start_payment(SHOP.id, order_id))
    await till.pays(again, "4000000000003220")
    await till.answers(again, "confirm")
    ok(await till.desk.look_now(SHOP.id, order_id))
    assert (await till.order(order_id)).state == "confirmed"
    await till.agrees(order_id)


async def test_two_tabs_two_successes_one_payment(till: Till) -> None:
    order_id, first = await till.orders("tabs")
    till.passes(minutes=31)  # we give the page up; at the bank it is open for some minutes more
    await till.time.round()
    assert (await till.attempt(order_id)).category == "abandoned_at_bank"
    second = ok(await till.desk.start_payment(SHOP.id, order_id))
    assert isinstance(second, str)
    assert second != first
    assert await till.pays(first) == 303
    assert await till.pays(second) == 303
    assert till.at_bank(order_id) == (2, 2 * TOTAL)
    await till.hears(2)
    await till.works()
    order = await till.order(order_id)
    assert [attempt.state for attempt in order.attempts] == ["captured", "captured"]
    assert [(refund.cause, refund.amount_minor, refund.state) for refund in order.refunds] == [
        ("surplus", TOTAL, "succeeded")
    ]
    assert (await till.said(order_id))["order.completed"] == 1
    assert till.at_bank(order_id) == (2, TOTAL)
    await till.agrees(order_id)


async def test_many_tabs_press_and_pay_at_once(till: Till) -> None:
    order_id, page = await till.orders("many")
    statuses = await asyncio.gather(*(till.pays(page) for _ in range(8)))
    assert sorted(statuses) == [200] * 7 + [303], "who comes late reads that it is paid"
    looks = await asyncio.gather(*(till.desk.look_now(SHOP.id, order_id) for _ in range(8)))
    assert not any(isinstance(one, Refusal) for one in looks)
    assert till.at_bank(order_id) == (1, TOTAL)
    assert (await till.said(order_id))["order.completed"] == 1


async def test_a_cancelled_order_is_given_back(till: Till) -> None:
    order_id, page = await till.orders("cancelled")
    await till.pays(page)
    ok(await till.desk.look_now(SHOP.id, order_id))
    await till.does(order_id, Cancel(reason="changed my mind"))
    await till.works()
    order = await till.order(order_id)
    assert [(refund.cause, refund.state) for refund in order.refunds] == [("cancelled", "succeeded")]
    refunded = await till.event(order_id, "refund.succeeded")
    assert soon_after(refunded.time, till.clock.at)
    await till.agrees(order_id)


async def test_parts_go_back_and_never_more_than_was_paid(till: Till) -> None:
    order_id, page = await till.orders("parts")
    await till.pays(page)
    ok(await till.desk.look_now(SHOP.id, order_id))
    for _ in range(3):
        await till.does(order_id, GiveBack(amount_minor=1_000, cause="goodwill", key="first"))
    await till.does(order_id, GiveBack(amount_minor=2_000, cause="goodwill", key="second"))
    await till.works()
    assert till.at_bank(order_id) == (1, TOTAL - 3_000)
    refused = await till.desk.act(
        SHOP.id, order_id, GiveBack(amount_minor=TOTAL - 2_999, cause="goodwill", key="third")
    )
    assert isinstance(refused, Refusal)
    assert till.at_bank(order_id) == (1, TOTAL - 3_000)


async def test_a_slow_refund_has_succeeded_when_the_bank_says_so(till: Till) -> None:
    order_id, page = await till.orders("slow")
    await till.pays(page, "4000000000007726")
    ok(await till.desk.look_now(SHOP.id, order_id))
    await till.does(order_id, Cancel(reason="changed my mind"))
    await till.works()
    assert (await till.order(order_id)).refunds[0].state == "pending"
    await till.lives_through(61, 16, 16)
    refund = (await till.order(order_id)).refunds[0]
    assert refund.state == "succeeded"
    assert refund.succeeded_at is not None
    assert refund.succeeded_at - refund.requested_at >= timedelta(minutes=61)
    await till.agrees(order_id)


async def test_a_failed_refund_alerts_is_tried_again_and_goes_another_way(till: Till) -> None:
    order_id, page = await till.orders("closed-card")
    await till.pays(page, "4000009900000079")
    ok(await till.desk.look_now(SHOP.id, order_id))
    await till.does(order_id, Cancel(reason="changed my mind"))
    await till.works()
    await till.lives_through(61, 16, 16)
    order = await till.order(order_id)
    refund_id = order.refunds[0].id
    assert order.refunds[0].state == "failed"
    assert "payment.look" in {alert.kind for alert in (await till.view(order_id)).alerts}
    await till.does(order_id, Retry(refund_id=refund_id))
    await till.lives_through(1, 61, 16, 16)
    assert ((await till.order(order_id)).refunds[0].state, (await till.order(order_id)).refunds[0].tries) == (
        "failed", 2,
    )  # fmt: skip
    unasked = await till.desk.act(SHOP.id, order_id, Redirect(refund_id=refund_id, means="transfer"))
    assert isinstance(unasked, Refusal)
    await till.does(order_id, Redirect(refund_id=refund_id, means="transfer", agreed_at=till.clock.at))
    await till.lives_through(1, 16)
    assert (await till.order(order_id)).refunds[0].state == "redirected"
    assert till.at_bank(order_id) == (1, TOTAL), "the money goes by transfer: the card gets nothing"


async def test_a_refund_that_had_succeeded_and_came_back_days_later_is_found_without_a_webhook(till: Till) -> None:
    order_id, page = await till.orders("came-back")
    await till.pays(page, "4000000000005126")
    ok(await till.desk.look_now(SHOP.id, order_id))
    await till.does(order_id, Cancel(reason="changed my mind"))
    await till.works()
    await till.lives_through(1)
    assert (await till.order(order_id)).refunds[0].state == "succeeded"
    await till.lives_through(3 * 24 * 60)
    refund = (await till.order(order_id)).refunds[0]
    assert (refund.state, refund.returns, refund.reason) == ("failed", 1, "expired_or_canceled_card")
    assert "payment.look" in {alert.kind for alert in (await till.view(order_id)).alerts}
    await till.does(order_id, Retry(refund_id=refund.id))
    await till.works()
    assert (await till.order(order_id)).refunds[0].state == "succeeded"
    assert till.at_bank(order_id) == (1, 0)


async def test_nothing_secret_is_logged(till: Till, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        order_id, page = await till.orders("logged")
        await till.pays(page, "4000000000009995")
        ok(await till.desk.leave_payment(SHOP.id, order_id))
    ours = " ".join(
        one.getMessage() for one in caplog.records if not one.name.startswith("httpx")
    )  # that is the shopper's
    for secret in ("sk_test_relance", "whsec_bank", "@example.org", "4000000000009995", page):
        assert secret not in ours


def test_patience_is_the_issues() -> None:
    terms = SHOP.terms
    assert (terms.patience.action_minutes, terms.lapse_hours) == (10, 24)
    assert msgspec.json.decode(msgspec.json.encode(terms))["patience"]["action_minutes"] == 10
