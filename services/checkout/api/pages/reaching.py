"""The order of an address: of a session (`/o/`), or of a link to see it (`/v/`) or to withdraw from it (`/w/`)."""

from starlette.responses import Response

from services.checkout.api.pages.links import Links
from services.checkout.api.pages.ordered import Seen
from services.checkout.api.pages.purchase import Purchase
from services.checkout.api.pages.visits import Visit

__all__ = ["Reach"]


class Reach:
    """Finds the order that a visit may see, in full or masked."""

    def __init__(self, purchase: Purchase, links: Links) -> None:
        self._purchase = purchase
        self._links = links

    async def order(self, visit: Visit) -> Seen | Response:
        """The order, or the answer when there is none, or it is not this browser's."""
        if "order_id" in visit.request.path_params:
            return await self._purchase.seen(visit)
        return await self._links.order(visit)

    async def opened(self, visit: Visit) -> Seen | Response:
        """The order, for whom may see all of it; a link that does not leads to its page, where a code opens it."""
        seen = await self.order(visit)
        if isinstance(seen, Response) or not seen.masked:
            return seen
        return await self._purchase.page(visit, seen)
