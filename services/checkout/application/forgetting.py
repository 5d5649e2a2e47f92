"""Statements that matched no order, and prints of invoices, are forgotten in their time: their words with their key.

One that cannot be read, or forgotten, is put off by a day: it keeps no other from being forgotten.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import and_, select, tuple_, update

from relance.evidence.entries import Act
from relance.kernel.errors import NotNow
from relance.kernel.instants import to_ms
from relance.observability import logs
from relance.rules.law.book import Book
from relance.rules.law.calendar import first_instant_after, paris_date
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.papers import Paper, accounted_until, kept_until, subject_of_paper
from services.checkout.domain.shops import Shop
from services.checkout.domain.strays import forgotten_at
from services.checkout.store import Conflict, Store, Transaction
from services.checkout.store.part import kind_of, read_body
from services.checkout.store.schema import AGGREGATES

__all__ = ["forget_papers", "forget_stray", "forget_strays", "strays_of"]

replace = msgspec.structs.replace

_AT_ONCE: Final = 100
_PUT_OFF: Final = timedelta(days=1)
_ARTICLE: Final = "RGPD 5(1)(e)"

_log = logs.logger("forgetting")


async def forget_strays(store: Store, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Give statements that changed the day on which they are forgotten, and forget those whose day has come; how many
    of both, `at_once` of each.
    """
    dated = await _date(store, now, at_once)

    async def forget(shop: str, id_: str, tx: Transaction) -> int:
        stray = await tx.get(Stray, shop, id_, lock=True)
        if stray is None:
            return 0
        await forget_stray(tx, stray, now, _ARTICLE)
        return 1

    return dated + await _each_due(store, Stray, now, at_once, forget)


async def forget_papers(store: Store, book: Book, now: datetime, at_once: int = _AT_ONCE) -> int:
    """Forget the prints of invoices and credit notes whose time in the accounts and in the archive is over; how many
    were looked at. Their sums and numbers stay: they name nobody. One whose order was delivered later than it was
    issued is kept until the archive of that order ends.
    """

    async def forget(shop: str, id_: str, tx: Transaction) -> int:
        paper = await tx.get(Paper, shop, id_, lock=True)
        if paper is None or paper.forgotten_on is not None:
            return 0
        last = await _last_day(tx, paper, book, now)
        if last >= paris_date(now):
            later = replace(paper, version=paper.version + 1)
            await tx.put(shop, id_, later, before=paper.version, due_at=first_instant_after(last))
            return 1
        told = Act(at_ms=to_ms(now), act="happened", what="erasure", facts={"article": _ARTICLE, "paper": id_})
        await tx.record(shop, paper.order_id, [told])
        await tx.erase(shop, subject_of_paper(id_))
        gone = replace(paper, forgotten_on=paris_date(now), version=paper.version + 1)
        await tx.put(shop, id_, gone, before=paper.version)
        return 1

    return await _each_due(store, Paper, now, at_once, forget)


async def _each_due(
    store: Store,
    type_: type[msgspec.Struct],
    now: datetime,
    at_once: int,
    forget: Callable[[str, str, Transaction], Awaitable[int]],
) -> int:
    """How many were looked at, of those whose day has come: each in a transaction of its own."""
    async with store.reading() as tx:
        names = await tx.due_names(type_, now, at_once)
    count = 0
    for shop, id_ in names:
        try:
            count += await store.run(partial(forget, shop, id_))
        except Exception as error:
            if isinstance(error, NotNow) and not isinstance(error, Conflict):
                raise
            _log.error("not_forgotten", what=type_.__name__.lower(), shop=shop, id=id_, error=type(error).__name__)
            await store.run(partial(_put_off, type_, shop, id_, now + _PUT_OFF))
            count += 1
    return count


async def _put_off(type_: type[msgspec.Struct], shop: str, id_: str, until: datetime, tx: Transaction) -> None:
    await tx.put_off(type_, shop, id_, until)


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
    of, count, place, more = AGGREGATES.c, 0, ("", ""), True
    undated = select(of.shop, of.id, of.version, of.body).where(of.kind == kind_of(Stray), of.due_at_ms.is_(None))
    at = tuple_(of.shop, of.id)
    while more and count < at_once:
        async with store.database.reading() as connection:
            page = undated.where(at > place).order_by(of.shop, of.id).limit(at_once - count)
            rows = (await connection.execute(page)).all()
        for row in rows:
            count += await _date_one(store, row, now)
            place = row.shop, row.id
        more = bool(rows)
    return count


async def _date_one(store: Store, row: Any, now: datetime) -> int:
    """1 when it has its day; 0 for one that cannot be read: it gets none until it can be."""
    of = AGGREGATES.c
    try:
        day = to_ms(forgotten_at(read_body(Stray, row.body), now))
    except msgspec.DecodeError:
        _log.error("not_forgotten", what="stray", shop=row.shop, id=row.id, error="unreadable")
        return 0
    same = and_(of.kind == kind_of(Stray), of.shop == row.shop, of.id == row.id, of.version == row.version)
    async with store.database.writing() as connection:
        await connection.execute(update(AGGREGATES).where(same).values(due_at_ms=day))
    return 1
