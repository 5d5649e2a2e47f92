"""A new master key: what the older ones wrapped is wrapped anew, person by person, also while the checkout runs.

A person and the names of what is encrypted for him change in one transaction. So whoever is stopped in between has
done some persons wholly and the others not at all, and goes on when it is run again.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from relance.evidence.entries import Document, digest
from relance.evidence.personal import Draw, Person, WrappedKey, bytes_of, open_document, unwrap, wrap
from services.checkout.store.keys import MasterKey, UnknownMaster, key_name, lookup_of
from services.checkout.store.schema import BLOBS, PERSONS
from services.checkout.store.store import Store

__all__ = ["Rewrapped", "master_names", "rewrap"]

_AT_ONCE: Final = 50


class Rewrapped(msgspec.Struct, frozen=True):
    """How many persons are under the new key now that were not, and how many under a key that is not at hand."""

    done: int
    closed: int


async def master_names(store: Store) -> dict[str, int]:
    """How many persons' keys each master key wraps, by its name."""
    counts: dict[str, int] = {}
    async with store.database.reading() as connection:
        rows = await connection.stream(select(PERSONS.c.wrapped).execution_options(yield_per=1_000))
        async for row in rows:
            name = msgspec.json.decode(row.wrapped, type=WrappedKey).master
            counts[name] = counts.get(name, 0) + 1
    return counts


async def rewrap(
    store: Store, master: MasterKey, draw: Draw, went: Callable[[int, int], None] = lambda _done, _all: None
) -> Rewrapped:
    """Wrap under `master.secret` what its older keys wrapped. `went` gets (persons looked at, persons in all).

    Persons that are erased meanwhile stay erased; those that a process with the older key adds meanwhile are left to
    another run.
    """
    async with store.database.reading() as connection:
        in_all = int((await connection.execute(select(func.count()).select_from(PERSONS))).scalar_one())
    after, looked, done, closed = ("", ""), 0, 0, 0
    while True:
        async with store.database.writing() as connection:
            rows = await _next(connection, after)
            for row in rows:
                try:
                    done += await _one(connection, row, master, draw)
                except UnknownMaster:
                    closed += 1
        if not rows:
            return Rewrapped(done, closed)
        after, looked = (rows[-1].shop, rows[-1].subject), looked + len(rows)
        went(looked, max(in_all, looked))


async def _next(connection: AsyncConnection, after: tuple[str, str]) -> list[Any]:
    place = tuple_(PERSONS.c.shop, PERSONS.c.subject)
    statement = select(PERSONS).where(place > after).order_by(PERSONS.c.shop, PERSONS.c.subject).limit(_AT_ONCE)
    return list((await connection.execute(statement.with_for_update())).all())


async def _one(connection: AsyncConnection, row: Any, master: MasterKey, draw: Draw) -> bool:
    wrapped = msgspec.json.decode(row.wrapped, type=WrappedKey)
    if wrapped.master == master.name:
        return False
    key = unwrap(wrapped, master.secret_of(wrapped.master))
    anew = wrap(key_name(row.shop, row.subject), key, (master.name, master.secret), draw)
    mine = (PERSONS.c.shop == row.shop, PERSONS.c.subject == row.subject, PERSONS.c.wrapped == row.wrapped)
    text = msgspec.json.encode(anew).decode()
    changed = await connection.execute(update(PERSONS).where(*mine).values(wrapped=text))
    if changed.rowcount != 1:
        return False
    theirs = select(BLOBS).where(BLOBS.c.shop == row.shop, BLOBS.c.subject == row.subject)
    for blob in (await connection.execute(theirs)).all():
        person = Person(shop=row.shop, order=blob.bound_to, subject=row.subject, key=key)
        opened = open_document(msgspec.json.decode(blob.document, type=Document), bytes(blob.data), person)
        lookup = lookup_of(master.secret, digest(bytes_of(opened.value)))
        at = (BLOBS.c.shop == blob.shop, BLOBS.c.hash == blob.hash)
        await connection.execute(update(BLOBS).where(*at).values(lookup=lookup))
    return True
