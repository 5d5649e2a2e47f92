"""How far a shop's shoppers came, out of what is stored."""

from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

from relance.kernel.instants import to_ms
from relance.rules.law.calendar import first_instant, first_instant_after
from services.checkout.application.room import Room
from services.checkout.domain.checkouts import order_id
from services.checkout.domain.funnel import Begun, Funnel, Placed, Tally
from services.checkout.domain.orders import Order
from services.checkout.store import Transaction

__all__ = ["Counting"]

_PAGE: Final = 1_000
_MARGIN: Final = timedelta(minutes=5)  # between the clocks of those who begin checkouts and store them


class Counting(Room):
    """Numbers of a shop."""

    async def funnel(self, shop: str, first: date, last: date) -> Funnel:
        """The funnel of the checkouts that were begun from `first` to `last`, Paris dates, both in. It reads those of
        the time alone, by an index and a page at a time; nothing of a person leaves it.
        """
        tally = Tally(first, last)
        after = to_ms(first_instant(first) - _MARGIN), ""
        until = first_instant_after(last) + _MARGIN
        while True:
            page = await self.look(partial(_begun, shop, until, after))
            checkouts = [one for _, one in page]
            tally.checkouts(checkouts)
            tally.orders(await self.look(partial(_placed, shop, _ids(checkouts))))
            if len(page) < _PAGE:
                return tally.funnel()
            after = page[-1][0]


async def _begun(
    shop: str, until: datetime, after: tuple[int, str], tx: Transaction
) -> list[tuple[tuple[int, str], Begun]]:  # fmt: skip
    return await tx.begun(Begun, shop, until, after, _PAGE)


async def _placed(shop: str, ids: list[str], tx: Transaction) -> list[Placed]:
    return await tx.some(Order, Placed, shop, ids)


def _ids(checkouts: list[Begun]) -> list[str]:
    """The orders that these checkouts made."""
    return [str(order_id(one.id, one.recap_hash)) for one in checkouts if one.state == "ordered"]
