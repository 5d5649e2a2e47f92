"""Ending a contract with neither an account nor a link: its number and the address of its order are enough."""

from typing import Final
from uuid import UUID

import msgspec

from relance.events.messages import MessageRequest, encode, request_id
from relance.evidence.entries import Act
from relance.kernel.errors import NotNow
from relance.kernel.instants import to_ms
from services.checkout.application.aftercaring import Words, opened_words
from services.checkout.application.contracting import Contracting
from services.checkout.application.straying import LETTERS_MAX, letters_to
from services.checkout.application.withdrawing import Said
from services.checkout.domain.addresses import is_email
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.contracts import Contract, Terminate
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Effect, Refusal
from services.checkout.domain.references import numbers_in
from services.checkout.store import Transaction

__all__ = ["Leaving"]

replace = msgspec.structs.replace

_NUMBERS_MAX: Final = 4  # of one notification that are looked for
_RECEIVED: Final = "termination.received"
_NO_STRAY: Final = Refusal("stray_id", "there is no such notification")


class Leaving(Contracting):
    """Notifications that name a contract in words."""

    async def terminate_unknown(self, shop: str, reference: str, act: Terminate, words: Words) -> Said:
        """Keep a notification as it is. Whether it names a contract is found out afterwards, so that the answer takes
        the same time and says the same.
        """

        async def kept(tx: Transaction) -> Said:
            known = await tx.get(Stray, shop, act.id)
            if known is not None:
                return Said(known.id, known.stated_at)
            await _keep(tx, shop, reference, act, words)
            await tx.do(shop, UUID(act.id), [Effect("seek_contract", act.id)])
            return Said(act.id, act.asked_at)

        said = await self.again(kept)
        self.nudge()
        return said

    async def seek_contract(self, shop: str, stray_id: str) -> None:
        """End the contract that a notification names, when its address is that of the order. One that names none for
        sure stays with those that the shop has to look for, and its receipt is confirmed (L215-1-1). Raises NotNow when
        enough of that went to its address within the hour: it is put off, never dropped.
        """
        stray = await self.look(lambda tx: tx.get(Stray, shop, stray_id))
        if stray is None or stray.state != "open" or stray.acknowledged_at is not None:
            return
        words = await self.look(lambda tx: opened_words(tx, shop, stray.content))
        if words is None:
            return
        if await self._ended_by(stray, words):
            return
        if not is_email(words.address.strip()):
            await self.again(lambda tx: _by_post(tx, shop, stray_id))
            return
        await self._admitted(shop, words.address)
        await self.again(lambda tx: self._received(tx, shop, stray_id, words.address.strip()))
        self.nudge()

    async def match_termination(self, shop: str, stray_id: str, contract_id: str) -> Contract | Refusal:
        """The shop says which contract a notification is about. It counts from when it was made, and is confirmed with
        the day of the end. Said again, it changes nothing.
        """

        async def work(tx: Transaction) -> Contract | Refusal:
            stray, known = await tx.get(Stray, shop, stray_id, lock=True), await tx.get(Contract, shop, contract_id)
            if stray is None or stray.state == "closed" or stray.about != "termination":
                return _NO_STRAY
            if known is None:
                return Refusal("contract_id", "there is no such contract")
            if stray.state == "open":
                words = await opened_words(tx, shop, stray.content) or Words()
                if refused := await self._terminated(tx, known, _act_of(stray), words):
                    return refused
                await _matched(tx, shop, stray_id, known.order_id)
            elif stray.order_id != known.order_id:
                return _NO_STRAY
            return await tx.get(Contract, shop, contract_id) or known

        found = await self.undone_when_refused(work)
        self.nudge()
        return found

    async def _admitted(self, shop: str, address: str) -> None:
        """Raises NotNow once enough letters went to an address that anybody may type."""
        if not await self.admit(letters_to(shop, address), LETTERS_MAX):
            raise NotNow("enough letters went to this address within the hour")

    async def _ended_by(self, stray: Stray, words: Words) -> bool:
        """Whether it ended a contract, whose confirmation answers it; one that had been ended is confirmed again."""
        shop = stray.shop
        contract = await self.look(lambda tx: _named(tx, shop, words.reference, words.address))
        if contract is None:
            return False
        if contract.termination is not None or contract.ended_on is not None:
            await self._admitted(shop, words.address)
        ended = await self.terminate(shop, contract.id, _act_of(stray), words)
        if isinstance(ended, Refusal):
            return False
        await self.again(lambda tx: _matched(tx, shop, stray.id, contract.order_id))
        return True

    async def _received(self, tx: Transaction, shop: str, stray_id: str, to: str) -> None:
        stray, found = await tx.get(Stray, shop, stray_id, lock=True), await self.shop(tx, shop)
        if stray is None or isinstance(found, Refusal) or stray.state != "open" or stray.acknowledged_at is not None:
            return
        at = self.clock()
        request = MessageRequest(
            id=request_id(UUID(stray.id), _RECEIVED, 0), shop=shop, kind=_RECEIVED, order_id=UUID(stray.id), to=to,
            locale=found.languages[0], requested_at=at,
            facts={"shop_name": found.name, "number": stray.id[:8], "notified_at": stray.stated_at.isoformat()},
        )  # fmt: skip
        await tx.send("checkout.messages.v1", stray.id, encode(request), str(request.id))
        facts = {"step": "acknowledged", "statement": stray.id}
        await tx.record(shop, stray.id, [Act(at_ms=to_ms(at), act="happened", what="order", facts=facts)])
        known = replace(stray, acknowledged_at=at, version=stray.version + 1)
        await tx.put(shop, stray.id, known, before=stray.version, state=known.state)


async def _by_post(tx: Transaction, shop: str, stray_id: str) -> None:
    """No mail confirms the receipt of it: the shop answers by post, and it is shown so."""
    stray = await tx.get(Stray, shop, stray_id, lock=True)
    if stray is not None and stray.state == "open" and not stray.by_post:
        known = replace(stray, by_post=True, version=stray.version + 1)
        await tx.put(shop, stray.id, known, before=stray.version, state=known.state)


def _act_of(stray: Stray) -> Terminate:
    """What a notification asks for, as of when it was made."""
    return Terminate(id=stray.id, asked_at=stray.stated_at, wished_on=stray.wished_on)


async def _keep(tx: Transaction, shop: str, reference: str, act: Terminate, words: Words) -> None:
    subject = f"stray-{act.id}"
    data = msgspec.json.encode(replace(words, reference=reference))
    content = await tx.keep(shop, data, "application/json", subject=subject, order=act.id)
    stray = Stray(
        id=act.id, shop=shop, stated_at=act.asked_at, recorded_at=act.asked_at, subject=subject, about="termination",
        content=content.sealed.blob if content.sealed is not None else "", wished_on=act.wished_on, version=1,
    )  # fmt: skip
    await tx.put(shop, act.id, stray, before=None, state=stray.state)
    wished = "" if act.wished_on is None else act.wished_on.isoformat()
    facts = {"step": "termination", "statement": act.id, "channel": act.channel, "wished_on": wished}
    said = Act(at_ms=to_ms(act.asked_at), act="declared", what="order", document=content, facts=facts)
    await tx.record(shop, act.id, [said])


async def _named(tx: Transaction, shop: str, reference: str, address: str) -> Contract | None:
    """The contract of which a text gives the number, or the number of its order when only one of that can be meant."""
    for number in numbers_in(reference)[:_NUMBERS_MAX]:
        found = [one for _, one in await tx.find(Contract, "number", number, shop)]
        whole = await tx.get(Contract, shop, number) if len(number) > 8 else None
        found += [whole] if whole is not None else []
        orders = [after.id for _, after in await tx.find(Aftercare, "number", number[:8], shop)]
        if not found and len(orders) == 1:
            of_order = [one for _, one in await tx.find(Contract, "order", orders[0], shop)]
            found = [one for one in of_order if one.termination is None and one.ended_on is None] or of_order
        if len(found) == 1 and await _is_his(tx, shop, found[0].order_id, address):
            return found[0]
    return None


async def _is_his(tx: Transaction, shop: str, order_id: str, address: str) -> bool:
    order = await tx.get(Order, shop, order_id)
    checkout = None if order is None else await tx.get(Checkout, shop, order.checkout_id)
    own = "" if checkout is None or checkout.contact is None else checkout.contact.contact.email
    return bool(own) and own.strip().casefold() == address.strip().casefold()


async def _matched(tx: Transaction, shop: str, stray_id: str, order_id: str) -> None:
    stray = await tx.get(Stray, shop, stray_id, lock=True)
    if stray is not None and stray.state == "open":
        now = replace(stray, state="matched", order_id=order_id, version=stray.version + 1)
        await tx.put(shop, stray_id, now, before=stray.version, state="matched")
        await tx.erase(shop, stray.subject)  # the words are the order's person's now, and go when he is erased
