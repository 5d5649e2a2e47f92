"""`relance law check --order`: an order of the checkout's database, with all that was done since, against the law."""

from datetime import datetime
from typing import TYPE_CHECKING

from relance.cli.evidence_stored import in_store
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from relance.rules.law.document import Document
    from services.checkout.store import Store

__all__ = ["stored_order"]


def stored_order(database: str, order_id: str, at: datetime) -> "Document":
    """The document of an order as it stands, looked at as of `at`: what is still to be paid back counts as paid then.

    Raises InputError when there is no database, or no such order in it.
    """
    return in_store(database, lambda store: _read(store, order_id, at))


async def _read(store: "Store", order_id: str, at: datetime) -> "Document":
    from msgspec.structs import replace

    from relance.evidence.verification import Finding, read_chain
    from relance.rules.law.book import default_book
    from services.checkout.domain.aftercare import Aftercare
    from services.checkout.domain.articles import Article
    from services.checkout.domain.contracts import Contract
    from services.checkout.domain.follow_up import Setting, opened
    from services.checkout.domain.order_document import Beside, order_document
    from services.checkout.domain.orders import Order
    from services.checkout.domain.presenting import Kept
    from services.checkout.domain.records import Record
    from services.checkout.domain.shops import Shop
    from services.checkout.store import find_chains

    for place in await find_chains(store, order_id):
        async with store.reading() as tx:
            order = await tx.get(Order, place.shop, place.order)
            record = None if order is None else await tx.get(Record, place.shop, order.checkout_id)
            shop = await tx.get(Shop, "*", place.shop)
            if order is None or record is None or shop is None:
                continue
            after = await tx.get(Aftercare, place.shop, place.order)
            skus = [line.sku for line in order.lines] + [line.sku for line in record.lines]
            kept = await tx.get(Kept, place.shop, place.order)
            entries = await tx.entries(place.shop, place.chain)
            articles = await tx.many(Article, place.shop, [sku for sku in skus if sku])
            begun = [one for _, one in await tx.find(Contract, "order", place.order, place.shop)]
        told_at = kept.acknowledged_at if kept is not None else None
        if after is None:  # of an earlier release: its confirmation is what is known of it
            after = replace(opened(order, record, articles, at), confirmed_at=told_at)
        broken: list[Finding] = []
        read_chain((place.shop, place.chain), entries, broken)
        setting = Setting(at, default_book(), shop.aftercare)
        return order_document(order, after, record, shop, setting, Beside(told_at, not broken, tuple(begun)))
    raise InputError(f"there is no order {order_id!r} in the database")
