"""What a shop tells of itself: its settings, articles, prices, stock, coupons, gift cards and vouchers."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from relance.rules.law.verdict import check
from services.checkout.adapters.assertions import check_keys
from services.checkout.application.room import Room
from services.checkout.domain.articles import Article, check_article
from services.checkout.domain.coupons import Coupon, check_coupon, folded_code
from services.checkout.domain.disclosures import shop_document
from services.checkout.domain.legal_pages import check_pages
from services.checkout.domain.lending import check_lending
from services.checkout.domain.offers import History, Price, put
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.recap import check_buttons
from services.checkout.domain.shops import Artwork, Shop, check_shop
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Purse
from services.checkout.domain.viewing import blocked
from services.checkout.ports import LendingProvider
from services.checkout.store import ANY, Transaction

__all__ = ["Shopkeeping"]

T = TypeVar("T")
replace = msgspec.structs.replace


class Shopkeeping(Room):
    """Acts of a shop's backend. Each is whole or refused."""

    async def put_shop(self, shop: Shop) -> Refusal | None:
        """Take a shop's settings; refused when the law does not let it publish as it is, when a legal page of it lacks
        something, or when nobody takes its payments.
        """
        if refused := check_shop(shop, self.providers) or check_keys(shop):
            return refused
        pictures, at = shop.artwork, self.clock()
        shop = replace(shop, artwork={slot: replace(picture, data=b"") for slot, picture in pictures.items()})
        book, day = self.law(at)
        lenders = [one.id for one in shop.all_means if isinstance(self.providers.get(one.id), LendingProvider)]
        if refused := check_lending(shop.all_means, shop_document(shop, book, at, day), (book, day), lenders):
            return refused
        if refused := blocked(check(shop_document(shop, book, at, day), book)) or check_pages(shop, (book, day)):
            return refused
        if refused := check_buttons({language: shop.button[language] for language in shop.languages}, (book, day)):
            return refused

        async def work(tx: Transaction) -> Refusal | None:
            before = await tx.get(Shop, "*", shop.id, lock=True)
            if refused := await _keep_artwork(tx, shop.id, pictures):
                return refused
            version = 1 if before is None else before.version + 1
            if before is None or replace(before, version=0) != replace(shop, version=0):
                known = None if before is None else before.version
                await tx.put("*", shop.id, replace(shop, version=version), before=known)
            return None

        return await self.again(work)

    async def get_shop(self, shop: str) -> Shop | Refusal:
        """The shop's settings."""
        return await self.look(lambda tx: self.shop(tx, shop))

    async def artwork(self, shop: str, slot: str) -> tuple[bytes, str] | None:
        """(bytes, media type) of an official picture of the shop, as they were given; None when there is none."""

        async def work(tx: Transaction) -> tuple[bytes, str] | None:
            found = await self.shop(tx, shop)
            picture = None if isinstance(found, Refusal) else found.artwork.get(slot)
            data = None if picture is None else await tx.blob(shop, picture.sha256)
            return None if picture is None or data is None else (data, picture.media_type)

        return await self.look(work)

    async def put_articles(self, shop: str, articles: Sequence[Article]) -> Refusal | None:
        """Take articles, whole, in place of those of the same sku."""
        for article in articles:
            if refused := check_article(article):
                return refused

        async def work(tx: Transaction) -> None:
            before = await tx.many(Article, shop, [one.sku for one in articles], lock=True)
            for article in articles:
                old = before.get(article.sku)
                version = 1 if old is None else old.version + 1
                known = None if old is None else old.version
                await tx.put(shop, article.sku, replace(article, version=version), before=known)

        return await self._of(shop, work)

    async def put_prices(self, shop: str, sku: str, prices: Sequence[Price]) -> Refusal | None:
        """Add prices to an article's history, oldest first; known ones change nothing."""

        async def work(tx: Transaction) -> Refusal | None:
            at = self.clock()
            before = await tx.get(History, shop, sku, lock=True)
            history: History = before or History(sku=sku)
            for price in prices:
                after = put(history, price, at)
                if isinstance(after, Refusal):
                    return after
                history = after
            if before is None or history.version > before.version:
                await tx.put(shop, sku, history, before=None if before is None else before.version)
            return None

        return await self._of(shop, work)

    async def put_levels(self, shop: str, levels: Mapping[str, int]) -> Refusal | None:
        """Set the units on hand by sku; what is promised to orders stays promised."""
        if wrong := next((sku for sku, count in levels.items() if count < 0), None):
            return Refusal(f"levels.{wrong}", "a stock is not negative")

        async def work(tx: Transaction) -> None:
            before = await tx.many(Level, shop, list(levels), lock=True)
            for sku, on_hand in levels.items():
                old = before.get(sku)
                version = 1 if old is None else old.version + 1
                level = replace(old or Level(sku=sku, on_hand=0), on_hand=on_hand, version=version)
                await tx.put(shop, sku, level, before=None if old is None else old.version)

        return await self._of(shop, work)

    async def put_coupons(self, shop: str, coupons: Sequence[Coupon]) -> Refusal | None:
        """Take coupons in place of those of the same code; their uses stay counted."""
        given: list[Coupon] = []
        for coupon in coupons:
            if refused := check_coupon(coupon):
                return refused
            percent = None if coupon.percent is None else Decimal(coupon.percent)
            given.append(replace(coupon, code=folded_code(coupon.code), percent=percent))

        async def work(tx: Transaction) -> Refusal | None:
            gifts = [one.gift.sku for one in given if one.gift is not None]
            known = await tx.many(Article, shop, gifts)
            if missing := next((sku for sku in gifts if sku not in known), None):
                return Refusal("coupon.gift.sku", f"{missing} is no article of this shop")
            for coupon in given:
                await tx.put(shop, coupon.code, coupon, before=ANY)
            return None

        return await self._of(shop, work)

    async def put_purses(self, shop: str, purses: Sequence[Purse]) -> Refusal | None:
        """Set what is left on gift cards and vouchers; what orders hold of them stays held."""
        if wrong := next((one.ref for one in purses if one.balance_minor < 0), None):
            return Refusal(f"purses.{wrong}", "a balance is not negative")

        async def work(tx: Transaction) -> None:
            before = await tx.many(Purse, shop, [one.ref for one in purses], lock=True)
            for purse in purses:
                old = before.get(purse.ref)
                holds = {} if old is None else old.holds
                version = 1 if old is None else old.version + 1
                value = replace(purse, holds=holds, version=version)
                await tx.put(shop, purse.ref, value, before=None if old is None else old.version)

        return await self._of(shop, work)

    async def _of(self, shop: str, work: Callable[[Transaction], Awaitable[Refusal | None]]) -> Refusal | None:
        """`work` for a shop that there is."""

        async def within(tx: Transaction) -> Refusal | None:
            found = await self.shop(tx, shop)
            return found if isinstance(found, Refusal) else await work(tx)

        return await self.again(within)


async def _keep_artwork(tx: Transaction, shop: str, pictures: Mapping[str, Artwork]) -> Refusal | None:
    """Keep the bytes of official pictures by their hashes. One that never came is refused."""
    for slot, picture in pictures.items():
        if picture.data:
            await tx.keep(shop, picture.data, picture.media_type)
        elif await tx.blob(shop, picture.sha256) is None:
            return Refusal(f"artwork.{slot}.data", "the file is missing", slot.split(".", maxsplit=1)[0])
    return None
