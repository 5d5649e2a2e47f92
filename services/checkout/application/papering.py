"""Invoices and credit notes: numbered in a transaction of their own, printed afterwards, kept for ten years."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from relance.events.messages import Document as Attached
from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from relance.rules.law.calendar import first_instant_after, paris_date
from services.checkout.adapters.documents.letters import render
from services.checkout.application.lettering import Lettering, Post
from services.checkout.application.paper_pages import paper_page, stretches
from services.checkout.domain import papers
from services.checkout.domain.aftercare import Aftercare, PaperRef
from services.checkout.domain.disclosures import rule_ref
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.letters import CreditNote, LetterFacts
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.papers import Paper, PaperFacts, Wanted
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop, speak
from services.checkout.store import Transaction
from services.checkout.store.errors import Conflict

__all__ = ["PaperPress", "Papering"]

replace = msgspec.structs.replace

PaperPress: TypeAlias = Callable[[PaperFacts], Awaitable[bytes]]

_TOKEN_BYTES: Final = 32


class Papering(Lettering):
    """What an order is invoiced with, and what corrects it."""

    async def print_paper(self, shop: str, order_id: UUID, cause: str, press: PaperPress | None = None) -> None:
        """Issue what is due of an order's papers, and print the one of `cause`. It has its number for good before it is
        printed: one that cannot be printed now keeps it. Nothing is done twice. Raises NotNow when the press is away.
        """
        number = await self.again(lambda tx: self._issued(tx, shop, str(order_id), cause))
        facts = await self.look(lambda tx: self._paper_facts(tx, shop, number)) if number and press else None
        if facts is None or press is None:
            return
        pdf = await press(facts)
        await self._printed(shop, facts, pdf)
        self.nudge()

    async def papers(
        self, shop: str, first: date, last: date, *, kind: str = "", after: str = "", limit: int = 1_000
    ) -> list[Paper]:
        """Papers of a shop that are dated from `first` to `last`, both in, by their numbers: those after `after`."""
        return await paper_page(self.store, shop, await stretches(self.store, shop, first, last, kind), after, limit)

    # -- numbers ------------------------------------------------------------------------------------------------------

    async def _issued(self, tx: Transaction, shop: str, order_id: str, cause: str) -> str:
        """The number of the paper of a cause, issued with all that are due before it; empty when none is due."""
        read = await self._locked_after(tx, shop, order_id)
        found = await self.shop(tx, shop)
        if isinstance(read, Refusal) or isinstance(found, Refusal):
            return ""
        order, before, setting = read
        after = before
        while due := papers.wanted(order, after, franchise=found.trader.vat_franchise):
            paper = await self._numbered(tx, order, due[0], setting)
            after = replace(after, papers=(*after.papers, papers.ref_of(paper)))
        if after is not before:
            await self._put_after(tx, order, before, after, setting)
        return next((ref.number for ref in after.papers if ref.cause == cause), "")

    async def _numbered(self, tx: Transaction, order: Order, due: Wanted, setting: Setting) -> Paper:
        """The paper with the next number of its series, whose date is read after that, and is never before that of the
        paper before it, also when another process numbered that by a clock ahead of ours: numbers rise with time.
        """
        shop, year = order.context.shop, paris_date(self.clock())
        count = await tx.count(shop, f"papers/{papers.series(due.kind, year)}")
        last = await tx.get(Paper, shop, papers.numbered(due.kind, year, count - 1))
        at = self.clock() if last is None else max(self.clock(), last.issued_at)
        if paris_date(at).year != year.year:
            raise Conflict("the year has changed", 0.0)
        paper = Paper(
            id=papers.numbered(due.kind, year, count),
            shop=shop,
            order_id=str(order.id),
            kind=due.kind,
            cause=due.cause,
            issued_at=at,
            lines=due.lines,
            total_minor=due.total_minor,
            taxed_minor=due.taxed_minor,
            vat_minor=due.vat_minor,
            discount_minor=_discount(order) if due.kind == "invoice" else 0,
            of=due.of,
            version=1,
        )
        forgotten_at = self._forgotten_at(paper, setting)
        await tx.put(shop, paper.id, paper, before=None, keys=[("order", str(order.id))], due_at=forgotten_at)
        facts: dict[str, str | int] = {
            "step": due.kind,
            "number": paper.id,
            "total": due.total_minor,
            "cause": due.cause,
            "of": due.of,
        }
        await tx.record(shop, str(order.id), [self._noted(facts)])
        return paper

    def _forgotten_at(self, paper: Paper, setting: Setting) -> datetime:
        """When its print is looked at again, to be forgotten unless the archive of its order needs it longer."""
        return first_instant_after(papers.accounted_until(paper.issued_on, setting))

    # -- print --------------------------------------------------------------------------------------------------------

    async def _paper_facts(self, tx: Transaction, shop: str, number: str) -> PaperFacts | None:
        paper = await tx.get(Paper, shop, number)
        order = None if paper is None or paper.sha256 else await tx.get(Order, shop, paper.order_id)
        after = None if order is None else await tx.get(Aftercare, shop, str(order.id))
        record = None if order is None else await tx.get(Record, shop, order.checkout_id)
        found = await self.shop(tx, shop)
        if paper is None or order is None or after is None or record is None or isinstance(found, Refusal):
            return None
        language = found.language(record.locale)
        receipts = [parcel.received_at for parcel in order.parcels if parcel.received_at is not None]
        open_units = any(line.quantity > line.received + line.withdrawn + line.ended for line in order.lines)
        promised = [one.promised_on for one in after.sold if one.promised_on is not None]
        return PaperFacts(
            paper=paper,
            shop=found,
            language=language,
            buyer=record.billing or record.address,
            placed_at=order.placed_at,
            paid=_paid(order, found, language),
            paid_at=order.paid_at,
            delivered_on=None if open_units or not receipts else paris_date(max(receipts)),
            delivery_by=max(promised, default=record.promised_on),
            invoice_on=next((ref.issued_on for ref in after.papers if ref.number == paper.of), None),
        )

    async def _printed(self, shop: str, facts: PaperFacts, pdf: bytes) -> None:
        paper = facts.paper
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        letter = LetterFacts(
            shop=facts.shop, language=facts.language, url=self.url_of("order.view", token),
            about=CreditNote(
                number=paper.id, invoice=paper.of, amount_minor=paper.total_minor, order_number=paper.order_id[:8]
            ),
        )  # fmt: skip
        body = await asyncio.to_thread(render, letter) if paper.kind == "credit_note" else None
        name, hashed = f"{paper.id}.pdf", sha256(pdf).hexdigest()

        async def work(tx: Transaction) -> None:
            read = await self._locked_after(tx, shop, paper.order_id)
            now = await tx.get(Paper, shop, paper.id, lock=True)
            if isinstance(read, Refusal) or now is None or now.sha256:
                return
            order, before, setting = read
            document = await tx.keep(
                shop, pdf, "application/pdf", subject=papers.subject_of_paper(paper.id), order=paper.order_id
            )
            printed = replace(now, sha256=hashed, version=now.version + 1)
            await tx.put(shop, paper.id, printed, before=now.version, due_at=self._forgotten_at(printed, setting))
            refs = tuple(_with_hash(ref, printed) for ref in before.papers)
            await self._put_after(tx, order, before, replace(before, papers=refs), setting)
            said = self._noted({"step": f"{paper.kind}_printed", "number": paper.id})
            await tx.record(shop, paper.order_id, [msgspec.structs.replace(said, document=document)])
            if body is not None:
                until = setting.at + timedelta(days=self.terms.view_lasts_days)
                await tx.put_token(token, "order.view", shop, paper.order_id, until)
                attached = (Attached(name=name, sha256=hashed),)
                post = Post("paper.issued", body, {"number": paper.id}, documents=attached)
                await self.post_body(tx, order, post)

        await self.again(work)

    def _noted(self, facts: Mapping[str, str | int]) -> Act:
        at = self.clock()
        book, day = self.law(at)
        rules = book.on(day)
        named = tuple(rule_ref(rules[id_]) for id_ in ("G10", "G09") if id_ in rules)
        return Act(at_ms=to_ms(at), act="happened", what="order", by="checkout", facts=dict(facts), rules=named)


def _with_hash(ref: PaperRef, paper: Paper) -> PaperRef:
    return replace(ref, sha256=paper.sha256) if ref.number == paper.id else ref


def _discount(order: Order) -> int:
    return sum(line.unit_minor * line.quantity - line.net_minor for line in order.lines)


def _paid(order: Order, shop: Shop, language: str) -> tuple[tuple[str, int], ...]:
    labels = {offered.means.id: speak(offered.label, language) for offered in shop.means}
    return tuple((labels.get(one.means, one.means), one.amount_minor) for one in order.tenders if one.amount_minor)
