"""What the checkout asks of the outside: a provider of payments, whose state decides and whose webhooks are hints."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple, Protocol, runtime_checkable

from services.checkout.domain.attempts import Attempt, News
from services.checkout.domain.refunds import Refund, RefundNews
from services.checkout.domain.tenders import Lender

__all__ = ["Ask", "Hint", "Instalments", "LendingProvider", "Opened", "PaymentProvider"]


class Ask(NamedTuple):
    """What an attempt asks of the provider: the amount of its tender, in cents, to the payee that the recap named.

    Every field is a function of the attempt as it was written, never of the present: a repeated call says the same.
    `expires_at`: when the provider's page closes; at least 31 minutes and at most 24 hours after the attempt was
    written, because providers take no other and keep idempotency keys no longer. `description`: what the shopper reads
    there beside the amount. `return_url`: after the payment; `cancel_url`: when the shopper turns back, upon which the
    attempt is to be closed. `locale`: a language such as fr or fr-FR. `methods`: what the page offers, in the
    provider's words; the provider's own choice for the means when empty.
    """

    attempt_id: str
    order_id: str
    shop: str
    amount_minor: int
    currency: str
    means: str
    description: str
    email: str
    return_url: str
    cancel_url: str
    expires_at: datetime
    locale: str
    methods: tuple[str, ...] = ()


class Opened(NamedTuple):
    """The provider's page is open: `url` is where the shopper goes, `psp_id` what the provider calls the attempt."""

    psp_id: str
    url: str
    news: News


class Hint(NamedTuple):
    """Something happened to an attempt, or to a refund when `refund_id` is there; what, the provider is asked.

    The ids are those given to the provider with the attempt; a field is empty when the message does not name it.
    """

    event_id: str
    psp_id: str
    attempt_id: str
    order_id: str
    shop: str
    refund_id: str = ""


class PaymentProvider(Protocol):
    """One provider of payments. No method raises for what the provider or the network does; News say it.

    Each call ends within the seconds that the adapter was given. A page on which the shopper can still try again is
    never `failed`: a decline there is `action_required` (with another challenge), because money may still come.
    `failed` is final: the provider has proven that no money can come from this attempt.
    """

    async def open(self, ask: Ask) -> Opened | News:
        """Open the provider's page, idempotent by `attempt_id`. News: `unknown` when no answer came (call again),
        `failed` when the provider refused; the state of the attempt when its page cannot be opened any more.
        """
        ...

    async def look(self, attempt: Attempt) -> News:
        """The provider's state of the attempt; `unknown` when it did not answer or knows no such attempt."""
        ...

    async def close(self, attempt: Attempt) -> News:
        """Let go of the attempt. `failed` is the proof; `captured` or `authorised`: the money came first; `unknown` or
        `sent` (a slow means, not to be stopped): no proof yet, call again.
        """
        ...

    async def refund(self, refund: Refund, attempt: Attempt) -> RefundNews:
        """Give `refund.amount_minor` cents back, idempotent by refund and try. `pending` also when no answer came."""
        ...

    async def look_refund(self, refund: Refund, attempt: Attempt) -> RefundNews:
        """The provider's state of this try; a try that never reached the provider is asked for again."""
        ...

    def hint(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Hint | None:
        """What a webhook is about; None when it is not the provider's, or too old or from the future at `now`.

        `headers`: names in any case. The raw body as it came.
        """
        ...


class Instalments(NamedTuple):
    """What a lender offers for an amount, to be announced word for word with the means. `due`: each instalment, in
    cents, with the day on which it is paid; `cost_minor`: of the credit in all; `yearly_rate_percent`: a decimal text.
    """

    due: tuple[tuple[date, int], ...]
    cost_minor: int
    yearly_rate_percent: str
    information: Mapping[str, str]


@runtime_checkable
class LendingProvider(PaymentProvider, Protocol):
    """A third party that pays the shop and is paid back in instalments: regulated credit whatever its amount from
    20/11/2026 (L312-4 4 and 5, rule F12). Off: nothing here answers this port, and no shop can switch the means on.

    `open` leads to the lender's own flow, where the consumer is informed, asked about his means, and signs; nothing of
    that is shown, asked or kept here. `authorised` is the lender's agreement, `captured` its payment.
    """

    def lender(self, means: str) -> Lender:
        """Who lends, under what licence, in whose pages: what a shop must show before the means can be switched on."""
        ...

    async def offer(self, means: str, amount_minor: int, currency: str) -> Instalments | None:
        """What is offered for an amount; None when nothing is, or the lender does not answer."""
        ...

    async def end_credit(self, attempt: Attempt, amount_minor: int, at: datetime) -> News:
        """The consumer withdrew from the sale (wholly when `amount_minor` is the attempt's): the credit linked to it
        ends at no cost to him (L221-27, rule B18). Idempotent.
        """
        ...
