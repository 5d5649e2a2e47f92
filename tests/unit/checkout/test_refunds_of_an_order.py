from datetime import timedelta

from services.checkout.domain import lifecycle
from services.checkout.domain.orders import GiveBack, Order, kept_minor, left_minor
from services.checkout.domain.refunds import Redirect, RefundNews, Retry, Settle
from services.checkout.domain.tenders import Tender, allot
from tests.unit.checkout.story import AT, after, data, news, paying, placed, refused, said

GIFT = Tender(means="gift", kind="gift_card", amount_minor=3000, ref="g1", state="held")
REST = Tender(means="card", kind="card", amount_minor=7470)


def paid() -> Order:
    order = paying(placed(GIFT, REST).state)
    return after(order, news(order, "captured", amount_minor=7470)).state


def back(amount_minor: int, key: str = "k") -> GiveBack:
    return GiveBack(key=key, amount_minor=amount_minor, cause="goodwill")


def failed() -> Order:
    order = after(paid(), back(10470)).state
    return after(order, RefundNews(refund_id=order.refunds[1].id, status="failed", psp_at=AT)).state


def test_a_refund_goes_over_the_tenders_and_the_last_cent_to_the_card() -> None:
    # 1001 over 3000 and 7470: 286.8 and 714.2; what is left of the division goes to the larger remainder.
    assert [(one.tender, one.amount_minor) for one in after(paid(), back(1001)).state.refunds] == [(0, 287), (1, 714)]
    assert allot(1, (50, 50), ("gift_card", "card")) == (0, 1)
    assert allot(0, (50, 50), ("gift_card", "card")) == (0, 0)


def test_no_more_is_refunded_than_was_taken() -> None:
    order = after(paid(), back(10000)).state
    assert sum(left_minor(order)) == 470
    assert refused(lifecycle.step(order, back(471, "l"), AT)).field == "amount_minor"
    assert sum(left_minor(after(order, back(470, "l")).state)) == 0


def test_the_same_request_refunds_once() -> None:
    order = after(paid(), back(500)).state
    assert after(order, back(500)).transition == ""


def test_a_refund_succeeds_once() -> None:
    order = after(paid(), back(10470)).state
    told = RefundNews(refund_id=order.refunds[1].id, status="succeeded", psp_at=AT)
    once = after(order, RefundNews(refund_id=told.refund_id, status="pending", psp_at=AT), told)
    assert said(once) == ["refund.succeeded"]
    assert data(once)["amount_minor"] == 7470
    assert kept_minor(once.state) == 3000
    assert after(once.state, told).transition == ""


def test_another_means_only_after_the_first_failed_and_with_consent() -> None:
    order = after(paid(), back(10470)).state
    card = order.refunds[1].id
    early = refused(lifecycle.step(order, Redirect(refund_id=card, means="transfer", agreed_at=AT), AT))
    assert (early.rule, early.article) == ("F11", "L221-24 al. 3")
    assert refused(lifecycle.step(failed(), Redirect(refund_id=card, means="transfer"), AT)).field == "agreed_at"
    tomorrow = Redirect(refund_id=card, means="transfer", agreed_at=AT + timedelta(days=1))
    assert refused(lifecycle.step(failed(), tomorrow, AT)).field == "agreed_at"
    moved = after(failed(), Redirect(refund_id=card, means="transfer", agreed_at=AT))
    assert (moved.state.refunds[1].state, moved.effects[0].kind) == ("redirected", "restore_tender")
    done = RefundNews(refund_id=card, status="succeeded", psp_at=AT, attempted=2)
    assert said(after(moved.state, done)) == ["refund.succeeded"]


def test_news_of_an_earlier_try_change_nothing() -> None:
    order = failed()
    retried = after(order, Retry(refund_id=order.refunds[1].id)).state
    assert retried.refunds[1].tries == 2
    assert after(retried, RefundNews(refund_id=order.refunds[1].id, status="failed", psp_at=AT)).transition == ""


def test_only_what_failed_is_tried_again() -> None:
    order = after(paid(), back(10470)).state
    assert refused(lifecycle.step(order, Retry(refund_id=order.refunds[1].id), AT)).field == "refund_id"
    assert refused(lifecycle.step(order, Retry(refund_id="none"), AT)).field == "refund_id"


def redirected(**fields: object) -> Order:
    card = failed().refunds[1].id
    return after(failed(), Redirect(refund_id=card, means="transfer", agreed_at=AT, key="r", **fields)).state  # type: ignore[arg-type]


def test_an_agreement_in_terms_is_none_and_a_repeated_request_does_nothing() -> None:
    card = failed().refunds[1].id
    before = Redirect(refund_id=card, means="transfer", agreed_at=AT - timedelta(hours=1))
    told = refused(lifecycle.step(failed(), before, AT))
    assert (told.field, told.rule, told.article) == ("agreed_at", "F11", "L221-24 al. 3")
    again = after(redirected(), Redirect(refund_id=card, means="transfer", agreed_at=AT, key="r"))
    assert again.transition == ""
    retried = after(failed(), Retry(refund_id=card, key="k")).state
    assert after(retried, Retry(refund_id=card, key="k")).transition == ""
    assert refused(lifecycle.step(retried, Retry(refund_id=card, key="l"), AT)).field == "refund_id"


def test_money_that_goes_by_hand_has_gone_when_the_shop_says_so() -> None:
    order, later = redirected(), AT + timedelta(days=1)
    card, gift = order.refunds[1].id, order.refunds[0].id
    assert refused(lifecycle.step(order, Settle(refund_id=card, sent_at=later), AT)).field == "sent_at"
    assert refused(lifecycle.step(order, Settle(refund_id=gift, sent_at=AT), AT)).field == "refund_id"
    done = after(order, Settle(refund_id=card, sent_at=AT))
    assert said(done) == ["refund.succeeded"]
    assert done.state.refunds[1].succeeded_at == AT
    assert after(done.state, Settle(refund_id=card, sent_at=AT)).transition == ""
    assert refused(lifecycle.step(failed(), Settle(refund_id=card, sent_at=AT), AT)).field == "refund_id"
    onto_a_card = redirected(purse="g2")
    assert refused(lifecycle.step(onto_a_card, Settle(refund_id=card, sent_at=AT), AT)).field == "refund_id"


def test_a_refund_that_came_back_days_later_is_owed_again() -> None:
    order = after(paid(), back(10470)).state
    card = order.refunds[1].id
    gone = after(order, RefundNews(refund_id=card, status="succeeded", psp_at=AT)).state
    came = after(gone, RefundNews(refund_id=card, status="failed", psp_at=AT, reason="expired_or_canceled_card"))
    refund = came.state.refunds[1]
    assert (refund.state, refund.returns, refund.succeeded_at, refund.reason) == (
        "failed", 1, None, "expired_or_canceled_card",
    )  # fmt: skip
    assert [one.kind for one in came.effects] == ["alert_shop"]
