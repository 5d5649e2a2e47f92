"""Statements without an order go in their time, with their words; on both databases."""

from datetime import timedelta
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from relance.custody.checkpoint_file import CheckpointFile
from relance.evidence.entries import decode
from relance.rules.law.book import default_book
from services.checkout.application.aftercaring import Words
from services.checkout.application.desk import Desk
from services.checkout.application.erasing import Erased, erase_person, person_of
from services.checkout.application.forgetting import forget_strays
from services.checkout.application.leaving import _matched
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.aftercare import Stray
from services.checkout.domain.contracts import Terminate
from services.checkout.domain.orders import Order
from services.checkout.metrics import DeskMetrics
from services.checkout.store import Sealing, Store, verify_store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, ordered
from tests.integration.checkout.evidence_kit import KEY, PUBLIC
from tests.integration.checkout.owing_kit import works

ADA = Words(name="Ada Martin", address="ada@example.org", text="mon canapé")
DAY = timedelta(days=1)


async def stored(store: Store, id_: str) -> Stray | None:
    async with store.reading() as tx:
        return await tx.get(Stray, SHOP.id, id_)


async def readable(store: Store, stray: Stray) -> bool:
    async with store.reading() as tx:
        return await tx.open_blob(SHOP.id, stray.content) is not None


async def told(store: Store, id_: str) -> list[str]:
    async with store.reading() as tx:
        return [decode(one).what for one in await tx.entries(SHOP.id, id_)]


async def queued(store: Store) -> bytes:
    """The messages that wait to be sent."""
    return b"".join(one.value for one in await Outbox(store.database, lambda: 0).unsent(10_000))


async def left(desk: Desk) -> Stray:
    """A statement that names nothing of the shop's."""
    said = await desk.state_unknown(SHOP.id, "mon canapé", ADA)
    found = await stored(desk.store, said.statement_id)
    assert found is not None
    return found


async def test_a_statement_is_kept_five_years_and_then_it_is_gone(desk: Desk, store: Store, clock: Clock) -> None:
    stray = await left(desk)
    assert await forget_strays(store, clock.at) == 1, "it gets its day"
    assert await forget_strays(store, clock.at) == 0
    assert await forget_strays(store, clock.at + 5 * 365 * DAY) == 0
    assert await readable(store, stray)
    assert await forget_strays(store, clock.at + 1_828 * DAY) == 1
    assert await stored(store, stray.id) is None
    assert not await readable(store, stray)
    assert (await told(store, stray.id))[-1] == "erasure"
    assert await forget_strays(store, clock.at + 3_000 * DAY) == 0


async def test_one_that_was_closed_is_kept_a_year_from_then(desk: Desk, store: Store, clock: Clock) -> None:
    closed = await left(desk)
    clock.passes(seconds=1)  # the same words at another instant
    waits = await left(desk)
    await forget_strays(store, clock.at)
    clock.passes(days=90)
    ok(await desk.close_stray(SHOP.id, closed.id))
    assert await forget_strays(store, clock.at) == 1, "its day is another one now"
    assert await forget_strays(store, clock.at + 364 * DAY) == 0
    assert await forget_strays(store, clock.at + 367 * DAY) == 1
    assert await stored(store, closed.id) is None
    assert await stored(store, waits.id) is not None


async def test_the_timekeeper_forgets_few_at_once(desk: Desk, store: Store, clock: Clock) -> None:
    strays = []
    for _ in range(5):
        clock.passes(seconds=1)
        strays.append(await left(desk))
    assert await forget_strays(store, clock.at, at_once=3) == 3
    keeper = Timekeeper(desk, DeskMetrics(CollectorRegistry()))
    clock.passes(days=1_828)
    while await keeper.round():
        pass
    assert [await stored(store, one.id) for one in strays] == [None] * 5
    assert not any([await readable(store, one) for one in strays])


async def test_whoever_is_erased_leaves_no_statement_about_his_orders(
    desk: Desk, store: Store, clock: Clock
) -> None:  # fmt: skip
    order_id = (await ordered(desk, await at_recap(desk, "lea", means="transfer"))).order_id
    stray = await left(desk)
    clock.passes(seconds=1)
    await works(desk)  # it has its letter, which is still to be sent, to the address that it gave
    assert b"ada@example.org" in await queued(store)
    async with store.transaction() as tx:  # as if its confirmation had left
        order = await tx.get(Order, SHOP.id, str(order_id))
        assert order is not None
        await desk.confirmed_in(tx, order)
    ok(await desk.match_stray(SHOP.id, stray.id, order_id))
    subject = await person_of(store, SHOP.id, str(order_id))
    assert subject is not None
    await works(desk)
    done = await erase_person(store, SHOP.id, subject, default_book(), clock.at)
    assert isinstance(done, Erased), done
    assert done.strays == (stray.id,)
    assert b"ada@example.org" not in await queued(store), "nor is it sent any more"
    assert await stored(store, stray.id) is None
    assert not await readable(store, stray)
    other = await left(desk)
    refused = await erase_person(store, SHOP.id, subject, default_book(), clock.at)
    assert isinstance(refused, Erased | list)
    assert await readable(store, other), "which is about nothing of his"


async def test_the_words_of_a_matched_termination_are_with_its_order_alone(desk: Desk, store: Store) -> None:
    act = Terminate(id=str(uuid4()), asked_at=desk.clock())
    said = await desk.terminate_unknown(SHOP.id, "contrat 12345678", act, ADA)
    stray = await stored(store, said.statement_id)
    assert stray is not None
    assert (stray.about, await readable(store, stray)) == ("termination", True)
    async with store.transaction() as tx:
        await _matched(tx, SHOP.id, stray.id, str(uuid4()))
    assert not await readable(store, stray)


async def test_chains_hold_after_statements_were_forgotten(
    desk: Desk, store: Store, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> None:  # fmt: skip
    log = CheckpointFile(tmp_path_factory.mktemp("log") / "log")
    sealing = Sealing(store, log, KEY)
    await left(desk)
    await sealing.seal_now()
    await forget_strays(store, clock.at)
    assert await forget_strays(store, clock.at + 1_828 * DAY) == 1
    await sealing.seal_now()
    found = (await verify_store(store, log.lines(), PUBLIC)).findings
    assert {each.kind for each in found} <= {"postdated"}  # the desk's clock is a test's own
