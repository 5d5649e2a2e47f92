"""How far a shop's shoppers came, out of what is stored."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Final

from services.checkout.application.room import Room
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.funnel import Funnel, Tally
from services.checkout.domain.orders import Order
from services.checkout.store import Transaction

__all__ = ["Counting"]

_PAGE: Final = 1_000


class Counting(Room):
    """Numbers of a shop."""

    async def funnel(self, shop: str, first: date, last: date) -> Funnel:
        """The funnel of the checkouts that were begun from `first` to `last`, Paris dates, both in. It reads all of the
        shop's, a page at a time; nothing of a person leaves it.
        """
        tally = Tally(first, last)
        for type_, take in ((Checkout, tally.checkouts), (Order, tally.orders)):
            after, found = "", _PAGE
            while found == _PAGE:
                page = await self.look(_some(type_, shop, after))
                take(page.values())
                after, found = max(page, default=""), len(page)
        return tally.funnel()


def _some(type_: Any, shop: str, after: str) -> Callable[[Transaction], Awaitable[dict[str, Any]]]:
    return lambda tx: tx.all(type_, shop, after=after, limit=_PAGE)
