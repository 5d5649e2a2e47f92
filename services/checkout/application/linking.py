"""Links: bound to one purpose and one shop, expiring, revocable. They show; what acts is another request.

A link to an order shows personal data only after a code that is sent to the order's own address was entered.
"""

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from relance.events.messages import Kind, MessageRequest, encode, request_id
from services.checkout.application import telling
from services.checkout.application.tunnel import Tunnel, ended
from services.checkout.domain import checkouts
from services.checkout.domain.checkouts import Checkout, Supersede
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Kept, View
from services.checkout.domain.records import CartLine, Record
from services.checkout.domain.shops import Shop, named_means
from services.checkout.store import Transaction

__all__ = ["Entered", "Linking", "Purpose"]

Purpose = Literal["checkout.enter", "cart.restore", "order.pay", "order.view", "withdrawal"]

replace = msgspec.structs.replace

_TOKEN_BYTES: Final = 32
_CODE_DIGITS: Final = 6
_PATHS: Final = {
    "checkout.enter": "enter", "cart.restore": "r", "order.pay": "p", "order.view": "v", "withdrawal": "w",
}  # fmt: skip
_DEAD: Final = Refusal("token", "this link does not hold, or no longer: ask for a new one")
_WRONG: Final = Refusal("code", "this is not the code that was sent, or it is too old")


class Entered(NamedTuple):
    """What a link opens: a checkout's id or an order's, in its shop."""

    shop: str
    subject: str
    purpose: str
    data: str = ""


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """A code that was sent. Its hash is keyed by its link, and tries are counted."""

    id: str
    hashed: str
    expires_at: datetime
    tries: int = 0
    sent: int = 1
    version: int = 0


class Linking(Tunnel):
    """Making and opening links."""

    async def issue(self, shop: str, purpose: Purpose, subject: str, lasts: timedelta | None = None) -> str:
        """A new token for a checkout's id or an order's. Only its hash is kept."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)

        async def work(tx: Transaction) -> None:
            await tx.put_token(token, purpose, shop, subject, self.clock() + (lasts or self._lasts(purpose)))

        await self.again(work)
        return token

    def url_of(self, purpose: Purpose, token: str) -> str:
        """Where the link leads."""
        return f"{self.terms.base_url}/{_PATHS[purpose]}/{token}"

    async def open(self, token: str, purpose: Purpose) -> Entered | Refusal:
        """What a token opens. One that lets a browser enter a checkout opens it once; all others until they expire."""
        at = self.clock()
        if purpose == "checkout.enter":
            found = await self.again(lambda tx: tx.take_token(token, purpose, at))
        else:
            found = await self.look(lambda tx: tx.look_token(token, purpose, at))
        return _DEAD if found is None else Entered(found.shop, found.subject, found.purpose, found.data)

    async def revoke(self, shop: str, purpose: Purpose, subject: str) -> None:
        """No link of this purpose leads to the subject any more."""
        await self.again(lambda tx: tx.revoke_tokens(shop, purpose, subject))

    # -- carts ------------------------------------------------------------------------------------------------------

    async def restored(self, token: str) -> View | Refusal:
        """The cart of a link, priced anew. Whoever has the link sees it: show no personal data of it."""
        found = await self.open(token, "cart.restore")
        return found if isinstance(found, Refusal) else await self.view(found.shop, UUID(found.subject))

    async def take_up(
        self, token: str, beside: UUID | None = None, how: Literal["replace", "add"] = "replace"
    ) -> View | Refusal:  # fmt: skip
        """Go on with the cart of a link. `beside`: the checkout that this device has; its lines are added to those of
        the link, or make way for them.
        """
        found = await self.open(token, "cart.restore")
        if isinstance(found, Refusal):
            return found

        async def work(tx: Transaction) -> View | Refusal:
            loaded = await self.load(tx, found.shop, UUID(found.subject))
            if isinstance(loaded, Refusal):
                return loaded
            view = (await self._seen(tx, loaded)).view
            if loaded.checkout.state in checkouts.ENDED or loaded.at >= loaded.checkout.expires_at:
                return ended(view)
            other = None if beside is None or beside == loaded.checkout.id else await tx.get(
                Checkout, found.shop, str(beside), lock=True
            )  # fmt: skip
            record = None if other is None else await tx.get(Record, found.shop, str(beside))
            if other is None or record is None:
                return view
            moved = checkouts.step(other, Supersede(by=found.subject), loaded.at)
            if isinstance(moved, Refusal) or not moved.transition:
                return view  # its lines were added before, or are ordered
            if how == "add":
                lines = _added(loaded.record.lines, record.lines)
                added = await self.refill(tx, loaded, lines, loaded.record.coupons)
                if isinstance(added, Refusal):
                    return added
                view = added
            await tx.put(found.shop, str(other.id), moved.state, before=other.version, state="superseded")
            await tx.say(moved.events)
            facts = {"by": found.subject, "lines": how}
            await tx.record(found.shop, str(other.id), [telling.happened("superseded", loaded.at, "checkout", facts)])
            return view

        return await self.again(work)

    # -- codes ------------------------------------------------------------------------------------------------------

    async def send_code(self, token: str, purpose: Purpose) -> Refusal | None:
        """Send a code to the address of the link's order. The caller learns nothing of the address."""
        found = await self.open(token, purpose)
        if isinstance(found, Refusal):
            return found
        code = f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}d}"
        name = _named(token)

        async def work(tx: Transaction) -> Refusal | None:
            at = self.clock()
            before = await tx.get(Code, found.shop, name, lock=True)
            if before is not None and before.sent >= self.terms.code_tries and at < before.expires_at:
                return Refusal("code", "enough codes were sent: wait a quarter of an hour")
            fresh = before is None or at >= before.expires_at
            sent = 1 if before is None or fresh else before.sent + 1
            kept = Code(
                id=name, hashed=_hashed(token, code), expires_at=at + timedelta(minutes=self.terms.code_minutes),
                tries=0 if before is None or fresh else before.tries, sent=sent,
                version=1 if before is None else before.version + 1,
            )  # fmt: skip
            known = None if before is None else before.version
            await tx.put(found.shop, name, kept, before=known, due_at=kept.expires_at)
            facts: dict[str, str | int] = {"code": code, "minutes": self.terms.code_minutes}
            await self.message(tx, found.shop, found.subject, "code", facts)
            return None

        return await self.again(work)

    async def enter_code(self, token: str, purpose: Purpose, code: str) -> Entered | Refusal:
        """What the link opens, once the code was entered. Few tries, and each code once."""
        found = await self.open(token, purpose)
        if isinstance(found, Refusal):
            return found
        name = _named(token)
        guessing = f"code/{found.shop}/{found.subject}"  # over all links to the order, and all codes that were sent
        if not await self.admit(guessing, 2 * self.terms.code_tries):
            return _WRONG

        async def work(tx: Transaction) -> Entered | Refusal:
            kept = await tx.get(Code, found.shop, name, lock=True)
            if kept is None or self.clock() >= kept.expires_at or kept.tries >= self.terms.code_tries:
                return _WRONG
            if hmac.compare_digest(kept.hashed, _hashed(token, code.strip())):
                await tx.remove(Code, found.shop, name)
                return found
            tried = replace(kept, tries=kept.tries + 1, version=kept.version + 1)
            await tx.put(found.shop, name, tried, before=kept.version, due_at=kept.expires_at)
            return _WRONG

        entered = await self.again(work)
        if isinstance(entered, Entered):
            await self.take_back(guessing)
        return entered

    async def send_link(self, shop: str, order_id: str, email: str) -> None:
        """Send a new link to an order to its own address, when the one given is that. The caller never learns which."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        at = self.clock()
        who = f"link/{shop}/{order_id}/{email.strip().casefold()}"  # who has the number alone locks nobody out
        if not await self.admit(who, self.terms.code_tries):
            return

        async def work(tx: Transaction) -> None:
            kept = await tx.get(Kept, shop, order_id)
            checkout = None if kept is None else await tx.get(Checkout, shop, kept.checkout_id)
            if checkout is None or checkout.contact is None:
                return
            if checkout.contact.contact.email.strip().casefold() != email.strip().casefold():
                return
            await tx.put_token(token, "order.view", shop, order_id, at + timedelta(days=self.terms.tokens_last_days))
            facts: dict[str, str | int] = {"link": self.url_of("order.view", token)}
            await self.message(tx, shop, order_id, "order.link", facts)

        await self.again(work)

    async def message(
        self, tx: Transaction, shop: str, order_id: str, kind: Kind, facts: dict[str, str | int], *, to: str = ""
    ) -> MessageRequest | None:  # fmt: skip
        """Have a message sent about an order, in the transaction that is its reason. `to`: its own address if empty."""
        kept = await tx.get(Kept, shop, order_id, lock=True)
        checkout = None if kept is None else await tx.get(Checkout, shop, kept.checkout_id)
        record = None if kept is None else await tx.get(Record, shop, kept.checkout_id)
        found = await tx.get(Shop, "*", shop)
        if kept is None or checkout is None or checkout.contact is None or record is None or found is None:
            return None
        known: dict[str, str | int] = {
            "order_number": order_id[:8], "shop_name": found.name, "help_phone": found.help.phone,
            "help_email": found.help.email,
        }  # fmt: skip
        if means := facts.get("means"):
            facts = facts | {"means": named_means(found, str(means), found.language(record.locale))}
        at = self.clock()
        request = MessageRequest(
            id=request_id(UUID(order_id), kind, kept.messages, at),
            shop=shop,
            kind=kind,
            order_id=UUID(order_id),
            to=to or checkout.contact.contact.email,
            locale=found.language(record.locale),
            facts={name: value for name, value in (known | facts).items() if value != ""},
            requested_at=at,
        )
        await tx.put(shop, order_id, replace(kept, messages=kept.messages + 1, version=kept.version + 1),
                     before=kept.version)  # fmt: skip
        await tx.send("checkout.messages.v1", order_id, encode(request), str(request.id))
        return request

    def _lasts(self, purpose: Purpose) -> timedelta:
        if purpose == "checkout.enter":
            return timedelta(minutes=10)
        days = self.terms.view_lasts_days if purpose in {"order.view", "withdrawal"} else self.terms.tokens_last_days
        return timedelta(days=days)


def _added(lines: Sequence[CartLine], more: Sequence[CartLine]) -> tuple[CartLine, ...]:
    units: dict[str, int] = {}
    for line in (*lines, *more):
        units[line.sku] = min(10_000, units.get(line.sku, 0) + line.quantity)
    return tuple(CartLine(sku, quantity) for sku, quantity in units.items())


def _named(token: str) -> str:
    return sha256(b"code of " + token.encode()).hexdigest()


def _hashed(token: str, code: str) -> str:
    return hmac.new(token.encode(), code.encode(), sha256).hexdigest()
