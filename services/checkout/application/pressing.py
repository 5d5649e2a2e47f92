"""The click on the order button: one transaction of all that it touches, then the provider's page."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID

import msgspec

from services.checkout.application import telling
from services.checkout.application.ordering import TOO_MANY, Ordering, Trial
from services.checkout.application.tunnel import Loaded, Tunnel, ended
from services.checkout.domain import checkouts, lifecycle
from services.checkout.domain.checkouts import ENDED, Press
from services.checkout.domain.coupons import OwnUses, Uses, own_uses
from services.checkout.domain.delivery import offered
from services.checkout.domain.disclosures import shown_legal
from services.checkout.domain.orders import Order, started
from services.checkout.domain.outcomes import Moved, Refusal, then
from services.checkout.domain.placing import Again, Placed, Shelf, buyer, order_now
from services.checkout.domain.presenting import Kept, Pressed, View
from services.checkout.domain.pricing import Basis
from services.checkout.domain.records import CartIndex, PressActs, Record
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import BY_PROVIDER, Purse
from services.checkout.domain.viewing import Seen, blocked, see
from services.checkout.store import Transaction, Wanted

__all__ = ["Pressing", "Vouched"]

replace = msgspec.structs.replace

# What somebody else says was pressed, looked at and put on record in the transaction of the order.
Vouched: TypeAlias = Callable[[Transaction, Loaded], Awaitable[Press | Refusal]]


class Pressing(Ordering, Tunnel):
    """The order."""

    async def press(
        self, shop: str, checkout_id: UUID, press: Press | Vouched, acts: PressActs
    ) -> Pressed | Refusal:  # fmt: skip
        """Conclude the order that the recap of `press.recap_hash` showed, and begin to pay it.

        A refusal of field `recap.hash` says that something has changed: show the recap anew. The same button pressed
        again leads to the order that it made.
        """

        async def work(tx: Transaction) -> tuple[UUID, Trial | None] | Again | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            pressed = press if isinstance(press, Press) else await press(tx, loaded)
            return pressed if isinstance(pressed, Refusal) else await self._press(tx, loaded, pressed, acts)

        most = self.terms.attempts_per_address
        async with self.trying(acts.network_address, checkout_id, most) as counts:
            if counts is None:  # cards are being tested
                return TOO_MANY
            placed = await self.again(work)
            if not isinstance(placed, Refusal | Again):
                counts()
        if isinstance(placed, Refusal):
            return placed
        if isinstance(placed, Again):
            return Pressed(placed.order_id, await self.page_at_psp(shop, placed.order_id), again=True)
        order_id, trial = placed
        if trial is None:
            self.nudge()
            return Pressed(order_id, None, again=False)
        page = await self.open_attempt(shop, str(order_id), trial.attempt.id, trial)  # whoever opens it nudges
        return Pressed(order_id, page, again=False)

    async def _press(
        self, tx: Transaction, loaded: Loaded, press: Press, acts: PressActs
    ) -> tuple[UUID, Trial | None] | Again | Refusal:  # fmt: skip
        checkout = loaded.checkout
        if checkout.state == "ordered" and checkout.recap_hash == press.recap_hash:
            return Again(checkouts.order_id(checkout.id, press.recap_hash))
        purses = checkout.means.purses if checkout.means is not None else ()
        basis = await self.basis(tx, loaded.shop, loaded.record, purses, lock=False)
        record = _with_acts(loaded, acts)
        seen = see(checkout, record, basis, loaded.at, self.law(loaded.at), acts)
        if refused := _refused(seen.view, press):
            return refused
        if refused := self._no_provider(seen.view):
            return refused
        await self.terms_as_shown(loaded.shop, record.locale, loaded.at)  # the first of a day takes its time
        await tx.chain_of(loaded.shop.id, loaded.record.id)  # both before anything is locked
        (index,) = await tx.several(Wanted(CartIndex, loaded.shop.id, (checkout.context.cart_id,)))
        placed = await self._order(tx, loaded, seen, basis, press)
        if isinstance(placed, Refusal | Again):
            return placed
        order = self._begin_to_pay(loaded, placed.order)
        record = replace(record, law_lines=seen.document.lines)
        for cart in index.values():
            became = replace(cart, order_id=str(order.state.id), version=cart.version + 1)
            await tx.put(loaded.shop.id, cart.id, became, before=cart.version)
        kept = await self._store(tx, loaded, replace(seen.view, record=record), placed, order, acts)
        live = order.state.live
        trial = None if live is None else Trial(order.state, live, kept, placed.checkout.state, record)
        return order.state.id, trial

    async def _order(
        self, tx: Transaction, loaded: Loaded, seen: Seen, basis: Basis, press: Press
    ) -> Placed | Again | Refusal:  # fmt: skip
        recap = seen.view.recap
        if recap is None:
            reason = "something has changed since: look at the recap again"
            return Refusal("recap.hash", reason, "A07", "Code civil, 1127-2 al. 1")
        shop, person, granted = loaded.shop.id, buyer(loaded.checkout), seen.priced.granted
        counted = [one.code for one in granted if one.uses_max is not None]
        own = [own_uses(one.code, person) for one in granted if one.uses_max is not None or one.uses_per_person]
        # What shoppers race for is locked last, and read anew: who waits for it waits for no more than is stored here.
        shelf = Shelf(
            levels=await tx.many(Level, shop, list(basis.levels), lock=True),
            uses=await tx.many(Uses, shop, counted, lock=True),
            own=await tx.many(OwnUses, shop, own, lock=True),
            purses=await tx.many(Purse, shop, list(basis.purses), lock=True),
        )
        by_id = {one.means.id: one.means for one in loaded.shop.means}
        awaited = [by_id[one.means].pay_within_days for one in recap.tenders if one.state == "awaited"]
        return order_now(
            loaded.checkout, press, recap, seen.priced.granted, shelf,
            terms=loaded.shop.terms, law=self.law(loaded.at), pay_within_days=max(awaited, default=0), at=loaded.at,
        )  # fmt: skip

    def _no_provider(self, view: View) -> Refusal | None:
        """Nobody orders what he cannot pay."""
        if view.shop.psp in self.providers or all(one.state != "due" for one in view.tenders):
            return None
        return Refusal("payment.chosen", "this means is not available at the moment: choose another one")

    def _begin_to_pay(self, loaded: Loaded, placed: Moved[Order]) -> Moved[Order]:
        """The first attempt is part of the click, so that no process that dies in between forgets it."""
        due = placed.state.due
        if due is None or placed.state.tenders[due].kind not in BY_PROVIDER:
            return placed
        means = next(one for one in loaded.shop.all_means if one.id == placed.state.tenders[due].means)
        begun = lifecycle.step(placed.state, started(means, loaded.shop.psp), loaded.at)
        return placed if isinstance(begun, Refusal) else then(placed, begun)

    async def _store(
        self, tx: Transaction, loaded: Loaded, view: View, placed: Placed, order: Moved[Order], acts: PressActs
    ) -> Kept:
        shop, checkout_id, order_id = loaded.shop.id, loaded.record.id, str(order.state.id)
        await tx.put(shop, checkout_id, placed.checkout.state, before=loaded.checkout.version, state="ordered")
        modes = offered(view.quotes)
        record = replace(
            view.record, order_id=order_id, offered=modes, version=loaded.record.version + 1,
            return_cost_borne_by=loaded.shop.legal.return_cost_borne_by,
        )  # fmt: skip
        await tx.put(shop, checkout_id, record, before=loaded.record.version)
        await self.put_order(tx, order.state, None)
        kept = Kept(id=order_id, checkout_id=checkout_id, version=1)
        await tx.put(shop, order_id, kept, before=None)
        for level in placed.levels:
            await tx.put(shop, level.sku, level, before=level.version - 1)
        for uses, own in placed.uses:
            if uses.version:  # the first use of a code is new; without a bound in all it is not counted
                await tx.put(shop, uses.code, uses, before=uses.version - 1 or None)
            await tx.put(shop, own.id, own, before=own.version - 1 or None)
        for purse in placed.purses:
            await tx.put(shop, purse.ref, purse, before=purse.version - 1)
        await tx.say(placed.checkout.events + order.events)
        await tx.do(shop, order.state.id, order.effects)
        terms = telling.Terms(
            text_sha256=shown_legal(loaded.shop, *self.law(loaded.at)).terms_sha256,
            pdf_sha256=await self.terms_as_shown(loaded.shop, loaded.record.locale, loaded.at),
        )
        await tx.record(shop, checkout_id, telling.accepted(view, acts, terms, self.book))
        await tx.adopt(shop, checkout_id, order_id, loaded.at)
        return kept


def _with_acts(loaded: Loaded, acts: PressActs) -> Record:
    record = loaded.record
    return replace(
        record,
        adult=record.adult or acts.adult,
        early_at=loaded.at if acts.early_start else record.early_at,
        loss_at=loaded.at if acts.loss_acknowledged else record.loss_at,
        attested_by_shop=record.attested_by_shop or acts.attested_by_shop,
    )


def _refused(view: View, press: Press) -> Refusal | None:
    """What keeps this order from being concluded, the plainest first."""
    if view.checkout.state in ENDED:
        return ended(view)
    if view.refusals:
        return view.refusals[0]
    if view.recap is not None and view.recap_hash == press.recap_hash:
        return blocked(view.verdict)
    return None  # the recap is another one: the machine says so
