"""Withdrawals: stated on the page of an order, told to the shop, or left by somebody who only knows that he ordered.

A statement is never refused for its form. One that names no order that we can be sure of is kept as it is, and what the
page answers is the same whether it matched or not: matching is done after the answer.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec

from relance.evidence.entries import Act
from relance.kernel.errors import NotNow
from relance.kernel.instants import to_ms
from services.checkout.application.aftercaring import Aftercaring, AfterView, Words, opened_words
from services.checkout.application.singly import unread
from services.checkout.application.straying import LETTERS_MAX, carry_letter, forget_words, letters_to
from services.checkout.domain import statements
from services.checkout.domain.addresses import is_email
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.follow_up import Outcome, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Effect, Refusal
from services.checkout.domain.statements import StateWithdrawal, WithdrawalAct
from services.checkout.store import Transaction

__all__ = ["Said", "Withdrawing"]

replace = msgspec.structs.replace

_ACKNOWLEDGED: Final = "withdrawal.acknowledged"
_NUMBER: Final = re.compile(
    r"(?i)(?<![0-9a-z-])([0-9a-f]{8})((?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?(?![0-9a-z-])"
)  # fmt: skip
_NUMBERS_MAX: Final = 4  # of one statement that are looked for
_NO_STRAY: Final = Refusal("stray_id", "there is no such statement")


class Said(NamedTuple):
    """That a statement was received, and when: all that its page says."""

    statement_id: str
    at: datetime


class Withdrawing(Aftercaring):
    """What consumers state, and what the shop answers."""

    async def state_withdrawal(
        self, shop: str, order_id: UUID, act: StateWithdrawal, words: Words
    ) -> AfterView | Refusal:  # fmt: skip
        """Record a statement about a known order, have it acknowledged, then decide it. The same one again changes
        nothing. Whoever gave another address than the order's is answered there, and the order's own is told.
        """

        async def done(tx: Transaction) -> AfterView | Refusal:
            refused = await self._stated(tx, shop, order_id, act, words)
            return refused or await self._after_view(tx, shop, str(order_id))

        try:
            view = await self.undone_when_refused(done)
        except NotNow:
            raise
        except Exception:
            await self._kept_apart(shop, order_id, act, words)
            raise
        self.nudge()
        return view

    async def _kept_apart(self, shop: str, order_id: UUID, act: StateWithdrawal, words: Words) -> None:
        """A statement on the page of an order that cannot be worked on, whatever is wrong with it: it is on record all
        the same, acknowledged, and the shop, or the next click, brings both together.
        """
        if act.channel != "web":
            return  # who records it for a consumer hears of it, and records it again
        units = ", ".join(f"{line_id}: {count}" for line_id, count in act.units.items())
        apart = words if words.text or not units else replace(words, text=units)
        await self.state_unknown(shop, str(order_id), apart, at=act.stated_at, statement_id=act.id)

    async def answer_withdrawal(self, shop: str, order_id: UUID, act: WithdrawalAct) -> AfterView | Refusal:
        """What the shop does about withdrawals: goods are back, a service began, a seal was broken, it is kinder."""
        return await self.follow(shop, order_id, partial(_step, act))

    async def withdrawals(
        self, shop: str, which: Literal["all", "open"] = "all", *, after: str = "", limit: int = 20
    ) -> list[Aftercare]:  # fmt: skip
        """Orders with statements, by id; `open`: not acknowledged yet, or their goods are waited for."""
        found, lost = await self.look(
            lambda tx: tx.legible_page(Aftercare, shop, key=("statements", which), after=after, limit=limit)
        )  # fmt: skip
        for id_ in lost:
            unread(shop, id_)
        return list(found.values())

    async def state_unknown(
        self, shop: str, reference: str, words: Words, at: datetime | None = None, statement_id: str = ""
    ) -> Said:  # fmt: skip
        """Keep a statement that comes without a link. `statement_id`: the form's own, so that fifty clicks are one.

        Whether it names an order is found out afterwards, so that the answer takes the same time and says the same.
        """
        said_at = at or self.clock()
        seed = msgspec.json.encode((shop, reference, words, said_at.isoformat()))
        id_ = statement_id or str(UUID(bytes=sha256(seed).digest()[:16]))

        async def work(tx: Transaction) -> Said:
            known = await tx.get(Stray, shop, id_)
            if known is not None:
                return Said(id_, known.stated_at)
            subject = f"stray-{id_}"
            data = msgspec.json.encode(replace(words, reference=reference))
            kept = await tx.keep(shop, data, "application/json", subject=subject, order=id_)
            content = kept.sealed.blob if kept.sealed is not None else ""
            stray = Stray(
                id=id_, shop=shop, stated_at=said_at, recorded_at=self.clock(), content=content, subject=subject,
                version=1,
            )  # fmt: skip
            await tx.put(shop, id_, stray, before=None, state=stray.state)
            said = Act(
                at_ms=to_ms(stray.recorded_at), act="declared", what="withdrawal", document=kept,
                facts={"statement": id_, "channel": "web", "stated_at": said_at.isoformat()},
            )  # fmt: skip
            await tx.record(shop, id_, [said])
            await tx.do(shop, UUID(id_), [Effect("acknowledge_stray", id_)])
            return Said(id_, said_at)

        said = await self.again(work)
        self.nudge()
        return said

    async def seek_order(self, shop: str, stray_id: str) -> bool:
        """Find the order of a statement, whose letter then acknowledges it. True when it found none that is sure, so
        that the statement needs a letter of its own. Raises NotNow when enough of those went to its address within the
        hour: it is put off, never dropped.
        """
        waits = await self.undone_when_refused(lambda tx: self._matched(tx, shop, stray_id))
        self.nudge()
        if not isinstance(waits, Words):
            return False
        if not await self.admit(letters_to(shop, waits.address), LETTERS_MAX):
            raise NotNow("enough letters went to this address within the hour")
        return True

    async def strays(self, shop: str, *, state: str = "open", after: str = "", limit: int = 20) -> list[Stray]:
        """Statements that matched no order, by id, from the one after `after`."""
        found, lost = await self.look(
            lambda tx: tx.legible_page(Stray, shop, state=state, after=after, limit=limit)
        )  # fmt: skip
        for id_ in lost:
            unread(shop, id_)
        return list(found.values())

    async def stray_words(self, shop: str, stray_id: str) -> Words | None:
        """What such a statement says, for the shop that has to find its order."""

        async def work(tx: Transaction) -> Words | None:
            stray = await tx.get(Stray, shop, stray_id)
            found = stray is None or stray.state == "matched"
            return None if found or stray is None else await opened_words(tx, shop, stray.content)

        return await self.look(work)

    async def match_stray(
        self, shop: str, stray_id: str, order_id: UUID, units: dict[str, int] | None = None
    ) -> AfterView | Refusal:  # fmt: skip
        """The shop says which order a statement is about, and which units. It counts from when it was made."""

        async def work(tx: Transaction) -> AfterView | Refusal:
            stray = await tx.get(Stray, shop, stray_id, lock=True)
            if stray is None or stray.state == "closed" or stray.about != "withdrawal":
                return _NO_STRAY
            if stray.state == "open":
                words = await opened_words(tx, shop, stray.content) or Words()
                if refused := await self._match(tx, stray, order_id, words, units or {}):
                    return refused
            return await self._after_view(tx, shop, stray.order_id or str(order_id))

        view = await self.undone_when_refused(work)
        self.nudge()
        return view

    async def close_stray(self, shop: str, stray_id: str) -> Stray | Refusal:
        """The shop has answered a statement that is about no order of its own."""

        async def work(tx: Transaction) -> Stray | Refusal:
            stray = await tx.get(Stray, shop, stray_id, lock=True)
            if stray is None or stray.state == "matched":
                return _NO_STRAY
            if stray.state == "closed":
                return stray
            closed = replace(stray, state="closed", version=stray.version + 1)
            await tx.put(shop, stray.id, closed, before=stray.version, state="closed")
            await tx.record(shop, stray.id, [_happened({"step": "closed"}, self.clock())])
            return closed

        return await self.again(work)

    # -- within a transaction ---------------------------------------------------------------------------------------

    async def _stated(
        self, tx: Transaction, shop: str, order_id: UUID, act: StateWithdrawal, words: Words
    ) -> Refusal | None:  # fmt: skip
        known = await tx.get(Aftercare, shop, str(order_id))
        if known is not None and known.statement(act.id) is not None:
            return None
        followed = await self.follow_in(tx, shop, order_id, partial(_step, act), words=words)
        if isinstance(followed, Refusal):
            return followed
        own = await _own_address(tx, shop, str(order_id))
        if words.address and own and not _same(words.address, own):
            facts = {"link": "", "recorded_at": self.clock().isoformat()}
            await self.send_template(tx, shop, str(order_id), "withdrawal.noticed", facts)
        return None

    async def _matched(self, tx: Transaction, shop: str, stray_id: str) -> Words | None:
        """The words of a statement that is to be acknowledged by itself; None once its order answers for it, or
        where no mail can: then the shop does, by post.
        """
        stray = await tx.get(Stray, shop, stray_id, lock=True)
        words = None if stray is None else await opened_words(tx, shop, stray.content)
        if stray is None or words is None or stray.state != "open" or stray.acknowledged_at is not None:
            return None
        named = await _named(tx, shop, words.reference)
        own = {id_: await _own_address(tx, shop, id_) for id_ in named}
        sure = next((id_ for id_, address in own.items() if _same(address, words.address)), None)
        if sure is not None and not words.text.strip():
            await self._match(tx, stray, UUID(sure), words, {})
            return None
        candidate, by_post = sure or next(iter(own), ""), not is_email(words.address.strip())
        again = replace(stray, candidate=candidate or stray.candidate, by_post=by_post)
        if again != stray:
            again = replace(again, version=stray.version + 1)
            await tx.put(shop, stray.id, again, before=stray.version, state=again.state)
        told = not candidate or candidate == stray.candidate
        if not told and await tx.tried(f"noticed/{shop}/{candidate}", self.clock(), 1) <= LETTERS_MAX:
            await self.send_template(tx, shop, candidate, "withdrawal.noticed", {"link": ""})
        return None if by_post else words

    async def _match(
        self, tx: Transaction, stray: Stray, order_id: UUID, words: Words, units: dict[str, int]
    ) -> Refusal | None:  # fmt: skip
        act = StateWithdrawal(
            id=stray.id, channel="web", stated_at=stray.stated_at, received_at=stray.stated_at, units=units
        )  # fmt: skip
        acknowledged_at = stray.acknowledged_at

        def work(order: Order, after: Aftercare, setting: Setting) -> Outcome | Refusal:
            found = statements.state(order, after, act, setting)
            if isinstance(found, Refusal) or acknowledged_at is None:
                return found
            letters = tuple(one for one in found.letters if one.kind != _ACKNOWLEDGED)
            known = statements.acknowledged(found.after, act.id, acknowledged_at)
            return found._replace(letters=letters, after=known)

        followed = await self.follow_in(tx, stray.shop, order_id, work, words=words)
        if isinstance(followed, Refusal):
            return followed
        now = replace(stray, state="matched", order_id=str(order_id), version=stray.version + 1)
        await tx.put(stray.shop, stray.id, now, before=stray.version, state="matched")
        await tx.record(stray.shop, stray.id, [_happened({"step": "matched", "order": str(order_id)}, self.clock())])
        await carry_letter(tx, stray, order_id, self.clock())
        await forget_words(tx, now)
        return None


def _step(act: WithdrawalAct, order: Order, after: Aftercare, setting: Setting) -> Outcome | Refusal:
    return statements.step(order, after, act, setting)


async def _named(tx: Transaction, shop: str, reference: str) -> Sequence[str]:
    """The orders whose number a text names: eight letters, or the whole id."""
    found: dict[str, None] = {}
    for short, rest in _NUMBER.findall(reference)[:_NUMBERS_MAX]:
        number = (short + rest).lower()
        if rest:
            if await tx.get(Order, shop, number) is not None:
                found[number] = None
        else:
            found |= {after.id: None for _, after in await tx.find(Aftercare, "number", number, shop)}
    return tuple(found)


async def _own_address(tx: Transaction, shop: str, order_id: str) -> str:
    order = await tx.get(Order, shop, order_id)
    checkout = None if order is None else await tx.get(Checkout, shop, order.checkout_id)
    return "" if checkout is None or checkout.contact is None else checkout.contact.contact.email


def _same(one: str, other: str) -> bool:
    return bool(one.strip()) and one.strip().casefold() == other.strip().casefold()


def _happened(facts: dict[str, Any], at: datetime) -> Act:
    return Act(at_ms=to_ms(at), act="happened", what="withdrawal", facts=facts)
