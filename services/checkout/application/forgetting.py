"""Statements that matched no order, and prints of invoices, are forgotten in their time: their words with their key."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import msgspec
from sqlalchemy import and_, select, update

from relance.evidence.entries import Act
from relance.kernel.instants import to_ms
from relance.rules.law.book import Book
from relance.rules.law.calendar import first_instant_after, paris_date
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.papers import Paper, accounted_until, kept_until, subject_of_paper
from services.checkout.domain.shops import Shop
from services.checkout.domain.strays import forgotten_at
from services.checkout.store import Store, Transaction
from services.checkout.store.part import kind_of, read_body
from services.checkout.store.schema import AGGREGATES

__all__ = ["forget_papers", "forget_stray", "forget_strays", "strays_of"]

replace = msgspec.structs.replace

_AT_ONCE: Final = 100
_ARTICLE: Final = "RGPD 5(1)(e)"


async def forget_strays(store: Store, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Give statements that changed the day on which they are forgotten, and forget those whose day has come; how many
    of both, `at_once` of each.
    """
    dated = await _date(store, now, at_once)

    async def forget(tx: Transaction, shop: str, id_: str) -> int:
        stray = await tx.get(Stray, shop, id_, lock=True)
        if stray is None:
            return 0
        await forget_stray(tx, stray, now, _ARTICLE)
        return 1

    async with store.reading() as tx:
        names = await tx.due_names(Stray, now, at_once)
    for shop, id_ in names:
        dated += await store.run(lambda tx, shop=shop, id_=id_: forget(tx, shop, id_))  # type: ignore[misc]
    return dated


async def forget_papers(store: Store, book: Book, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Forget the prints of invoices and credit notes whose time in the accounts and in the archive is over; how many
    were looked at. Their sums and numbers stay: they name nobody. One whose order was delivered later than it was
    issued is kept until the archive of that order ends.
    """

    async def forget(tx: Transaction, shop: str, number: str) -> int:
        paper = await tx.get(Paper, shop, number, lock=True)
        if paper is None or paper.forgotten_on is not None:
            return 0
        last = await _last_day(tx, paper, book, now)
        if last >= paris_date(now):
            later = replace(paper, version=paper.version + 1)
            await tx.put(shop, number, later, before=paper.version, due_at=first_instant_after(last))
            return 1
        told = Act(at_ms=to_ms(now), act="happened", what="erasure", facts={"article": _ARTICLE, "paper": number})
        await tx.record(shop, paper.order_id, [told])
        await tx.erase(shop, subject_of_paper(number))
        gone = replace(paper, forgotten_on=paris_date(now), version=paper.version + 1)
        await tx.put(shop, number, gone, before=paper.version)
        return 1

    async with store.reading() as tx:
        names = await tx.due_names(Paper, now, at_once)
    count = 0
    for shop, number in names:
        count += await store.run(lambda tx, shop=shop, number=number: forget(tx, shop, number))  # type: ignore[misc]
    return count


async def _last_day(tx: Transaction, paper: Paper, book: Book, now: datetime) -> date:
    """The last day on which the accounts or the archive of its order need a paper."""
    shop = await tx.get(Shop, "*", paper.shop)
    setting = Setting(now, book) if shop is None else Setting(now, book, shop.aftercare)
    last = accounted_until(paper.issued_on, setting)
    order = await tx.get(Order, paper.shop, paper.order_id)
    after = await tx.get(Aftercare, paper.shop, paper.order_id)
    archived = None if order is None or after is None else kept_until(order, after, book)
    return last if archived is None else max(last, archived)


async def forget_stray(tx: Transaction, stray: Stray, at: datetime, article: str) -> None:
    """Nothing of a statement can be read any more, and it is on no list; its chain holds and says so."""
    told = Act(at_ms=to_ms(at), act="happened", what="erasure", facts={"article": article})
    await tx.record(stray.shop, stray.id, [told])
    await tx.erase(stray.shop, stray.subject)
    await tx.remove(Stray, stray.shop, stray.id)


async def strays_of(store: Store, shop: str, orders: Sequence[str]) -> list[str]:
    """The statements that were found to be about these orders. A rare question: it looks at all of the shop's."""
    asked = select(AGGREGATES.c.body).where(
        AGGREGATES.c.kind == kind_of(Stray), AGGREGATES.c.shop == shop, AGGREGATES.c.state == "matched"
    )
    async with store.database.reading() as connection:
        found = [read_body(Stray, row.body) for row in await connection.execute(asked)]
    return [stray.id for stray in found if stray.order_id in orders]


async def _date(store: Store, now: datetime, at_once: int) -> int:
    """Whoever changes a statement leaves it without a day: it gets the one that its new state has."""
    of = AGGREGATES.c
    undated = select(of.shop, of.id, of.version, of.body).where(of.kind == kind_of(Stray), of.due_at_ms.is_(None))
    async with store.database.reading() as connection:
        rows = (await connection.execute(undated.limit(at_once))).all()
    for row in rows:
        same = and_(of.kind == kind_of(Stray), of.shop == row.shop, of.id == row.id, of.version == row.version)
        day = to_ms(forgotten_at(read_body(Stray, row.body), now))
        async with store.database.writing() as connection:
            await connection.execute(update(AGGREGATES).where(same).values(due_at_ms=day))
    return len(rows)
