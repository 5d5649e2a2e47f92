"""An order after the click: what is known of it, its payment, and what the shop does with it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID

import msgspec

from relance.evidence.entries import Act
from services.checkout.application import telling
from services.checkout.application.room import Room
from services.checkout.domain import lifecycle
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.attempts import Attempt, News
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.due import order_due, watched
from services.checkout.domain.follow_up import follows
from services.checkout.domain.orders import Act as OrderAct
from services.checkout.domain.orders import Cancel, CancelAttempt, Order, SwitchMeans, started
from services.checkout.domain.outcomes import Effect, Moved, Refusal
from services.checkout.domain.presenting import Kept, OrderView
from services.checkout.domain.recap import Recap
from services.checkout.domain.records import Record
from services.checkout.domain.refunds import RefundNews
from services.checkout.domain.restitution import paid_by_hand
from services.checkout.domain.shops import Shop
from services.checkout.domain.tenders import BY_PROVIDER, STORED, available
from services.checkout.ports import Ask, Opened
from services.checkout.store import ANY, Transaction, Wanted

__all__ = ["TOO_MANY", "Ordering", "Trial", "Watch"]

replace = msgspec.structs.replace

_UNTOLD: Final = frozenset({"type", "reason", "tracking_url", "purse", "key"})  # free words may name a person
TOO_MANY: Final = Refusal("payment.attempts", "too many payments were started from here: try again in an hour")
_UNOPENED: Final = frozenset({"created", "unknown"})  # at the provider, as far as we have heard
_PAID_IN_PART: Final = Refusal("order_id", "a part was paid back by hand: ReportUnavailable ends and pays the rest")
_NO_ORDER: Final = Refusal("order_id", "there is no such order")


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """An order whose money is under way: the provider is asked again and again. `looks`: how often it was."""

    id: str
    looks: int = 0


class Trial(NamedTuple):
    """An attempt with all that its provider is told."""

    order: Order
    attempt: Attempt
    kept: Kept
    checkout: Checkout
    record: Record


class Ordering(Room):
    """Acts on orders. An act that is repeated changes nothing."""

    async def order(self, shop: str, order_id: UUID) -> OrderView | Refusal:
        """The order as it is now."""
        return await self.look(lambda tx: self._view(tx, shop, str(order_id)))

    async def orders(
        self, shop: str, *, state: str | None = None, after: str = "", limit: int = 20
    ) -> list[OrderView]:  # fmt: skip
        """A shop's orders by id, from the one after `after`."""

        async def work(tx: Transaction) -> list[OrderView]:
            found = await tx.all(Order, shop, state=state, after=after, limit=limit)
            views = [await self._view(tx, shop, order_id) for order_id in found]
            return [view for view in views if not isinstance(view, Refusal)]

        return await self.look(work)

    async def act(self, shop: str, order_id: UUID, act: OrderAct, *, by_shop: bool = True) -> OrderView | Refusal:
        """One act of the order machine: ship, deliver, cancel, refund, receive and so on."""

        async def work(tx: Transaction) -> OrderView | Refusal:
            after = await tx.get(Aftercare, shop, str(order_id)) if isinstance(act, Cancel) else None
            if after is not None and paid_by_hand(after):
                return _PAID_IN_PART
            moved = await self.advance(tx, shop, str(order_id), act, by_shop=by_shop)
            return moved if isinstance(moved, Refusal) else await self._view(tx, shop, str(order_id))

        view = await self.again(work)
        self.nudge()
        return view

    async def start_payment(
        self, shop: str, order_id: UUID, means: str = "", network_address: str = ""
    ) -> str | OrderView | Refusal:
        """Pay what is due: where the shopper goes, or the order when nothing is to be paid at the provider.

        An attempt that is under way goes on where it is open; with another means it is ended first, and the provider
        has to prove that. An offline means secures the order at once.
        """

        async def work(tx: Transaction) -> OrderView | Refusal:
            refused = await self._start(tx, shop, str(order_id), means)
            return refused or await self._view(tx, shop, str(order_id))

        async with self.trying(network_address, order_id, self.terms.attempts_per_address) as counts:
            if counts is None:
                return TOO_MANY
            if (ready := await self._clear_the_way(shop, str(order_id), means)) is not None:
                return ready
            view = await self.again(work)
            self.nudge()
            if isinstance(view, Refusal) or view.order.live is None:
                return view
            counts()
        return await self.page_at_psp(shop, order_id) or await self.order(shop, order_id)

    async def leave_payment(self, shop: str, order_id: UUID, attempt_id: str = "") -> OrderView | Refusal:
        """The shopper turned back from the provider's page: its attempt is closed there. `attempt_id`: the one that the
        page was of; a newer one stays open.
        """
        view = await self.order(shop, order_id)
        if isinstance(view, Refusal) or view.order.live is None or attempt_id not in {"", view.order.live.id}:
            return view
        await self.close_attempt(shop, str(order_id), view.order.live.id)
        return await self.order(shop, order_id)

    async def look_now(self, shop: str, order_id: UUID) -> OrderView | Refusal:
        """The order after the provider was asked: for the page to which a shopper comes back from it."""
        view = await self.order(shop, order_id)
        if isinstance(view, Refusal) or view.order.live is None:
            return view
        await self.ask(shop, str(order_id), view.order.live.id)
        return await self.order(shop, order_id)

    # -- with the provider: outside of transactions -----------------------------------------------------------------

    async def page_at_psp(self, shop: str, order_id: UUID) -> str | None:
        """Where the shopper pays the attempt that is under way; opened when it is not yet."""
        found = await self.look(lambda tx: self._attempt(tx, shop, str(order_id), ""))
        if found is None:
            return None
        if found.attempt.id in found.kept.pay_urls:
            return found.kept.pay_urls[found.attempt.id]
        return await self.open_attempt(shop, str(order_id), found.attempt.id, found)

    async def open_attempt(
        self, shop: str, order_id: str, attempt_id: str, known: Trial | None = None
    ) -> str | None:  # fmt: skip
        """Open the provider's page of an attempt, once at a time: who comes second waits for the first. `known`: what
        was read of it just now.
        """
        running = self._opening.get(attempt_id)
        if running is None:
            running = asyncio.ensure_future(self._open(shop, order_id, attempt_id, known))
            self._opening[attempt_id] = running
            running.add_done_callback(lambda _: self._opening.pop(attempt_id, None))
        return await asyncio.shield(running)

    async def _open(self, shop: str, order_id: str, attempt_id: str, known: Trial | None) -> str | None:
        found = known or await self.look(lambda tx: self._attempt(tx, shop, order_id, attempt_id))
        if found is None:
            return None
        provider = self.providers.get(found.attempt.psp)
        if found.attempt.state not in _UNOPENED or provider is None:
            return found.kept.pay_urls.get(attempt_id)
        answer = await provider.open(self._ask_of(found))
        url = answer.url if isinstance(answer, Opened) else None
        news = answer.news if isinstance(answer, Opened) else answer

        async def work(tx: Transaction) -> str | None:
            orders, kepts = await tx.several(Wanted(Order, shop, (order_id,)), Wanted(Kept, shop, (order_id,)))
            moved = await self._advanced(tx, orders[order_id], news) if order_id in orders else _NO_ORDER
            if isinstance(moved, Refusal) or not any(one.live for one in moved.state.attempts if one.id == attempt_id):
                return None  # it was given up while it was opened: nobody is sent there
            if url is not None and (now := kepts.get(order_id)) is not None:
                urls = {**now.pay_urls, attempt_id: url}
                await tx.put(shop, order_id, replace(now, pay_urls=urls, version=now.version + 1), before=now.version)
            return url

        page = await self.again(work)
        self.nudge()
        return page

    async def is_unopened(self, shop: str, order_id: str, attempt_id: str) -> bool:
        """Whether an attempt is still to be opened at its provider."""
        order, attempt = await self._named(shop, order_id, attempt_id)
        return order is not None and order.state == "placed" and attempt is not None and attempt.state in _UNOPENED

    async def ask(self, shop: str, order_id: str, attempt_id: str) -> News | None:
        """Ask the provider for an attempt's state, and act on it."""
        _, attempt = await self._named(shop, order_id, attempt_id)
        provider = None if attempt is None else self.providers.get(attempt.psp)
        if attempt is None or provider is None:
            return None
        news = await provider.look(attempt)
        await self.hear(shop, order_id, news)
        return news

    async def close_attempt(self, shop: str, order_id: str, attempt_id: str) -> News | None:
        """Have the provider let go of an attempt, and act on what it proves."""
        _, attempt = await self._named(shop, order_id, attempt_id)
        if attempt is None or not attempt.open_at_psp:
            return None
        provider = self.providers.get(attempt.psp)
        if provider is not None:
            news = await provider.close(attempt)
        elif attempt.state == "created" and not attempt.psp_id:  # nobody was ever asked: no money can come
            news = News(attempt_id=attempt_id, status="failed", psp_at=self.clock())
        else:
            return None
        await self.hear(shop, order_id, news)
        return news

    async def hear(self, shop: str, order_id: str, news: News | RefundNews) -> None:
        """What the provider says becomes the order's."""

        async def work(tx: Transaction) -> None:
            await self.advance(tx, shop, order_id, news)

        await self.again(work)
        self.nudge()

    # -- within a transaction ---------------------------------------------------------------------------------------

    async def advance(
        self, tx: Transaction, shop: str, order_id: str, act: OrderAct, *, by_shop: bool = False
    ) -> Moved[Order] | Refusal:
        """The order after an act, stored with its events, effects and evidence. Not locked: of two acts at once the
        second is told when it is stored, and is repeated on what the first has made.
        """
        order = await tx.get(Order, shop, order_id)
        return _NO_ORDER if order is None else await self._advanced(tx, order, act, by_shop=by_shop)

    async def _advanced(
        self, tx: Transaction, order: Order, act: OrderAct, *, by_shop: bool = False
    ) -> Moved[Order] | Refusal:  # fmt: skip
        shop, at = order.context.shop, self.clock()
        moved = lifecycle.step(order, act, at)
        if isinstance(moved, Refusal) or not moved.transition:
            return moved
        opened = moved.transition == "attempt_sent"  # it is watched since it was written
        await self.put_order(tx, moved.state, order.version, watch=not opened)
        await tx.say(moved.events)
        await tx.do(shop, order.id, moved.effects)
        if follows(order, moved.state):
            await tx.do(shop, order.id, [Effect("look_after")])
        await tx.record(shop, order.checkout_id, [_evidence(moved, act, at, by_shop=by_shop)])
        return moved

    async def put_order(
        self, tx: Transaction, order: Order, before: int | None, *, watch: bool = True
    ) -> None:  # fmt: skip
        """Store an order, and have the provider asked while money is under way."""
        shop, order_id = order.context.shop, str(order.id)
        keys = {("refund", one.state) for one in order.refunds if one.state != "succeeded"} if order.refunds else None
        await tx.put(shop, order_id, order, before=before, state=order.state, due_at=order_due(order), keys=keys)
        if watch and watched(order, self.clock()):
            first = self.clock() + timedelta(seconds=self.terms.early_look_s)
            await tx.put(shop, order_id, Watch(id=order_id), before=ANY, due_at=first)

    async def _view(self, tx: Transaction, shop: str, order_id: str) -> OrderView | Refusal:
        orders, kepts = await tx.several(Wanted(Order, shop, (order_id,)), Wanted(Kept, shop, (order_id,)))
        order, kept = orders.get(order_id), kepts.get(order_id)
        if order is None or kept is None:
            return _NO_ORDER
        id_ = kept.checkout_id
        made, records, shops = await tx.several(
            Wanted(Checkout, shop, (id_,)), Wanted(Record, shop, (id_,)), Wanted(Shop, "*", (shop,), settled=True)
        )
        checkout, record, found = made.get(id_), records.get(id_), self.same_shop(shops.get(shop))
        if checkout is None or record is None or record.recap is None or isinstance(found, Refusal):
            return _NO_ORDER
        country = record.destination(found.zone, found.places).country
        due = order.due
        left = order.tenders[due].amount_minor if due is not None else 0
        fit = {one.id for one in available(found.all_means, left, country) if one.kind not in STORED}
        live = order.live
        recap: Recap = record.recap
        return OrderView(
            shop=found,
            order=order,
            record=record,
            recap=recap,
            language=found.language(record.locale),
            email=checkout.contact.contact.email if checkout.contact is not None else "",
            documents=kept.documents,
            alerts=kept.alerts,
            means=tuple(one for one in found.means if one.means.id in fit) if due is not None else (),
            pay_url=kept.pay_urls.get(live.id, "") if live is not None and not live.slow else "",
            evidence_head=(await tx.head(shop, order_id)).printed,
            at=self.clock(),
        )

    async def _named(self, shop: str, order_id: str, attempt_id: str) -> tuple[Order | None, Attempt | None]:
        """An order and one of its attempts."""
        order = await self.look(lambda tx: tx.get(Order, shop, order_id))
        attempts = () if order is None else order.attempts
        return order, next((one for one in attempts if one.id == attempt_id), None)

    async def _attempt(self, tx: Transaction, shop: str, order_id: str, attempt_id: str) -> Trial | None:
        """An attempt with all that its provider is told; the live one when none is named."""
        orders, kepts = await tx.several(Wanted(Order, shop, (order_id,)), Wanted(Kept, shop, (order_id,)))
        order, kept = orders.get(order_id), kepts.get(order_id)
        if order is None or kept is None:
            return None
        named = next((one for one in order.attempts if one.id == attempt_id), None) if attempt_id else order.live
        id_ = kept.checkout_id
        found, records = await tx.several(Wanted(Checkout, shop, (id_,)), Wanted(Record, shop, (id_,)))
        checkout, record = found.get(id_), records.get(id_)
        if named is None or checkout is None or record is None:
            return None
        return Trial(order, named, kept, checkout, record)

    async def _clear_the_way(self, shop: str, order_id: str, means: str) -> str | Refusal | None:
        """Nothing, once no attempt is under way; the page of the one that goes on."""
        found = await self.look(lambda tx: self._attempt(tx, shop, order_id, ""))
        if found is None:
            return None
        attempt, kept = found.attempt, found.kept
        if attempt.slow:
            return Refusal("attempt", "the payment is on its way, which takes days: nothing more is to be done")
        if not means or means == attempt.means:
            url = kept.pay_urls.get(attempt.id) or await self.open_attempt(shop, order_id, attempt.id)
            return url or Refusal("attempt", "the bank does not answer: try again in a moment, nothing is lost")
        await self.again(lambda tx: self.advance(tx, shop, order_id, CancelAttempt(attempt_id=attempt.id)))
        await self.close_attempt(shop, order_id, attempt.id)
        still = await self.look(lambda tx: self._attempt(tx, shop, order_id, ""))
        return None if still is None else Refusal("attempt", "the bank is still busy with it: try again in a moment")

    async def _start(self, tx: Transaction, shop: str, order_id: str, means: str) -> Refusal | None:
        order = await tx.get(Order, shop, order_id)
        found = await self.shop(tx, shop)
        if order is None or isinstance(found, Refusal):
            return _NO_ORDER
        due = order.due
        if order.state != "placed" or due is None:
            return Refusal("order.state", f"the order is {order.state}: there is nothing to pay")
        tender = order.tenders[due]
        named = means or tender.means
        record = await tx.get(Record, shop, order.checkout_id)
        country = "" if record is None else record.destination(found.zone, found.places).country
        fit = [one for one in found.all_means if one.id == tender.means]
        fit += available(found.all_means, tender.amount_minor, country)
        chosen = next((one for one in fit if one.id == named), None)
        if chosen is None:
            return Refusal("payment.chosen", f"{named} is not offered here", "A06", "L221-14 al. 3")
        if chosen.id != tender.means:
            moved = await self.advance(tx, shop, order_id, SwitchMeans(means=chosen))
            if isinstance(moved, Refusal):
                return moved
        if chosen.kind not in BY_PROVIDER:
            return None
        begun = await self.advance(tx, shop, order_id, started(chosen, found.psp))
        return begun if isinstance(begun, Refusal) else None

    def _ask_of(self, trial: Trial) -> Ask:
        order, attempt, checkout, record = trial.order, trial.attempt, trial.checkout, trial.record
        shop = order.context.shop
        minutes = max(31, order.terms.patience.page_minutes + 5)
        here = f"{self.terms.base_url}/o/{order.id}"
        return Ask(
            attempt_id=attempt.id,
            order_id=str(order.id),
            shop=shop,
            amount_minor=attempt.amount_minor,
            currency=order.currency,
            means=attempt.means,
            description=f"{shop} {str(order.id)[:8]}",
            email=checkout.contact.contact.email if checkout.contact is not None else "",
            return_url=f"{here}?back=paid",
            cancel_url=f"{here}?back=left&attempt={quote(attempt.id, safe='')}",
            expires_at=attempt.created_at + timedelta(minutes=minutes),
            locale=record.locale,
            methods=attempt.methods,
        )


def _evidence(moved: Moved[Order], act: OrderAct, at: datetime, *, by_shop: bool) -> Act:
    """What came about, and on whose word."""
    facts: dict[str, Any] = {"transition": moved.transition, "state": moved.state.state}
    if isinstance(act, News):
        facts |= {
            "attempt": act.attempt_id, "status": act.status, "amount_minor": act.amount_minor, "psp_id": act.psp_id,
            "psp_at": act.psp_at.isoformat(),
        }  # fmt: skip
        if act.status == "failed":
            facts |= {"category": act.category, "psp_code": act.psp_code}
        return telling.happened("payment", at, "payment", facts)
    if isinstance(act, RefundNews):
        facts |= {"refund": act.refund_id, "status": act.status, "psp_at": act.psp_at.isoformat()}
        return telling.happened("refund", at, "payment", facts)
    said = msgspec.to_builtins(act)
    told = said.keys() - _UNTOLD
    facts |= {name: said[name] for name in sorted(told) if isinstance(said[name], str | int | bool)}
    return telling.happened(str(said.get("type", "act")), at, "shop" if by_shop else "checkout", facts)
