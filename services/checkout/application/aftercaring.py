"""What follows an order: one use case applies what an act gives, in one transaction, and looks at what is to be done.

The click, the shop's word, the provider's news and the daily job all come through here.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from relance.evidence.entries import Act, Document
from relance.kernel.instants import to_ms
from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from relance.rules.law.withdrawal import Period
from services.checkout.application.linking import Linking
from services.checkout.application.ordering import Ordering
from services.checkout.application.tunnel import subject_of
from services.checkout.domain import dues, follow_up, lateness, looking, rights
from services.checkout.domain.aftercare import Aftercare, bounded
from services.checkout.domain.articles import Article
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.disclosures import rule_ref
from services.checkout.domain.dues import Standing, Step
from services.checkout.domain.follow_up import Letter, Noted, Outcome, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Effect, Refusal
from services.checkout.domain.presenting import Kept, OrderView
from services.checkout.domain.records import Record
from services.checkout.store import Transaction

__all__ = ["AfterView", "Aftercaring", "Followed", "Words", "Work", "opened_words"]

replace = msgspec.structs.replace

Work = Callable[[Order, Aftercare, Setting], Outcome | Refusal]

_NO_ORDER: Final = Refusal("order_id", "there is no such order")
_WORDS: Final = "application/json"
_TOKEN_BYTES: Final = 32

T = TypeVar("T")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer said, by whom, and where he wants to be answered. `reference`: what he says of the contract, when
    nothing else does. Kept encrypted, as it came.
    """

    name: str = ""
    text: str = ""
    address: str = ""
    reference: str = ""


class AfterView(NamedTuple):
    """An order with what follows it, at an instant. `deadlines` by line; `standings` and `forecasts` by due."""

    order_view: OrderView
    after: Aftercare
    setting: Setting
    deadlines: Mapping[str, Period]
    standings: Mapping[str, Standing]
    forecasts: Mapping[str, tuple[Step, ...]]
    late: tuple[Any, ...]
    contracts: tuple[Any, ...]


class Followed(NamedTuple):
    """What one transaction made of an order's aftercare."""

    after: Aftercare
    changed: bool


class _Refused(Exception):  # noqa: N818 - not an error: what undoes a transaction whose act is refused
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class Aftercaring(Ordering, Linking):
    """The aftercare of orders."""

    async def follow(
        self, shop: str, order_id: UUID, work: Work, *, words: Words | None = None
    ) -> AfterView | Refusal:  # fmt: skip
        """Apply what `work` gives: acts of the order, evidence, letters, effects; then look at what is to be done.

        All of it in one transaction, or nothing and the refusal. `words` are kept under the order's person; `work`
        finds their hash in its setting.
        """

        async def done(tx: Transaction) -> AfterView | Refusal:
            followed = await self.follow_in(tx, shop, order_id, work, words=words)
            return followed if isinstance(followed, Refusal) else await self._after_view(tx, shop, str(order_id))

        view = await self.undone_when_refused(done)
        self.nudge()
        return view

    async def aftercare(self, shop: str, order_id: UUID) -> AfterView | Refusal:
        """An order with all that follows it."""
        return await self.look(lambda tx: self._after_view(tx, shop, str(order_id)))

    async def aftercares(
        self, shop: str, *, state: str | None = None, after: str = "", limit: int = 20
    ) -> list[Aftercare]:  # fmt: skip
        """A shop's, by id, from the one after `after`."""
        found = await self.look(lambda tx: tx.all(Aftercare, shop, state=state, after=after, limit=limit))
        return list(found.values())

    async def look_after(self, shop: str, order_id: UUID, *, of_before: bool = False) -> None:
        """Do what the day or a transition asks for; nothing when it asks for nothing. `of_before`: an upgrade asks, for
        an order of a release that kept no aftercare.
        """
        look = _first_look if of_before else looking.look
        await self.undone_when_refused(lambda tx: self.follow_in(tx, shop, order_id, look, looks=False))
        self.nudge()

    # -- within a transaction ---------------------------------------------------------------------------------------

    async def follow_in(  # noqa: PLR0913 - whose, what and when
        self, tx: Transaction, shop: str, order_id: UUID, work: Work, *,
        words: Words | None = None, looks: bool = True, at: datetime | None = None,
    ) -> Followed | Refusal:  # fmt: skip
        """As `follow`, in a transaction that is under way. A refusal is returned when nothing was written; after that
        it is raised, so that `undone_when_refused` undoes the transaction. `at`: of which instant it is done, now when
        none is given.
        """
        read = await self._locked_after(tx, shop, str(order_id))
        if isinstance(read, Refusal):
            return read
        order, before, setting = read
        setting = setting if at is None else setting._replace(at=at)
        kept = None
        if words is not None:
            kept = await self.keep_words(tx, order, words)
            setting = setting._replace(content=_stored(kept))
        outcome = work(order, before, setting)
        if isinstance(outcome, Refusal):
            if kept is not None:
                raise _Refused(outcome)
            return outcome
        await self._apply_outcome(tx, order, outcome, kept)
        if looks:
            order = await _as_it_is(tx, order)
            further = looking.look(order, outcome.after, setting)
            await self._apply_outcome(tx, order, further, None)
            outcome = further
        return await self._put_after(tx, order, before, outcome.after, setting)

    async def confirmed_in(self, tx: Transaction, order: Order) -> None:
        """The confirmation of an order is on its way: its aftercare begins, if it has not yet."""
        read = await self._locked_after(tx, order.context.shop, str(order.id))
        if isinstance(read, Refusal) or read[1].confirmed_at is not None:
            return
        order, before, setting = read
        await self._put_after(tx, order, before, replace(before, confirmed_at=self.clock()), setting)

    async def keep_words(self, tx: Transaction, order: Order, words: Words) -> Document:
        """Keep what a consumer said, encrypted for him."""
        checkout = await tx.get(Checkout, order.context.shop, order.checkout_id)
        subject = f"guest-{order.checkout_id}" if checkout is None else subject_of(checkout)
        data = msgspec.json.encode(words)
        return await tx.keep(order.context.shop, data, _WORDS, subject=subject, order=str(order.id))

    async def undone_when_refused(self, work: Callable[[Transaction], Awaitable[T]]) -> T | Refusal:
        """`work` in one transaction; a refusal that it raises undoes all and is returned."""
        try:
            return await self.again(work)
        except _Refused as refused:
            return refused.refusal

    async def _locked_after(
        self, tx: Transaction, shop: str, order_id: str
    ) -> tuple[Order, Aftercare, Setting] | Refusal:
        """The order, locked first, and its aftercare, opened when it has none yet."""
        order = await tx.get(Order, shop, order_id, lock=True)
        found = await self.shop(tx, shop)
        if order is None or isinstance(found, Refusal):
            return _NO_ORDER
        setting = Setting(self.clock(), self.book, found.aftercare)
        after = await tx.get(Aftercare, shop, order_id, lock=True)
        if after is None:
            after = await self.open_aftercare(tx, order)
        return _NO_ORDER if after is None else (order, bounded(after, setting.terms.since), setting)

    async def open_aftercare(self, tx: Transaction, order: Order) -> Aftercare | None:
        """The aftercare of an order that has none yet, with its lines as they were sold; it is not stored by this. It
        begins with the order's confirmation: where that left before, a release did it that kept no aftercare.
        """
        shop = order.context.shop
        record = await tx.get(Record, shop, order.checkout_id)
        if record is None:
            return None
        skus = [line.sku for line in order.lines if line.sku] + [line.sku for line in record.lines]
        kept = await tx.get(Kept, shop, str(order.id))
        opened = follow_up.opened(order, record, await tx.many(Article, shop, skus), self.clock())
        confirmed_at = kept.acknowledged_at if kept is not None else None
        return replace(opened, confirmed_at=confirmed_at, since=None if confirmed_at is None else opened.opened_at)

    async def _apply_outcome(self, tx: Transaction, order: Order, outcome: Outcome, kept: Document | None) -> None:
        """Evidence and letters first: an acknowledgement leaves before anything that is decided."""
        shop, order_id = order.context.shop, str(order.id)
        at = self.clock()
        documents = [kept] + [None] * len(outcome.noted)
        acts = [_entry(self.book, one, at, document) for one, document in zip(outcome.noted, documents, strict=False)]
        await tx.record(shop, order.checkout_id, acts)
        for letter in outcome.letters:
            await self._send_letter(tx, order, letter)
        by_shop = any(one.by == "shop" for one in outcome.noted)
        for act in outcome.acts:
            moved = await self.advance(tx, shop, order_id, act, by_shop=by_shop)
            if isinstance(moved, Refusal):
                raise _Refused(moved)
        await tx.do(shop, order.id, outcome.effects)

    async def _send_letter(self, tx: Transaction, order: Order, letter: Letter) -> None:
        shop, order_id = order.context.shop, str(order.id)
        if letter.ref:
            await tx.do(shop, order.id, [Effect("write_letter", f"{letter.kind}#{letter.ref}")])
        else:
            await self.send_template(tx, shop, order_id, letter.kind, letter.facts, to=letter.to)

    async def send_template(
        self, tx: Transaction, shop: str, order_id: str, kind: str, facts: Mapping[str, str | int], *, to: str = ""
    ) -> None:  # fmt: skip
        """Have notification's own letter of a kind sent, to the order's address if `to` is empty. An empty `link`
        becomes one to the order.
        """
        filled = dict(facts)
        if filled.get("link") == "":
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            until = self.clock() + timedelta(days=self.terms.tokens_last_days)
            await tx.put_token(token, "order.view", shop, order_id, until)
            filled["link"] = self.url_of("order.view", token)
        await self.message(tx, shop, order_id, kind, filled, to=to)

    async def _put_after(
        self, tx: Transaction, order: Order, before: Aftercare, after: Aftercare, setting: Setting
    ) -> Followed:  # fmt: skip
        now = replace(after, version=before.version + 1)
        order = await _as_it_is(tx, order)
        keys = [("number", after.id[:8])]
        if after.statements:
            keys += [("statements", "all"), *((("statements", "open"),) if _has_open(now) else ())]
        if lateness.late(order, now, setting.on, self.book):
            keys.append(("delivery", "late"))
        await tx.put(
            order.context.shop, after.id, now, before=before.version or None, keys=keys,
            state=looking.state_of(order, now, setting), due_at=looking.next_look(order, now, setting),
        )  # fmt: skip
        return Followed(now, changed=after != before)

    async def _after_view(self, tx: Transaction, shop: str, order_id: str) -> AfterView | Refusal:
        read = await self._seen_after(tx, shop, order_id)
        view = await self._view(tx, shop, order_id)
        if isinstance(read, Refusal) or isinstance(view, Refusal):
            return _NO_ORDER
        order, after, setting = read
        return AfterView(
            order_view=view,
            after=after,
            setting=setting,
            deadlines=rights.deadlines(order, after, self.book),
            standings=dues.standings(order, after, setting),
            forecasts=dues.forecasts(order, after, self.book),
            late=lateness.late(order, after, setting.on, self.book),
            contracts=(),
        )

    async def _seen_after(
        self, tx: Transaction, shop: str, order_id: str
    ) -> tuple[Order, Aftercare, Setting] | Refusal:  # fmt: skip
        order = await tx.get(Order, shop, order_id)
        found = await self.shop(tx, shop)
        if order is None or isinstance(found, Refusal):
            return _NO_ORDER
        after = await tx.get(Aftercare, shop, order_id) or await self.open_aftercare(tx, order)
        if after is None:
            return _NO_ORDER
        setting = Setting(self.clock(), self.book, found.aftercare)
        return order, bounded(after, setting.terms.since), setting


async def opened_words(tx: Transaction, shop: str, content: str) -> Words | None:
    """What a consumer said, by the hash that its act holds; None once he was erased."""
    data = await tx.blob(shop, content) if content else None
    return None if data is None else msgspec.json.decode(data, type=Words)


def _first_look(order: Order, after: Aftercare, setting: Setting) -> Outcome:
    """At an order of before: what was until now is its shop's own, unless somebody has looked since."""
    if not after.version and after.since is None:
        after = bounded(replace(after, since=setting.at), setting.terms.since)
    return looking.look(order, after, setting)


def _stored(kept: Document) -> str:
    """The hash of the bytes as they are stored: that of the words themselves would outlive an erasure."""
    return kept.sealed.blob if kept.sealed is not None else kept.sha256 or ""


def _has_open(after: Aftercare) -> bool:
    """Whether a statement waits: for its acknowledgement, or for goods."""
    if any(one.acknowledged_at is None for one in after.statements):
        return True
    waits = (due for due in after.dues if due.shipped and due.amount_minor and not due.collection_offered)
    return any(due.regime == "withdrawal" and not (due.recovered_on or due.dispatched_on) for due in waits)


async def _as_it_is(tx: Transaction, order: Order) -> Order:
    """The order with what this transaction made of it."""
    found = await tx.get(Order, order.context.shop, str(order.id))
    return order if found is None else found


def _entry(book: Book, noted: Noted, at: datetime, document: Document | None) -> Act:
    """An entry of evidence; rules that are not in force are not named."""
    rules = book.on(paris_date(at))
    return Act(
        at_ms=to_ms(at), act=noted.act, what=noted.what, by=noted.by, facts=noted.facts, document=document,
        rules=tuple(rule_ref(rules[id_]) for id_ in noted.rules if id_ in rules),
    )  # fmt: skip
