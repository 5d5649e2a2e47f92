"""Ending a contract with neither an account nor a link: its number and the address of its order are enough."""

import msgspec

from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from services.checkout.application.aftercaring import Words
from services.checkout.application.contracting import Contracting
from services.checkout.application.withdrawing import Said
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.contracts import Contract, Terminate
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.references import numbers_in
from services.checkout.store import Transaction

__all__ = ["Leaving"]

replace = msgspec.structs.replace

_NUMBERS_MAX = 4  # of one notification that are looked for


class Leaving(Contracting):
    """Notifications that name a contract in words."""

    async def terminate_unknown(self, shop: str, reference: str, act: Terminate, words: Words) -> Said:
        """Keep a notification as it is, then end the contract that it names, when its address is that of the order. One
        that names none for sure stays with those that the shop has to look for. The caller never learns which.
        """

        async def kept(tx: Transaction) -> Said | None:
            known = await tx.get(Stray, shop, act.id)
            if known is not None:
                return Said(known.id, known.stated_at)
            await _keep(tx, shop, reference, act, words)
            return None

        known = await self.again(kept)
        if known is not None:
            return known
        contract = await self.look(lambda tx: _named(tx, shop, reference, words.address))
        if contract is not None:
            ended = await self.terminate(shop, contract.id, act, words)
            if not isinstance(ended, Refusal):
                await self.again(lambda tx: _matched(tx, shop, act.id, contract.order_id))
        return Said(act.id, act.asked_at)


async def _keep(tx: Transaction, shop: str, reference: str, act: Terminate, words: Words) -> None:
    subject = f"stray-{act.id}"
    data = msgspec.json.encode(replace(words, reference=reference))
    content = await tx.keep(shop, data, "application/json", subject=subject, order=act.id)
    stray = Stray(
        id=act.id, shop=shop, stated_at=act.asked_at, recorded_at=act.asked_at, subject=subject, about="termination",
        content=content.sealed.blob if content.sealed is not None else "", version=1,
    )  # fmt: skip
    await tx.put(shop, act.id, stray, before=None, state=stray.state)
    wished = "" if act.wished_on is None else act.wished_on.isoformat()
    facts = {"step": "termination", "statement": act.id, "channel": act.channel, "wished_on": wished}
    said = Act(at_ms=to_ms(act.asked_at), act="declared", what="order", document=content, facts=facts)
    await tx.record(shop, act.id, [said])


async def _named(tx: Transaction, shop: str, reference: str, address: str) -> Contract | None:
    """The contract of which a text gives the number, or the number of its order when that began one only."""
    for number in numbers_in(reference)[:_NUMBERS_MAX]:
        found = [one for _, one in await tx.find(Contract, "number", number, shop)]
        whole = await tx.get(Contract, shop, number) if len(number) > 8 else None
        found += [whole] if whole is not None else []
        orders = [after.id for _, after in await tx.find(Aftercare, "number", number[:8], shop)]
        if not found and len(orders) == 1:
            of_order = [one for _, one in await tx.find(Contract, "order", orders[0], shop)]
            found = [one for one in of_order if one.termination is None and one.ended_on is None]
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
