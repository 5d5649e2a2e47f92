"""Evidence read back: the dossier of one order, and the whole store held against the log of checkpoints."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import or_, select

from relance.evidence.dossier import Dossier, bundle
from relance.evidence.entries import Document, Entry, Head, decode, digest
from relance.evidence.personal import Opened, proves
from relance.evidence.verification import Chain, Finding, Verification, against_heads, read_chain, verify
from relance.kernel.errors import InputError
from services.checkout.store.blobs import Blobs
from services.checkout.store.chains import COUNTER, SERIES
from services.checkout.store.keys import UnknownMaster
from services.checkout.store.schema import CHAINS, COUNTERS, ENTRIES
from services.checkout.store.store import Store

__all__ = ["Place", "dossier_of", "find_chains", "verify_store"]


class Place(NamedTuple):
    """A chain: of which shop, its name, and the order that it belongs to, or the chain's name before the click."""

    shop: str
    chain: str
    order: str


async def find_chains(store: Store, order: str) -> list[Place]:
    """The chains of an order, or of a checkout, by its id; in all shops."""
    statement = select(CHAINS).where(or_(CHAINS.c.order_id == order, CHAINS.c.chain == order))
    async with store.database.reading() as connection:
        rows = await connection.execute(statement.order_by(CHAINS.c.shop, CHAINS.c.chain))
        return [Place(row.shop, row.chain, row.order_id or row.chain) for row in rows]


async def dossier_of(store: Store, place: Place, log: Sequence[bytes], *, opened: bool) -> Dossier:
    """The dossier of a chain: its entries, its seals among the lines of the log, the documents that it names, and, when
    `opened`, the personal data that can still be read. Raises InputError when the master key is another one.
    """
    async with store.reading() as tx:
        entries = await tx.entries(place.shop, place.chain)
        read = [decode(data) for data in entries]
        named = [entry.document for entry in read if entry.document is not None]
        documents = [data for each in named if each.sha256 and (data := await tx.blob(place.shop, each.sha256))]
        openings = [each async for each in _openings(tx, place, read)] if opened else []
    return bundle(entries, _lines_of(log, place), documents, openings)


async def _openings(tx: Blobs, place: Place, entries: Sequence[Entry]) -> AsyncIterator[Opened]:
    for entry in entries:
        found = [await tx.open_sealed(place.shop, place.chain, each) for each in entry.personal]
        if entry.document is not None and entry.document.sealed is not None:
            found.append(await tx.open_blob(place.shop, entry.document.sealed.blob))
        for each in found:
            if each is not None:
                yield each


def _lines_of(log: Sequence[bytes], place: Place) -> list[bytes]:
    """The lines that can concern a chain: those that name it, and those that hand over to another key."""
    name = msgspec.json.encode(place.chain)
    return [line for line in log if name in line or b'next_key\\":\\"' in line]


class _Read(NamedTuple):
    """What the database says of its chains."""

    chains: Mapping[tuple[str, str], Any]
    entries: dict[tuple[str, str], list[bytes]]
    counters: Mapping[tuple[str, int], int]


async def verify_store(store: Store, log: Sequence[bytes], key: str, only: Place | None = None) -> Verification:
    """The evidence in the database against the lines of the log, signed first with `key` (raw, in hexadecimal).

    Beside what `relance.evidence.verification.verify` finds: an order of a shop's sequence that is not there, a chain
    that stands under another order's id, and documents that are no longer those that were shown. `only` one chain is
    looked at when it is given; that others are missing is then not told.
    """
    read = await _read(store, only)
    result = verify(read.entries, log, key)
    findings = list(result.findings)
    if only is not None:
        ours = f"order {only.shop}/{only.chain}"
        findings = [each for each in findings if each.kind != "missing_order" or each.place == ours]
    for place, row in read.chains.items():
        _against_row(place, row, read.entries.get(place, []), findings)
    if only is None:
        _against_counters(read, findings)
    for place, data in read.entries.items():
        findings += [each async for each in _against_blobs(store, place, data)]
    return msgspec.structs.replace(result, findings=tuple(findings))


async def _read(store: Store, only: Place | None) -> _Read:
    chains, entries, counters = (
        select(CHAINS),
        select(ENTRIES),
        select(COUNTERS).where(COUNTERS.c.name.like(f"{COUNTER}/%")),
    )
    if only is not None:
        chains = chains.where(CHAINS.c.shop == only.shop, CHAINS.c.chain == only.chain)
        entries = entries.where(ENTRIES.c.shop == only.shop, ENTRIES.c.chain == only.chain)
    found: dict[tuple[str, str], list[bytes]] = {}
    async with store.database.reading() as connection:
        if connection.dialect.name == "postgresql":  # orders go on meanwhile: all is read as it stood at one instant
            await connection.execution_options(isolation_level="REPEATABLE READ")
        rows = {(row.shop, row.chain): row for row in await connection.execute(chains)}
        for row in await connection.execute(entries.order_by(ENTRIES.c.shop, ENTRIES.c.chain, ENTRIES.c.seq)):
            found.setdefault((row.shop, row.chain), []).append(bytes(row.data))
        counted = {
            (row.shop, int(row.name.rpartition("/")[2])): int(row.value) for row in await connection.execute(counters)
        }
    return _Read(rows, found, counted)


def _against_row(place: tuple[str, str], row: Any, entries: Sequence[bytes], findings: list[Finding]) -> None:
    """The entries against where the database itself says that their chain stands, and whose it is."""
    chain: Chain = read_chain(place, entries, [])
    head = Head(shop=place[0], order=place[1], length=row.length, hash=row.head)
    against_heads(chain, [("the database's own head", head)], findings)
    if len(chain.hashes) > row.length:
        findings.append(Finding("rewritten", chain.place, "it has more entries than the database's own head"))
    told = _adoption(entries)
    if told != (row.order_id, row.number):
        said = (
            f"it stands as order {row.order_id}, number {row.number}, and says that it is {told[0]}, number {told[1]}"
        )
        findings.append(Finding("misplaced", chain.place, said))


def _adoption(entries: Sequence[bytes]) -> tuple[str | None, int | None]:
    """The order and number that a chain itself tells."""
    for data in entries:
        try:
            entry = decode(data)
        except InputError:
            continue  # told by read_chain
        if (entry.act, entry.what, entry.by) == ("happened", "order", "checkout") and "number" in entry.facts:
            return entry.facts.get("order"), entry.facts["number"]
    return None, None


def _against_counters(read: _Read, findings: list[Finding]) -> None:
    """Every order of a shop has a number, without gaps: who is missing was deleted, sealed or not."""
    numbers: dict[tuple[str, int], set[int]] = {}
    for (shop, _), row in read.chains.items():
        if row.number is not None:
            numbers.setdefault((shop, (row.number - 1) % SERIES), set()).add(row.number)
    for shop, series in sorted(numbers.keys() | read.counters.keys()):
        there = numbers.get((shop, series), set())
        counted = series + 1 + (read.counters.get((shop, series), 0) - 1) * SERIES
        last = max(counted, *there, 0)
        findings += [
            Finding("missing_order", f"shop {shop}", f"order number {number} is not there, and {last} is the last")
            for number in range(series + 1, last + 1, SERIES)
            if number not in there
        ]
        if counted < max(there, default=0):
            findings.append(Finding("misplaced", f"shop {shop}", "a counter of its orders was set back"))


async def _against_blobs(store: Store, place: tuple[str, str], entries: Sequence[bytes]) -> AsyncIterator[Finding]:
    """Each document that the entries name, as it is stored now."""
    for seq, data in enumerate(entries):
        try:
            document = decode(data).document
        except InputError:
            continue  # told by read_chain
        if document is not None and (reason := await _wrong(store, place[0], document)):
            yield Finding("document_differs", f"order {place[0]}/{place[1]}, entry {seq}", reason)


async def _wrong(store: Store, shop: str, document: Document) -> str:
    """Why a document is not what was shown; empty when it is, or when its person was erased."""
    name = document.sealed.blob if document.sealed is not None else document.sha256 or ""
    async with store.reading() as tx:
        stored = await tx.stored(shop, name)
        if stored is None or digest(stored) != name:
            return f"document {name[:16]}… is " + ("not there" if stored is None else "not what was shown")
        if document.sealed is None:
            return ""
        try:
            opened = await tx.open_blob(shop, name)
        except UnknownMaster:
            return ""  # its hash holds; what it hides can be compared by who has the key
        except InputError as error:
            return str(error)
    if opened is not None and not proves(opened, document.sealed.commitment):
        return f"document {name[:16]}… is not the one that was committed to"
    return ""
