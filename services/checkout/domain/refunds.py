"""One refund of one tender: to the means that was paid with, to another only after that failed and with consent."""

from datetime import datetime
from typing import Literal

import msgspec

from services.checkout.domain.outcomes import Refusal

__all__ = ["Cause", "Redirect", "Refund", "RefundNews", "Retry", "Settle", "State", "step"]

replace = msgspec.structs.replace

State = Literal["requested", "pending", "succeeded", "failed", "redirected"]
Cause = Literal["surplus", "lapsed", "cancelled", "withdrawal", "resolved", "unavailable", "goodwill"]


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """`attempt_id` is empty for a tender that no provider holds. `key`: whose request it was, so that a repeated one
    refunds nothing twice; `asked`: the last request that moved it. `tries` counts the calls. `means`: where the money
    goes, when not back where it came from; `purse`: the gift card or voucher that gets it then. `reason`: the
    provider's word for why it failed. `returns`: how often it had succeeded, and the money came back.
    """

    id: str
    tender: int
    amount_minor: int
    cause: Cause
    requested_at: datetime
    attempt_id: str = ""
    key: str = ""
    asked: str = ""
    state: State = "requested"
    tries: int = 1
    means: str = ""
    purse: str = ""
    agreed_at: datetime | None = None
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    reason: str = ""
    returns: int = 0

    @property
    def by_hand(self) -> bool:
        """Whether somebody of the shop sends the money: agreed to go another way, and not onto a purse."""
        return bool(self.means) and not self.purse


class RefundNews(msgspec.Struct, frozen=True, kw_only=True, tag="refund_news"):
    """What the provider says of one try of a refund. `psp_at`: when it happened there."""

    refund_id: str
    status: Literal["pending", "succeeded", "failed"]
    psp_at: datetime
    attempted: int = 1
    reason: str = ""


class Redirect(msgspec.Struct, frozen=True, kw_only=True, tag="refund_redirect"):
    """The original means refused the money; the consumer chose another one. `agreed_at`: his express agreement;
    `purse`: the gift card or voucher that he chose.
    """

    refund_id: str
    means: str
    purse: str = ""
    agreed_at: datetime | None = None
    key: str = ""


class Retry(msgspec.Struct, frozen=True, kw_only=True, tag="refund_retry"):
    """Another try on the same way. `key`: the request's own, so that a repeated one does nothing; so for Redirect."""

    refund_id: str
    key: str = ""


class Settle(msgspec.Struct, frozen=True, kw_only=True, tag="refund_settled"):
    """Somebody of the shop has sent the money himself: by transfer, by cheque. `sent_at`: when."""

    refund_id: str
    sent_at: datetime


def step(refund: Refund, act: RefundNews | Redirect | Retry | Settle, at: datetime) -> Refund | Refusal:
    """The refund after an act; the same when it tells nothing new."""
    if isinstance(act, RefundNews):
        return _heard(refund, act, at)
    if isinstance(act, Settle):
        return _settled(refund, act, at)
    if act.key and act.key == refund.asked:
        return refund
    if refund.state == "succeeded":
        return Refusal("refund_id", "this refund has succeeded")
    if isinstance(act, Retry):
        if refund.state != "failed":
            return Refusal("refund_id", f"this refund is {refund.state}: only a failed one is tried again")
        state: State = "redirected" if refund.means else "requested"
        return replace(refund, state=state, tries=refund.tries + 1, failed_at=None, asked=act.key)
    if refund.state != "failed":
        return Refusal("refund_id", "the original means is tried first", "F11", "L221-24 al. 3")
    if act.agreed_at is None or act.agreed_at > at:
        return Refusal("agreed_at", "another means needs the consumer's express agreement", "F11", "L221-24 al. 3")
    if not act.means:
        return Refusal("means", "says where the money goes", "F11", "L221-24 al. 3")
    return replace(
        refund, state="redirected", means=act.means, purse=act.purse, agreed_at=act.agreed_at, tries=refund.tries + 1,
        failed_at=None, asked=act.key,
    )  # fmt: skip


def _heard(refund: Refund, news: RefundNews, at: datetime) -> Refund:
    """News of an earlier try change nothing. Money that comes back days later was not refunded: it is owed on."""
    if refund.state == "failed" or news.attempted != refund.tries:
        return refund
    if news.status == "failed":
        back = refund.returns + (refund.state == "succeeded")
        return replace(
            refund, state="failed", succeeded_at=None, failed_at=at, reason=news.reason or refund.reason, returns=back
        )
    if refund.state == "succeeded":
        return refund
    if news.status == "pending":
        return refund if refund.means else replace(refund, state="pending")
    return replace(refund, state="succeeded", succeeded_at=news.psp_at, reason="")


def _settled(refund: Refund, act: Settle, at: datetime) -> Refund | Refusal:
    if refund.state == "succeeded":
        return refund
    if refund.state not in {"requested", "redirected"} or (refund.attempt_id and not refund.by_hand) or refund.purse:
        return Refusal("refund_id", f"this refund is {refund.state}, and nobody sends it by hand")
    if not refund.requested_at <= act.sent_at <= at:
        return Refusal("sent_at", "after the refund was asked for, and not in the future")
    return replace(refund, state="succeeded", succeeded_at=act.sent_at)
