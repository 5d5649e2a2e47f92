"""What the click puts on record of the terms is ready when it comes, and is made once however many click."""

import asyncio
import time
from datetime import date

from typing_extensions import override

from relance.rules.law.book import default_book
from services.checkout.adapters.printing import LegalShelf
from services.checkout.application.desk import Desk
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import Clock, at_recap, open_shop, ordered
from tests.unit.checkout.documents import lumen


class Counting(LegalShelf):
    """A shelf that counts how often the terms are set."""

    def __init__(self) -> None:
        super().__init__(default_book())
        self.set = 0

    @override
    def _terms(self, shop: Shop, language: str, on: date | None = None) -> bytes | Refusal:
        self.set += 1
        time.sleep(0.05)  # long enough for the others to ask
        return super()._terms(shop, language, on)


async def test_the_terms_are_set_once_for_all_who_ask_at_once() -> None:
    shelf = Counting()
    hashes = await asyncio.gather(*(shelf.terms_sha256(lumen.SHOP, "fr", lumen.DAY) for _ in range(16)))
    assert len(set(hashes)) == 1
    assert len(hashes[0]) == 64
    assert shelf.set == 1
    assert await shelf.terms_sha256(lumen.SHOP, "fr", lumen.DAY) == hashes[0]
    assert shelf.set == 1


async def test_the_recap_makes_the_terms_ready_for_the_click(store: Store, clock: Clock) -> None:
    asked: list[str] = []

    async def terms(_shop: Shop, language: str, _on: date) -> str:
        asked.append(language)
        return "0" * 64

    await open_shop(store, clock)
    desk = Desk(store, default_book(), {}, clock=clock, terms_sha256=terms)
    view = await at_recap(desk, means="transfer")
    assert asked == ["fr"]
    await ordered(desk, view)
    assert asked[-1] == "fr"
