"""Contracts that go on: begun with their order, looked at with it and on each day of their own, ended by notification.

What the consumer notifies is confirmed in the transaction that records it, with the day on which the contract ends.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from typing_extensions import override

from relance.events.messages import MessageOutcome
from relance.evidence.entries import Document
from relance.rules.law.calendar import first_instant, paris_date
from services.checkout.application.aftercaring import Aftercaring, AfterView, Followed, Words
from services.checkout.application.singly import unread
from services.checkout.application.stocking import alert
from services.checkout.domain import contracts, renewals
from services.checkout.domain.addresses import is_email
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.contracts import Advance, Contract, Effects, Terminate
from services.checkout.domain.follow_up import Letter, Outcome, Setting, once
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Alert
from services.checkout.domain.records import Record
from services.checkout.domain.renewals import Looked
from services.checkout.store import Transaction

__all__ = ["EFFECTS", "Contracting"]

replace = msgspec.structs.replace

_OPENED: Final = "contracts"
_ANY: Final = "contracts/any"
_TERMINATED: Final = "terminated"
_NO_CONTRACT: Final = Refusal("contract_id", "there is no such contract")

EFFECTS: Final[Mapping[Effects, Mapping[str, str]]] = {
    "trial": {
        "fr": "le contrat prend fin pendant la période d'essai ; rien n'est dû.",
        "en": "the contract ends within the trial period; nothing is due.",
    },
    "no_notice": {
        "fr": (
            "le contrat prend fin sans frais ; les sommes versées d'avance pour la suite sont remboursées dans les "
            "trente jours (article L. 215-1 du code de la consommation)."
        ),
        "en": (
            "the contract ends at no cost; what was paid in advance for the time after is paid back within thirty days "
            "(article L. 215-1 of the French consumer code)."
        ),
    },
    "term_end": {
        "fr": "le contrat va jusqu'au terme de la période en cours et n'est pas reconduit.",
        "en": "the contract runs to the end of its present term and is not renewed.",
    },
    "next_term": {
        "fr": "la période en cours et la suivante sont dues ; le contrat n'est pas reconduit ensuite.",
        "en": "the present term and the next are due; the contract is not renewed after that.",
    },
    "notice_days": {
        "fr": "le contrat prend fin à l'issue du préavis ou de la durée minimale d'engagement.",
        "en": "the contract ends after its period of notice or its minimum term.",
    },
    "at_once": {
        "fr": "le contrat prend fin à cette date ; rien n'est dû pour la suite.",
        "en": "the contract ends on that day; nothing is due for the time after.",
    },
    "ended": {
        "fr": "le contrat avait déjà pris fin à cette date ; rien n'est dû pour la suite.",
        "en": "the contract had ended on that day already; nothing is due for the time after.",
    },
}


class Contracting(Aftercaring):
    """Subscriptions, from the consumer's side and the shop's."""

    async def contracts(
        self, shop: str, *, state: str | None = None, after: str = "", limit: int = 20
    ) -> list[Contract]:  # fmt: skip
        """A shop's, by id, from the one after `after`. `state`: `running` or `ended`."""
        found, lost = await self.look(
            lambda tx: tx.legible_page(Contract, shop, state=state, after=after, limit=limit)
        )  # fmt: skip
        for id_ in lost:
            unread(shop, id_)
        return list(found.values())

    async def contract(self, shop: str, contract_id: str) -> Contract | None:
        """One of them."""
        return await self.look(lambda tx: tx.get(Contract, shop, contract_id))

    async def terminate(self, shop: str, contract_id: str, act: Terminate, words: Words) -> AfterView | Refusal:
        """End a contract as its consumer notifies it, and confirm it to him with its day and effects. The same
        notification again changes nothing.
        """

        async def done(tx: Transaction) -> AfterView | Refusal:
            known = await tx.get(Contract, shop, contract_id)
            if known is None:
                return _NO_CONTRACT
            refused = await self._terminated(tx, known, act, words)
            return refused or await self._after_view(tx, shop, known.order_id)

        view = await self.undone_when_refused(done)
        self.nudge()
        return view

    async def record_advance(self, shop: str, contract_id: str, advance: Advance) -> Contract | Refusal:
        """What the consumer paid in advance for a contract, as the shop tells it: it bills by itself. What goes back of
        it, when the contract was terminated before, is owed from then on.
        """

        async def done(tx: Transaction) -> Contract | Refusal:
            known = await tx.get(Contract, shop, contract_id)
            read = _NO_CONTRACT if known is None else await self._locked_after(tx, shop, known.order_id)
            contract = await tx.get(Contract, shop, contract_id, lock=True)
            if isinstance(read, Refusal) or contract is None:
                return _NO_CONTRACT
            order, after, setting = read
            looked = renewals.advanced(contract, after, advance, setting)
            if isinstance(looked, Refusal) or looked.contract == contract:
                return looked if isinstance(looked, Refusal) else contract
            stored = await self._put_contract(tx, contract, looked.contract, setting)
            now = after if looked.due is None else replace(after, dues=(*after.dues, looked.due))
            await self._apply_outcome(tx, order, Outcome(now, noted=looked.noted), None)
            if looked.due is not None:
                await self._put_after(tx, order, after, now, setting)
            return stored

        return await self.again(done)

    async def renewal_untold(self, outcome: MessageOutcome) -> None:
        """A notice of renewal did not arrive: it is none, and is sent again while that helps; at once when it is known
        late. Heard twice, it changes nothing more.
        """

        async def work(tx: Transaction) -> None:
            read = await self._locked_after(tx, outcome.shop, str(outcome.order_id))
            if isinstance(read, Refusal):
                return
            order, after, setting = read
            now, untold = after, False
            for one in await _contracts_of(tx, outcome.shop, str(outcome.order_id)):
                contract = await tx.get(Contract, outcome.shop, one.id, lock=True) or one
                looked = renewals.untold(contract, now, str(outcome.request_id), setting)
                if looked.contract != contract:
                    untold = True
                    await self._tell_end(tx, order, now, looked, None, "")
                    now = now if looked.due is None else replace(now, dues=(*now.dues, looked.due))
                    await self._put_contract(tx, contract, looked.contract, setting)
            if untold:
                await self._put_after(tx, order, after, now, setting)

        await self.again(work)

    # -- within a transaction ---------------------------------------------------------------------------------------

    @override
    async def _put_after(
        self, tx: Transaction, order: Order, before: Aftercare, after: Aftercare, setting: Setting
    ) -> Followed:  # fmt: skip
        """Whatever an order's aftercare is stored for, its contracts are looked at too: as of now at the earliest, for
        a letter is dated by when it leaves, also where a day is done of which the job was held up.
        """
        now = setting._replace(at=max(setting.at, self.clock()))
        return await super()._put_after(tx, order, before, await self._with_contracts(tx, order, after, now), setting)

    @override
    async def _after_view(self, tx: Transaction, shop: str, order_id: str) -> AfterView | Refusal:
        view = await super()._after_view(tx, shop, order_id)
        if isinstance(view, Refusal) or _ANY not in view.after.told:
            return view
        return view._replace(contracts=await _contracts_of(tx, shop, order_id))

    async def _with_contracts(
        self, tx: Transaction, order: Order, after: Aftercare, setting: Setting
    ) -> Aftercare:  # fmt: skip
        shop = order.context.shop
        order = await tx.get(Order, shop, str(order.id)) or order
        told = once(after, _OPENED) if order.concluded_at is not None else None
        if told is not None:
            begun = await _begun(tx, order, after)
            after = (once(told, _ANY) or told) if begun else told
        else:
            begun = await _contracts_of(tx, shop, after.id) if _ANY in after.told else ()
        for contract in begun:
            before = None if told is not None else await tx.get(Contract, shop, contract.id, lock=True)
            looked = renewals.look(before or contract, order, setting)
            await self._put_contract(tx, before, await self._say(tx, order, looked, after), setting)
        return after

    async def _terminated(
        self, tx: Transaction, known: Contract, act: Terminate, words: Words
    ) -> Refusal | None:  # fmt: skip
        """Each notification is confirmed once: also one that comes again, or when the contract is over."""
        read = await self._locked_after(tx, known.shop, known.order_id)
        contract = await tx.get(Contract, known.shop, known.id, lock=True)
        if isinstance(read, Refusal) or contract is None:
            return _NO_CONTRACT
        order, after, setting = read
        told = once(after, f"{_TERMINATED}/{act.id}")
        if told is None:
            return None
        looked = renewals.ended(contract, after, act, setting)
        if isinstance(looked, Refusal):
            return looked
        kept = await self.keep_words(tx, order, words)
        ended = looked.contract.termination
        if ended is not None and ended is looked.confirmed:
            ended = replace(ended, content=_blob_of(kept), acknowledged_at=setting.at)
            looked = looked._replace(contract=replace(looked.contract, termination=ended))
        await self._tell_end(tx, order, told, looked, kept, words.address.strip())
        if words.address.strip() and not is_email(words.address.strip()):
            said = Alert("termination.by_post", setting.at, contract.number)
            await alert(tx, known.shop, order.id, said)
        await self._put_contract(tx, contract, looked.contract, setting)
        now = told if looked.due is None else replace(told, dues=(*told.dues, looked.due))
        await self._put_after(tx, order, after, now, setting)
        return None

    async def _tell_end(
        self, tx: Transaction, order: Order, after: Aftercare, looked: Looked, kept: Document | None, address: str
    ) -> None:  # fmt: skip
        """The evidence of an end, and its confirmation, with the day of the end and what follows from it."""
        letters: tuple[Letter, ...] = ()
        if looked.confirmed is not None:
            ended, language, of = looked.confirmed, await _language(tx, order), looked.contract
            facts: dict[str, str | int] = {
                "contract": f"{of.name} ({of.number})", "notified_at": ended.asked_at.isoformat(),
                "ends_on": ended.ends_on.isoformat(), "effects": EFFECTS[ended.effects][language], "link": "",
            }  # fmt: skip
            letters = await _confirmations(tx, order, facts, address)
        await self._apply_outcome(tx, order, Outcome(after, noted=looked.noted, letters=letters), kept)

    async def _say(self, tx: Transaction, order: Order, looked: Looked, after: Aftercare) -> Contract:
        """Evidence, then notices; the contract knows by which message each went."""
        if looked.noted:
            await self._apply_outcome(tx, order, Outcome(after, noted=looked.noted), None)
        contract = looked.contract
        announced = list(contract.announced)
        for place, letter in enumerate(looked.letters, len(announced) - len(looked.letters)):
            facts = dict(letter.facts) | {"link": self._way_out(contract, await _language(tx, order))}
            message = await self.message(tx, contract.shop, contract.order_id, letter.kind, facts)
            sent = {"failed": True} if message is None else {"message": str(message.id)}
            announced[place] = replace(announced[place], **sent)
        return replace(contract, announced=tuple(announced))

    def _way_out(self, contract: Contract, language: str) -> str:
        """Where a contract is ended: no token that dies before the last day to refuse stands in it."""
        return f"{self.terms.base_url}/terminate/{contract.shop}?lang={language}&contract={contract.number}"

    async def _put_contract(
        self, tx: Transaction, before: Contract | None, contract: Contract, setting: Setting
    ) -> Contract:
        version = 0 if before is None else before.version
        now = replace(contract, version=version + 1)
        await tx.put(
            now.shop, now.id, now, before=version or None, keys=[("order", now.order_id), ("number", now.number)],
            state="running" if now.ended_on is None else "ended", due_at=_due_at(now, setting),
        )  # fmt: skip
        return now


async def _begun(tx: Transaction, order: Order, after: Aftercare) -> tuple[Contract, ...]:
    record = await tx.get(Record, order.context.shop, order.checkout_id)
    law = {} if record is None else {line.id: line.subscription for line in record.law_lines}
    known_from = None if after.since is None else paris_date(after.since)
    found = (contracts.begun(order, line, law.get(line.id), known_from) for line in order.lines)
    return tuple(one for one in found if one is not None)


async def _confirmations(
    tx: Transaction, order: Order, facts: Mapping[str, str | int], address: str
) -> tuple[Letter, ...]:
    """One to the address that was given for it (D215-2 I 2°), where it is another than the order's, which is told too;
    that one opens nothing.
    """
    own = Letter("termination.confirmed", facts)
    checkout = await tx.get(Checkout, order.context.shop, order.checkout_id)
    email = "" if checkout is None or checkout.contact is None else checkout.contact.contact.email.strip()
    if not is_email(address) or address.casefold() == email.casefold():
        return (own,)
    return own, Letter(own.kind, {name: fact for name, fact in facts.items() if name != "link"}, to=address)


async def _language(tx: Transaction, order: Order) -> str:
    record = await tx.get(Record, order.context.shop, order.checkout_id)
    return "en" if record is not None and record.locale.startswith("en") else "fr"


async def _contracts_of(tx: Transaction, shop: str, order_id: str) -> tuple[Contract, ...]:
    return tuple(one for _, one in await tx.find(Contract, "order", order_id, shop))


def _blob_of(kept: Document) -> str:
    """The hash of the words as they are stored."""
    return kept.sealed.blob if kept.sealed is not None else kept.sha256 or ""


def _due_at(contract: Contract, setting: Setting) -> datetime | None:
    day = renewals.next_on(contract, setting)
    return None if day is None else first_instant(day)
