"""The steps from a cart to the recap."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from relance.evidence.entries import Act
from services.checkout.application import telling
from services.checkout.application.room import Room
from services.checkout.domain import checkouts
from services.checkout.domain.checkouts import (
    ENDED,
    Checkout,
    ChooseDelivery,
    ChooseMeans,
    GiveContact,
    ShowRecap,
    Supersede,
)  # fmt: skip
from services.checkout.domain.events import Context
from services.checkout.domain.outcomes import Moved, Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.pricing import Basis, price
from services.checkout.domain.records import (
    Address,
    CartIndex,
    CartLine,
    NewCart,
    Record,
    address_hash,
    check_address,
)
from services.checkout.domain.shops import Shop, allowed_return
from services.checkout.domain.viewing import Seen, blocked, cart_of, see, wanted
from services.checkout.store import Transaction, Wanted

__all__ = ["NO_CHECKOUT", "Loaded", "Tunnel", "subject_of"]

replace = msgspec.structs.replace

NO_CHECKOUT: Final = Refusal("checkout_id", "there is no such checkout")
_AT_THE_BUTTON = frozenset({"contact.age_declared"})  # what is declared beside the order button


class Loaded(NamedTuple):
    """A checkout as read, at an instant."""

    shop: Shop
    checkout: Checkout
    record: Record
    at: datetime


def subject_of(checkout: Checkout) -> str:
    """Under whose key a checkout's personal data lie in evidence: the person's, or a guest's of this checkout alone."""
    return checkout.context.person_id or f"guest-{checkout.id}"


class Tunnel(Room):
    """A checkout's steps. A step that is taken again with the same content changes nothing."""

    async def create(self, shop: str, cart: NewCart, key: str) -> View | Refusal:
        """A checkout of a cart. The same key and cart give the same checkout, another cart is refused. An earlier open
        checkout of the cart is superseded.
        """
        checkout_id = checkouts.checkout_of(shop, key)
        fingerprint = sha256(msgspec.json.encode(cart)).hexdigest()

        async def work(tx: Transaction) -> View | Refusal:
            at = self.clock()
            there = await self.load(tx, shop, checkout_id)
            if not isinstance(there, Refusal):
                if there.record.fingerprint != fingerprint:
                    return Refusal("key", "this key came with another cart before")
                return (await self._seen(tx, there)).view
            found = await self.shop(tx, shop)
            if isinstance(found, Refusal):
                return found
            if not allowed_return(found, cart.return_url):
                return Refusal("return_url", "is not on the shop's list")
            record = Record(
                id=str(checkout_id), shop=shop, lines=cart.lines, coupons=cart.coupons,
                locale=found.language(cart.locale), return_url=cart.return_url, fingerprint=fingerprint, version=1,
            )  # fmt: skip
            return await self._begin(tx, found, checkout_id, cart, record, at)

        return await self.again(work)

    async def view(self, shop: str, checkout_id: UUID, *, of_form: bool = False) -> View | Refusal:
        """The checkout, priced anew; or as the act saw it a moment ago whose answer led here. `of_form`: as the page
        showed it whose form has come, since the act that follows looks anew.
        """

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            known = self.lately.page(*loaded) if of_form else self.lately.answer(*loaded)
            return known or self.lately.keep((await self._seen(tx, loaded)).view)

        return await self.look(work)

    async def change_cart(
        self, shop: str, checkout_id: UUID, lines: Sequence[CartLine], coupons: Sequence[str]
    ) -> View | Refusal:  # fmt: skip
        """Another cart, whole. A coupon that does not hold is named among the view's refusals."""

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            return loaded if isinstance(loaded, Refusal) else await self.refill(tx, loaded, lines, coupons)

        return await self.again(work)

    async def give_contact(
        self, shop: str, checkout_id: UUID, act: GiveContact, address: Address | None = None, *, adult: bool = False
    ) -> View | Refusal:  # fmt: skip
        """Who orders, and where to when the form asked for both. `adult`: declared to be of age."""

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            at = loaded.at
            if address is not None and (refused := check_address(address, loaded.shop.countries)):
                return refused
            moved = checkouts.step(loaded.checkout, act, at)
            if isinstance(moved, Refusal):
                return moved
            if not moved.transition and address in {None, loaded.record.address} and adult <= loaded.record.adult:
                return (await self._seen(tx, loaded)).view
            record = replace(
                loaded.record, address=address or loaded.record.address, adult=adult or loaded.record.adult
            )
            if not moved.transition:
                moved = Moved(moved.state)
            return await self._keep(tx, loaded, moved, record, contact=act if moved.transition else None)

        return await self.again(work)

    async def choose_delivery(
        self, shop: str, checkout_id: UUID, mode: str, address: Address | None = None, place: str = ""
    ) -> View | Refusal:
        """The mode, and the address or the relay point or shop that it leads to."""

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            record = _sent_to(loaded, mode, address, place)
            if isinstance(record, Refusal):
                return record
            act = ChooseDelivery(mode=mode, address_hash=address_hash(record.address, record.place))
            moved = checkouts.step(loaded.checkout, act, loaded.at)
            if isinstance(moved, Refusal):
                return moved
            seen = await self._seen(tx, loaded._replace(checkout=moved.state, record=record))
            if seen.priced.needs_delivery and seen.priced.chosen is None:
                found = (one for one in seen.priced.refusals if one.field.startswith("delivery"))
                return next(found, Refusal("delivery.chosen", f"{mode} is not offered", "A06", "L221-14 al. 3"))
            return await self._keep(tx, loaded, moved, record, seen) if moved.transition else seen.view

        return await self.again(work)

    async def choose_means(
        self, shop: str, checkout_id: UUID, means: str, purses: Sequence[str] = ()
    ) -> View | Refusal:  # fmt: skip
        """The means, and the gift cards and vouchers that go before it. Who names too many unknown ones guesses."""
        guessing, named, unknown = f"purses of {checkout_id}", set(purses), set[str]()
        if named and not await self.admit(guessing, self.terms.purse_tries, len(named)):
            return Refusal("payment.purses", "too many cards that are unknown: try again in an hour")

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            basis = await self.basis(tx, loaded.shop, loaded.record, tuple(purses), lock=False)
            unknown.update(named - basis.purses.keys())
            moved = checkouts.step(loaded.checkout, ChooseMeans(means=means, purses=tuple(purses)), loaded.at)
            if isinstance(moved, Refusal):
                return moved
            seen = await self._seen(tx, loaded._replace(checkout=moved.state), basis)
            if refused := next((one for one in seen.priced.refusals if one.field.startswith("payment")), None):
                return refused
            return await self._keep(tx, loaded, moved, loaded.record, seen) if moved.transition else seen.view

        try:
            return await self.again(work)
        finally:
            await self.take_back(guessing, len(named - unknown))

    async def show_recap(
        self, shop: str, checkout_id: UUID, rendered: Callable[[View], bytes], media_type: str = "text/html",
        *, attested: bool = False,
    ) -> tuple[View, bytes] | Refusal:  # fmt: skip
        """The recap as it is now: rendered, kept as evidence, and bound by its hash, which the form carries. Refused
        with the rule when the law does not let the order pass.
        """

        async def work(tx: Transaction) -> tuple[View, bytes] | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            seen = await self._seen(tx, loaded)
            view = seen.view
            if view.checkout.state in ENDED:
                return ended(view)
            if refused := _cannot_pass(view):
                return refused
            page = rendered(view)
            return await self._bind(tx, loaded, seen, page, media_type, attested=attested)

        shown = await self.again(work)
        if not isinstance(shown, Refusal):  # what the click needs, and takes its time once a day
            await self.terms_as_shown(shown[0].shop, shown[0].record.locale, shown[0].at)
        return shown

    # -- what they share --------------------------------------------------------------------------------------------

    async def load(self, tx: Transaction, shop: str, checkout_id: UUID) -> Loaded | Refusal:
        """The checkout with its record, of this shop and no other. Not locked: of two who change it at once the second
        is told, and begins again.
        """
        id_ = str(checkout_id)
        found, records, shops = await tx.several(
            Wanted(Checkout, shop, (id_,)), Wanted(Record, shop, (id_,)), Wanted(Shop, "*", (shop,), settled=True)
        )
        if id_ not in found or id_ not in records:
            return NO_CHECKOUT
        known = self.same_shop(shops.get(shop))
        return known if isinstance(known, Refusal) else Loaded(known, found[id_], records[id_], self.clock())

    async def refill(
        self, tx: Transaction, loaded: Loaded, lines: Sequence[CartLine], coupons: Sequence[str]
    ) -> View | Refusal:  # fmt: skip
        """Another cart, whole; when it is refused nothing has changed."""
        at = loaded.at
        record = replace(loaded.record, lines=tuple(lines), coupons=tuple(coupons)[:10])
        basis = await self.basis(tx, loaded.shop, record, (), lock=False)
        priced = price(basis, wanted(loaded.shop, loaded.checkout, record), at, self.law(at))
        if not priced.lines:
            return next(iter(priced.refusals), Refusal("lines", "the cart is empty"))
        moved = checkouts.step(loaded.checkout, cart_of(priced), at)
        if isinstance(moved, Refusal):
            return moved
        seen = await self._seen(tx, loaded._replace(checkout=moved.state, record=record), basis)
        return await self._keep(tx, loaded, moved, record, seen)

    async def _seen(self, tx: Transaction, loaded: Loaded, basis: Basis | None = None) -> Seen:
        means = loaded.checkout.means
        purses = means.purses if means is not None else ()
        if basis is None or (purses and not basis.purses):
            basis = await self.basis(tx, loaded.shop, loaded.record, purses, lock=False)
        return see(loaded.checkout, loaded.record, basis, loaded.at, self.law(loaded.at))

    async def _begin(
        self, tx: Transaction, shop: Shop, checkout_id: UUID, cart: NewCart, record: Record, at: datetime
    ) -> View | Refusal:  # fmt: skip
        context = Context(
            shop=shop.id, cart_id=cart.cart_id, visitor_id=cart.visitor_id, person_id=cart.person_id,
            device=cart.device, recovery_link_id=cart.recovery_link_id, consent=cart.consent,
        )  # fmt: skip
        basis = await self.basis(tx, shop, record, (), lock=False)
        empty = checkouts.ChangeCart(items=(), total_minor=0, needs_delivery=True)
        bare = checkouts.begin(checkout_id, context, empty, at).state
        priced = price(basis, wanted(shop, bare, record), at, self.law(at))
        if not priced.lines:
            return next(iter(priced.refusals), Refusal("lines", "the cart is empty"))
        moved = checkouts.begin(checkout_id, context, cart_of(priced), at, timedelta(days=shop.lasts_days))
        view = see(moved.state, record, basis, at, self.law(at), priced=priced).view
        if refused := blocked(view.verdict):
            return refused
        before = await self._supersede(tx, shop.id, cart.cart_id, checkout_id, at)
        if before:
            record = replace(record, ordered_before=before)
            view = replace(view, record=record)
        await tx.put(shop.id, str(checkout_id), moved.state, before=None, state="open", due_at=moved.state.expires_at)
        await tx.put(shop.id, record.id, record, before=None)
        await tx.say(moved.events)
        facts = {"cart_id": cart.cart_id, "total_minor": priced.sums.total_minor, "lines": len(priced.lines)}
        await tx.record(shop.id, record.id, [telling.happened("checkout", at, "checkout", facts)])
        return view

    async def _supersede(self, tx: Transaction, shop: str, cart_id: str, by: UUID, at: datetime) -> str:
        """The cart's checkout is this one from now on; the order that the cart became before, if it did."""
        index = await tx.get(CartIndex, shop, cart_id, lock=True)
        version = 1 if index is None else index.version + 1
        before = None if index is None else index.version
        order_id = "" if index is None else index.order_id
        value = CartIndex(id=cart_id, checkout_id=str(by), order_id=order_id, version=version)
        await tx.put(shop, cart_id, value, before=before)
        old = None if index is None else await tx.get(Checkout, shop, index.checkout_id, lock=True)
        if old is None or old.id == by:
            return order_id
        moved = checkouts.step(old, Supersede(by=str(by)), at)
        if not isinstance(moved, Refusal) and moved.transition:
            await tx.put(shop, str(old.id), moved.state, before=old.version, state=moved.state.state)
            await tx.say(moved.events)
            await tx.record(shop, str(old.id), [telling.happened("superseded", at, "checkout", {"by": str(by)})])
        return order_id

    async def _keep(
        self, tx: Transaction, loaded: Loaded, moved: Moved[Checkout], record: Record,
        seen: Seen | None = None, *, contact: GiveContact | None = None,
    ) -> View:  # fmt: skip
        """Store a step with its events and evidence. `seen`: what came of it, if somebody has looked already."""
        shop, checkout = loaded.shop, moved.state
        if moved.transition:
            await tx.put(
                shop.id, record.id, checkout, before=loaded.checkout.version, state=checkout.state,
                due_at=None if checkout.state in ENDED else checkout.expires_at,
            )  # fmt: skip
        if record != loaded.record:
            record = replace(record, version=loaded.record.version + 1)
            await tx.put(shop.id, record.id, record, before=loaded.record.version)
        await tx.say(moved.events)
        seen = seen or await self._seen(tx, Loaded(shop, checkout, record, loaded.at))
        view = replace(seen.view, record=record)
        await tx.record(shop.id, record.id, await self._evidence(tx, view, moved.transition, contact))
        return self.lately.keep(view, is_answer=True)

    async def _evidence(self, tx: Transaction, view: View, transition: str, contact: GiveContact | None) -> list[Act]:
        shop, record, subject = view.shop.id, view.record, subject_of(view.checkout)
        if contact is not None:
            given = {"email": contact.contact.email, "phone": contact.contact.phone or ""}
            sealed = [await tx.seal(shop, record.id, subject, name, text) for name, text in given.items() if text]
            return telling.contact_given(view, contact, self.book, tuple(sealed))
        if transition == "delivering":
            where = record.place if record.address is None else msgspec.json.encode(record.address).decode()
            sealed = [await tx.seal(shop, record.id, subject, "delivery_address", where)] if where else []
            return [telling.delivery_chosen(view, self.book, tuple(sealed))]
        if transition == "paying":
            return [telling.means_chosen(view, self.book)]
        return []

    async def _bind(
        self, tx: Transaction, loaded: Loaded, seen: Seen, page: bytes, media_type: str, *, attested: bool
    ) -> tuple[View, bytes] | Refusal:
        view, shop = seen.view, loaded.shop.id
        moved = checkouts.step(loaded.checkout, ShowRecap(recap_hash=view.recap_hash), view.at)
        if isinstance(moved, Refusal):
            return moved
        if not moved.transition and loaded.record.recap is not None:
            return view, page
        kept = await tx.keep(shop, page, media_type, subject=subject_of(loaded.checkout), order=loaded.record.id)
        record = replace(
            loaded.record,
            recap=view.recap,
            recap_page=kept.sealed.blob if kept.sealed is not None else kept.sha256 or "",
            recap_shown_at=view.at,
            texts=view.texts,
            promised_on=view.chosen.expected_on if view.chosen is not None else None,
            attested_by_shop=attested,
            version=loaded.record.version + 1,
        )
        await tx.put(shop, record.id, moved.state, before=loaded.checkout.version, state=moved.state.state,
                     due_at=moved.state.expires_at)  # fmt: skip
        await tx.put(shop, record.id, record, before=loaded.record.version)
        await tx.say(moved.events)
        after = replace(view, checkout=moved.state, record=record)
        await tx.record(shop, record.id, [telling.recap_shown(after, self.book, kept)])
        return after, page


def ended(view: View) -> Refusal:
    """Why nothing more can be done with a checkout."""
    if view.checkout.state == "ordered":
        return Refusal("checkout.state", "this cart is already ordered")
    return Refusal("checkout.state", f"this checkout is {view.checkout.state}")


def _cannot_pass(view: View) -> Refusal | None:
    """What keeps the recap from being shown; what is declared beside its button is asked there."""
    if view.refusals:
        return view.refusals[0]
    if view.recap is None:
        return Refusal("checkout.state", "contact, delivery and payment come before the recap")
    blockers = tuple(one for one in view.verdict.blockers if one.field not in _AT_THE_BUTTON)
    return blocked(replace(view.verdict, blockers=blockers, allowed=not blockers))


def _sent_to(loaded: Loaded, mode: str, address: Address | None, place: str) -> Record | Refusal:
    shop, record = loaded.shop, loaded.record
    offered = next((one.mode for one in shop.modes if one.mode.id == mode), None)
    if offered is None:
        return Refusal("delivery.chosen", f"{mode} is not offered", "A06", "L221-14 al. 3")
    if offered.kind in {"relay", "collect"}:
        chosen = next((one for one in shop.places if one.id == place and mode in one.modes), None)
        if chosen is None:
            return Refusal("delivery.place", "choose one of the points listed")
        return replace(record, place=chosen.id, address=address or record.address)
    sent = address or record.address
    if sent is None:
        return Refusal("address.line1", "the address is needed to deliver")
    return check_address(sent, shop.countries) or replace(record, place="", address=sent)
