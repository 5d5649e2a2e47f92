"""What Stripe's objects say of an attempt or a refund: pure, with the parts of the objects that are read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from services.checkout.adapters.stripe_declines import category_of, may_retry
from services.checkout.domain.attempts import Attempt, Category, News
from services.checkout.domain.refunds import Refund, RefundNews

__all__ = [
    "ATTEMPT", "ORDER", "REFUND", "SHOP", "TRY", "WAITING", "Page", "Returned", "decline_of", "is_declined", "news_of",
    "news_of_refund", "page_of", "returned_of",
]  # fmt: skip

# names in Stripe's metadata
ATTEMPT: Final = "attempt"
ORDER: Final = "order"
SHOP: Final = "shop"
REFUND: Final = "refund"
TRY: Final = "try"

WAITING: Final = "requires_action"  # the code of an attempt whose shopper is asked by his bank
_PROCESSING: Final = frozenset({"processing"})
_WAITS_FOR_SHOPPER: Final = frozenset({"requires_action", "requires_source_action"})
_WANTS_ANOTHER: Final = frozenset({"requires_payment_method", "requires_source"})


class Problem(msgspec.Struct, frozen=True):
    """Why the last try failed."""

    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None


class Charge(msgspec.Struct, frozen=True):
    """One try to take the money. `created`: seconds since 1970."""

    id: str
    created: int
    status: str = ""


class Intent(msgspec.Struct, frozen=True):
    """The money of a page, from its first try on."""

    id: str
    status: str
    amount_received: int = 0
    amount_capturable: int = 0
    last_payment_error: Problem | None = None
    latest_charge: Charge | str | None = None


class Page(msgspec.Struct, frozen=True):
    """A Checkout Session: the page at Stripe. `url` only while it is open."""

    id: str
    status: Literal["open", "complete", "expired"]
    payment_status: str = "unpaid"
    url: str | None = None
    created: int = 0
    expires_at: int = 0
    amount_total: int | None = None
    client_reference_id: str | None = None
    metadata: dict[str, str] = {}
    payment_intent: Intent | str | None = None

    @property
    def intent(self) -> Intent | None:
        """The intent, where it was asked for with the page."""
        return self.payment_intent if isinstance(self.payment_intent, Intent) else None


class Returned(msgspec.Struct, frozen=True):
    """A refund at Stripe."""

    id: str
    status: str
    created: int
    amount: int = 0
    metadata: dict[str, str] = {}
    failure_reason: str | None = None


def page_of(values: Mapping[str, Any]) -> Page:
    """The page in an answer. Raises msgspec.ValidationError when the answer is none."""
    return msgspec.convert(values, Page)


def returned_of(values: Mapping[str, Any]) -> Returned:
    """The refund in an answer. Raises msgspec.ValidationError when the answer is none."""
    return msgspec.convert(values, Returned)


def is_declined(page: Page) -> bool:
    """Whether a try on this page has failed, or asks for authentication: then its tries are counted."""
    intent = page.intent
    if intent is None:
        return False
    return intent.status in _WAITS_FOR_SHOPPER or (
        intent.status in _WANTS_ANOTHER and intent.last_payment_error is not None
    )


def decline_of(page: Page) -> str:
    """The code of the last try on a page, when it failed; empty otherwise."""
    problem = page.intent.last_payment_error if page.intent else None
    return (problem.decline_code or problem.code or "card_declined") if problem else ""


def news_of(page: Page, attempt: Attempt, declined: int, now: datetime) -> News:
    """The state of an attempt. `declined`: the failed charges of its page, counted where `is_declined` holds."""
    if came := _money(page, attempt, now):
        return came
    intent = page.intent
    if intent is not None and intent.status in _PROCESSING:
        return News(attempt_id=attempt.id, status="sent", psp_at=now, psp_id=page.id, slow=True)
    if page.status != "open" or (intent is not None and intent.status == "canceled"):
        return _ended(page, attempt, now)
    if is_declined(page):
        return _undecided(page, attempt, declined, now)
    return News(attempt_id=attempt.id, status="sent", psp_at=_time(page.created, now), psp_id=page.id)


def news_of_refund(returned: Returned, refund: Refund, now: datetime) -> RefundNews:
    """The state of one try of a refund. Stripe does not say when one that was pending succeeded: it is when we see it,
    which is never too early for what the law counts from it. One of another amount is not this refund: the database was
    restored from a time before that one, and somebody has to look.
    """
    if returned.amount != refund.amount_minor:
        return RefundNews(
            refund_id=refund.id, status="failed", psp_at=now, attempted=refund.tries, reason="another_amount"
        )
    if returned.status == "succeeded":
        at = now if refund.state == "pending" else max(_time(returned.created, now), refund.requested_at)
        return RefundNews(refund_id=refund.id, status="succeeded", psp_at=at, attempted=refund.tries)
    status: Literal["failed", "pending"] = "failed" if returned.status in {"failed", "canceled"} else "pending"
    reason = (returned.failure_reason or returned.status) if status == "failed" else ""
    return RefundNews(refund_id=refund.id, status=status, psp_at=now, attempted=refund.tries, reason=reason)


def _money(page: Page, attempt: Attempt, now: datetime) -> News | None:
    """The money that has come, at the time of its charge; None when none has."""
    intent = page.intent
    status: Literal["captured", "authorised"] = "captured"
    amount_minor = page.amount_total or 0
    if intent is not None and intent.status == "requires_capture":
        status, amount_minor = "authorised", intent.amount_capturable
    elif intent is not None and intent.status == "succeeded":
        amount_minor = intent.amount_received
    elif page.payment_status != "paid":
        return None
    charge = intent.latest_charge if intent else None
    at = _time(charge.created, now) if isinstance(charge, Charge) else now
    at = max(at, attempt.created_at)  # Stripe tells whole seconds
    return News(attempt_id=attempt.id, status=status, psp_at=at, psp_id=page.id, amount_minor=amount_minor)


def _undecided(page: Page, attempt: Attempt, declined: int, now: datetime) -> News:
    """The page is open: the shopper authenticates, or may try again. A refused authentication leaves no charge, so a
    state that differs from the last one heard is another challenge too.
    """
    intent = page.intent
    waits = intent is not None and intent.status in _WAITS_FOR_SHOPPER
    code = WAITING if waits else decline_of(page)
    seen = attempt.challenges + (1 if code != attempt.psp_code or not attempt.challenges else 0)
    return News(
        attempt_id=attempt.id,
        status="action_required",
        psp_at=now,
        psp_id=page.id,
        psp_code=code,
        challenge=max(seen, declined + (1 if waits else 0), 1),
    )


def _ended(page: Page, attempt: Attempt, now: datetime) -> News:
    """No money can come from a page that is closed; why, its last try says, else the shopper never tried or was
    asked by his bank and did not answer.
    """
    asked = attempt.psp_code == WAITING
    code = decline_of(page) or ("" if asked else attempt.psp_code)
    problem = page.intent.last_payment_error if page.intent else None
    without: Category = "authentication_timeout" if asked else "abandoned_at_bank"
    return News(
        attempt_id=attempt.id,
        status="failed",
        psp_at=min(now, _time(page.expires_at, now)),
        psp_id=page.id,
        category=category_of(code) if code else without,
        psp_code=code or f"session_{page.status}",
        retryable=may_retry(code, (problem.advice_code or "") if problem else ""),
    )


def _time(seconds: int, now: datetime) -> datetime:
    return datetime.fromtimestamp(seconds, UTC) if seconds else now
