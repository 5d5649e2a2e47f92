"""`relance evidence … ORDER`: the evidence of an order as the checkout's database holds it."""

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar
from uuid import UUID

import typer

from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from relance.evidence.dossier import Dossier
    from relance.evidence.verification import Verification
    from services.checkout.store import Place, Store

__all__ = ["ALL", "Checked", "Database", "Log", "checked", "checkpoint_lines", "dossier", "is_order", "published_key"]

ALL: Final = "all"
R = TypeVar("R")

Database = Annotated[
    str,
    typer.Option(
        help="The checkout's database (default: RELANCE_CHECKOUT_DATABASE, or this machine's).", metavar="URL"
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--checkpoints",
        help="The log of checkpoints, kept outside the database (default: RELANCE_CHECKOUT_CHECKPOINTS, or this "
        "machine's).",
        metavar="LOG",
    ),
]


class Checked(NamedTuple):
    """What was found in the database. `shop` and `order` are empty when all of it was looked at; `hashes` are those of
    the entries that were.
    """

    verification: "Verification"
    shop: str
    order: str
    hashes: tuple[str, ...]


def is_order(text: str) -> bool:
    """Whether `text` is an order's id, and no file of that name."""
    try:
        UUID(text)
    except ValueError:
        return False
    return not Path(text).exists()


def checkpoint_lines(log: Path | None) -> Sequence[bytes]:
    """The lines of the log of checkpoints. Raises InputError when it is not there."""
    from relance.custody.checkpoint_file import read_lines

    path = log or Path(os.environ.get("RELANCE_CHECKOUT_CHECKPOINTS") or _home() / "checkout" / "checkpoints.log")
    try:
        return read_lines(path.read_bytes())
    except OSError as error:
        raise InputError(f"the log of checkpoints: {path}: {error.strerror}; give --checkpoints LOG") from None


def published_key() -> str:
    """The public key beside this machine's signing key, raw in hexadecimal; empty when there is none."""
    from relance.evidence.checkpoints import key_from_pem

    path = _home() / "checkout" / "signing.pub.pem"
    return key_from_pem(path.read_bytes()) if path.is_file() else ""


def dossier(order: str, database: str, log: Sequence[bytes], *, opened: bool) -> "Dossier":
    """The dossier of an order. Raises InputError when there is no evidence of it."""
    from services.checkout.store import dossier_of

    async def read(store: "Store") -> "Dossier":
        place = await _place(store, order)
        if place is None:
            raise InputError(
                f"there is no evidence of order {order} in the database: see `relance evidence verify all`"
            )
        return await dossier_of(store, place, log, opened=opened)

    return _in_store(database, read)


def checked(order: str, database: str, log: Sequence[bytes], key: str) -> Checked:
    """The evidence of one order, or of ALL, held against the log; `key` is the raw public key in hexadecimal."""
    from relance.evidence.entries import digest
    from relance.evidence.verification import Finding, Verification
    from services.checkout.store import verify_store

    async def look(store: "Store") -> Checked:
        if order == ALL:
            async with store.reading() as tx:
                hashes = tuple([digest(data) async for data in tx.every_entry()])
            return Checked(await verify_store(store, log, key), "", "", hashes)
        place = await _place(store, order)
        if place is None:
            said = "nothing of it is in the database: it was never recorded, or was deleted (see `verify all`)"
            found = Finding("missing_order", f"order {order}", said)
            nothing = Verification(findings=(found,), orders=0, entries=0, unsealed=0, checkpoints=len(log))
            return Checked(nothing, "", order, ())
        async with store.reading() as tx:
            hashes = tuple(digest(data) for data in await tx.entries(place.shop, place.chain))
        return Checked(await verify_store(store, log, key, place), place.shop, place.order, hashes)

    return _in_store(database, look)


async def _place(store: "Store", order: str) -> "Place | None":
    from services.checkout.store import find_chains

    places = await find_chains(store, str(UUID(order)))
    if len(places) > 1:
        raise InputError(f"order {order} is one of several shops: {', '.join(place.shop for place in places)}")
    return places[0] if places else None


def _in_store(database: str, work: "Callable[[Store], Awaitable[R]]") -> R:
    import asyncio

    from services.checkout.store import MasterKey, master_key, open_store

    url = _url(database)
    setting, local = os.environ.get("RELANCE_CHECKOUT_MASTER_KEY", ""), _home() / "checkout" / "master.key"
    given = setting or (str(local) if local.is_file() else "")
    master = master_key(given) if given else MasterKey(b"")  # opens nothing: what is encrypted stays so

    async def run() -> R:
        store = await open_store(url, master, migrate=False, connections=2)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _url(database: str) -> str:
    """The database to read; nothing is made where none is."""
    url = database or os.environ.get("RELANCE_CHECKOUT_DATABASE") or f"sqlite:///{_home() / 'checkout' / 'checkout.db'}"
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise InputError(f"there is no database {path}: give --database URL, or set RELANCE_CHECKOUT_DATABASE")
    return url


def _home() -> Path:
    from relance.kafka.connection import home_dir

    return home_dir(os.environ)
