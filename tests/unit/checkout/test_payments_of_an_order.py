from datetime import timedelta

import msgspec
import pytest

from services.checkout.domain import lifecycle
from services.checkout.domain.orders import (
    Cancel,
    CancelAttempt,
    ClockMoved,
    Order,
    OrderTerms,
    Prepare,
    Received,
    Ship,
    StartAttempt,
    SwitchMeans,
    kept_minor,
    owed_minor,
)  # fmt: skip
from services.checkout.domain.outcomes import Effect
from services.checkout.domain.tenders import Means, Tender
from tests.unit.checkout.story import (
    AT,
    CONTEXT,
    HOUR,
    MINUTE,
    ORDER_ID,
    after,
    data,
    did,
    news,
    paying,
    placed,
    refused,
    said,
)

LAPSE = AT + 24 * HOUR
CARD, GIFT = "card", Tender(means="gift", kind="gift_card", amount_minor=3000, ref="g1", state="held")
REST = Tender(means="card", kind="card", amount_minor=7470)
TRANSFER = Tender(means="transfer", kind="offline", amount_minor=10470, state="awaited")


def kinds(effects: tuple[Effect, ...]) -> set[str]:
    return {effect.kind for effect in effects}


def test_the_click_places_the_order_and_acknowledges_it() -> None:
    moved = placed()
    assert (moved.state.state, said(moved), kinds(moved.effects)) == ("placed", ["order.placed"], {"acknowledge"})
    assert moved.state.concluded_at == AT
    assert moved.state.deadline == LAPSE


def test_where_the_terms_say_so_the_payment_concludes() -> None:
    order = placed(terms=OrderTerms(concluded="payment_secured")).state
    assert order.concluded_at is None
    sent = paying(order)
    assert after(sent, news(sent, "captured", AT + MINUTE)).state.concluded_at == AT + MINUTE


def test_sums_that_differ_place_nothing() -> None:
    placement = lifecycle.Placement(
        order_id=ORDER_ID, checkout_id="c", recap_hash="h", context=CONTEXT, lines=(), tenders=(REST,),
        delivery_minor=0, discount_minor=0, total_minor=7470,
    )  # fmt: skip
    assert refused(lifecycle.place(placement, AT)).rule == "A13"


def test_a_capture_confirms_at_the_providers_time() -> None:
    order = paying(placed().state)
    moved = after(order, news(order, "captured", AT + MINUTE), at=AT + 2 * MINUTE)
    assert said(moved) == ["payment.succeeded", "order.completed", "order.paid"]
    assert {event.time for event in moved.events} == {AT + MINUTE}
    assert moved.state.state == "confirmed"
    assert kept_minor(moved.state) == 10470


def test_an_authorisation_confirms_and_the_capture_pays() -> None:
    order = paying(placed().state)
    secured = after(order, news(order, "authorised", AT + MINUTE))
    assert said(secured) == ["payment.succeeded", "order.completed"]
    assert refused(lifecycle.step(secured.state, Ship(parcel_id="p", units={"1": 2}), AT)).field == "order.state"
    assert said(after(secured.state, news(order, "captured", AT + HOUR))) == ["order.paid"]


def test_one_attempt_at_a_time() -> None:
    order = paying(placed().state)
    again = refused(lifecycle.step(order, StartAttempt(means="wallet", psp="simulator"), AT))
    assert again.field == "attempt"
    assert kinds(after(order, CancelAttempt(attempt_id=order.attempts[0].id)).effects) == {"cancel_at_psp"}
    failed = after(order, news(order, "failed", category="cancelled_by_user"))
    assert said(failed) == ["payment.failed"]
    assert len(paying(failed.state).attempts) == 2


def test_attempts_are_counted() -> None:
    order = placed(terms=OrderTerms(attempts_max=1)).state
    failed = paying(order)
    failed = after(failed, news(failed, "failed")).state
    assert refused(lifecycle.step(failed, StartAttempt(means="card", psp="simulator"), AT)).field == "attempt"


@pytest.mark.parametrize("status", ["sent", "action_required", "authorised", "captured", "failed", "unknown"])
def test_news_told_twice_change_nothing_twice(status: str) -> None:
    order = paying(placed().state)
    once = after(order, news(order, status))
    assert once.transition
    assert lifecycle.step(once.state, news(order, status), AT + MINUTE) == (once.state, "", (), ())


def test_old_news_do_not_undo_a_capture() -> None:
    order = paying(placed().state)
    paid = after(order, news(order, "captured")).state
    for status in ("sent", "unknown", "action_required", "authorised", "failed"):
        assert after(paid, news(order, status)).state == paid


def test_a_soft_decline_is_another_challenge_and_no_failure() -> None:
    order = paying(placed().state)
    first = after(order, news(order, "action_required"))
    second = after(first.state, news(order, "action_required", challenge=2), at=AT + 5 * MINUTE)
    assert said(first) == said(second) == ["payment.action_required"]
    assert data(second)["expires_at"] == "2026-11-23T10:15:00Z"


def test_a_page_left_open_fails_after_ten_minutes_and_not_before() -> None:
    order = paying(placed().state)
    asked = after(order, news(order, "action_required")).state
    assert after(asked, ClockMoved(), at=AT + 10 * MINUTE - timedelta(microseconds=1)).transition == ""
    late = after(asked, ClockMoved(), at=AT + 10 * MINUTE)
    assert said(late) == ["payment.failed"]
    assert (data(late)["category"], data(late)["retryable"]) == ("authentication_timeout", True)
    assert "ask_psp" in kinds(late.effects)
    resumed = did(lifecycle.step(late.state, StartAttempt(means="card", psp="simulator"), AT + HOUR))
    assert Effect("cancel_at_psp", order.attempts[0].id) in resumed.effects


def test_an_open_page_keeps_its_time_when_the_provider_does_not_answer() -> None:
    order = paying(placed().state)
    sent = after(order, news(order, "sent", psp_id="cs_1")).state
    lost = after(sent, news(order, "unknown"), at=AT + MINUTE)
    assert (lost.state, lost.transition, lost.events, lost.effects) == (sent, "", (), ())
    late = after(lost.state, ClockMoved(), at=AT + 30 * MINUTE)
    assert (said(late), data(late)["category"]) == (["payment.failed"], "abandoned_at_bank")


def test_a_page_that_opens_while_its_attempt_is_given_up_is_closed_or_its_money_heard_of() -> None:
    order = paying(placed().state)
    given_up = after(order, news(order, "failed", psp_code="not_opened")).state
    assert not given_up.attempts[0].open_at_psp
    found = after(given_up, news(order, "sent", psp_id="cs_1"))
    assert found.effects == (Effect("cancel_at_psp", order.attempts[0].id),)
    assert (found.state.attempts[0].open_at_psp, found.state.live, said(found)) == (True, None, [])
    closed = after(found.state, news(order, "failed", psp_id="cs_1")).state
    assert after(closed, news(order, "sent", psp_id="cs_1")) == (closed, "", (), ())
    assert after(found.state, news(order, "captured", psp_id="cs_1")).state.state == "confirmed"


def test_a_late_success_is_accepted_before_the_lapse() -> None:
    order = paying(placed().state)
    late = after(order, news(order, "action_required"), ClockMoved(), at=AT + 10 * MINUTE).state
    late = after(late, ClockMoved(), at=AT + 20 * MINUTE).state
    assert late.attempts[0].state == "failed"
    assert after(late, news(order, "captured"), at=LAPSE - MINUTE).state.state == "confirmed"


def test_a_late_success_after_the_lapse_is_refunded() -> None:
    order = paying(placed().state)
    failed = after(order, news(order, "failed")).state
    lapsed = after(failed, ClockMoved(), at=LAPSE)
    assert said(lapsed) == ["order.expired"]
    assert {"release_stock", "release_coupons", "tell_shopper"} <= kinds(lapsed.effects)
    late = after(lapsed.state, news(order, "captured"), at=LAPSE + MINUTE)
    assert said(late) == []
    assert "refund_at_psp" in kinds(late.effects)
    assert kept_minor(late.state) == owed_minor(late.state) == 10470


def test_the_lapse_waits_for_the_providers_proof() -> None:
    order = paying(placed().state)
    assert after(order, ClockMoved(), at=LAPSE - timedelta(microseconds=1)).transition == ""
    lapsing = after(order, ClockMoved(), at=LAPSE)
    assert (lapsing.state.state, kinds(lapsing.effects)) == ("placed", {"cancel_at_psp"})
    assert after(lapsing.state, ClockMoved(), at=LAPSE + MINUTE).transition == ""
    proven = after(lapsing.state, news(order, "failed", category="expired"), at=LAPSE + MINUTE)
    assert (proven.state.state, said(proven)) == ("lapsed", ["payment.failed", "order.expired"])
    assert after(lapsing.state, news(order, "captured"), at=LAPSE + MINUTE).state.state == "confirmed"


def test_nothing_is_started_once_the_time_has_passed() -> None:
    assert refused(lifecycle.step(placed().state, StartAttempt(means="card", psp="s"), LAPSE)).field == "order.deadline"


def test_of_two_successes_the_later_goes_back() -> None:
    first = paying(placed().state)
    timed_out = after(first, news(first, "action_required")).state
    timed_out = after(timed_out, ClockMoved(), at=AT + 10 * MINUTE).state
    second = paying(timed_out, AT + HOUR)
    paid = after(second, news(second, "captured"), at=AT + HOUR).state
    both = after(paid, news(first, "captured"), at=AT + HOUR)
    assert said(both) == []
    assert [(refund.cause, refund.amount_minor) for refund in both.state.refunds] == [("surplus", 10470)]
    assert kept_minor(both.state) - owed_minor(both.state) == 10470


def test_the_capture_of_a_surplus_pays_nothing() -> None:
    first = paying(placed().state)
    timed_out = after(first, news(first, "action_required")).state
    timed_out = after(timed_out, ClockMoved(), at=AT + 10 * MINUTE).state
    second = paying(timed_out, AT + HOUR)
    both = after(second, news(second, "authorised"), news(first, "authorised"), at=AT + HOUR).state
    captured = after(both, news(first, "captured"), at=AT + HOUR)
    assert (captured.transition, said(captured)) == ("attempt_captured", [])
    assert captured.state.tenders[0].state == "secured"
    cancelled = after(both, Cancel(reason="no"), news(second, "captured"), at=AT + HOUR)
    assert said(cancelled) == []
    assert kept_minor(cancelled.state) == owed_minor(cancelled.state) == 2 * 10470


def test_another_amount_than_the_recaps_is_no_payment() -> None:
    order = paying(placed().state)
    wrong = after(order, news(order, "captured", amount_minor=10471))
    assert said(wrong) == ["payment.failed"]
    assert wrong.state.state == "placed"
    assert owed_minor(wrong.state) == 10471
    assert paying(wrong.state).live is not None


def test_an_expired_authorisation_is_to_be_paid_again_and_converts_once() -> None:
    order = paying(placed().state)
    secured = after(order, news(order, "authorised")).state
    lost = after(secured, news(order, "failed"), at=AT + 48 * HOUR)
    assert (lost.state.state, said(lost)) == ("placed", ["payment.failed"])
    assert data(lost)["category"] == "authorization_expired"
    again = paying(lost.state, AT + 49 * HOUR)
    assert "order.completed" not in said(after(again, news(again, "captured"), at=AT + 49 * HOUR))
    assert after(lost.state, news(order, "authorised"), at=AT + 49 * HOUR).transition == ""


def test_a_gift_card_is_held_and_redeemed_with_the_card() -> None:
    order = paying(placed(GIFT, REST).state)
    paid = after(order, news(order, "captured", amount_minor=7470))
    assert Effect("redeem_tender", "0") in paid.effects
    assert said(paid)[-1] == "order.paid"
    assert kept_minor(paid.state) == 10470


def test_a_held_gift_card_is_let_go_at_the_lapse() -> None:
    lapsed = after(placed(GIFT, REST).state, ClockMoved(), at=LAPSE)
    assert Effect("release_tender", "0") in lapsed.effects
    assert kept_minor(lapsed.state) == 0


def test_an_order_that_purses_pay_needs_no_provider() -> None:
    moved = placed(msgspec.structs.replace(GIFT, amount_minor=10470))
    assert said(moved) == ["order.placed", "order.completed", "order.paid"]


def test_an_offline_means_is_awaited_until_its_date() -> None:
    moved = placed(TRANSFER, days=7)
    assert (moved.state.state, said(moved)) == ("confirmed", ["order.placed", "order.completed"])
    assert after(moved.state, ClockMoved(), at=AT + timedelta(days=7) - MINUTE).transition == ""
    assert after(moved.state, ClockMoved(), at=AT + timedelta(days=7)).state.state == "lapsed"
    assert refused(lifecycle.step(moved.state, Ship(parcel_id="p", units={"1": 2}), AT)).field == "order.state"
    paid = after(moved.state, Prepare(), Received(amount_minor=10470, received_at=AT + HOUR), at=AT + HOUR)
    assert said(paid) == ["payment.succeeded", "order.paid"]
    assert after(paid.state, Received(amount_minor=10470, received_at=AT)).transition == ""


def test_an_offline_payment_that_comes_too_late_goes_back() -> None:
    lapsed = after(placed(TRANSFER, days=7).state, ClockMoved(), at=AT + timedelta(days=7)).state
    late = after(lapsed, Received(amount_minor=10470, received_at=AT), at=AT + timedelta(days=8))
    assert said(late) == []
    assert kept_minor(late.state) == owed_minor(late.state) == 10470
    assert refused(lifecycle.step(lapsed, Received(amount_minor=1, received_at=AT), AT)).rule == "A13"


def test_after_a_failure_another_means_pays_the_same_order() -> None:
    cheque = SwitchMeans(means=Means(id="cheque", kind="offline", pay_within_days=7))
    order = paying(placed(GIFT, REST).state)
    assert refused(lifecycle.step(order, cheque, AT)).field == "attempt"
    failed = after(order, news(order, "failed")).state
    wallet = after(failed, SwitchMeans(means=Means(id="apple", kind="wallet"))).state
    assert (wallet.state, wallet.tenders[1].means) == ("placed", "apple")
    assert refused(lifecycle.step(failed, SwitchMeans(means=Means(id="g", kind="gift_card")), AT)).rule == "A06"
    awaited = after(failed, cheque)
    assert said(awaited) == ["order.completed"]
    assert awaited.state.awaited_until == AT + timedelta(days=7)
    assert refused(lifecycle.step(awaited.state, cheque, AT)).field == "order.state"
    late = after(awaited.state, news(order, "captured", amount_minor=7470)).state
    assert [refund.cause for refund in late.refunds] == ["surplus"]
    lapsed = after(awaited.state, ClockMoved(), at=AT + timedelta(days=7)).state
    assert (lapsed.state, kept_minor(lapsed), owed_minor(lapsed)) == ("lapsed", 3000, 3000)


def test_a_cancelled_order_keeps_nothing() -> None:
    order = paying(placed(GIFT, REST).state)
    paid = after(order, news(order, "authorised", amount_minor=7470)).state
    cancelled = after(paid, Cancel(reason="changed my mind"))
    assert said(cancelled) == ["order.cancelled"]
    assert kinds(cancelled.effects) >= {"refund_at_psp", "restore_tender", "release_stock"}
    assert kept_minor(cancelled.state) == owed_minor(cancelled.state) == 10470
    released = after(cancelled.state, news(order, "failed"))  # the authorisation ends as we asked
    assert released.transition == ""


def test_an_order_survives_being_stored() -> None:
    order = paying(placed(GIFT, REST).state)
    order = after(order, news(order, "authorised", amount_minor=7470)).state
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order
