"""Evidence read back: the dossier of one order."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import or_, select

from relance.evidence.dossier import Dossier, bundle
from relance.evidence.entries import Entry, decode
from relance.evidence.personal import Opened
from services.checkout.store.blobs import Blobs
from services.checkout.store.schema import CHAINS
from services.checkout.store.store import Store

__all__ = ["Place", "dossier_of", "find_chains"]


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


async def dossier_of(store: Store, place: Place, log: Iterable[bytes], *, opened: bool) -> Dossier:
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


def _lines_of(log: Iterable[bytes], place: Place) -> list[bytes]:
    """The lines that can concern a chain: those that name it, and those that hand over to another key."""
    name = msgspec.json.encode(place.chain)
    return [line for line in log if name in line or b'next_key\\":\\"' in line]
