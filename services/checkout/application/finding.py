"""Finding an order again by its number and the address of its customer: a new link goes to that address, or nothing."""

from uuid import uuid4

from services.checkout.application.linking import Linking
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import Order
from services.checkout.store import Transaction

__all__ = ["Finding"]

_SHORT = 8  # letters by which people speak of an order
_ALIKE_MAX = 4


class Finding(Linking):
    """Ways back to an order, for as long as it is kept."""

    async def send_links(self, shop: str, number: str, email: str) -> None:
        """Send a new link to each order of this number whose own address is the one given. `number`: the eight letters
        that begin its id, or the whole of it. The caller learns nothing: for a number that nobody has as much is done.
        """

        async def work(tx: Transaction) -> list[str]:
            if len(number) > _SHORT:
                return [number] if await tx.get(Order, shop, number) is not None else []
            return [after.id for _, after in await tx.find(Aftercare, "number", number, shop)]

        found = await self.look(work)
        for order_id in found[:_ALIKE_MAX] or [str(uuid4())]:
            await self.send_link(shop, order_id, email)
