"""Said by the checkout or the payment provider: attempts and their outcome."""

from typing import Literal

from relance.events.envelope import Currency, Data, Envelope, Id, Instant, Minor, Text

__all__ = [
    "ActionData", "AttemptData", "FailureData", "InfoData", "PaymentActionRequired", "PaymentAttempted", "PaymentData",
    "PaymentFailed", "PaymentInfoEntered", "PaymentSucceeded", "RefundData", "RefundSucceeded",
]  # fmt: skip


class PaymentData(Data, frozen=True, kw_only=True):
    """What all say about a payment."""

    attempt_id: Id | None = None
    checkout_id: Id | None = None
    order_id: Id | None = None
    psp: Text | None = None
    payment_method: Text | None = None
    amount_minor: Minor | None = None


class InfoData(PaymentData, frozen=True, kw_only=True):
    """A means of payment was given in a checkout."""

    checkout_id: Id


class PaymentInfoEntered(Envelope, frozen=True, kw_only=True, tag="payment.info_entered"):
    """The shopper gave or chose a means of payment."""

    data: InfoData


class AttemptData(PaymentData, frozen=True, kw_only=True):
    """Money is asked for."""

    one_of = ("checkout_id", "order_id")

    attempt_id: Id
    amount_minor: Minor
    currency: Currency


class PaymentAttempted(Envelope, frozen=True, kw_only=True, tag="payment.attempted"):
    """The provider was asked."""

    data: AttemptData


class ActionData(PaymentData, frozen=True, kw_only=True):
    """The shopper must act (3-D Secure), or a soft decline is being retried."""

    attempt_id: Id
    expires_at: Instant | None = None


class PaymentActionRequired(Envelope, frozen=True, kw_only=True, tag="payment.action_required"):
    """The attempt waits for the shopper."""

    data: ActionData


class FailureData(PaymentData, frozen=True, kw_only=True):
    """Why it failed, finally, and whether another attempt makes sense."""

    one_of = ("checkout_id", "order_id")

    attempt_id: Id
    category: Literal[
        "authentication", "insufficient_funds", "issuer_declined", "technical", "fraud", "expired", "cancelled_by_user",
        "authentication_timeout", "authorization_expired", "abandoned_at_bank",
    ]  # fmt: skip
    retryable: bool
    psp_code: Text | None = None


class PaymentFailed(Envelope, frozen=True, kw_only=True, tag="payment.failed"):
    """The attempt failed."""

    data: FailureData


class SuccessData(PaymentData, frozen=True, kw_only=True):
    """What was paid for."""

    one_of = ("order_id", "checkout_id", "attempt_id")


class PaymentSucceeded(Envelope, frozen=True, kw_only=True, tag="payment.succeeded"):
    """The money is secured."""

    data: SuccessData


class RefundData(PaymentData, frozen=True, kw_only=True):
    """Money given back for an order."""

    order_id: Id
    refund_id: Id | None = None


class RefundSucceeded(Envelope, frozen=True, kw_only=True, tag="refund.succeeded"):
    """The provider confirmed a refund."""

    data: RefundData
