"""A person is erased: from records, orders, documents and queues; chains hold, and what a law asks to keep is kept."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from relance.custody.checkpoint_file import CheckpointFile
from relance.rules.law.book import default_book
from services.checkout.application.desk import Desk
from services.checkout.application.erasing import Erased, erase_person, person_of
from services.checkout.domain.orders import Order
from services.checkout.domain.presenting import Pressed
from services.checkout.store import (
    ANY,
    Sealing,
    Store,
    dossier_of,
    find_chains,
    verify_store,
)
from services.checkout.store.schema import AGGREGATES, ANSWERS, BLOBS, ENTRIES, OUTBOX, TOKENS
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, open_shop, ordered
from tests.integration.checkout.evidence_kit import KEY, PUBLIC

EMAIL = "lea@example.org"  # desk_kit names the address by the key of the cart
BOOK = default_book()


@pytest.fixture
async def pressed(store: Store, clock: Clock) -> tuple[Desk, Pressed]:
    desk = await open_shop(store, clock)
    made = await ordered(desk, await at_recap(desk, "lea", means="transfer"))
    await desk.issue(SHOP.id, "order.view", str(made.order_id))
    return desk, made


async def _state(store: Store, order_id: str, **changes: object) -> None:
    async with store.transaction() as tx:
        order = await tx.get(Order, SHOP.id, order_id)
        assert order is not None
        after = msgspec.structs.replace(order, **changes, version=order.version + 1)
        await tx.put(SHOP.id, order_id, after, before=ANY, state=after.state)


async def _everything(store: Store) -> bytes:
    """All that is stored, but ciphertexts."""
    found: list[bytes] = []
    async with store.database.reading() as connection:
        for table in (AGGREGATES, ANSWERS, OUTBOX, TOKENS, ENTRIES, BLOBS):
            found += [repr(tuple(row)).encode() for row in await connection.execute(select(table))]
    return b"".join(found)


async def test_an_order_under_way_and_a_contract_to_archive_are_kept_with_rule_and_article(
    store: Store, clock: Clock, pressed: tuple[Desk, Pressed]
) -> None:
    order = str(pressed[1].order_id)
    subject = await person_of(store, SHOP.id, order)
    assert subject is not None
    refused = await erase_person(store, SHOP.id, subject, BOOK, clock.at)
    assert isinstance(refused, list)
    assert "being performed" in refused[0].reason
    await _state(store, order, state="cancelled", total_minor=15_000)  # as when he withdrew before it was shipped
    refused = await erase_person(store, SHOP.id, subject, BOOK, clock.at)
    assert isinstance(refused, list)
    assert (refused[0].rule, "L213-1" in refused[0].article) == ("G09", True)
    assert "2036" in refused[0].reason
    assert EMAIL.encode() in await _everything(store)
    done = await erase_person(store, SHOP.id, subject, BOOK, clock.at + timedelta(days=3_700))
    assert isinstance(done, Erased)


async def test_nothing_of_a_person_is_left_and_all_chains_hold(
    store: Store, clock: Clock, pressed: tuple[Desk, Pressed], tmp_path: Path
) -> None:
    desk, made = pressed
    other = await ordered(desk, await at_recap(desk, "max", means="transfer"))
    log = CheckpointFile(tmp_path / "log")
    sealing = Sealing(store, log, KEY)
    await sealing.seal_now()
    order = str(made.order_id)
    await _state(store, order, state="cancelled")
    subject = await person_of(store, SHOP.id, order)
    assert subject is not None
    done = await erase_person(store, SHOP.id, subject, BOOK, clock.at)
    assert isinstance(done, Erased)
    assert done.orders == (order,)
    left = await _everything(store)
    assert EMAIL.encode() not in left
    assert b"max@example.org" in left
    await sealing.seal_now()
    found = (await verify_store(store, log.lines(), PUBLIC)).findings
    assert {each.kind for each in found} <= {"postdated"}  # the desk's clock is a test's own
    (place,) = await find_chains(store, order)
    assert not (await dossier_of(store, place, log.lines(), opened=True)).opened
    (others,) = await find_chains(store, str(other.order_id))
    assert (await dossier_of(store, others, log.lines(), opened=True)).opened
    again = await erase_person(store, SHOP.id, subject, BOOK, clock.at)
    assert isinstance(again, Erased | list)
