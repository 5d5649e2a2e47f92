"""Refunds that fail, at once and later: seen over gRPC, tried again, sent another way with the consumer's consent."""

import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import grpc

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.service_kit import Backend, Service, ordered

BOOK = {"LIVRE-LUMIERE": 1}
CODE = grpc.StatusCode
FAILS, FAILS_LATE = "4000009900000079", "4000000000005126"


def test_a_refund_that_failed_is_retried_then_goes_by_transfer_with_consent(
    demo: Backend, other: Backend, service: Service
) -> None:
    order_id = paid(demo, service, FAILS)
    refund_id = given_back(demo, order_id)
    refund = until(demo, order_id, "failed")
    assert (refund.reason, refund.tries, refund.paid_by) == ("expired_or_canceled_card", 1, "card")
    assert refund_id in {one.id for one in demo.ListRefunds(pb.ListRefundsRequest()).refunds}
    assert not other.ListRefunds(pb.ListRefundsRequest()).refunds
    asked = redirect(order_id, refund_id)
    assert other.refused("RedirectRefund", asked).code == CODE.NOT_FOUND
    assert other.refused("RetryRefund", retry(order_id, refund_id)).code == CODE.NOT_FOUND

    again = retry(order_id, refund_id)
    answered = demo.RetryRefund(again).order
    assert answered == demo.RetryRefund(again).order, "the answer of the first time"
    early = demo.refused("RedirectRefund", asked)
    assert (early.field, early.rule, early.article) == ("refund_id", "F11", "L221-24 al. 3")
    until(demo, order_id, "pending")
    assert until(demo, order_id, "failed", tries=2).tries == 2

    unasked = redirect(order_id, refund_id, agreement=None)
    told = demo.refused("RedirectRefund", unasked)
    assert (told.code, told.field, told.rule, told.article) == (
        CODE.FAILED_PRECONDITION, "agreement.at", "F11", "L221-24 al. 3",
    )  # fmt: skip
    sent = redirect(order_id, refund_id)
    done = demo.RedirectRefund(sent).order
    assert (done.refunds[0].state, done.refunds[0].means, done.refunds[0].by_hand) == (
        "redirected", "bank_transfer", True,
    )  # fmt: skip
    other_body = redirect(order_id, refund_id, key=sent.idempotency_key, means="cheque")
    assert demo.refused("RedirectRefund", other_body).code == CODE.ALREADY_EXISTS
    settled = pb.SettleRefundRequest(
        idempotency_key=str(uuid4()), order_id=order_id, refund_id=refund_id, sent_at=datetime.now(UTC).isoformat()
    )
    assert demo.SettleRefund(settled).order.refunds[0].state == "succeeded"
    assert refund_id not in {one.id for one in demo.ListRefunds(pb.ListRefundsRequest()).refunds}
    kept = evidence(service, order_id)
    assert "accepted: refund_means" in kept
    assert "rule F11" in kept
    assert "rule B14" in kept


def test_a_refund_that_had_succeeded_comes_back_days_later(demo: Backend, service: Service) -> None:
    order_id = paid(demo, service, FAILS_LATE)
    refund_id = given_back(demo, order_id)
    until(demo, order_id, "succeeded")
    failed = until(demo, order_id, "failed")
    assert not failed.succeeded_at
    said = service.relance("checkout", "refunds", "list", token=demo.token)
    assert refund_id in said
    assert "expired_or_canceled_card" in said


def test_the_command_line_retries_and_redirects(
    demo: Backend, service: Service, tmp_path: Path
) -> None:  # fmt: skip
    order_id = paid(demo, service, FAILS)
    refund_id = given_back(demo, order_id)
    until(demo, order_id, "failed")
    said = service.relance("checkout", "refunds", "retry", order_id, refund_id, token=demo.token)
    assert "is requested" in said or "is pending" in said
    until(demo, order_id, "pending")
    until(demo, order_id, "failed", tries=2)
    words = tmp_path / "agreement.txt"
    words.write_text("Oui, par virement.", encoding="utf-8")
    wish = (
        "checkout", "refunds", "redirect", order_id, refund_id, "--means", "card", "--statement", str(words),
        "--medium", "email", "--agreed-at", datetime.now(UTC).isoformat(),
    )  # fmt: skip
    assert "L221-24 al. 3" in service.relance(*wish, token=demo.token, code=2)
    told = service.relance(*(one if one != "card" else "cheque" for one in wish), token=demo.token)
    assert "is redirected to cheque" in told
    assert "succeeded" in service.relance("checkout", "refunds", "settle", order_id, refund_id, token=demo.token)


def paid(backend: Backend, service: Service, number: str) -> str:
    """An order that this card has paid."""
    placed = ordered(backend, BOOK, "card")
    service.bank.pay(placed.payment_url, number)
    end_s = time.monotonic() + 30
    while not backend.GetOrder(pb.GetOrderRequest(order_id=placed.order_id)).order.paid_at:
        assert time.monotonic() < end_s, "not paid"
        time.sleep(0.1)
    return str(placed.order_id)


def given_back(backend: Backend, order_id: str) -> str:
    asked = pb.RefundOrderRequest(idempotency_key=str(uuid4()), order_id=order_id, amount_minor=500)
    return str(backend.RefundOrder(asked).order.refunds[0].id)


def until(backend: Backend, order_id: str, state: str, *, tries: int = 1) -> pb.Refund:
    """The refund once it is in a state; the reconciler looks within seconds."""
    end_s = time.monotonic() + 60
    while True:
        found: pb.Refund = backend.ListRefunds(pb.ListRefundsRequest(order_id=order_id)).refunds[0]
        if found.state == state and found.tries >= tries:
            return found
        assert time.monotonic() < end_s, found
        time.sleep(0.1)


def retry(order_id: str, refund_id: str) -> pb.RetryRefundRequest:
    return pb.RetryRefundRequest(idempotency_key=str(uuid4()), order_id=order_id, refund_id=refund_id)


WORDS = "Acceptez-vous un remboursement par virement ? - Oui."


def redirect(
    order_id: str, refund_id: str, agreement: str | None = WORDS, key: str = "", means: str = "bank_transfer"
) -> pb.RedirectRefundRequest:
    said = pb.Agreement(at=datetime.now(UTC).isoformat(), statement=agreement, medium="email") if agreement else None
    return pb.RedirectRefundRequest(
        idempotency_key=key or str(uuid4()), order_id=order_id, refund_id=refund_id, means=means, agreement=said
    )


def evidence(service: Service, order_id: str) -> str:
    database = f"sqlite:///{service.home.parent}/checkout.db"
    return service.relance("evidence", "show", order_id, "--database", database)
