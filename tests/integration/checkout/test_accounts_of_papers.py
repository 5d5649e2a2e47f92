"""Invoices and credit notes in the accounts: they outlive the person that is erased, ten years from the close of their
year, and then nobody reads them; the archive of a contract, and the links to it, last as long as theirs.
"""

import os
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from relance.evidence.entries import decode
from relance.kernel.instants import to_ms
from relance.rules.law.book import default_book
from relance.rules.law.calendar import first_instant, first_instant_after
from services.checkout.application.desk import Desk
from services.checkout.application.erasing import Erased, erase_person, person_of
from services.checkout.application.forgetting import forget_papers
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.orders import Close, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.papers import Paper, PaperFacts
from services.checkout.domain.shops import Shop
from services.checkout.metrics import DeskMetrics
from services.checkout.store import ANY, MasterKey, Store, open_store, rewrap
from tests.integration.checkout.desk_kit import SHOP, Clock, ok, open_shop
from tests.integration.checkout.owing_kit import bought, letters, seen, works

BOOK = default_book()
SECOND = timedelta(seconds=1)


async def press(facts: PaperFacts) -> bytes:
    assert facts.buyer is not None
    return f"%PDF {facts.paper.id} {facts.buyer.name}".encode()


async def invoiced(desk: Desk, key: str, quantity: int = 2) -> tuple[UUID, Paper]:
    """An order that is confirmed and delivered, with its printed invoice."""
    order_id = await bought(desk, key, quantity)
    await confirmed(desk, order_id)
    await desk.print_paper(SHOP.id, order_id, "order", press)
    return order_id, await paper_of(desk.store, order_id, desk)


async def confirmed(desk: Desk, order_id: UUID) -> None:
    async with desk.store.transaction() as tx:
        order = await tx.get(Order, SHOP.id, str(order_id))
        assert order is not None
        await desk.confirmed_in(tx, order)


async def paper_of(store: Store, order_id: UUID, desk: Desk) -> Paper:
    (ref,) = (await seen(desk, order_id)).after.papers
    async with store.reading() as tx:
        paper = await tx.get(Paper, SHOP.id, ref.number)
    assert paper is not None
    return paper


async def print_of(store: Store, paper: Paper) -> bytes | None:
    async with store.reading() as tx:
        return await tx.blob(SHOP.id, paper.sha256)


async def erased(desk: Desk, order_id: UUID) -> Erased | list[Refusal]:
    subject = await person_of(desk.store, SHOP.id, str(order_id))
    assert subject is not None
    return await erase_person(desk.store, SHOP.id, subject, BOOK, desk.clock())


def at(clock: Clock, instant: datetime) -> None:
    clock.passes(seconds=(instant - clock.at).total_seconds())


async def test_who_is_erased_below_120_euros_stays_in_the_accounts_and_nowhere_else(
    desk: Desk, store: Store, clock: Clock
) -> None:
    order_id, paper = await invoiced(desk, "lea")
    done = await erased(desk, order_id)
    assert isinstance(done, Erased), done
    year = clock.at.year
    assert done.papers == ((paper.id, date(year + 10, 12, 31)),)
    kept = await print_of(store, paper)
    assert kept is not None
    assert kept.startswith(f"%PDF {paper.id} ".encode())
    async with store.reading() as tx:
        order = await tx.get(Order, SHOP.id, str(order_id))
        blobs = [decode(one).document for one in await tx.entries(SHOP.id, str(order_id))]
        opened = [await tx.open_blob(SHOP.id, one.sealed.blob) for one in blobs if one and one.sealed]
    assert order is not None
    assert [one for one in opened if one is not None] != [], "the invoice"
    assert len([one for one in opened if one is not None]) == 1, "and nothing else"
    await desk.send_link(SHOP.id, str(order_id), "lea@example.org")
    assert "order.link" not in {one.kind for one in await letters(store, order_id)}


@pytest.mark.parametrize("ends_in", [12, 6, 2])
async def test_a_print_goes_on_the_day_after_ten_years_from_the_close_of_its_year(
    desk: Desk, store: Store, clock: Clock, ends_in: int
) -> None:
    terms = msgspec.structs.replace(SHOP.aftercare, accounts_close_in=ends_in)
    async with store.transaction() as tx:
        shop = await tx.get(Shop, "*", SHOP.id)
        assert shop is not None
        changed = msgspec.structs.replace(shop, aftercare=terms, version=shop.version + 1)
        await tx.put("*", SHOP.id, changed, before=ANY)
    order_id, paper = await invoiced(desk, f"year-{ends_in}")
    keeper = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
    year = paper.issued_on.year + (paper.issued_on.month > ends_in) + 10
    last = date(year, ends_in, {12: 31, 6: 30}.get(ends_in, 29 if year % 4 == 0 else 28))
    at(clock, first_instant_after(last) - SECOND)
    assert await forget_papers(store, BOOK, clock.at) == 0
    assert await print_of(store, paper) is not None
    clock.passes(seconds=1)
    while await keeper.round():
        pass
    assert await print_of(store, paper) is None
    gone = await paper_of(store, order_id, desk)
    assert (gone.forgotten_on, gone.total_minor) == (last + timedelta(days=1), paper.total_minor)
    assert await forget_papers(store, BOOK, clock.at) == 0
    assert [one.id for one in await desk.papers(SHOP.id, paper.issued_on, paper.issued_on)] == [paper.id]
    async with store.reading() as tx:
        acts = [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]
    assert [act.facts.get("paper") for act in acts if act.what == "erasure"] == [paper.id]


async def test_an_invoice_is_kept_as_long_as_the_archive_of_its_contract_when_that_is_longer(
    store: Store, clock: Clock
) -> None:
    at(clock, datetime(2026, 12, 20, 12, tzinfo=UTC))
    desk = await open_shop(store, clock)
    order_id, paper = await invoiced(desk, "long", quantity=3)
    assert ok(await desk.order(SHOP.id, order_id)).order.total_minor >= 12_000
    async with store.transaction() as tx:  # as if it had been received in the next year
        order = await tx.get(Order, SHOP.id, str(order_id))
        assert order is not None
        (parcel,) = order.parcels
        late = msgspec.structs.replace(parcel, received_at=datetime(2027, 1, 15, 12, tzinfo=UTC))
        moved = msgspec.structs.replace(order, parcels=(late,), version=order.version + 1)
        await tx.put(SHOP.id, str(order_id), moved, before=ANY, state=order.state)
    at(clock, first_instant(date(2037, 1, 1)))
    assert await forget_papers(store, BOOK, clock.at) == 1, "looked at, and put off"
    at(clock, first_instant_after(date(2037, 1, 15)) - SECOND)
    assert await forget_papers(store, BOOK, clock.at) == 0
    assert await print_of(store, paper) is not None
    clock.passes(seconds=1)
    assert await forget_papers(store, BOOK, clock.at) == 1
    assert await print_of(store, paper) is None


async def test_the_way_to_a_contract_is_open_for_the_ten_years_of_its_archive_whatever_became_of_the_keys(
    database_url: str, clock: Clock
) -> None:
    store = await open_store(database_url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    desk = await open_shop(store, clock)
    order_id, paper = await invoiced(desk, "lea", quantity=3)
    ok(await desk.act(SHOP.id, order_id, Close()))
    await store.close()
    older = b"k" * 32
    for year in range(1, 10):
        clock.passes(days=365)
        master = MasterKey(bytes([year]) * 32, (older,))
        older = master.secret
        store = await open_store(database_url, master, now_ms=lambda: to_ms(clock.at))
        assert (await rewrap(store, master, os.urandom)).done > 0
        await store.close()
    store = await open_store(database_url, MasterKey(older), now_ms=lambda: to_ms(clock.at))
    desk = Desk(store, BOOK, {}, clock=clock)
    view = await seen(desk, order_id)
    assert await link_for(desk, order_id)
    assert (await print_of(store, paper) or b"").startswith(b"%PDF")
    (parcel,) = view.order_view.order.parcels
    assert parcel.received_at is not None
    until = parcel.received_at.date().replace(year=parcel.received_at.year + 10)
    at(clock, first_instant_after(until) - SECOND)
    refused = await erased(desk, order_id)
    assert isinstance(refused, list)
    assert f"archived until {until}" in str(refused)
    assert await link_for(desk, order_id)
    clock.passes(seconds=1)
    done = await erased(desk, order_id)
    assert isinstance(done, Erased), done
    assert [number for number, _ in done.papers] == [paper.id]
    assert not await link_for(desk, order_id)
    await store.close()


async def link_for(desk: Desk, order_id: UUID) -> bool:
    """Whether who asks for a link at his own address gets one, by a mail, and it opens the order."""
    before = len([one for one in await letters(desk.store, order_id) if one.kind == "order.link"])
    await desk.send_link(SHOP.id, str(order_id), "lea@example.org")
    told = [one for one in await letters(desk.store, order_id) if one.kind == "order.link"]
    if len(told) == before:
        return False
    token = str(told[-1].facts["link"]).rsplit("/", 1)[-1]
    assert ok(await desk.open(token, "order.view")).subject == str(order_id)
    return True


async def test_nobody_is_erased_while_his_invoice_is_still_to_be_printed(desk: Desk) -> None:
    order_id = await bought(desk, "soon")
    await confirmed(desk, order_id)
    await works(desk)
    refused = await erased(desk, order_id)
    assert isinstance(refused, list)
    assert "printed" in str(refused)
    await desk.print_paper(SHOP.id, order_id, "order", press)
    assert isinstance(await erased(desk, order_id), Erased)
