"""A transaction: all rooms of the store over one connection."""

from services.checkout.store.access import Access
from services.checkout.store.aggregates import Aggregates
from services.checkout.store.blobs import Blobs
from services.checkout.store.chains import Chains
from services.checkout.store.queues import Queues

__all__ = ["Transaction"]


class Transaction(Aggregates, Queues, Access, Blobs, Chains):
    """What is stored together, or not at all. Made by `Store.transaction`; used by one task at a time."""

    async def write_last(self) -> None:
        """Write what waits for the end. The chains come last: the number of an order is counted for one at a time."""
        await self._write_rows()
        await self._write_queues()
        await self._write_acts()
