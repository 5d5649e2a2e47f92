"""The store held against the log of checkpoints: one chain at a time, so that a store of any size takes no memory."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from relance.custody.head_index import HeadIndex
from relance.evidence.entries import Document, Head, decode, digest
from relance.evidence.personal import proves
from relance.evidence.verification import (
    Chain,
    Finding,
    SealedHead,
    Verification,
    against_heads,
    against_seals,
    read_chain,
    sealed_heads,
    true_checkpoints,
)
from relance.kernel.errors import InputError
from services.checkout.domain.presenting import Kept
from services.checkout.store.chains import COUNTER, SERIES
from services.checkout.store.dossiers import Place
from services.checkout.store.keys import UnknownMaster
from services.checkout.store.part import kind_of, read_body
from services.checkout.store.schema import AGGREGATES, CHAINS, COUNTERS, ENTRIES
from services.checkout.store.store import Store
from services.checkout.store.transaction import Transaction

__all__ = ["Totals", "Watching", "lost_places", "verify_store", "verify_stream"]

_ROWS_AT_ONCE: Final = 1_000
_GAPS_TOLD: Final = 100  # of a series: who deleted more has been found out


class Totals(NamedTuple):
    """Over how much evidence was looked. `met`: the witnesses that are entries of it; `witnessed`: those that the log
    sealed, whether they are there or not.
    """

    orders: int
    entries: int
    unsealed: int
    checkpoints: int
    findings: int
    met: frozenset[str]
    witnessed: dict[str, SealedHead]


class Watching(msgspec.Struct, kw_only=True):
    """Who is told, and how far it is: `went` gets (entries looked at, entries in all)."""

    tell: Callable[[Finding], None]
    went: Callable[[int, int], None] = lambda _done, _all: None
    witnesses: Collection[str] = ()


class _Found(NamedTuple):
    place: tuple[str, str]
    row: Any  # of CHAINS; None where entries stand without it
    entries: list[bytes]


async def verify_store(store: Store, log: Iterable[bytes], key: str, only: Place | None = None) -> Verification:
    """`verify_stream` with all findings in memory."""
    findings: list[Finding] = []
    totals = await verify_stream(store, log, key, Watching(tell=findings.append), only)
    return Verification(
        findings=tuple(findings), orders=totals.orders, entries=totals.entries, unsealed=totals.unsealed,
        checkpoints=totals.checkpoints,
    )  # fmt: skip


async def verify_stream(
    store: Store, log: Iterable[bytes], key: str, watching: Watching, only: Place | None = None
) -> Totals:
    """The evidence in the database against the lines of the log, signed first with `key` (raw, in hexadecimal).

    Beside what `relance.evidence.verification.verify` finds: an order of a shop's sequence that is not there, a chain
    that stands under another order's id, and documents that are no longer those that were shown. `only` one chain is
    looked at when it is given; that others are missing is then not told.
    """
    with HeadIndex() as index:
        work = _Verifying(store, index, watching, only)
        checkpoints = work.read_log(log, key)
        await work.read_store()
        if only is None:
            work.tell_missing()
        met = frozenset(work.met)
        sealed = {each: found[-1] for each in watching.witnesses if (found := index.with_hash(each))}
        return Totals(work.orders, work.entries, work.unsealed, checkpoints, work.findings, met, sealed)


async def lost_places(store: Store, order: str) -> list[Place]:
    """Under which names the chain of an order would stand that is not there: its checkout's, while the order itself is
    still stored, and else its own.
    """
    statement = select(AGGREGATES.c.shop, AGGREGATES.c.body).where(
        AGGREGATES.c.kind == kind_of(Kept), AGGREGATES.c.id == order
    )
    async with store.database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [Place(row.shop, read_body(Kept, row.body).checkout_id, order) for row in rows]


class _Verifying:
    """One pass over log and store."""

    def __init__(self, store: Store, index: HeadIndex, watching: Watching, only: Place | None) -> None:
        self._store = store
        self._index = index
        self._watching = watching
        self._only = only
        self._counters: dict[tuple[str, int], int] = {}
        self.orders = self.entries = self.unsealed = self.findings = 0
        self.met: set[str] = set()

    def read_log(self, log: Iterable[bytes], key: str) -> int:
        """Keep what true checkpoints say; how many lines there are."""
        findings: list[Finding] = []
        lines = _Counted(log)
        for each in sealed_heads(true_checkpoints(lines, key, findings)):
            if self._only is None or (each.head.shop, each.head.order) == (self._only.shop, self._only.chain):
                self._index.add([each])
            self._tell(findings)
        self._tell(findings)
        self._index.ready()
        return lines.count

    async def read_store(self) -> None:
        """Look at each chain, as all stood at one instant: orders go on meanwhile."""
        async with self._store.database.reading() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ")
            in_all = int(
                (await connection.execute(self._mine(select(func.count()).select_from(ENTRIES), ENTRIES))).scalar_one()
            )
            for row in await connection.execute(select(COUNTERS).where(COUNTERS.c.name.like(f"{COUNTER}/%"))):
                self._counters[row.shop, int(row.name.rpartition("/")[2])] = int(row.value)
            async for found in self._chains(connection):
                await self._look(found)
                self._watching.went(self.entries, in_all)
        if self._only is not None and not self.orders:
            self._against_seals((self._only.shop, self._only.chain), None)

    def tell_missing(self) -> None:
        """What the log, or the numbers of orders, say of chains that are not there."""
        for place in self._index.unmet():
            self._against_seals(place, None)
        greatest = {(shop, series): last for shop, series, last in self._index.counted()}
        findings: list[Finding] = []
        for shop, series in sorted(greatest.keys() | self._counters.keys()):
            held = greatest.get((shop, series), 0)
            counted = series + 1 + (self._counters.get((shop, series), 0) - 1) * SERIES
            last = max(counted, held)
            gaps = self._index.gaps(shop, series, series + 1, last, SERIES)
            numbers = (number for begin, end in gaps for number in range(begin, end + 1, SERIES))
            for told, number in enumerate(numbers):
                if told == _GAPS_TOLD:
                    findings.append(Finding("missing_order", f"shop {shop}", "and more of this series"))
                    break
                said = f"order number {number} is not there, and {last} is the last"
                findings.append(Finding("missing_order", f"shop {shop}", said))
            if counted < held:
                findings.append(Finding("misplaced", f"shop {shop}", "a counter of its orders was set back"))
            self._tell(findings)

    def _mine(self, statement: Any, table: Any) -> Any:
        if self._only is None:
            return statement
        return statement.where(table.c.shop == self._only.shop, table.c.chain == self._only.chain)

    async def _chains(self, connection: AsyncConnection) -> AsyncIterator[_Found]:
        same = and_(CHAINS.c.shop == ENTRIES.c.shop, CHAINS.c.chain == ENTRIES.c.chain)
        joined = ENTRIES.outerjoin(CHAINS, same)
        row_of = (CHAINS.c.length, CHAINS.c.head, CHAINS.c.order_id, CHAINS.c.number)
        columns = (ENTRIES.c.shop, ENTRIES.c.chain, ENTRIES.c.data, *row_of)
        statement = self._mine(select(*columns).select_from(joined), ENTRIES)
        statement = statement.order_by(ENTRIES.c.shop, ENTRIES.c.chain, ENTRIES.c.seq)
        found: _Found | None = None
        rows = await connection.stream(statement.execution_options(yield_per=_ROWS_AT_ONCE))
        async for row in rows:
            if found is None or found.place != (row.shop, row.chain):
                if found is not None:
                    yield found
                found = _Found((row.shop, row.chain), row if row.length is not None else None, [])
            found.entries.append(bytes(row.data))
        if found is not None:
            yield found
        empty = self._mine(select(CHAINS), CHAINS).where(~select(ENTRIES).where(same).exists())
        async for row in await connection.stream(empty.execution_options(yield_per=_ROWS_AT_ONCE)):
            yield _Found((row.shop, row.chain), row, [])

    async def _look(self, found: _Found) -> None:
        findings: list[Finding] = []
        chain = read_chain(found.place, found.entries, findings)
        self.orders += 1
        self.entries += len(found.entries)
        self.met |= {each for each in self._watching.witnesses if each in chain.hashes}
        self._tell(findings)
        self._against_seals(found.place, chain)
        if found.row is not None:
            _against_row(chain, found.row, found.entries, findings)
            if found.row.number is not None:
                self._index.count(found.place[0], (found.row.number - 1) % SERIES, found.row.number)
        findings += [each async for each in _against_blobs(self._store, found.place, found.entries)]
        self._tell(findings)

    def _against_seals(self, place: tuple[str, str], chain: Chain | None) -> None:
        findings: list[Finding] = []
        if chain is not None:
            self._index.meet(*place)
        self.unsealed += against_seals(place, chain, self._index.of(*place), findings)
        self._tell(findings)

    def _tell(self, findings: list[Finding]) -> None:
        for each in findings:
            self._watching.tell(each)
        self.findings += len(findings)
        findings.clear()


class _Counted:
    """Lines, counted as they go by."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.count += 1
            yield line


def _against_row(chain: Chain, row: Any, entries: Sequence[bytes], findings: list[Finding]) -> None:
    """The entries against where the database itself says that their chain stands, and whose it is."""
    head = Head(shop=chain.shop, order=chain.order, length=row.length, hash=row.head)
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


async def _against_blobs(store: Store, place: tuple[str, str], entries: Sequence[bytes]) -> AsyncIterator[Finding]:
    """Each document that the entries name, as it is stored now."""
    named: list[tuple[int, Document]] = []
    for seq, data in enumerate(entries):
        try:
            document = decode(data).document
        except InputError:
            continue  # told by read_chain
        if document is not None:
            named.append((seq, document))
    if not named:
        return
    async with store.reading() as tx:
        for seq, document in named:
            if reason := await _wrong(tx, place[0], document):
                yield Finding("document_differs", f"order {place[0]}/{place[1]}, entry {seq}", reason)


async def _wrong(tx: Transaction, shop: str, document: Document) -> str:
    """Why a document is not what was shown; empty when it is, or when its person was erased."""
    name = document.sealed.blob if document.sealed is not None else document.sha256 or ""
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
