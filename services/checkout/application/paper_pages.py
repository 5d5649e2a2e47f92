"""Papers of a time, page by page: numbers of a series are without gap and rise with time, so that the first and the
last of a time are found by halving, and all between them by their names. No other paper is read, and none is held.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from typing import Final, NamedTuple

from services.checkout.domain import papers
from services.checkout.domain.papers import Kind, Paper
from services.checkout.store import Store, Transaction

__all__ = ["Stretch", "paper_page", "papers_of", "stretches"]

_PAGE: Final = 500
_ORDER: Final[tuple[Kind, ...]] = ("credit_note", "invoice")  # as their numbers are sorted


class Stretch(NamedTuple):
    """The papers of a series from one number to another, both in."""

    series: str
    first: int
    last: int

    @property
    def size(self) -> int:
        """How many they are."""
        return max(0, self.last - self.first + 1)


async def stretches(store: Store, shop: str, first: date, last: date, kind: Kind | str = "") -> list[Stretch]:
    """The papers of a shop that are dated from `first` to `last`, both in, of one kind or of both: in the order of
    their series, and none that is issued later than now.
    """
    async with store.reading() as tx:
        found = [
            await _stretch(tx, shop, papers.series(one, date(year, 1, 1)), first, last)
            for one in _ORDER
            if kind in {"", one}
            for year in range(first.year, last.year + 1)
        ]
    return [one for one in found if one.first <= one.last]


async def paper_page(store: Store, shop: str, wanted: Sequence[Stretch], after: str, limit: int) -> list[Paper]:
    """At most `limit` papers of these stretches, from the one after the number `after`, all when it is empty."""
    series, count = papers.counted(after) or ("", 0)
    found: list[Paper] = []
    for one in wanted:
        begin = max(one.first, count + 1) if one.series == series else one.first
        if one.series >= series and begin <= one.last and len(found) < limit:
            rest = one._replace(first=begin, last=min(one.last, begin + limit - len(found) - 1))
            found += [paper async for paper in papers_of(store, shop, rest)]
    return found


async def papers_of(store: Store, shop: str, stretch: Stretch) -> AsyncIterator[Paper]:
    """The papers of a stretch in the order of their numbers; some hundreds are held at a time."""
    for begin in range(stretch.first, stretch.last + 1, _PAGE):
        numbers = [papers.number_of(stretch.series, n) for n in range(begin, min(begin + _PAGE, stretch.last + 1))]
        async with store.reading() as tx:
            found = await tx.many(Paper, shop, numbers)
        for number in numbers:
            yield found[number]


async def _stretch(tx: Transaction, shop: str, series: str, first: date, last: date) -> Stretch:
    issued = await tx.counted(shop, f"papers/{series}")

    async def is_before(count: int, day: date) -> bool:
        paper = await tx.get(Paper, shop, papers.number_of(series, count))
        return paper is not None and paper.issued_on < day

    year = papers.year_of(series)
    begin = 1 if year > first.year else await _halved(1, issued + 1, lambda n: is_before(n, first))
    after_last = date.fromordinal(last.toordinal() + 1)
    end = issued if year < last.year else await _halved(begin, issued + 1, lambda n: is_before(n, after_last)) - 1
    return Stretch(series, begin, end)


async def _halved(low: int, high: int, is_before: Callable[[int], Awaitable[bool]]) -> int:
    """The first of `low` to `high` that is not before; `high` when all are."""
    while low < high:
        middle = (low + high) // 2
        if await is_before(middle):
            low = middle + 1
        else:
            high = middle
    return low
