"""Evidence in both databases, held against the file of checkpoints: each kind of tampering is found."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ColumnElement, Table, delete, func, select, update

from relance.custody.checkpoint_file import CheckpointFile
from relance.evidence.checkpoints import decode, encode, seal
from relance.evidence.entries import Act, Head, append
from relance.evidence.entries import decode as decode_entry
from relance.evidence.examination import examine, export
from relance.evidence.personal import text_of
from relance.evidence.verification import Verification
from relance.kernel.errors import Defect, InputError
from services.checkout.store import (
    MasterKey,
    Sealing,
    Store,
    dossier_of,
    find_chains,
    open_store,
    verify_store,
)
from services.checkout.store.chains import series_of
from services.checkout.store.schema import BLOBS, CHAINS, ENTRIES
from tests.integration.checkout.evidence_kit import (
    EMAIL,
    KEY,
    MASTER,
    PAGE,
    PUBLIC,
    SHOP,
    TERMS,
    change,
    checkout,
    open_checkout,
    order,
    place,
    world,
)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url, MASTER)
    yield opened
    await opened.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "custody" / "checkpoints.log"


async def _verify(store: Store, log: Path, number: int | None = None) -> Verification:
    (only,) = (None,) if number is None else await find_chains(store, order(number))
    return await verify_store(store, CheckpointFile(log).lines(), PUBLIC, only)


async def _kinds(store: Store, log: Path, number: int | None = None) -> set[str]:
    return {finding.kind for finding in (await _verify(store, log, number)).findings}


def _of(table: Table, number: int) -> ColumnElement[bool]:
    return (table.c.shop == SHOP) & (table.c.chain == checkout(number))


async def test_an_untouched_store_is_verified(store: Store, log: Path) -> None:
    await world(store, log)
    result = await _verify(store, log)
    assert result.findings == ()
    assert (result.orders, result.entries, result.unsealed, result.checkpoints) == (3, 18, 0, 3)
    assert (await _verify(store, log, 1)).findings == ()


async def test_an_order_has_one_chain_from_before_the_click_on(store: Store, log: Path) -> None:
    await world(store, log)
    assert (
        await find_chains(store, order(1)) == await find_chains(store, checkout(1)) == [(SHOP, checkout(1), order(1))]
    )
    async with store.reading() as tx:
        entries = [decode_entry(data) for data in await tx.entries(SHOP, order(1))]
        assert await tx.head(SHOP, order(1)) == await tx.head(SHOP, checkout(1))
    assert [entry.what for entry in entries] == ["terms", "contact", "recap", "button", "order", "payment"]
    assert entries[4].facts == {"order": order(1), "number": series_of(checkout(1)) + 1}


async def test_a_chain_becomes_one_order_only(store: Store, log: Path) -> None:
    await world(store, log, orders=1)
    with pytest.raises(Defect):
        await place(store, 0)


async def test_fifty_simultaneous_acts_of_one_order_are_chained_one_after_the_other(store: Store, log: Path) -> None:
    await open_checkout(store, 0)
    await asyncio.gather(*(open_checkout(store, 0) for _ in range(49)))
    await Sealing(store, CheckpointFile(log), KEY).seal_now()
    result = await _verify(store, log)
    assert (result.findings, result.entries) == ((), 150)


async def test_orders_placed_at_once_have_numbers_without_gaps(store: Store, log: Path) -> None:
    for number in range(20):
        await open_checkout(store, number)
    await asyncio.gather(*(place(store, number) for number in range(20)))
    await Sealing(store, CheckpointFile(log), KEY).seal_now()
    assert await _kinds(store, log) == set()
    async with store.database.reading() as connection:
        rows = (await connection.execute(select(CHAINS.c.chain, CHAINS.c.number))).all()
    series: dict[int, list[int]] = {}
    for row in rows:
        series.setdefault(series_of(row.chain), []).append(row.number)
    assert len(series) > 3
    for first, numbers in series.items():
        assert sorted(numbers) == [first + 1 + 16 * place for place in range(len(numbers))]


async def test_an_edited_entry_is_found(store: Store, log: Path) -> None:
    await world(store, log)
    at = _of(ENTRIES, 1) & (ENTRIES.c.seq == 2)
    async with store.database.reading() as connection:
        data = (await connection.execute(select(ENTRIES.c.data).where(at))).scalar_one()
    await change(store, update(ENTRIES).where(at).values(data=bytes(data).replace(b'_minor":4200', b'_minor":2400')))
    assert await _kinds(store, log) == {"broken_chain", "rewritten"}
    assert await _kinds(store, log, 1) == {"broken_chain", "rewritten"}
    assert await _kinds(store, log, 2) == set()


async def test_a_chain_rewritten_to_its_end_is_found(store: Store, log: Path) -> None:
    await world(store, log)
    async with store.reading() as tx:
        entries = [decode_entry(data) for data in await tx.entries(SHOP, order(1))]
    head = Head(shop=SHOP, order=checkout(1), length=0, hash="0" * 64)
    statements = []
    for entry in entries:
        facts = entry.facts | ({"total_minor": 2_400} if entry.what == "recap" else {})
        told = {name: getattr(entry, name) for name in ("at_ms", "act", "what", "by", "rules", "document", "personal")}
        data, head = append(head, Act(**told, facts=facts))
        statements.append(update(ENTRIES).where(_of(ENTRIES, 1) & (ENTRIES.c.seq == entry.seq)).values(data=data))
    await change(store, *statements, update(CHAINS).where(_of(CHAINS, 1)).values(head=head.hash))
    assert await _kinds(store, log) == {"rewritten"}


async def test_a_truncated_chain_is_found(store: Store, log: Path) -> None:
    await world(store, log)
    await change(store, delete(ENTRIES).where(_of(ENTRIES, 1) & (ENTRIES.c.seq == 5)))
    assert await _kinds(store, log) == {"truncated"}
    async with store.reading() as tx:
        head = decode_entry((await tx.entries(SHOP, order(1)))[-1])
    await change(store, update(CHAINS).where(_of(CHAINS, 1)).values(length=5, head=head.prior, sealed=5))
    assert "truncated" in await _kinds(store, log)


async def test_a_deleted_order_is_found(store: Store, log: Path) -> None:
    await world(store, log)
    await change(store, *(delete(table).where(_of(table, 1)) for table in (ENTRIES, CHAINS)))
    findings = (await _verify(store, log)).findings
    assert {finding.kind for finding in findings} == {"missing_order"}
    assert {finding.place for finding in findings} == {f"order {SHOP}/{checkout(1)}", f"shop {SHOP}"}


async def test_an_order_deleted_before_it_was_sealed_leaves_a_gap(store: Store, log: Path) -> None:
    await world(store, log, orders=2)
    for number in (2, 3):
        await open_checkout(store, number)
        await place(store, number)
    await change(store, *(delete(table).where(_of(table, 2)) for table in (ENTRIES, CHAINS)))
    findings = (await _verify(store, log)).findings
    number = series_of(checkout(2)) + 1
    assert [finding.kind for finding in findings] == ["missing_order"]
    assert findings[0].reason == f"order number {number} is not there, and {number} is the last"
    await change(store, update(CHAINS).where(_of(CHAINS, 3)).values(number=number))
    assert await _kinds(store, log) == {"misplaced", "missing_order"}


async def test_two_orders_swapped_are_found(store: Store, log: Path) -> None:
    await world(store, log)
    for table in (ENTRIES, CHAINS):
        for before, after in ((checkout(1), "x"), (checkout(2), checkout(1)), ("x", checkout(2))):
            await change(store, update(table).where(table.c.chain == before).values(chain=after))
    assert {"misplaced", "rewritten"} <= await _kinds(store, log)


async def test_two_orders_that_exchanged_their_chains_are_found(store: Store, log: Path) -> None:
    await world(store, log)
    for before, after in ((order(1), "x"), (order(2), order(1)), ("x", order(2))):
        await change(store, update(CHAINS).where(CHAINS.c.order_id == before).values(order_id=after))
    assert await _kinds(store, log) == {"misplaced"}
    assert await _kinds(store, log, 1) == {"misplaced"}


async def test_a_log_signed_anew_with_another_key_is_found(store: Store, log: Path) -> None:
    await world(store, log)
    other = Ed25519PrivateKey.generate()
    prior, lines = None, []
    for line in CheckpointFile(log).lines():
        old = decode(line)
        prior = seal(prior, old.heads, old.header.at_ms, other)
        lines.append(encode(prior))
    await asyncio.to_thread(log.write_bytes, b"".join(line + b"\n" for line in lines))
    assert "wrong_key" in await _kinds(store, log)


async def test_a_changed_or_missing_document_is_found(store: Store, log: Path) -> None:
    await world(store, log)
    at = BLOBS.c.hash == sha256(TERMS).hexdigest()
    await change(store, update(BLOBS).where(at).values(data=b"other terms"))
    assert await _kinds(store, log) == {"document_differs"}
    await change(store, delete(BLOBS).where(at))
    assert await _kinds(store, log, 1) == {"document_differs"}


async def test_an_erased_person_leaves_all_chains_whole(store: Store, log: Path) -> None:
    await world(store, log)
    (found,) = await find_chains(store, order(1))
    lines = CheckpointFile(log).lines()
    before = await dossier_of(store, found, lines, opened=True)
    assert EMAIL in {text_of(each) for each in before.opened.values()}
    async with store.transaction() as tx:
        assert await tx.blob(SHOP, sha256(PAGE).hexdigest()) == PAGE
        assert await tx.erase(SHOP, "p-1")
    assert await _kinds(store, log) == set()
    after = await dossier_of(store, found, lines, opened=True)
    assert not after.opened
    assert after.entries == before.entries
    async with store.reading() as tx:
        entry = decode_entry((await tx.entries(SHOP, order(1)))[2])
        assert entry.document is not None
        assert entry.document.sealed is not None
        assert await tx.blob(SHOP, entry.document.sealed.blob) is None


async def test_no_personal_data_is_stored_in_the_clear(store: Store, log: Path) -> None:
    await world(store, log)
    async with store.database.reading() as connection:
        blobs = [bytes(row.data) for row in await connection.execute(select(BLOBS.c.data))]
        entries = [bytes(row.data) for row in await connection.execute(select(ENTRIES.c.data))]
        hashes = [(row.hash, row.lookup, row.document) for row in await connection.execute(select(BLOBS))]
    for data in (*blobs, *entries, *CheckpointFile(log).lines(), repr(hashes).encode()):
        assert EMAIL.encode() not in data
        assert "Léa".encode() not in data
        assert sha256(PAGE).hexdigest().encode() not in data


async def test_the_dossier_out_of_the_database_is_a_file_that_proves_itself(store: Store, log: Path) -> None:
    await world(store, log)
    (found,) = await find_chains(store, order(1))
    lines = CheckpointFile(log).lines()
    dossier = await dossier_of(store, found, lines, opened=True)
    result = examine(export(dossier), PUBLIC, lines)
    assert result.verification.findings == ()
    assert (len(dossier.seals), len(dossier.documents), len(dossier.opened)) == (2, 1, 2)
    assert dossier.placed == order(1)


async def test_another_master_key_opens_nothing_and_finds_nothing_wrong(
    store: Store, database_url: str, log: Path
) -> None:
    await world(store, log)
    (found,) = await find_chains(store, order(1))
    stranger = await open_store(database_url, MasterKey(b"x" * 32))
    with pytest.raises(InputError, match="need the master key"):
        await dossier_of(stranger, found, (), opened=True)
    assert await _kinds(stranger, log) == set()
    await stranger.close()
    heir = await open_store(database_url, MasterKey(b"x" * 32, (MASTER.secret,)))
    assert len((await dossier_of(heir, found, (), opened=True)).opened) == 2
    await heir.close()


async def test_one_process_seals_and_another_stands_by(store: Store, database_url: str, log: Path) -> None:
    await open_checkout(store, 0)
    second = await open_store(database_url, MASTER)
    stop = asyncio.Event()
    both = [Sealing(each, CheckpointFile(log), KEY, every_s=0.1) for each in (store, second)]
    running = [asyncio.create_task(each.run(stop)) for each in both]
    for _ in range(100):
        await asyncio.sleep(0.05)
        if len(CheckpointFile(log).lines()) >= 5:
            break
    stop.set()
    await asyncio.gather(*running)
    await second.close()
    assert sorted(bool(each.sealed_at_ms) for each in both) == [False, True]
    assert [each.failures for each in both] == [0, 0]
    assert await _kinds(store, log) == set()
    async with store.database.reading() as connection:
        moved = select(func.count()).select_from(CHAINS).where(CHAINS.c.sealed < CHAINS.c.length)
        assert (await connection.execute(moved)).scalar_one() == 0


@pytest.fixture
def no_directory(tmp_path: Path) -> Path:
    path = tmp_path / "a file where a directory should be"
    path.touch()
    return path


async def test_a_sink_that_is_away_stops_no_order_and_is_told(store: Store, no_directory: Path) -> None:
    stop = asyncio.Event()
    sealing = Sealing(store, CheckpointFile(no_directory / "log"), KEY, every_s=0.05)
    running = asyncio.create_task(sealing.run(stop))
    await open_checkout(store, 0)
    for _ in range(100):
        await asyncio.sleep(0.02)
        if sealing.failures:
            break
    stop.set()
    await running
    assert sealing.failures >= 1
    assert sealing.sealed_at_ms == 0


async def test_a_key_that_the_log_does_not_name_seals_nothing(store: Store, log: Path) -> None:
    await world(store, log, orders=1)
    lines = CheckpointFile(log).lines()
    with pytest.raises(InputError, match="not the key"):
        await Sealing(store, CheckpointFile(log), Ed25519PrivateKey.generate()).seal_now()
    assert CheckpointFile(log).lines() == lines
