"""A transaction: all rooms of the store over one connection."""

from msgspec.structs import asdict

from services.checkout.store.access import Access
from services.checkout.store.aggregates import Aggregates
from services.checkout.store.blobs import Blobs
from services.checkout.store.queues import Queues
from services.checkout.store.together import together
from services.checkout.store.tries import Tries

__all__ = ["Transaction"]


class Transaction(Aggregates, Queues, Access, Blobs, Tries):
    """What is stored together, or not at all. Made by `Store.transaction`; used by one task at a time."""

    async def write_last(self) -> None:
        """Write what waits for the end. The chains come last: the number of an order is counted for one at a time."""
        if self._link.dialect != "postgresql":
            await self._write_rows()
            await self._write_queues()
            await self._write_acts()
            return
        writes, self._waiting = self._waiting, {}
        for manner, rows in self._changed.items():
            writes[manner] = [asdict(row) for row in sorted(rows, key=lambda row: row.place)]
        writes["messages"], writes["effects"] = self._messages, self._effects
        for chain in await self._chained():
            writes.setdefault("begun" if chain.fresh else "grown", []).append(chain.moved())
            writes.setdefault("entries", []).extend(chain.rows)
        if any(writes.values()):
            await self._link.run_last(*together(writes))
