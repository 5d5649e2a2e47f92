"""`relance law check` without a file: the shops that the checkout's database holds, under the law of a day."""

from datetime import date
from typing import TYPE_CHECKING

from relance.cli.evidence_stored import in_store
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from services.checkout.domain.shops import Shop
    from services.checkout.domain.standing import Standing
    from services.checkout.store import Store

__all__ = ["stored_shops"]

_PAGE = 200


def stored_shops(database: str, only: str, day: date) -> "list[Standing]":
    """How each shop of the database stands on `day`, by id; of one only when `only` names it.

    Raises InputError when there is no database, or no such shop.
    """
    from relance.rules.law.book import default_book
    from services.checkout.domain.standing import standing

    book = default_book()
    return [standing(shop, book, day) for shop in in_store(database, lambda store: _read(store, only))]


async def _read(store: "Store", only: str) -> "list[Shop]":
    from services.checkout.domain.shops import Shop

    async with store.reading() as tx:
        if only:
            shop = await tx.get(Shop, "*", only)
            if shop is None:
                raise InputError(f"there is no shop {only!r} in the database")
            return [shop]
        found: list[Shop] = []
        while len(page := await tx.all(Shop, "*", after=found[-1].id if found else "", limit=_PAGE)) == _PAGE:
            found += page.values()
        return [*found, *page.values()]
