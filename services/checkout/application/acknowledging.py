"""What the shopper is told after the click: the confirmation on a durable medium, a failed payment, a lapse."""

import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from uuid import UUID

import msgspec

from relance.events.messages import Body, Document, MessageRequest, encode, request_id
from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from relance.rules.law.calendar import paris_date
from services.checkout.application.aftercaring import Aftercaring
from services.checkout.application.stocking import Stocking, alert
from services.checkout.application.tunnel import subject_of
from services.checkout.domain.accounts import accounts_of
from services.checkout.domain.attempts import Attempt
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.disclosures import rule_ref, shown_legal
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Alert, Kept
from services.checkout.domain.records import Record
from services.checkout.store import ANY, Transaction

if TYPE_CHECKING:  # what renders PDF is loaded by the process that does it
    from services.checkout.adapters.documents import Rendered

__all__ = ["Acknowledging", "Papers"]

Papers: TypeAlias = "Callable[[ConfirmationFacts], Awaitable[Rendered | tuple[Refusal, ...]]]"

replace = msgspec.structs.replace


class _Asked(NamedTuple):
    facts: ConfirmationFacts
    checkout: Checkout
    token: str


class Acknowledging(Stocking, Aftercaring):
    """Messages are asked of notification, in the transaction that puts them on record."""

    async def acknowledge(self, shop: str, order_id: UUID, papers: Papers) -> bool:
        """Render the confirmation, keep it as evidence, and have it sent. False when it lacks something: the order
        shows what, and it is tried again once the shop has seen to it.
        """
        asked = await self.look(lambda tx: self._facts(tx, shop, str(order_id)))
        if asked is None:
            return True
        made = await papers(asked.facts)
        if isinstance(made, tuple):
            missing = Alert("confirmation.refused", self.clock(), f"{made[0].rule} {made[0].field}: {made[0].reason}")
            await self.again(lambda tx: alert(tx, shop, order_id, missing))
            return False
        await self.again(lambda tx: self._confirm(tx, asked, made))
        return True

    async def tell(self, tx: Transaction, shop: str, order_id: UUID, ref: str) -> None:
        """Say what failed and what to do next, nothing when it has been mended meanwhile; or that it takes days."""
        order = await tx.get(Order, shop, str(order_id))
        if order is None:
            return
        if ref == "lapsed":
            await self.message(tx, shop, str(order_id), "order.lapsed", {})
            return
        attempt = next((one for one in order.attempts if one.id == ref), None)
        if attempt is None:
            return
        if any(one.attempt_id == ref and one.cause == "surplus" for one in order.refunds):
            await alert(tx, shop, order_id, Alert("payment.refunded", self.clock(), ref))
        elif order.state == "placed" and attempt.slow and attempt.live:
            await self._tell_of_days(tx, shop, order, attempt)
        elif order.state == "placed" and order.due is not None and order.live is None:
            token = secrets.token_urlsafe(32)
            until = min(order.deadline, self.clock() + timedelta(days=self.terms.tokens_last_days))
            await tx.put_token(token, "order.pay", shop, str(order_id), until)
            euros, cents = divmod(attempt.amount_minor, 100)
            facts: dict[str, str | int] = {
                "category": attempt.category or "technical",
                "link": self.url_of("order.pay", token),
                "amount": f"{euros},{cents:02d} EUR",
                "until": order.deadline.isoformat(),
            }
            await self.message(tx, shop, str(order_id), "payment.failed", facts)

    async def _tell_of_days(self, tx: Transaction, shop: str, order: Order, attempt: Attempt) -> None:
        """The money is on its way, and the shopper has nothing to do."""
        token = secrets.token_urlsafe(32)
        until = self.clock() + timedelta(days=self.terms.tokens_last_days)
        await tx.put_token(token, "order.view", shop, str(order.id), until)
        euros, cents = divmod(attempt.amount_minor, 100)
        facts: dict[str, str | int] = {
            "link": self.url_of("order.view", token), "amount": f"{euros},{cents:02d} EUR", "means": attempt.means,
        }  # fmt: skip
        if attempt.waits_until is not None:
            facts["until"] = paris_date(attempt.waits_until).isoformat()
        await self.message(tx, shop, str(order.id), "payment.pending", facts)

    async def _facts(self, tx: Transaction, shop: str, order_id: str) -> _Asked | None:
        order = await tx.get(Order, shop, order_id)
        kept = await tx.get(Kept, shop, order_id)
        if order is None or kept is None or kept.acknowledged_at is not None:
            return None
        checkout = await tx.get(Checkout, shop, kept.checkout_id)
        record = await tx.get(Record, shop, kept.checkout_id)
        found = await self.shop(tx, shop)
        if checkout is None or checkout.contact is None or record is None or record.recap is None:
            return None
        if isinstance(found, Refusal):
            return None
        book, day = self.law(order.placed_at)
        token = secrets.token_urlsafe(32)
        facts = ConfirmationFacts(
            shop=replace(found, legal=shown_legal(found, book, day)),
            language=found.language(record.locale),
            order=order,
            recap=record.recap,
            record=record,
            lines=record.law_lines,
            email=checkout.contact.contact.email,
            phone=checkout.contact.contact.phone or "",
            head=await tx.head(shop, order_id),
            order_url=self.url_of("order.view", token),
        )
        return _Asked(facts, checkout, token)

    async def _confirm(self, tx: Transaction, asked: _Asked, made: "Rendered") -> None:
        order, at = asked.facts.order, self.clock()
        shop, order_id, subject = order.context.shop, str(order.id), subject_of(asked.checkout)
        await self.confirmed_in(tx, order)
        kept = await tx.get(Kept, shop, order_id, lock=True)
        if kept is None or kept.acknowledged_at is not None:
            return
        parts = ((made.pdf, "application/pdf"), (made.html, "text/html"), (made.text.encode(), "text/plain"))
        documents = [await tx.keep(shop, data, kind, subject=subject, order=order_id) for data, kind in parts]
        pdf, html, text = (sha256(data).hexdigest() for data, _ in parts)
        rules = self.book.on(asked.facts.recap.law_on)
        names = [rule_ref(rules[id_]) for id_ in ("A08", "A10", "B11") if id_ in rules]
        facts: dict[str, Any] = {
            "items": list(made.items), "texts": dict(made.texts), "head": asked.facts.head.hash,
            "length": asked.facts.head.length,
        }  # fmt: skip
        acts = [
            Act(at_ms=to_ms(at), act="shown", what="confirmation", rules=tuple(names), document=documents[0],
                facts=facts),
            Act(at_ms=to_ms(at), act="shown", what="confirmation_mail", document=documents[1]),
        ]  # fmt: skip
        papers = {"confirmation.pdf": pdf}
        if made.terms is not None:
            papers["terms.pdf"] = sha256(made.terms).hexdigest()
            acts.insert(0, await self._accepted(tx, asked, made.terms))
        await tx.record(shop, order_id, acts)
        request = MessageRequest(
            id=request_id(order.id, "order.confirmation", 0),
            shop=shop,
            kind="order.confirmation",
            order_id=order.id,
            to=asked.facts.email,
            locale=asked.facts.language,
            facts={"order_number": order_id[:8], "subject": made.subject, "shop_name": asked.facts.shop.name},
            documents=tuple(Document(name=name, sha256=hash_) for name, hash_ in sorted(papers.items())),
            body_sha256=Body(html=html, text=text),
            requested_at=at,
        )
        await tx.send("checkout.messages.v1", order_id, encode(request), str(request.id))
        await tx.put_token(
            asked.token, "order.view", shop, order_id, at + timedelta(days=self.terms.view_lasts_days)
        )  # fmt: skip
        after = replace(kept, acknowledged_at=at, documents={**kept.documents, **papers}, version=kept.version + 1)
        await tx.put(shop, order_id, after, before=kept.version)
        for account in accounts_of(asked.checkout, asked.facts.record):
            await tx.put(shop, account.id, account, before=ANY)

    async def _accepted(self, tx: Transaction, asked: _Asked, terms: bytes) -> Act:
        """The terms that were accepted, kept by their bytes: once for all who accepted them, for nobody is in them."""
        facts, rules = asked.facts, self.book.on(asked.facts.recap.law_on)
        kept = await tx.keep(facts.order.context.shop, terms, "application/pdf")
        named = tuple(rule_ref(rules[id_]) for id_ in ("A09",) if id_ in rules)
        said = {"version": facts.recap.terms_version}
        return Act(at_ms=to_ms(self.clock()), act="shown", what="terms", rules=named, document=kept, facts=said)
