"""One attempt to pay: created before the provider is called, then whatever the provider's state says.

News may be late, doubled or in any order. What is known only grows: a success is never forgotten, a failure that only
our own clock declared can still turn out to be a success.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

__all__ = ["LIVE", "SECURED", "Attempt", "Category", "News", "Patience", "State", "hear", "run_out"]

State = Literal["created", "sent", "action_required", "authorised", "captured", "failed", "unknown"]
Category = Literal[
    "authentication", "insufficient_funds", "issuer_declined", "technical", "fraud", "expired", "cancelled_by_user",
    "authentication_timeout", "authorization_expired", "abandoned_at_bank",
]  # fmt: skip

LIVE: Final = frozenset({"created", "sent", "action_required", "unknown"})
SECURED: Final = frozenset({"authorised", "captured"})


class Patience(msgspec.Struct, frozen=True):
    """How long a page at the bank may stay open: one that asks for authentication, and any other."""

    action_minutes: int = 10
    page_minutes: int = 30


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`tender`: the place of what it pays among the order's tenders. `waits_until`: when an open page is given up.

    `closed`: the provider has proven that no money can come from it any more. `secured_at`: at the provider.

    `methods`: those that the provider's page offers. `patience_days`: how long its means may take once the shopper has
    done his part; `slow`: he has, and it takes.
    """

    id: str
    tender: int
    means: str
    psp: str
    amount_minor: int
    created_at: datetime
    state: State = "created"
    psp_id: str = ""
    challenges: int = 0
    waits_until: datetime | None = None
    category: Category | None = None
    psp_code: str = ""
    retryable: bool = False
    received_minor: int = 0
    secured_at: datetime | None = None
    closed: bool = False
    methods: tuple[str, ...] = ()
    patience_days: int = 0
    slow: bool = False

    @property
    def live(self) -> bool:
        """Whether it still may succeed as far as we have heard."""
        return self.state in LIVE

    @property
    def open_at_psp(self) -> bool:
        """Whether money may still come: it is live, or failed by our clock alone."""
        return self.live or (self.state == "failed" and not self.closed)


class News(msgspec.Struct, frozen=True, kw_only=True, tag="payment_news"):
    """The provider's state of an attempt as it was read; `unknown`: the call got no answer. `challenge` counts the
    demands for authentication, from 1: a soft decline that is being retried is another one. `slow`: the shopper has
    done his part, and the money comes days later, or does not.
    """

    attempt_id: str
    status: Literal["sent", "action_required", "authorised", "captured", "failed", "unknown"]
    psp_at: datetime
    psp_id: str = ""
    amount_minor: int = 0
    category: Category = "technical"
    psp_code: str = ""
    retryable: bool = True
    challenge: int = 1
    slow: bool = False


def hear(attempt: Attempt, news: News, at: datetime, patience: Patience) -> Attempt:
    """The attempt after news; the same when they tell nothing new."""
    if news.status == "sent" and news.slow and attempt.patience_days and attempt.live and not attempt.slow:
        until = attempt.created_at + timedelta(days=attempt.patience_days)
        return msgspec.structs.replace(
            attempt, state="sent", slow=True, psp_id=news.psp_id or attempt.psp_id, waits_until=until
        )
    if news.status == "sent" and attempt.state in {"created", "unknown"}:
        until = at + timedelta(minutes=patience.page_minutes)
        return msgspec.structs.replace(attempt, state="sent", psp_id=news.psp_id or attempt.psp_id, waits_until=until)
    if news.status == "sent" and attempt.closed and not attempt.psp_id and news.psp_id:
        # It was proven not to be opened, while the call that opens it was under way: money can come from its page.
        return msgspec.structs.replace(attempt, psp_id=news.psp_id, closed=False)
    if news.status == "unknown" and attempt.state == "created":  # of a page that is open it tells nothing
        return msgspec.structs.replace(attempt, state="unknown")
    if news.status == "action_required" and attempt.live and news.challenge > attempt.challenges:
        return msgspec.structs.replace(
            attempt,
            state="action_required",
            psp_id=news.psp_id or attempt.psp_id,
            psp_code=news.psp_code,
            challenges=news.challenge,
            waits_until=at + timedelta(minutes=patience.action_minutes),
        )
    if news.status == "failed":
        return _failed(attempt, news)
    if news.status in SECURED:
        return _secured(attempt, news)
    return attempt


def run_out(attempt: Attempt, at: datetime) -> Attempt:
    """The attempt as time passes: a page left open too long has failed for us; the provider may know better."""
    if attempt.state not in {"sent", "action_required"} or attempt.waits_until is None or at < attempt.waits_until:
        return attempt
    category: Category = "authentication_timeout" if attempt.state == "action_required" else "abandoned_at_bank"
    return msgspec.structs.replace(attempt, state="failed", category=category, retryable=True, waits_until=None)


def _failed(attempt: Attempt, news: News) -> Attempt:
    if attempt.state == "captured" or attempt.closed:
        return attempt
    if attempt.state == "failed":  # by our clock; what was said of it stays said
        return msgspec.structs.replace(attempt, closed=True)
    return msgspec.structs.replace(
        attempt,
        state="failed",
        category="authorization_expired" if attempt.state == "authorised" else news.category,
        psp_id=news.psp_id or attempt.psp_id,
        psp_code=news.psp_code,
        retryable=news.retryable,
        received_minor=0,
        waits_until=None,
        closed=True,
    )


def _secured(attempt: Attempt, news: News) -> Attempt:
    """A capture is always believed; an authorisation not once it was captured, or was proven to be gone."""
    if attempt.state == "captured":
        return attempt
    if news.status == "authorised" and (attempt.state == "authorised" or attempt.closed):
        return attempt
    return msgspec.structs.replace(
        attempt,
        state="captured" if news.status == "captured" else "authorised",
        psp_id=news.psp_id or attempt.psp_id,
        category=None,
        received_minor=news.amount_minor,
        secured_at=news.psp_at if attempt.state != "authorised" else attempt.secured_at,
        waits_until=None,
        closed=False,
    )
