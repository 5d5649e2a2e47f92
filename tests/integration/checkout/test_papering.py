"""Papers of orders: no number is missing or given twice, whoever counts at once and whatever is rolled back."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from relance.events.messages import MessageRequest, decode_request
from relance.evidence.entries import decode
from relance.kernel.errors import NotNow
from services.checkout.application.aftercaring import AfterView
from services.checkout.domain.orders import GiveBack
from services.checkout.domain.papers import Paper, PaperFacts
from services.checkout.store import Store, Transaction
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, ordered
from tests.integration.checkout.payments_kit import Till


class Away(Exception):  # noqa: N818 - what undoes a transaction on purpose
    """The transaction is not to stand."""


class Press:
    """Prints what it is told to: the number. `away`: how often it is not there first."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.printed: list[PaperFacts] = []

    async def __call__(self, facts: PaperFacts) -> bytes:
        if self.away:
            self.away -= 1
            raise NotNow("the press is away")
        self.printed.append(facts)
        return f"%PDF {facts.paper.id}".encode()


async def paid(till: Till, key: str) -> UUID:
    pressed = await ordered(till.desk, await at_recap(till.desk, f"{key}-{uuid4().hex[:8]}", quantity=2))
    assert pressed.redirect_url is not None
    assert await till.pays(pressed.redirect_url) == 303
    async with asyncio.timeout(20):
        while (await till.order(pressed.order_id)).paid_at is None:  # a webhook of the order before may come first
            assert all(await till.hears(0))
            await till.works()
            await asyncio.sleep(0.05)
    await till.works()
    return pressed.order_id


async def after(till: Till, order_id: UUID) -> AfterView:
    found = ok(await till.desk.aftercare(SHOP.id, order_id))
    assert isinstance(found, AfterView)
    return found


async def letters(till: Till, kind: str) -> list[MessageRequest]:
    told = await Outbox(till.store.database, lambda: 0).unsent(10_000)
    asked = [decode_request(one.value) for one in told if one.topic == "checkout.messages.v1"]
    return [one for one in asked if one.kind == kind]


async def test_numbers_are_counted_without_gap_or_double_though_transactions_are_rolled_back(store: Store) -> None:
    given: list[int] = []

    async def one(place: int) -> None:
        async def work(tx: Transaction) -> int:
            count = await tx.count("lumen", "papers/F2026")
            await asyncio.sleep(0.002 * (place % 3))
            if place % 4 == 0:
                raise Away
            return count

        try:
            given.append(await store.run(work))
        except Away:
            return

    await asyncio.gather(*(one(place) for place in range(60)))
    assert sorted(given) == list(range(1, 46))
    other = await store.run(lambda tx: tx.count("other", "papers/F2026"))
    assert (other, await store.run(lambda tx: tx.count("lumen", "papers/A2026"))) == (1, 1)


async def test_an_order_that_is_paid_has_one_invoice_however_often_it_is_asked_for(till: Till) -> None:
    order_id, press = await paid(till, "invoice"), Press()
    asked = [till.desk.print_paper(SHOP.id, order_id, "order", press) for _ in range(8)]
    await asyncio.gather(*asked)
    view = await after(till, order_id)
    (ref,) = view.after.papers
    year = view.setting.on.year
    assert (ref.number, ref.total_minor) == (f"F{year}-000001", view.order_view.order.total_minor)
    assert ref.vat_minor == {str(rate): part for rate, part in view.order_view.recap.vat_minor.items()}
    assert ref.sha256 == sha256(f"%PDF {ref.number}".encode()).hexdigest()
    async with till.store.reading() as tx:
        assert await tx.blob(SHOP.id, ref.sha256) == f"%PDF {ref.number}".encode()
        acts = [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]
    steps = [act.facts.get("step") for act in acts if act.what == "order"]
    assert (steps.count("invoice"), steps.count("invoice_printed")) == (1, 1)
    assert press.printed[0].buyer is not None
    assert not await letters(till, "paper.issued")


async def test_a_number_stays_when_the_press_is_away_and_orders_are_numbered_in_turn(till: Till) -> None:
    orders = [await paid(till, f"turn-{n}") for n in range(3)]
    press = Press(away=1)
    with pytest.raises(NotNow):
        await till.desk.print_paper(SHOP.id, orders[0], "order", press)
    before = (await after(till, orders[0])).after.papers
    await asyncio.gather(*(till.desk.print_paper(SHOP.id, one, "order", press) for one in orders))
    year = (await after(till, orders[0])).setting.on.year
    numbers = {one: (await after(till, one)).after.papers[0] for one in orders}
    assert sorted(ref.number for ref in numbers.values()) == [f"F{year}-{n:06d}" for n in (1, 2, 3)]
    assert (before[0].number, numbers[orders[0]].number) == (before[0].number,) * 2
    assert all(ref.sha256 for ref in numbers.values())


async def test_a_refund_has_a_credit_note_that_is_sent_with_its_pdf(till: Till) -> None:
    order_id, press = await paid(till, "note"), Press()
    await till.does(order_id, GiveBack(key="kind-1", amount_minor=500, cause="goodwill"))
    await till.works()
    await till.desk.print_paper(SHOP.id, order_id, "kind-1", press)  # before the invoice was asked for
    await till.desk.print_paper(SHOP.id, order_id, "order", press)
    await till.desk.print_paper(SHOP.id, order_id, "kind-1", press)
    invoice, note = (await after(till, order_id)).after.papers
    assert (note.number[0], note.total_minor, note.kind) == ("A", 500, "credit_note")
    (letter,) = await letters(till, "paper.issued")
    assert [(one.name, one.sha256) for one in letter.documents] == [(f"{note.number}.pdf", note.sha256)]
    assert letter.facts["number"] == note.number
    assert letter.body_sha256 is not None
    async with till.store.reading() as tx:
        body = await tx.blob(SHOP.id, letter.body_sha256.text)
        paper = await tx.get(Paper, SHOP.id, note.number)
    assert body is not None
    assert invoice.number in body.decode()
    assert paper is not None
    assert (paper.of, paper.order_id) == (invoice.number, str(order_id))


async def test_papers_are_listed_by_their_dates_with_their_series_without_gap(till: Till, clock: Clock) -> None:
    first = await paid(till, "listed")
    await till.desk.print_paper(SHOP.id, first, "order")
    day = clock.at.date()
    till.passes(days=2)
    second = await paid(till, "listed-2")
    await till.desk.print_paper(SHOP.id, second, "order")
    everything = await till.desk.papers(SHOP.id, day - timedelta(days=1), day + timedelta(days=3))
    assert [one.order_id for one in everything] == [str(first), str(second)]
    later = await till.desk.papers(SHOP.id, day + timedelta(days=2), day + timedelta(days=3))
    assert [one.order_id for one in later] == [str(second)]
    assert await till.desk.papers("nobody", day, day) == []


async def test_each_year_begins_its_own_series(till: Till, clock: Clock) -> None:
    year = clock.at.year
    midnight = datetime(year, 12, 31, 23, tzinfo=UTC)  # in Paris
    till.passes(seconds=(midnight - clock.at).total_seconds() - 1)
    last = await paid(till, "last")
    await till.desk.print_paper(SHOP.id, last, "order")
    till.passes(seconds=1)
    first = await paid(till, "first")
    await till.desk.print_paper(SHOP.id, first, "order")
    (before,), (ref,) = (await after(till, last)).after.papers, (await after(till, first)).after.papers
    assert (before.number, before.issued_on) == (f"F{year}-000001", date(year, 12, 31))
    assert (ref.number, ref.issued_on) == (f"F{year + 1}-000001", date(year + 1, 1, 1))


async def test_an_order_that_is_not_paid_has_no_paper(till: Till) -> None:
    order_id, _ = await till.orders("unpaid")
    await till.desk.print_paper(SHOP.id, order_id, "order", Press())
    assert (await after(till, order_id)).after.papers == ()
    await till.desk.print_paper(SHOP.id, uuid4(), "order", Press())
