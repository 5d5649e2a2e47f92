"""Shops with pages of their own: what they must show, and a click that they attest."""

from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from relance.rules.law.book import Book
from relance.rules.law.buttons import ButtonLists
from relance.rules.law.calendar import paris_date
from relance.rules.law.terms import parameters
from services.checkout.application.desk import Desk
from services.checkout.application.tunnel import NO_CHECKOUT, Loaded, subject_of
from services.checkout.domain.attested import Attested, Disclosed, DisclosureSet, agrees, told
from services.checkout.domain.checkouts import Press
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Pressed, View
from services.checkout.domain.recap import canonical
from services.checkout.domain.records import PressActs, Record
from services.checkout.store import Transaction

__all__ = ["Attesting", "Disclosing"]

replace = msgspec.structs.replace

_SET_KEPT: Final = timedelta(days=1)  # beyond its end: who sends the same click again is told the same


class Disclosing(NamedTuple):
    """A set as the shop is told it: with the view that it was made of, and the recap's bytes."""

    found: DisclosureSet
    view: View
    recap: bytes


class Attesting:
    """Sets of disclosures, and clicks on them, over the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def vouch(self, shop: str, checkout_id: UUID) -> Refusal | None:
        """What is said of this checkout next is on the shop's word: evidence tells it from what our own pages saw."""

        async def work(tx: Transaction) -> Refusal | None:
            record = await tx.get(Record, shop, str(checkout_id))
            if record is None:
                return NO_CHECKOUT
            if not record.attested_by_shop:
                after = replace(record, attested_by_shop=True, version=record.version + 1)
                await tx.put(shop, record.id, after, before=record.version)
            return None

        return await self._desk.again(work)

    async def disclose(self, shop: str, checkout_id: UUID) -> Disclosing | Refusal:
        """All that the page of the order button must show now; kept as evidence, valid for fifteen minutes."""
        shown = await self._desk.show_recap(shop, checkout_id, _page, "application/json", attested=True)
        if isinstance(shown, Refusal):
            return shown
        view, _ = shown
        book, _day = self._desk.law(view.at)
        found = DisclosureSet(
            id=str(uuid4()),
            checkout_id=str(checkout_id),
            recap_hash=view.recap_hash,
            language=view.language,
            texts={name: Disclosed(text.sha256, text.rule, text.article) for name, text in view.texts.items()},
            buttons=_buttons(view, book),
            issued_at=view.at,
        )

        async def work(tx: Transaction) -> None:
            await tx.put(shop, found.id, found, before=None, due_at=found.expires_at + _SET_KEPT)

        await self._desk.again(work)
        return Disclosing(found, view, canonical(view.recap) if view.recap is not None else b"")

    async def place(self, shop: str, checkout_id: UUID, attested: Attested, press: Press) -> Pressed | Refusal:
        """The click, with the recap of the set. What the shop attests is on record before the order, and without it
        when it is refused.
        """
        acts = PressActs(
            button_text=attested.button_text,
            early_start="early_start_requested" in attested.acts,
            loss_acknowledged="withdrawal_loss_acknowledged" in attested.acts,
            adult="age_declared" in attested.acts,
            attested_by_shop=True,
        )

        async def vouched(tx: Transaction, loaded: Loaded) -> Press | Refusal:
            found = await self._look(tx, loaded, attested, press)
            return found if isinstance(found, Refusal) else replace(press, recap_hash=found.recap_hash)

        return await self._desk.press(shop, checkout_id, vouched, acts)

    async def _look(
        self, tx: Transaction, loaded: Loaded, attested: Attested, press: Press
    ) -> DisclosureSet | Refusal:  # fmt: skip
        """The set, when all that is attested agrees with it. A click that made its order already is not held up."""
        checkout, shop, id_ = loaded.checkout, loaded.shop.id, loaded.record.id
        found = await tx.get(DisclosureSet, shop, attested.set_id)
        if press.channel == "phone_outbound":
            reason = "after a call of the trader the consumer orders himself, in writing"
            return Refusal("channel", reason, "E13", "L221-16 al. 2-3")
        if found is not None and checkout.state == "ordered" and checkout.recap_hash == found.recap_hash:
            return found
        if refused := agrees(found, attested, id_, loaded.at):
            return refused
        assert found is not None
        agent = await tx.seal(shop, id_, subject_of(checkout), "user_agent", attested.user_agent)
        facts = told(attested, press.channel)
        act = Act(
            at_ms=to_ms(loaded.at), act="declared", what="attestation", by="shop", facts=facts, personal=(agent,)
        )  # fmt: skip
        await tx.record(shop, id_, [act])
        return found


def _page(view: View) -> bytes:
    """What is put on record as shown: the recap and the texts, as the shop gets them."""
    texts = {name: text.text for name, text in view.texts.items()}
    return msgspec.json.encode({"recap": view.recap, "texts": texts, "button": view.button}, order="sorted")


def _buttons(view: View, book: Book) -> tuple[str, ...]:
    """The shop's own words first, then the law's."""
    lists = parameters(book, "A04", paris_date(view.at), ButtonLists)
    return tuple(dict.fromkeys((view.button.text, *sorted(lists.allowed.get(view.language, ())))))
