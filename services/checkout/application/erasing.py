"""Erasing a person: what names him is gone, the chains of evidence hold, and what a law asks to keep is not touched."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import delete, select

from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from relance.rules.law.book import Book
from services.checkout.application.forgetting import forget_stray, strays_of
from services.checkout.application.tunnel import subject_of
from services.checkout.domain.accounts import Account
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.checkouts import Checkout, Contact
from services.checkout.domain.contracts import Contract
from services.checkout.domain.events import Context
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.keeping import kept_by_law
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.papers import accounted_until
from services.checkout.domain.presenting import Kept
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop
from services.checkout.store import ANY, Store, Transaction
from services.checkout.store.part import kind_of, read_body
from services.checkout.store.schema import AGGREGATES, ANSWERS, OUTBOX, TOKENS

__all__ = ["Erased", "erase_person", "person_of"]

replace = msgspec.structs.replace

_ARTICLE: Final = "RGPD 17"
_NOBODY: Final = Contact(email="erased@erased.invalid")


class Erased(NamedTuple):
    """What was erased: ids of checkouts, of orders, of carts, and of statements that came without an order. `papers`:
    the invoices and credit notes that stay in the accounts, each with its last day there.
    """

    subject: str
    checkouts: tuple[str, ...]
    orders: tuple[str, ...]
    carts: tuple[str, ...]
    strays: tuple[str, ...] = ()
    papers: tuple[tuple[str, date], ...] = ()


async def person_of(store: Store, shop: str, order_id: str) -> str | None:
    """Under whose key the personal data of an order (or of a checkout) lie; None when there is no such order."""
    async with store.reading() as tx:
        kept = await tx.get(Kept, shop, order_id)
        checkout = await tx.get(Checkout, shop, order_id if kept is None else kept.checkout_id)
        return None if checkout is None else subject_of(checkout)


async def erase_person(store: Store, shop: str, subject: str, book: Book, at: datetime) -> Erased | list[Refusal]:
    """Erase a person from the checkout, or say all that a law asks to keep, and until when; then nothing is done.

    His key goes, and with it all that is encrypted in evidence and documents; address and contact are emptied in
    checkouts and orders; links, answers that name them, messages that wait and statements that were found to be about
    his orders are deleted. Invoices and credit notes stay: the accounts need them, and they have keys of their own.
    """
    ids = await _checkouts_of(store, shop, subject)
    strays = await strays_of(store, shop, await _orders_of(store, shop, ids))

    async def work(tx: Transaction) -> Erased | list[Refusal]:
        checkouts = await tx.many(Checkout, shop, ids, lock=True)
        records = await tx.many(Record, shop, ids, lock=True)
        orders = await tx.many(Order, shop, [one.order_id for one in records.values() if one.order_id], lock=True)
        found_shop = await tx.get(Shop, "*", shop)
        setting = Setting(at, book) if found_shop is None else Setting(at, book, found_shop.aftercare)
        cared = await tx.many(Aftercare, shop, list(map(str, orders)), lock=True)
        if refused := await _kept(tx, shop, list(orders.values()), cared, setting):
            return refused
        known = await tx.erase(shop, subject)
        if not known and not checkouts:
            return [Refusal("subject", "nothing of this person is stored here")]
        for checkout in checkouts.values():
            await _empty_checkout(tx, shop, checkout, records.get(str(checkout.id)))
        for order in orders.values():
            bare = replace(order, context=_of_nobody(order.context), version=order.version + 1)
            await tx.put(shop, str(order.id), bare, before=order.version, state=order.state)
            await _empty_kept(tx, shop, str(order.id))
        found = await tx.many(Stray, shop, strays, lock=True)
        his = [one for one in found.values() if one.order_id in orders]
        for stray in his:
            await forget_stray(tx, stray, at, _ARTICLE)
        for chain in checkouts:
            await tx.record(shop, chain, [_told(at)])
        carts = tuple(dict.fromkeys(one.context.cart_id for one in checkouts.values()))
        return Erased(
            subject, tuple(checkouts), tuple(orders), carts, tuple(one.id for one in his), _accounted(cared, setting)
        )

    done = await store.run(work)
    if isinstance(done, Erased):
        await _sweep(store, shop, (*done.checkouts, *done.orders, *done.strays), done.carts)
    return done


async def _kept(
    tx: Transaction, shop: str, orders: Sequence[Order], cared: Mapping[str, Aftercare], setting: Setting
) -> list[Refusal]:
    """All that a law asks to keep of these orders."""
    refused = []
    for order in orders:
        begun = [one for _, one in await tx.find(Contract, "order", str(order.id), shop)]
        if (why := kept_by_law(order, cared.get(str(order.id)), begun, setting)) is not None:
            refused.append(why)
    return refused


def _accounted(cared: Mapping[str, Aftercare], setting: Setting) -> tuple[tuple[str, date], ...]:
    return tuple(
        (ref.number, until)
        for after in cared.values()
        for ref in after.papers
        if (until := accounted_until(ref.issued_on, setting)) >= setting.on
    )


def _of_nobody(context: Context) -> Context:
    return replace(context, visitor_id="", person_id="", device="", recovery_link_id="")


async def _empty_checkout(tx: Transaction, shop: str, checkout: Checkout, record: Record | None) -> None:
    contact = checkout.contact
    bare = replace(
        checkout,
        context=_of_nobody(checkout.context),
        contact=None if contact is None else replace(contact, contact=_NOBODY),
        version=checkout.version + 1,
    )
    due_at = checkout.expires_at if checkout.state not in {"ordered", "expired", "superseded"} else None
    await tx.put(shop, str(checkout.id), bare, before=checkout.version, state=checkout.state, due_at=due_at)
    if record is not None:
        empty = replace(record, address=None, billing=None, account=None, return_url="", version=record.version + 1)
        await tx.put(shop, record.id, empty, before=record.version)


async def _empty_kept(tx: Transaction, shop: str, order_id: str) -> None:
    kept = await tx.get(Kept, shop, order_id, lock=True)
    if kept is not None:
        await tx.put(shop, order_id, replace(kept, pay_urls={}, version=kept.version + 1), before=ANY)


def _told(at: datetime) -> Act:
    return Act(at_ms=to_ms(at), act="happened", what="erasure", facts={"article": _ARTICLE})


async def _orders_of(store: Store, shop: str, ids: Sequence[str]) -> list[str]:
    async with store.reading() as tx:
        records = await tx.many(Record, shop, ids)
    return [one.order_id for one in records.values() if one.order_id]


async def _checkouts_of(store: Store, shop: str, subject: str) -> list[str]:
    """The checkouts whose personal data lie under this key. A rare question: it looks at all of the shop's."""
    kind = kind_of(Checkout)
    if subject.startswith("guest-"):
        return [subject.removeprefix("guest-")]
    named = f'%"person_id":{msgspec.json.encode(subject).decode()}%'
    statement = select(AGGREGATES.c.id, AGGREGATES.c.body).where(
        AGGREGATES.c.kind == kind, AGGREGATES.c.shop == shop, AGGREGATES.c.body.like(named)
    )
    async with store.database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [row.id for row in rows if subject_of(read_body(Checkout, row.body)) == subject]


async def _sweep(store: Store, shop: str, ids: Sequence[str], carts: Sequence[str]) -> None:
    """What only leads to the person, or repeats what he gave; also in events that Kafka has not got yet."""
    told_carts = [b'"cart_id":' + msgspec.json.encode(cart) for cart in carts]
    names = [each.encode() for each in ids]
    async with store.database.reading() as connection:
        rows = (await connection.execute(select(ANSWERS).where(ANSWERS.c.shop == shop))).all()
        accounts = (await connection.execute(
            select(AGGREGATES.c.id, AGGREGATES.c.body).where(
                AGGREGATES.c.kind == kind_of(Account), AGGREGATES.c.shop == shop)
        )).all()  # fmt: skip
    async with store.database.reading() as connection:
        events = (await connection.execute(
            select(OUTBOX.c.id, OUTBOX.c.value).where(OUTBOX.c.topic == "shop-events")
        )).all()  # fmt: skip
    captured = [row.id for row in events if any(cart in bytes(row.value) for cart in told_carts)]
    told = [row for row in rows if any(name in bytes(row.body) for name in names)]
    his = [row.id for row in accounts if read_body(Account, row.body).checkout_id in ids]
    async with store.database.writing() as connection:
        for row in told:
            at = (ANSWERS.c.shop == shop, ANSWERS.c.method == row.method, ANSWERS.c.key == row.key)
            await connection.execute(delete(ANSWERS).where(*at))
        await connection.execute(delete(TOKENS).where(TOKENS.c.shop == shop, TOKENS.c.subject.in_(ids)))
        await connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(captured)))
        await connection.execute(delete(OUTBOX).where(OUTBOX.c.topic == "checkout.messages.v1", OUTBOX.c.key.in_(ids)))
        mine = (AGGREGATES.c.kind == kind_of(Account), AGGREGATES.c.shop == shop, AGGREGATES.c.id.in_(his))
        await connection.execute(delete(AGGREGATES).where(*mine))
