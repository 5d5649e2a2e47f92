"""`relance evidence … ORDER`: the evidence of an order as the checkout's database holds it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeVar
from uuid import UUID

import typer

from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from relance.evidence.dossier import Dossier
    from relance.evidence.verification import Finding
    from services.checkout.store import Place, Store, Watching
    from services.checkout.store.verifying import Totals

__all__ = [
    "ALL", "Checked", "CheckpointLog", "Database", "Log", "checked", "checkpoint_log", "dossier", "home", "in_store",
    "is_order", "published_key",
]  # fmt: skip

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
    """What was found in the database. `shop` and `order` are empty when all of it was looked at; `head` is that of the
    one order's chain.
    """

    totals: "Totals"
    shop: str
    order: str
    head: str


def is_order(text: str) -> bool:
    """Whether `text` is an order's id, and no file of that name."""
    try:
        UUID(text)
    except ValueError:
        return False
    return not Path(text).exists()


class CheckpointLog:
    """The lines of the log of checkpoints: read anew by each who goes through them, one in memory at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> "Iterator[bytes]":
        from relance.custody.checkpoint_file import stream_lines

        if not self.path.exists():
            return
        try:
            yield from stream_lines(self.path)
        except OSError as error:
            raise InputError(f"the log of checkpoints: {self.path}: {error.strerror}; give --checkpoints LOG") from None


def checkpoint_log(log: Path | None, *, must_exist: bool = True) -> CheckpointLog:
    """The log of checkpoints. Raises InputError when it must be there and is not; else it has no lines then."""
    path = log or Path(os.environ.get("RELANCE_CHECKOUT_CHECKPOINTS") or home() / "checkout" / "checkpoints.log")
    if must_exist and not path.is_file():
        raise InputError(f"the log of checkpoints: {path}: there is no such file; give --checkpoints LOG")
    return CheckpointLog(path)


def published_key() -> str:
    """The public key beside this machine's signing key, raw in hexadecimal; empty when there is none."""
    from relance.evidence.checkpoints import key_from_pem

    path = home() / "checkout" / "signing.pub.pem"
    return key_from_pem(path.read_bytes()) if path.is_file() else ""


def dossier(order: str, database: str, log: "Iterable[bytes]", *, opened: bool) -> "Dossier":
    """The dossier of an order. Raises InputError when there is no evidence of it."""
    from services.checkout.store import dossier_of

    async def read(store: "Store") -> "Dossier":
        place = await _place(store, order)
        if place is None:
            raise InputError(
                f"there is no evidence of order {order} in the database: see `relance evidence verify all`"
            )
        return await dossier_of(store, place, log, opened=opened)

    return in_store(database, read)


def checked(order: str, database: str, log: "Iterable[bytes]", key: str, watching: "Watching") -> Checked:
    """The evidence of one order, or of ALL, held against the log; `key` is the raw public key in hexadecimal.

    An order that the database has nothing of is looked for in the log: under its checkout's name where its order is
    still stored, and by the hashes printed in its confirmation; and all that is missing is told.
    """
    from services.checkout.store import find_chains, lost_places, verify_stream

    async def look(store: "Store") -> Checked:
        if order == ALL:
            return Checked(await verify_stream(store, log, key, watching), "", "", "")
        place = await _place(store, order)
        if place is not None:
            async with store.reading() as tx:
                head = (await tx.head(place.shop, place.chain)).hash
            return Checked(await verify_stream(store, log, key, watching, place), place.shop, place.order, head)
        watching.tell(_nothing_of(order))
        for lost in await lost_places(store, str(UUID(order))):
            if not await find_chains(store, lost.chain):
                totals = await verify_stream(store, log, key, watching, lost)
                return Checked(totals._replace(findings=totals.findings + 1), lost.shop, order, "")
        totals = await verify_stream(store, log, key, watching)
        return Checked(totals._replace(findings=totals.findings + 1), "", order, "")

    return in_store(database, look)


def _nothing_of(order: str) -> "Finding":
    from relance.evidence.verification import Finding

    said = "nothing of it is in the database: it was never recorded, or was deleted; what is missing follows"
    return Finding("missing_order", f"order {order}", said)


async def _place(store: "Store", order: str) -> "Place | None":
    from services.checkout.store import find_chains

    places = await find_chains(store, str(UUID(order)))
    if len(places) > 1:
        raise InputError(f"order {order} is one of several shops: {', '.join(place.shop for place in places)}")
    return places[0] if places else None


def in_store(database: str, work: "Callable[[Store], Awaitable[R]]") -> R:
    """What `work` returns with the store of the checkout, under the keys that this machine has."""
    import asyncio

    from services.checkout.store import MasterKey, master_key, open_store

    url = _url(database)
    setting, local = os.environ.get("RELANCE_CHECKOUT_MASTER_KEY", ""), home() / "checkout" / "master.key"
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
    url = database or os.environ.get("RELANCE_CHECKOUT_DATABASE") or f"sqlite:///{home() / 'checkout' / 'checkout.db'}"
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise InputError(f"there is no database {path}: give --database URL, or set RELANCE_CHECKOUT_DATABASE")
    return url


def home() -> Path:
    """Where this machine keeps what is its own."""
    from relance.kafka.connection import home_dir

    return home_dir(os.environ)
