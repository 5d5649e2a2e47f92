"""Letters that checkout writes itself: set outside any transaction, kept as evidence, and sent once."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from relance.events.messages import Body as BodyHashes
from relance.events.messages import Document as Attached
from relance.events.messages import MessageRequest, encode, request_id
from relance.evidence.entries import Document
from relance.kernel.errors import Defect, NotNow
from services.checkout.adapters.documents.letters import Body, render
from services.checkout.application import telling
from services.checkout.application.aftercaring import Aftercaring, opened_words
from services.checkout.application.straying import LETTERS_MAX, letters_to
from services.checkout.application.tunnel import subject_of
from services.checkout.domain import letters, statements
from services.checkout.domain.addresses import is_email
from services.checkout.domain.aftercare import Aftercare, Statement, Stray
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.disclosures import rule_ref
from services.checkout.domain.follow_up import once
from services.checkout.domain.letters import Acknowledgement, Article, LetterFacts, Said
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Kept
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop
from services.checkout.store import Transaction

__all__ = ["Lettering", "Post"]

replace = msgspec.structs.replace

_ACKNOWLEDGED: Final = "withdrawal.acknowledged"
_DECIDED: Final = "withdrawal.decided"
_RULES: Final = {_ACKNOWLEDGED: ("B07", "B08"), _DECIDED: ("B01", "B09", "B12", "B16", "B17")}
_FACT_MAX: Final = 2_000
_TOKEN_BYTES: Final = 32


class _Reader(NamedTuple):
    """Who a letter of an order is for: where the order's own mail goes, and under whose key it is kept."""

    email: str
    subject: str
    language: str
    shop: Shop
    kept: Kept


class Post(NamedTuple):
    """A message with a body of ours. `to`: empty for the order's own address."""

    kind: str
    body: Body
    facts: Mapping[str, str | int]
    to: str = ""
    documents: Sequence[Attached] = ()


class _Draft(NamedTuple):
    """A letter about a statement, before it is set. `token`: of the link that stands in it; `decision`: what it tells,
    and is told once.
    """

    kind: str
    ref: str
    facts: LetterFacts
    to: str
    token: str = ""
    decision: str = ""


class Lettering(Aftercaring):
    """Acknowledgements and decisions of withdrawals."""

    async def write_letter(self, shop: str, order_id: UUID, kind: str, ref: str) -> None:
        """Write a letter about a statement, `ref`, unless it was written before. `order_id`: the order's, or that of a
        statement that matches none. Raises Defect for a kind that notification writes itself, NotNow when enough went
        to an address that is not the order's own: it is put off, never dropped.
        """
        if kind not in _RULES:
            raise Defect(f"no letter {kind} is written here")
        stray = await self.look(lambda tx: self._stray_draft(tx, shop, ref)) if kind == _ACKNOWLEDGED else None
        draft = stray or await self.look(lambda tx: self._draft(tx, shop, str(order_id), kind, ref))
        if draft is None:
            return
        elsewhere = stray is None and kind == _ACKNOWLEDGED and not draft.token  # not to the order's own mail
        if elsewhere and not await self.admit(letters_to(shop, draft.to), LETTERS_MAX):
            raise NotNow("enough letters went to this address within the hour")
        body = await asyncio.to_thread(render, draft.facts)
        if stray is not None:
            await self.again(lambda tx: self._post_stray(tx, shop, stray, body))
        else:
            await self.again(lambda tx: self._post(tx, shop, str(order_id), draft, body))
        self.nudge()

    async def post_body(self, tx: Transaction, order: Order, post: Post) -> tuple[Document | None, str]:
        """Keep a body for its reader, and have it sent. What evidence says of it, and the id of the message; None and
        nothing for an order that nobody can be written to about.
        """
        shop, order_id = order.context.shop, str(order.id)
        reader = await self._reader(tx, order, lock=True)
        if reader is None:
            return None, ""
        at = self.clock()
        html, text = post.body.html.encode(), post.body.text.encode()
        kept = await tx.keep(shop, html, "text/html", subject=reader.subject, order=order_id)
        await tx.keep(shop, text, "text/plain", subject=reader.subject, order=order_id)
        known: dict[str, str | int] = {
            "order_number": order_id[:8], "subject": post.body.subject, "shop_name": reader.shop.name,
        }  # fmt: skip
        request = MessageRequest(
            id=request_id(order.id, post.kind, reader.kept.messages, at),
            shop=shop,
            kind=post.kind,
            order_id=order.id,
            to=post.to or reader.email,
            locale=reader.language,
            facts=known | dict(post.facts),
            documents=tuple(post.documents),
            body_sha256=BodyHashes(html=sha256(html).hexdigest(), text=sha256(text).hexdigest()),
            requested_at=at,
        )
        counted = replace(reader.kept, messages=reader.kept.messages + 1, version=reader.kept.version + 1)
        await tx.put(shop, order_id, counted, before=reader.kept.version)
        await tx.send("checkout.messages.v1", order_id, encode(request), str(request.id))
        return kept, str(request.id)

    # -- of an order ---------------------------------------------------------------------------------------------------

    async def _draft(self, tx: Transaction, shop: str, order_id: str, kind: str, ref: str) -> _Draft | None:
        read = await self._seen_after(tx, shop, order_id)
        if isinstance(read, Refusal):
            return None
        order, after, setting = read
        statement = after.statement(ref)
        reader = await self._reader(tx, order)
        if statement is None or reader is None or _is_written(after, statement, kind):
            return None
        if kind == _DECIDED:
            known = letters.decided(order, after, statement, reader.shop, setting.book)
            return self._with_link(
                reader, _Draft(kind, ref, _about(reader, known), reader.email, decision=_decision(statement))
            )
        words = await opened_words(tx, shop, statement.content)
        said = Said() if words is None else Said(words.name, words.text, words.reference, words.address)
        to = said.address.strip() if is_email(said.address.strip()) else reader.email
        about = letters.acknowledgement(order, after, statement, said)
        return self._with_link(reader, _Draft(kind, ref, _about(reader, about), to))

    def _with_link(self, reader: _Reader, draft: _Draft) -> _Draft:
        """A letter that goes elsewhere than to the order's own address opens nothing: it may be anybody's."""
        if draft.to.casefold() != reader.email.strip().casefold():
            return draft
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        return draft._replace(token=token, facts=replace(draft.facts, url=self.url_of("order.view", token)))

    async def _post(self, tx: Transaction, shop: str, order_id: str, draft: _Draft, body: Body) -> None:
        read = await self._locked_after(tx, shop, order_id)
        if isinstance(read, Refusal):
            return
        order, after, setting = read
        about, kind, statement = draft.facts.about, draft.kind, after.statement(draft.ref)
        if statement is None or _is_written(after, statement, kind) or draft.decision not in {"", _decision(statement)}:
            return  # it was written, or is decided otherwise by now: another letter says so
        facts: dict[str, str | int] = {"withdrawal_number": about.number}
        if isinstance(about, Acknowledgement):
            facts |= {"stated_at": about.stated_at.isoformat(), "lines": _listed(about.articles)}
        document, request = await self.post_body(tx, order, Post(kind, body, facts, draft.to))
        if draft.token:
            until = setting.at + timedelta(days=self.terms.view_lasts_days)
            await tx.put_token(draft.token, "order.view", shop, order_id, until)
        told = {
            "step": "acknowledged" if kind == _ACKNOWLEDGED else "answered",
            "statement": draft.ref,
            "request": request,
        }
        await tx.record(shop, order_id, [self._told(kind, told, document)])
        now = once(after, draft.decision) if draft.decision else statements.acknowledged(after, draft.ref, setting.at)
        await self._put_after(tx, order, after, now or after, setting)

    async def _reader(self, tx: Transaction, order: Order, *, lock: bool = False) -> _Reader | None:
        shop, order_id = order.context.shop, str(order.id)
        kept = await tx.get(Kept, shop, order_id, lock=lock)
        checkout = await tx.get(Checkout, shop, order.checkout_id)
        record = await tx.get(Record, shop, order.checkout_id)
        found = await self.shop(tx, shop)
        if kept is None or checkout is None or checkout.contact is None or record is None or isinstance(found, Refusal):
            return None
        email = checkout.contact.contact.email
        return _Reader(email, subject_of(checkout), found.language(record.locale), found, kept)

    def _told(self, kind: str, facts: dict[str, Any], document: Document | None) -> Any:
        at = self.clock()
        book, day = self.law(at)
        rules = book.on(day)
        named = tuple(rule_ref(rules[id_]) for id_ in _RULES[kind] if id_ in rules)
        return telling.happened("withdrawal", at, "checkout", facts, document, named)

    # -- of no order that we know --------------------------------------------------------------------------------------

    async def _stray_draft(self, tx: Transaction, shop: str, ref: str) -> _Draft | None:
        stray = await tx.get(Stray, shop, ref)
        if stray is None or stray.state != "open" or stray.acknowledged_at is not None:
            return None
        words = await opened_words(tx, shop, stray.content)
        found = await self.shop(tx, shop)
        to = "" if words is None else words.address.strip()
        if words is None or isinstance(found, Refusal) or not is_email(to):
            return None  # the page showed it; there is nowhere to write to
        said = Said(words.name, words.text, words.reference, to)
        own = await self._is_own(tx, shop, stray.candidate, to)
        about = Acknowledgement(
            number=stray.id[:8], channel="web", stated_at=stray.stated_at, received_at=None,
            said=said if own else letters.bounded(said),
        )  # fmt: skip
        return _Draft(_ACKNOWLEDGED, ref, LetterFacts(shop=found, language=found.languages[0], about=about), to)

    async def _is_own(self, tx: Transaction, shop: str, order_id: str, address: str) -> bool:
        """Whether an address is that of the order which a statement named: it is nobody else's then."""
        order = await tx.get(Order, shop, order_id) if order_id else None
        reader = None if order is None else await self._reader(tx, order)
        return reader is not None and reader.email.strip().casefold() == address.casefold()

    async def _post_stray(self, tx: Transaction, shop: str, draft: _Draft, body: Body) -> None:
        stray = await tx.get(Stray, shop, draft.ref, lock=True)
        if stray is None or stray.state != "open" or stray.acknowledged_at is not None:
            return
        html, text, at = body.html.encode(), body.text.encode(), self.clock()
        kept = await tx.keep(shop, html, "text/html", subject=stray.subject, order=stray.id)
        await tx.keep(shop, text, "text/plain", subject=stray.subject, order=stray.id)
        request = MessageRequest(
            id=request_id(UUID(stray.id), _ACKNOWLEDGED, 0),
            shop=shop,
            kind=_ACKNOWLEDGED,
            order_id=UUID(stray.id),
            to=draft.to,
            locale=draft.facts.language,
            facts=_stray_facts(stray, draft.facts.shop, body.subject),
            body_sha256=BodyHashes(html=sha256(html).hexdigest(), text=sha256(text).hexdigest()),
            requested_at=at,
        )
        await tx.send("checkout.messages.v1", stray.id, encode(request), str(request.id))
        await tx.record(
            shop, stray.id, [self._told(_ACKNOWLEDGED, {"step": "acknowledged", "statement": stray.id}, kept)]
        )
        known = replace(stray, acknowledged_at=at, version=stray.version + 1)
        await tx.put(shop, stray.id, known, before=stray.version, state=known.state)


def _is_written(after: Aftercare, statement: Statement, kind: str) -> bool:
    """Whether this letter is on its way already."""
    if kind == _ACKNOWLEDGED:
        return statement.acknowledged_at is not None
    return _decision(statement) in after.told


def _decision(statement: Statement) -> str:
    """As what a letter on the decisions of a statement is told once: decided otherwise, it is another one."""
    return f"decided/{statement.id}/{sha256(msgspec.json.encode(statement.decisions)).hexdigest()[:16]}"


def _about(reader: _Reader, about: Acknowledgement | letters.Decided) -> LetterFacts:
    return LetterFacts(shop=reader.shop, language=reader.language, about=about)


def _listed(articles: Sequence[Article]) -> str:
    listed = ", ".join(f"{one.units} x {one.name}" for one in articles)
    return listed if len(listed) <= _FACT_MAX else f"{listed[:_FACT_MAX]}…"


def _stray_facts(stray: Stray, shop: Shop, subject: str) -> dict[str, str | int]:
    stated_at: datetime = stray.stated_at
    return {
        "subject": subject, "shop_name": shop.name, "withdrawal_number": stray.id[:8], "lines": "-",
        "stated_at": stated_at.isoformat(),
    }  # fmt: skip
