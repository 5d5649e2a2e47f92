"""A thousand papers of one shop that are numbered at once, by two processes with clocks of their own, over a midnight
at which the year changes: no number is missing, none is given twice, and numbers rise with time.
"""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from relance.kernel.errors import NotNow
from relance.kernel.instants import to_ms
from relance.rules.law.book import default_book
from relance.rules.law.calendar import paris_date
from services.checkout.application.desk import Desk
from services.checkout.application.paper_pages import papers_of, stretches
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import GiveBack, Order
from services.checkout.domain.papers import Paper, PaperFacts, counted, numbered
from services.checkout.store import ANY, MasterKey, Store, Transaction, open_store
from tests.integration.checkout.desk_kit import SHOP, Clock, ok, open_shop
from tests.integration.checkout.owing_kit import bought, seen, works

replace = msgspec.structs.replace

MANY = 1_000
AT_ONCE = 40
MIDNIGHT = datetime(2026, 12, 31, 23, tzinfo=UTC)  # in Paris


class Gone(Exception):  # noqa: N818 - what undoes a transaction on purpose
    """The process is killed before it can store."""


class Hurried:
    """A clock that is ahead of others by so much, and goes on with each look at it."""

    def __init__(self, begun: datetime, ahead: timedelta) -> None:
        self.at = begun + ahead
        self._step = timedelta(milliseconds=4)

    def __call__(self) -> datetime:
        """The present, as this process has it."""
        self.at += self._step
        return self.at


async def copied(store: Store, order_id: UUID, count: int) -> list[UUID]:
    """So many orders more like this one, each paid and without a paper."""
    async with store.reading() as tx:
        order = await tx.get(Order, SHOP.id, str(order_id))
        after = await tx.get(Aftercare, SHOP.id, str(order_id))
    assert order is not None
    assert after is not None
    found = [uuid4() for _ in range(count)]
    for begin in range(0, count, 250):
        async with store.transaction() as tx:
            for id_ in found[begin : begin + 250]:
                await tx.put(SHOP.id, str(id_), replace(order, id=id_, version=1), before=None, state=order.state)
                bare = replace(after, id=str(id_), papers=(), told=(), version=1)
                await tx.put(SHOP.id, str(id_), bare, before=None)
    return found


async def issued(store: Store, first: date, last: date) -> list[Paper]:
    found = await stretches(store, SHOP.id, first, last)
    return [paper for stretch in found for paper in [one async for one in papers_of(store, SHOP.id, stretch)]]


async def test_a_thousand_at_once_by_two_processes_over_the_turn_of_the_year(database_url: str, clock: Clock) -> None:
    stores = [await open_store(database_url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at)) for _ in range(2)]
    clock.at = MIDNIGHT - timedelta(days=3)
    order_id = await bought(await open_shop(stores[0], clock), "seed")
    orders = await copied(stores[0], order_id, MANY)
    clocks = [Hurried(MIDNIGHT - timedelta(seconds=1), timedelta(seconds=ahead)) for ahead in (0.0, 0.7)]
    desks = [Desk(store, default_book(), {}, clock=now) for store, now in zip(stores, clocks, strict=True)]
    places = asyncio.Semaphore(AT_ONCE)

    async def one(place: int, id_: UUID) -> None:
        desk = desks[place % 2]
        async with places:
            if place % 10 == 0:
                with pytest.raises(Gone):
                    await desk.store.run(lambda tx: killed(desk, tx, id_))
            await desk.print_paper(SHOP.id, id_, "order")

    await asyncio.gather(*(one(place, id_) for place, id_ in enumerate(orders)))
    found = await issued(stores[0], date(2026, 12, 1), date(2027, 12, 31))
    await asyncio.gather(*(store.close() for store in stores))
    assert Counter(one.order_id for one in found) == Counter(map(str, [order_id, *orders]))
    by_year = Counter(one.issued_on.year for one in found)
    assert min(by_year[2026], by_year[2027]) > 0, "the midnight lies between"
    for year in (2026, 2027):
        mine = [one for one in found if one.id.startswith(f"F{year}-")]
        assert [one.id for one in mine] == [numbered("invoice", date(year, 1, 1), n + 1) for n in range(by_year[year])]
        assert {one.issued_on.year for one in mine} == {year}
        assert [one.issued_at for one in mine] == sorted(one.issued_at for one in mine)


async def killed(desk: Desk, tx: Transaction, order_id: UUID) -> Any:
    """The paper has its number, and the process ends before that is stored."""
    await desk._issued(tx, SHOP.id, str(order_id), "order")
    raise Gone


async def test_a_print_that_fails_keeps_its_number_and_the_next_paper_has_the_next(desk: Desk, store: Store) -> None:
    orders = await copied(store, await bought(desk, "seed"), 9)
    printed: list[str] = []

    async def press(facts: PaperFacts) -> bytes:
        if len(printed) % 3 == 0 and facts.paper.id not in printed:
            printed.append(facts.paper.id)
            raise NotNow("the press is away")
        printed.append(facts.paper.id)
        return f"%PDF {facts.paper.id}".encode()

    for id_ in orders:
        for _ in range(2):
            try:
                await desk.print_paper(SHOP.id, id_, "order", press)
            except NotNow:
                continue
    day = paris_date(desk.clock())
    found = await issued(store, day, day)
    assert [(one.id, one.order_id) for one in found[1:]] == [
        (numbered("invoice", day, n), str(id_)) for n, id_ in enumerate(orders, 2)
    ]
    assert all(one.sha256 for one in found[1:])


async def test_invoices_and_credit_notes_are_counted_apart_and_pages_follow_their_numbers(
    desk: Desk, store: Store, clock: Clock
) -> None:
    orders = []
    begun = paris_date(clock.at)
    for n in range(3):
        orders.append(id_ := await bought(desk, f"page-{n}"))
        ok(await desk.act(SHOP.id, id_, GiveBack(key="kind", amount_minor=500, cause="goodwill")))
        await works(desk)
        clock.passes(days=1)
    for id_ in orders:
        assert [ref.kind for ref in (await seen(desk, id_)).after.papers] == ["invoice", "credit_note"]
    last = paris_date(clock.at)
    every = [one.id for one in await desk.papers(SHOP.id, begun, last)]
    assert [counted(number) for number in every] == [(f"{letter}{begun.year}", n) for letter in "AF" for n in (1, 2, 3)]
    for size in (1, 2, 4, 5, 7):
        pages: list[str] = []
        while page := await desk.papers(SHOP.id, begun, last, after=pages[-1] if pages else "", limit=size):
            assert len(page) <= size
            pages += [one.id for one in page]
        assert pages == every
    second = begun + timedelta(days=1)
    assert [one.id[-1] for one in await desk.papers(SHOP.id, second, second)] == ["2", "2"]
    assert [one.id[0] for one in await desk.papers(SHOP.id, begun, last, kind="invoice", limit=2)] == ["F", "F"]
    assert (
        await desk.papers(SHOP.id, last, last) == await desk.papers(SHOP.id, date(2020, 1, 1), date(2021, 1, 1)) == []
    )


async def test_a_time_is_found_by_halving_and_no_other_paper_is_read(store: Store) -> None:
    """2,000 papers, five a day; a page of a day reads that day's, and a few to find it."""
    count, since = 2_000, date(2027, 1, 1)
    async with store.transaction() as tx:
        for n in range(1, count + 1):
            at = datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(days=(n - 1) // 6)
            assert await tx.count("lumen", "papers/F2027") == n
            paper = Paper(
                id=numbered("invoice", since, n), shop="lumen", order_id=str(n), kind="invoice", cause="order",
                issued_at=at, lines=(), total_minor=n, taxed_minor={"20": n}, vat_minor={"20": 0}, version=1,
            )  # fmt: skip
            await tx.put("lumen", paper.id, paper, before=ANY)
    for day in (0, 1, 100, 332, 333):
        on = since + timedelta(days=day)
        (stretch,) = await stretches(store, "lumen", on, on)
        assert (stretch.first, stretch.last) == (6 * day + 1, min(6 * day + 6, count))
    assert await stretches(store, "lumen", since + timedelta(days=334), date(2027, 12, 31)) == []
    assert await stretches(store, "lumen", date(2026, 1, 1), date(2026, 12, 31)) == []
    assert await stretches(store, "lumen", since, since, "credit_note") == []
    (whole,) = await stretches(store, "lumen", date(2020, 1, 1), date(2030, 1, 1))
    assert whole.size == count
