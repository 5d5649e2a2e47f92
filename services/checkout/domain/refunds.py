"""One refund of one tender: to the means that was paid with, to another only after that failed and with consent."""

from datetime import datetime
from typing import Literal

import msgspec

from services.checkout.domain.outcomes import Refusal

__all__ = ["Cause", "Redirect", "Refund", "RefundNews", "Retry", "State", "step"]

State = Literal["requested", "pending", "succeeded", "failed", "redirected"]
Cause = Literal["surplus", "lapsed", "cancelled", "withdrawal", "resolved", "unavailable", "goodwill"]


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """`attempt_id` is empty for a tender that no provider holds. `key`: whose request it was, so that a repeated one
    refunds nothing twice. `tries` counts the calls. `means`: where the money goes, when not back where it came from.
    `returns`: how often it had succeeded, and the money came back.
    """

    id: str
    tender: int
    amount_minor: int
    cause: Cause
    requested_at: datetime
    attempt_id: str = ""
    key: str = ""
    state: State = "requested"
    tries: int = 1
    means: str = ""
    agreed_at: datetime | None = None
    succeeded_at: datetime | None = None
    returns: int = 0


class RefundNews(msgspec.Struct, frozen=True, kw_only=True, tag="refund_news"):
    """What the provider says of one try of a refund. `psp_at`: when it happened there."""

    refund_id: str
    status: Literal["pending", "succeeded", "failed"]
    psp_at: datetime
    attempted: int = 1


class Redirect(msgspec.Struct, frozen=True, kw_only=True, tag="refund_redirect"):
    """The original means refused the money; the consumer chose another one. `agreed_at`: his express agreement."""

    refund_id: str
    means: str
    agreed_at: datetime | None = None


class Retry(msgspec.Struct, frozen=True, kw_only=True, tag="refund_retry"):
    """Another try on the same way."""

    refund_id: str


def step(refund: Refund, act: RefundNews | Redirect | Retry, at: datetime) -> Refund | Refusal:
    """The refund after an act; the same when it tells nothing new."""
    if isinstance(act, RefundNews):
        return _heard(refund, act)
    if refund.state == "succeeded":
        return Refusal("refund_id", "this refund has succeeded")
    if isinstance(act, Retry):
        if refund.state != "failed":
            return Refusal("refund_id", f"this refund is {refund.state}: only a failed one is tried again")
        state: State = "redirected" if refund.means else "requested"
        return msgspec.structs.replace(refund, state=state, tries=refund.tries + 1)
    if refund.state != "failed":
        return Refusal("refund_id", "the original means is tried first", "F11", "L221-24 al. 3")
    if act.agreed_at is None or act.agreed_at > at:
        return Refusal("agreed_at", "another means needs the consumer's express agreement", "F11", "L221-24 al. 3")
    return msgspec.structs.replace(
        refund, state="redirected", means=act.means, agreed_at=act.agreed_at, tries=refund.tries + 1
    )


def _heard(refund: Refund, news: RefundNews) -> Refund:
    """News of an earlier try change nothing. Money that comes back days later was not refunded: it is owed on."""
    if refund.state == "failed" or news.attempted != refund.tries:
        return refund
    if refund.state == "succeeded":
        if news.status != "failed":
            return refund
        return msgspec.structs.replace(refund, state="failed", succeeded_at=None, returns=refund.returns + 1)
    if news.status == "pending":
        return refund if refund.means else msgspec.structs.replace(refund, state="pending")
    if news.status == "failed":
        return msgspec.structs.replace(refund, state="failed")
    return msgspec.structs.replace(refund, state="succeeded", succeeded_at=news.psp_at)
