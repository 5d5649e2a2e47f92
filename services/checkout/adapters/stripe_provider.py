"""Payments through Stripe: a Checkout Session by redirect for each attempt, so that no card number comes near us."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
import msgspec
import stripe
from typing_extensions import override

from relance.observability import logs
from services.checkout.adapters.stripe_asking import refund_params, session_params
from services.checkout.adapters.stripe_connection import Connection
from services.checkout.adapters.stripe_reading import (
    ATTEMPT,
    REFUND,
    TRY,
    Page,
    Returned,
    decline_of,
    is_declined,
    news_of,
    news_of_refund,
    page_of,
    returned_of,
)
from services.checkout.adapters.stripe_webhooks import read_hint
from services.checkout.domain.attempts import Attempt, News
from services.checkout.domain.refunds import Refund, RefundNews
from services.checkout.ports import Ask, Hint, Opened, PaymentProvider

__all__ = ["StripeProvider"]

replace = msgspec.structs.replace

_LONGEST: Final = timedelta(hours=24)  # that a page is open
_BEFORE: Final = timedelta(minutes=1)  # clocks differ
_AFTER: Final = timedelta(minutes=15)  # within which a call is repeated whose answer was lost
_LISTED_MAX: Final = 5_000
_WHOLE: Final = ["payment_intent.latest_charge"]
# no answer, or one that does not say what was done
_UNSURE: Final = (
    stripe.APIConnectionError, stripe.RateLimitError, stripe.APIError, aiohttp.ClientError, TimeoutError, OSError,
    msgspec.ValidationError,
)  # fmt: skip


class StripeProvider(PaymentProvider):
    """`methods`: Stripe's payment method types for a means of the shop; a means that is not named is paid by card
    (with the wallets that Stripe offers beside it). `now`: the present, in UTC. `timeout_s`: of each call of this port.
    """

    def __init__(
        self,
        connection: Connection,
        webhook_secrets: Sequence[str],
        *,
        methods: Mapping[str, Sequence[str]] | None = None,
        timeout_s: float = 20.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not webhook_secrets or not all(secret.strip() for secret in webhook_secrets):
            raise ValueError("webhooks need a secret, and none may be empty")
        self._connection = connection
        self._secrets = tuple(webhook_secrets)
        self._methods = dict(methods or {})
        self._timeout_s = timeout_s
        self._now = now
        self._log = logs.logger("payments")
        logging.getLogger("stripe").setLevel(logging.WARNING)  # at debug it tells what is sent: addresses

    async def aclose(self) -> None:
        """End the connections."""
        await self._connection.aclose()

    @override
    async def open(self, ask: Ask) -> Opened | News:
        """See PaymentProvider. After `expires_at` nothing is created any more: the key may be forgotten."""
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._now() >= ask.expires_at:
                    return await self._afterwards(ask)
                try:
                    page = await self._create(ask)
                except stripe.IdempotencyError:
                    return await self._opened_before(ask)
                return self._opened(ask, page)
        except (stripe.InvalidRequestError, stripe.AuthenticationError, stripe.PermissionError) as error:
            return self._refused(ask, error)
        except _UNSURE as error:
            return self._unknown(ask.attempt_id, _reason(error))

    @override
    async def look(self, attempt: Attempt) -> News:
        """See PaymentProvider."""
        return await self._answer(attempt, self._look)

    @override
    async def close(self, attempt: Attempt) -> News:
        """See PaymentProvider. The intent of a page cannot be cancelled: the page is expired."""
        return await self._answer(attempt, self._close)

    @override
    async def refund(self, refund: Refund, attempt: Attempt) -> RefundNews:
        """See PaymentProvider. An authorisation that was not captured is let go."""
        return await self._answer_refund(refund, attempt, self._give_back)

    @override
    async def look_refund(self, refund: Refund, attempt: Attempt) -> RefundNews:
        """See PaymentProvider."""
        return await self._answer_refund(refund, attempt, self._look_refund)

    @override
    def hint(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Hint | None:
        """See PaymentProvider."""
        return read_hint(body, headers, self._secrets, now)

    async def _create(self, ask: Ask) -> Page:
        params: Any = session_params(ask, ask.methods or self._methods.get(ask.means, ("card",)))
        client = self._connection.client
        return _page(await client.v1.checkout.sessions.create_async(params, {"idempotency_key": ask.attempt_id}))

    def _opened(self, ask: Ask, page: Page) -> Opened | News:
        """A repeated call gets the answer of the first, whatever became of the page since."""
        if page.url is None:
            return self._unknown(ask.attempt_id, "no_url")
        news = News(
            attempt_id=ask.attempt_id, status="sent", psp_id=page.id, psp_at=datetime.fromtimestamp(page.created, UTC)
        )
        return Opened(page.id, page.url, news)

    async def _opened_before(self, ask: Ask) -> Opened | News:
        """A former release has opened this page in other words; the amount is what must be the same."""
        page = await self._listed(ask.attempt_id, ask.expires_at - _LONGEST, ask.expires_at)
        if page is None or page.status != "open" or page.amount_total != ask.amount_minor:
            return self._unknown(ask.attempt_id, "idempotency")
        return self._opened(ask, page)

    async def _afterwards(self, ask: Ask) -> News:
        """A page of this attempt has ended by itself, if there was one: money has come from it, or none can."""
        page = await self._page_of_money(ask.attempt_id)
        if page is None:
            return News(
                attempt_id=ask.attempt_id,
                status="failed",
                psp_at=ask.expires_at,
                category="abandoned_at_bank",
                psp_code="not_opened_in_time",
            )
        bare = Attempt(
            id=ask.attempt_id, tender=0, means="", psp="", amount_minor=ask.amount_minor, created_at=self._now()
        )
        return news_of(page, bare, 0, self._now())

    async def _look(self, attempt: Attempt) -> News:
        page = await self._find(attempt)
        if page is not None:
            return await self._news(page, attempt)
        return self._unknown(attempt.id, "not_found") if attempt.live else self._not_opened(attempt)

    async def _close(self, attempt: Attempt) -> News:
        page = await self._find(attempt)
        if page is None:
            return self._not_opened(attempt)
        if page.status != "open":
            return await self._news(page, attempt)
        declined = decline_of(page)  # an intent that is cancelled with its page may forget it
        params: Any = {"expand": _WHOLE}
        try:
            page = _page(await self._connection.client.v1.checkout.sessions.expire_async(page.id, params))
        except stripe.InvalidRequestError:  # it was paid, or expired, in the meantime
            page = await self._retrieve(page.id)
        if page.status == "open":
            return self._unknown(attempt.id, "not_expired")
        news = await self._news(page, replace(attempt, psp_code=declined or attempt.psp_code))
        if news.status != "failed":
            return news
        turned_back = attempt.live and news.psp_code == "session_expired"
        return replace(news, category="cancelled_by_user" if turned_back else news.category, psp_at=self._now())

    async def _news(self, page: Page, attempt: Attempt) -> News:
        declined = await self._count_declined(page) if is_declined(page) and page.status == "open" else 0
        return news_of(page, attempt, declined, self._now())

    async def _count_declined(self, page: Page) -> int:
        assert page.intent is not None
        charges = await self._connection.client.v1.charges.list_async({"payment_intent": page.intent.id, "limit": 100})
        return sum(charge.status == "failed" for charge in charges.data)

    async def _find(self, attempt: Attempt) -> Page | None:
        """The page of an attempt. Without its id (the answer was lost) it is looked for among those of the minutes in
        which it was asked for, and by its money: a page that is in neither place nobody has paid, nor can.
        """
        if attempt.psp_id:
            return await self._retrieve(attempt.psp_id)
        since, until = attempt.created_at - _BEFORE, attempt.created_at + _AFTER
        return await self._listed(attempt.id, since, until) or await self._page_of_money(attempt.id)

    async def _listed(self, attempt_id: str, since: datetime, until: datetime) -> Page | None:
        """The page among those that were opened between two times, the newest first and not without bound."""
        params: Any = {
            "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
            "limit": 100,
            "expand": ["data." + one for one in _WHOLE],
        }
        seen = 0
        listed = await self._connection.client.v1.checkout.sessions.list_async(params)
        async for session in listed.auto_paging_iter():
            if session.client_reference_id == attempt_id:
                return _page(session)
            seen += 1
            if seen >= _LISTED_MAX:
                break
        return None

    async def _page_of_money(self, attempt_id: str) -> Page | None:
        client = self._connection.client
        found = await client.v1.payment_intents.search_async({"query": f"metadata['{ATTEMPT}']:'{attempt_id}'"})
        for intent in found.data:
            params: Any = {"payment_intent": intent.id, "limit": 1, "expand": ["data." + one for one in _WHOLE]}
            pages = await client.v1.checkout.sessions.list_async(params)
            if pages.data:
                return _page(pages.data[0])
        return None

    async def _retrieve(self, psp_id: str) -> Page:
        params: Any = {"expand": _WHOLE}
        return _page(await self._connection.client.v1.checkout.sessions.retrieve_async(psp_id, params))

    async def _give_back(self, refund: Refund, attempt: Attempt) -> RefundNews:
        if refund.means:  # agreed to go another way, which is not ours
            return RefundNews(refund_id=refund.id, status="pending", psp_at=self._now(), attempted=refund.tries)
        page = await self._find(attempt)
        if page is None or (intent := page.intent) is None:
            return self._refund_failed(refund, "no_payment")
        if intent.status == "requires_capture":
            options: Any = {"idempotency_key": f"{refund.id}/{refund.tries}"}
            await self._connection.client.v1.payment_intents.cancel_async(intent.id, {}, options)
            return RefundNews(refund_id=refund.id, status="succeeded", psp_at=self._now(), attempted=refund.tries)
        # A key alone is not enough: it is forgotten after a day, and a database may be restored as it was before that.
        if known := await self._find_refund(refund, intent.id):
            return self._refund_news(known, refund)
        return await self._create_refund(refund, intent.id, page.metadata)

    async def _create_refund(self, refund: Refund, intent_id: str, named: Mapping[str, str]) -> RefundNews:
        options: Any = {"idempotency_key": f"{refund.id}/{refund.tries}"}
        params: Any = refund_params(refund, intent_id, named)
        try:
            made = await self._connection.client.v1.refunds.create_async(params, options)
        except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError) as error:
            known = await self._find_refund(refund, intent_id)
            if known is None and isinstance(error, stripe.IdempotencyError):
                raise  # the first request with this key is under way
            return self._refund_news(known, refund) if known else self._refund_failed(refund, _reason(error))
        return self._refund_news(returned_of(made.to_dict()), refund)

    async def _look_refund(self, refund: Refund, attempt: Attempt) -> RefundNews:
        page = await self._find(attempt)
        if page is not None and page.intent is not None and (known := await self._find_refund(refund, page.intent.id)):
            return self._refund_news(known, refund)
        if refund.state == "succeeded":  # an authorisation that was let go leaves no refund
            return RefundNews(refund_id=refund.id, status="succeeded", psp_at=self._now(), attempted=refund.tries)
        return await self._give_back(refund, attempt)

    async def _find_refund(self, refund: Refund, intent_id: str) -> Returned | None:
        listed = await self._connection.client.v1.refunds.list_async({"payment_intent": intent_id, "limit": 100})
        async for one in listed.auto_paging_iter():
            made = returned_of(one.to_dict())
            if made.metadata.get(REFUND) == refund.id and made.metadata.get(TRY) == str(refund.tries):
                return made
        return None

    async def _answer(self, attempt: Attempt, ask: Callable[[Attempt], Awaitable[News]]) -> News:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await ask(attempt)
        except (*_UNSURE, stripe.StripeError) as error:
            return self._unknown(attempt.id, _reason(error))

    async def _answer_refund(
        self, refund: Refund, attempt: Attempt, ask: Callable[[Refund, Attempt], Awaitable[RefundNews]]
    ) -> RefundNews:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await ask(refund, attempt)
        except (*_UNSURE, stripe.StripeError) as error:
            self._log.warning("refund_unknown", refund=refund.id, reason=_reason(error))
            return RefundNews(refund_id=refund.id, status="pending", psp_at=self._now(), attempted=refund.tries)

    def _refund_news(self, made: Returned, refund: Refund) -> RefundNews:
        if made.failure_reason:
            self._log.warning("refund_failed", refund=refund.id, reason=made.failure_reason)
        return news_of_refund(made, refund, self._now())

    def _refund_failed(self, refund: Refund, reason: str) -> RefundNews:
        self._log.warning("refund_refused", refund=refund.id, reason=reason)
        return RefundNews(
            refund_id=refund.id, status="failed", psp_at=self._now(), attempted=refund.tries, reason=reason
        )

    def _not_opened(self, attempt: Attempt) -> News:
        """A page whose address never reached us: nobody could go there to pay."""
        return News(
            attempt_id=attempt.id, status="failed", psp_at=self._now(), category="technical", psp_code="not_opened"
        )

    def _unknown(self, attempt_id: str, reason: str) -> News:
        self._log.warning("no_answer", attempt=attempt_id, reason=reason)
        return News(attempt_id=attempt_id, status="unknown", psp_at=self._now(), psp_code=reason)

    def _refused(self, ask: Ask, error: stripe.StripeError) -> News:
        """Stripe keeps no failed validation under the key, so nothing was opened and nothing will be."""
        reason = _reason(error)
        self._log.error("open_refused", attempt=ask.attempt_id, reason=reason, request=error.request_id)
        return News(
            attempt_id=ask.attempt_id, status="failed", psp_at=self._now(), category="technical", psp_code=reason
        )


def _page(session: stripe.StripeObject) -> Page:
    return page_of(session.to_dict())


def _reason(error: BaseException) -> str:
    """A word for logs and evidence: never the message, which may name what was sent."""
    return (error.code if isinstance(error, stripe.StripeError) else None) or type(error).__name__
