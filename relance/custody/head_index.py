"""What a log of checkpoints says of each chain, to be looked up: on disk, so that a log of years takes no memory."""

import sqlite3
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from relance.evidence.entries import Head
from relance.evidence.verification import SealedHead

__all__ = ["HeadIndex"]

_TABLES: Final = """
CREATE TABLE heads (shop TEXT, chain TEXT, number INTEGER, after_ms INTEGER, at_ms INTEGER, length INTEGER, hash TEXT);
CREATE TABLE met (shop TEXT, chain TEXT, PRIMARY KEY (shop, chain)) WITHOUT ROWID;
CREATE TABLE numbers (shop TEXT, series INTEGER, number INTEGER, PRIMARY KEY (shop, series, number)) WITHOUT ROWID;
"""
_GAPS: Final = """
SELECT number + :step, next - :step FROM (
  SELECT number, lead(number, 1, :end) OVER (ORDER BY number) AS next FROM (
    SELECT :begin AS number UNION ALL SELECT number FROM numbers WHERE shop = :shop AND series = :series))
WHERE next > number + :step ORDER BY number
"""


class HeadIndex:
    """A temporary database of its own, gone when it is closed. Fill it with `add`, then `ready`, then look up."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("")  # a file that SQLite removes by itself
        self._db.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def add(self, sealed: Iterable[SealedHead]) -> None:
        """Heads, in the log's order; taken one at a time."""
        rows = (
            (each.head.shop, each.head.order, each.number, each.after_ms, each.at_ms, each.head.length, each.head.hash)
            for each in sealed
        )
        self._db.executemany("INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def ready(self) -> None:
        """All heads were added."""
        self._db.execute("CREATE INDEX heads_of ON heads (shop, chain)")

    def of(self, shop: str, chain: str) -> list[SealedHead]:
        """What was sealed of a chain, in the log's order."""
        found = self._db.execute(
            "SELECT number, after_ms, at_ms, length, hash FROM heads WHERE shop = ? AND chain = ? ORDER BY rowid",
            (shop, chain),
        )
        return [
            SealedHead(number, after_ms, at_ms, Head(shop=shop, order=chain, length=length, hash=hash_))
            for number, after_ms, at_ms, length, hash_ in found
        ]

    def with_hash(self, hash_: str) -> list[SealedHead]:
        """What was sealed under a hash."""
        found = self._db.execute(
            "SELECT shop, chain, number, after_ms, at_ms, length FROM heads WHERE hash = ? ORDER BY rowid", (hash_,)
        )
        return [
            SealedHead(number, after_ms, at_ms, Head(shop=shop, order=chain, length=length, hash=hash_))
            for shop, chain, number, after_ms, at_ms, length in found
        ]

    def meet(self, shop: str, chain: str) -> None:
        """The chain is there."""
        self._db.execute("INSERT OR IGNORE INTO met VALUES (?, ?)", (shop, chain))

    def unmet(self) -> Iterator[tuple[str, str]]:
        """Sealed chains that are not there."""
        yield from self._db.execute(
            "SELECT DISTINCT shop, chain FROM heads WHERE NOT EXISTS "
            "(SELECT 1 FROM met WHERE met.shop = heads.shop AND met.chain = heads.chain) ORDER BY shop, chain"
        )

    def count(self, shop: str, series: int, number: int) -> None:
        """An order has this number in its shop's series."""
        self._db.execute("INSERT OR IGNORE INTO numbers VALUES (?, ?, ?)", (shop, series, number))

    def counted(self) -> list[tuple[str, int, int]]:
        """(shop, series, greatest number) of each series."""
        rows = self._db.execute("SELECT shop, series, max(number) FROM numbers GROUP BY shop, series")
        return [(shop, series, last) for shop, series, last in rows]

    def gaps(self, shop: str, series: int, first: int, last: int, step: int) -> Iterator[tuple[int, int]]:
        """The runs of numbers (first and last of each) between `first` and `last`, `step` apart, that nobody has."""
        bounds = {"shop": shop, "series": series, "begin": first - step, "end": last + step, "step": step}
        yield from self._db.execute(_GAPS, bounds)
