"""Money on its way back: what the provider makes of it, and what a shop does about a refund that failed."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from services.checkout.application.ordering import Ordering
from services.checkout.application.tunnel import subject_of
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.disclosures import rule_ref
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.refunds import Redirect, RefundNews, State
from services.checkout.domain.shops import Shop
from services.checkout.domain.tenders import BY_PROVIDER, STORED, Purse
from services.checkout.store import Transaction

__all__ = ["BY_HAND", "Agreement", "Refunding"]

BY_HAND: Final = frozenset({"bank_transfer", "cheque"})  # ways back that any shop has


class Agreement(NamedTuple):
    """The consumer's express agreement to get his money back another way: his own words, and where he said them."""

    at: datetime
    statement: str
    medium: str


class Refunding(Ordering):
    """Refunds of orders."""

    async def refund(self, shop: str, order_id: str, refund_id: str, *, first: bool) -> RefundNews | None:
        """Have the provider give money back, or say how far that is."""
        order = await self.look(lambda tx: tx.get(Order, shop, order_id))
        refund = None if order is None else next((one for one in order.refunds if one.id == refund_id), None)
        if order is None or refund is None or refund.means:
            return None
        if refund.state == "failed" or (first and refund.state == "succeeded"):
            return None
        attempt = next((one for one in order.attempts if one.id == refund.attempt_id), None)
        provider = None if attempt is None else self.providers.get(attempt.psp)
        if attempt is None or provider is None:
            return None
        news = await (provider.refund if first else provider.look_refund)(refund, attempt)
        await self.hear(shop, order_id, news)
        return news

    async def with_refunds(self, shop: str, state: State, *, after: str = "", limit: int = 20) -> list[Order]:
        """A shop's orders that have a refund in a state (not `succeeded`: those are not looked for), by id."""
        found = await self.look(lambda tx: tx.find(Order, "refund", state, shop))
        return [order for _, order in found if str(order.id) > after][:limit]

    async def redirect_refund(
        self, shop: str, order_id: UUID, act: Redirect, agreement: Agreement
    ) -> OrderView | Refusal:  # fmt: skip
        """Send a failed refund another way; the consumer's agreement is kept as evidence, in his own words."""

        async def work(tx: Transaction) -> OrderView | Refusal:
            if refused := await self.no_way(tx, shop, act):
                return refused
            moved = await self.advance(tx, shop, str(order_id), act, by_shop=True)
            if isinstance(moved, Refusal):
                return moved
            if moved.transition:
                await self._agreed(tx, moved.state, act, agreement)
            return await self._view(tx, shop, str(order_id))

        view = await self.again(work)
        self.nudge()
        return view

    async def no_way(self, tx: Transaction, shop: str, act: Redirect) -> Refusal | None:
        """Why money cannot go back this way."""
        found = await self.shop(tx, shop)
        if isinstance(found, Refusal):
            return found
        kind = _kind(found, act.means)
        if kind is None:
            return Refusal("means", f"one of the shop's means, or {', '.join(sorted(BY_HAND))}")
        if kind in BY_PROVIDER:
            return Refusal("means", "the provider gives money back only to what paid", "F11", "L221-24 al. 3")
        if kind not in STORED:
            return Refusal("purse", f"money does not go onto a card by {act.means}") if act.purse else None
        purse = await tx.get(Purse, shop, act.purse) if act.purse else None
        if purse is None or purse.means != act.means:
            return Refusal("purse", "says which card or voucher of the consumer gets the money")
        return None

    async def _agreed(self, tx: Transaction, order: Order, act: Redirect, agreement: Agreement) -> None:
        shop, order_id = order.context.shop, str(order.id)
        checkout = await tx.get(Checkout, shop, order.checkout_id)
        if checkout is None:
            return
        kept = await tx.keep(
            shop, agreement.statement.encode(), "text/plain; charset=utf-8", subject=subject_of(checkout),
            order=order_id,
        )  # fmt: skip
        at = self.clock()
        book, day = self.law(at)
        rules = tuple(rule_ref(rule) for id_ in ("F11", "B14") if (rule := book.on(day).get(id_)) is not None)
        facts = {
            "refund": act.refund_id, "means": act.means, "agreed_at": agreement.at.isoformat(),
            "medium": agreement.medium,
        }  # fmt: skip
        said = Act(at_ms=to_ms(at), act="accepted", what="refund_means", by="shop", rules=rules, document=kept,
                   facts=facts)  # fmt: skip
        await tx.record(shop, order.checkout_id, [said])


def _kind(shop: Shop, means: str) -> str | None:
    if means in BY_HAND:
        return "by_hand"
    return next((one.kind for one in shop.all_means if one.id == means), None)
