"""Accounts: by the shop's signed word, or by a link that is sent to an e-mail address. Guests need none."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid4

import msgspec

from relance.events.messages import MessageRequest, encode, request_id
from services.checkout.adapters.assertions import read_assertion
from services.checkout.application import telling
from services.checkout.application.linking import Entered, Linking
from services.checkout.application.tunnel import Loaded
from services.checkout.domain import checkouts
from services.checkout.domain.accounts import (
    Account,
    Claims,
    account_of_email,
    account_of_subject,
    filled_in,
    person_of_email,
)
from services.checkout.domain.checkouts import Checkout, Identify
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import CartLine, NewCart, Record
from services.checkout.domain.shops import Shop
from services.checkout.store import Transaction

__all__ = ["SIGNED_IN", "Accounts"]

replace = msgspec.structs.replace

SIGNED_IN: Final = "signed in"  # what a token into a checkout says of the browser that brings it
_ENTER: Final = "checkout.enter"
_LINK: Final = "account.link"
_USED: Final = "account.assertion"
_TOKEN_BYTES: Final = 32
_UNITS_MAX: Final = 9_999
_REUSED: Final = Refusal("assertion.jti", "this assertion was used before: sign a new one each time")
_DEAD: Final = Refusal("token", "this link does not hold, or no longer: ask for a new one")


class _Proof(NamedTuple):
    how: Literal["shop", "email"]
    person_id: str
    email: str
    claims: Claims | None = None


class Accounts(Linking):
    """Signing in and out. The words of the answer never say whether an address is known."""

    # -- by the shop's word -----------------------------------------------------------------------------------------

    async def asserted(self, shop: str, key: str, assertion: str) -> Claims | Refusal:
        """What a shop's assertion says, when it is good, and was not used yet but for the checkout of this key."""

        async def work(tx: Transaction) -> Claims | Refusal:
            found = await self.shop(tx, shop)
            if isinstance(found, Refusal):
                return found
            return await self._said(tx, found, assertion, checkouts.checkout_of(shop, key))

        return await self.look(work)

    async def sign_in(self, shop: str, checkout_id: UUID, claims: Claims) -> View | Refusal:
        """The shop has said who the shopper of a checkout is, as it was created. Said again it changes nothing."""

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return loaded
            used = await tx.look_token(_used(shop, claims), _USED, loaded.at)
            if used is not None:
                return (await self._seen(tx, loaded)).view if used.subject == str(checkout_id) else _REUSED
            await self._use(tx, shop, checkout_id, claims)
            return await self._prove(tx, loaded, _of_shop(claims))

        return await self.again(work)

    async def enter_as(self, token: str, assertion: str) -> str | Refusal:
        """The shop has said who enters by its link: another link in its place, which opens once, for him."""
        fresh = secrets.token_urlsafe(_TOKEN_BYTES)

        async def work(tx: Transaction) -> str | Refusal:
            at = self.clock()
            found = await tx.look_token(token, _ENTER, at)
            if found is None:
                return _DEAD
            loaded = await self.load(tx, found.shop, UUID(found.subject))
            if isinstance(loaded, Refusal):
                return loaded
            claims = await self._said(tx, loaded.shop, assertion)
            if isinstance(claims, Refusal):
                return claims
            if await tx.take_token(token, _ENTER, at) is None:
                return _DEAD
            await self._use(tx, found.shop, loaded.checkout.id, claims)
            proved = await self._prove(tx, loaded, _of_shop(claims))
            if isinstance(proved, Refusal):
                return proved
            await tx.put_token(fresh, _ENTER, found.shop, found.subject, at + self._lasts(_ENTER), SIGNED_IN)
            return fresh

        return await self.again(work)

    async def entrance(self, shop: str, checkout_id: str, *, signed_in: bool) -> str:
        """A token that lets one browser into a checkout, once. `signed_in`: as the person that the shop has named."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        until = self.clock() + self._lasts(_ENTER)
        data = SIGNED_IN if signed_in else ""
        await self.again(lambda tx: tx.put_token(token, _ENTER, shop, checkout_id, until, data))
        return token

    # -- by e-mail --------------------------------------------------------------------------------------------------

    async def ask_link(self, shop: str, checkout_id: UUID, email: str, session: str) -> None:
        """Send a link to an address, if somebody ordered with it here before: good once, and for the session that
        asked. The caller never learns whether one was sent.
        """
        keys = (f"account/{shop}/{checkout_id}", f"account/{shop}/{person_of_email(email)}")
        for one in keys:
            if not await self.admit(one, self.terms.code_tries):
                return
        token = secrets.token_urlsafe(_TOKEN_BYTES)

        async def work(tx: Transaction) -> None:
            loaded = await self.load(tx, shop, checkout_id)
            if isinstance(loaded, Refusal):
                return
            known = await tx.get(Account, shop, account_of_email(email))
            await tx.revoke_tokens(shop, _LINK, str(checkout_id))
            until = loaded.at + timedelta(minutes=self.terms.link_minutes)
            data = msgspec.json.encode([_hashed(session), email.strip()]).decode()
            await tx.put_token(token, _LINK, shop, str(checkout_id), until, data)  # also where nobody gets it
            if known is not None:
                await self._mail(tx, loaded, email.strip(), f"{self.terms.base_url}/a/{token}")

        await self.again(work)

    async def look_link(self, token: str) -> Entered | Refusal:
        """The checkout that a link signs in to."""
        found = await self.look(lambda tx: tx.look_token(token, _LINK, self.clock()))
        return _DEAD if found is None else Entered(found.shop, found.subject, found.purpose)

    async def asked_by(self, token: str, session: str) -> bool:
        """Whether it was this session that asked for a link."""
        found = await self.look(lambda tx: tx.look_token(token, _LINK, self.clock()))
        return found is not None and _is_of(found.data, session)

    async def use_link(self, token: str, session: str) -> View | Refusal:
        """Sign in by a link, once, in the session that asked for it."""

        async def work(tx: Transaction) -> View | Refusal:
            at = self.clock()
            found = await tx.look_token(token, _LINK, at)
            if found is None or not _is_of(found.data, session):
                return _DEAD
            loaded = await self.load(tx, found.shop, UUID(found.subject))
            if isinstance(loaded, Refusal):
                return loaded
            if await tx.take_token(token, _LINK, at) is None:
                return _DEAD
            email = str(msgspec.json.decode(found.data)[1])
            return await self._prove(tx, loaded, _Proof("email", person_of_email(email), email))

        return await self.again(work)

    # -- out again --------------------------------------------------------------------------------------------------

    async def begin_anew(self, view: View, more: View | None = None, *, by: str = "restore") -> View | Refusal:
        """A checkout of the same cart for another person or browser: what was entered of a person stays in the one
        before, and so do prices and codes that were his. `more`: a checkout whose lines are added.
        """
        units: dict[str, int] = {}
        for line in (*view.record.lines, *(more.record.lines if more is not None else ())):
            units[line.sku] = min(_UNITS_MAX, units.get(line.sku, 0) + line.quantity)
        context = view.checkout.context
        cart = NewCart(
            cart_id=context.cart_id,
            lines=tuple(CartLine(sku, quantity) for sku, quantity in units.items()),
            visitor_id=context.visitor_id,
            recovery_link_id=context.recovery_link_id,
            locale=view.record.locale,
            return_url=view.record.return_url,
        )
        made = await self.create(view.shop.id, cart, f"{by}/{uuid4()}")
        if isinstance(made, Refusal):
            return made
        for code in view.record.coupons:
            made = await self._with_code(made, code)
        return made

    async def _with_code(self, view: View, code: str) -> View:
        """The checkout with a code more, where it holds for a stranger, too."""
        shop, id_, record = view.shop.id, view.checkout.id, view.record
        tried = await self.change_cart(shop, id_, record.lines, [*record.coupons, code])
        if isinstance(tried, View) and not any(one.field.startswith("coupon") for one in tried.refusals):
            return tried
        back = await self.change_cart(shop, id_, record.lines, record.coupons)
        return back if isinstance(back, View) else view

    # -- within a transaction ---------------------------------------------------------------------------------------

    async def _prove(self, tx: Transaction, loaded: Loaded, proof: _Proof) -> View | Refusal:
        """The checkout is this person's from here on."""
        if loaded.checkout.state in checkouts.ENDED or loaded.at >= loaded.checkout.expires_at:
            return Refusal("checkout.state", "this checkout has ended")
        shop = loaded.shop
        account = filled_in(
            proof.how, proof.email, proof.claims, await self._last(tx, shop.id, proof), shop.countries, loaded.at
        )
        moved = checkouts.step(loaded.checkout, Identify(person_id=proof.person_id, method=proof.how), loaded.at)
        if isinstance(moved, Refusal):
            return moved
        view = await self._keep(tx, loaded, moved, replace(loaded.record, account=account))
        act = telling.happened("signed_in", loaded.at, "checkout", {"how": proof.how})
        await tx.record(shop.id, loaded.record.id, [act])
        return view

    async def _last(self, tx: Transaction, shop: str, proof: _Proof) -> tuple[Checkout, Record] | None:
        """What somebody ordered last at this shop: as its customer, else with the address that is proved to be his."""
        claims = proof.claims
        ids = [] if claims is None else [account_of_subject(claims.iss, claims.sub)]
        if proof.email:
            ids.append(account_of_email(proof.email))
        for one in ids:
            account = await tx.get(Account, shop, one)
            checkout = None if account is None else await tx.get(Checkout, shop, account.checkout_id)
            record = None if account is None else await tx.get(Record, shop, account.checkout_id)
            if checkout is not None and record is not None:
                return checkout, record
        return None

    async def _said(
        self, tx: Transaction, shop: Shop, assertion: str, checkout_id: UUID | None = None
    ) -> Claims | Refusal:
        at = self.clock()
        claims = read_assertion(assertion, shop, self.terms.base_url, at)
        if isinstance(claims, Refusal):
            return claims
        used = await tx.look_token(_used(shop.id, claims), _USED, at)
        return claims if used is None or used.subject == str(checkout_id) else _REUSED

    async def _use(self, tx: Transaction, shop: str, checkout_id: UUID, claims: Claims) -> None:
        until = datetime.fromtimestamp(claims.exp + 60, UTC)
        await tx.put_token(_used(shop, claims), _USED, shop, str(checkout_id), until)

    async def _mail(self, tx: Transaction, loaded: Loaded, email: str, link: str) -> None:
        shop, id_ = loaded.shop, loaded.checkout.id
        facts: dict[str, str | int] = {
            "link": link, "shop_name": shop.name, "minutes": self.terms.link_minutes, "help_phone": shop.help.phone,
            "help_email": shop.help.email,
        }  # fmt: skip
        n = secrets.randbelow(2**53)  # each link is a message of its own, and asking again sends another
        request = MessageRequest(
            id=request_id(id_, "account.link", n),
            shop=shop.id,
            kind="account.link",
            order_id=id_,
            to=email,
            locale=shop.language(loaded.record.locale),
            facts={name: value for name, value in facts.items() if value != ""},
            requested_at=loaded.at,
        )
        await tx.send("checkout.messages.v1", str(id_), encode(request), str(request.id))


def _of_shop(claims: Claims) -> _Proof:
    return _Proof("shop", claims.sub, claims.verified_email, claims)


def _used(shop: str, claims: Claims) -> str:
    return sha256(f"{shop}\0{claims.iss}\0{claims.jti}".encode()).hexdigest()


def _hashed(session: str) -> str:
    return sha256(b"account of " + session.encode()).hexdigest()


def _is_of(data: str, session: str) -> bool:
    return hmac.compare_digest(str(msgspec.json.decode(data)[0]), _hashed(session))
