"""The letter that acknowledged a statement before its order was found: proof of the order's too, and still to be sent.

Its words and the letter lie under a key of their own. Once the order is found they are its person's; that key goes as
soon as nobody has to fetch the letter any more.
"""

from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from relance.evidence.entries import Act, Entry, decode
from relance.kernel.instants import to_ms
from services.checkout.application.tunnel import subject_of
from services.checkout.domain.aftercare import Stray
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.orders import Order
from services.checkout.store import Transaction

__all__ = ["LETTERS_MAX", "carry_letter", "fetched", "forget_words", "letters_to"]

LETTERS_MAX: Final = 3
"""Letters within an hour to an address that anybody may type, whatever they are about."""

_ACKNOWLEDGED: Final = "withdrawal.acknowledged"


def letters_to(shop: str, address: str) -> str:
    """What the letters to an address that was typed count as."""
    return f"stray/{shop}/{sha256(address.strip().casefold().encode()).hexdigest()}"


async def carry_letter(tx: Transaction, stray: Stray, order_id: UUID, at: datetime) -> None:
    """Keep the letter that acknowledged a statement under the key of the order's person, in the order's record: that it
    was sent is the trader's to prove (L221-21). Nothing when there was none.
    """
    order = await tx.get(Order, stray.shop, str(order_id))
    checkout = None if order is None else await tx.get(Checkout, stray.shop, order.checkout_id)
    if checkout is None or stray.acknowledged_at is None:
        return
    for entry in await _entries(tx, stray):
        sent = entry.document
        if sent is None or sent.sealed is None or entry.facts.get("step") != "acknowledged":
            continue
        letter = await tx.blob(stray.shop, sent.sealed.blob)
        if letter is None:
            continue
        kept = await tx.keep(
            stray.shop, letter, sent.media_type, subject=subject_of(checkout), order=str(order_id)
        )  # fmt: skip
        facts = {"step": "acknowledged", "statement": stray.id, "acknowledged_at": stray.acknowledged_at.isoformat()}
        told = Act(
            at_ms=to_ms(at), act="happened", what="withdrawal", by="checkout", document=kept, facts=facts,
            rules=entry.rules,
        )  # fmt: skip
        await tx.record(stray.shop, str(order_id), [told])


async def fetched(tx: Transaction, stray: Stray) -> bool:
    """Whether nobody will fetch its letter any more: there was none, or what became of it is known."""
    if stray.acknowledged_at is None:
        return True
    return any(
        one.what == "message" and one.facts.get("kind") == _ACKNOWLEDGED and one.facts.get("outcome")
        for one in await _entries(tx, stray)
    )


async def forget_words(tx: Transaction, stray: Stray) -> None:
    """The words of a statement whose order was found are its person's now, and go when he is erased."""
    if stray.state == "matched" and await fetched(tx, stray):
        await tx.erase(stray.shop, stray.subject)


async def _entries(tx: Transaction, stray: Stray) -> list[Entry]:
    return [decode(one) for one in await tx.entries(stray.shop, stray.id)]
