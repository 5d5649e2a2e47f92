"""What a shop tells of itself, over gRPC: its facts, articles, prices, stock, coupons, gift cards."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

import grpc
import msgspec
from google.protobuf.message import Message

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rules.law.verdict import check
from services.checkout.api.calls import Context
from services.checkout.api.reading import read_json, read_price, read_purse, required
from services.checkout.api.refusals import Refused, by_law, invalid, missing
from services.checkout.api.serving import Serving
from services.checkout.api.tokens import Caller
from services.checkout.api.writing import to_notices
from services.checkout.domain.articles import Article
from services.checkout.domain.coupons import Coupon
from services.checkout.domain.disclosures import shop_document
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop

__all__ = ["Selling"]

Answer = TypeVar("Answer", bound=Message)

MANY: int = 1_000  # of anything, in one call


class Selling(Serving):
    """The calls of a shop's catalogue."""

    async def PutShop(self, request: pb.PutShopRequest, context: Context) -> pb.PutShopResponse:
        """The shop's own facts."""

        async def work(caller: Caller) -> pb.PutShopResponse:
            shop = read_json(request.shop, Shop, "shop")
            if shop.id != caller.shop:
                raise invalid("shop.id", f"the token is one of {caller.shop}")
            await _taken(self._desk.put_shop(shop), "shop")
            at = self._desk.clock()
            book, day = self._desk.law(at)
            verdict = check(shop_document(shop, book, at, day), book)
            return pb.PutShopResponse(warnings=to_notices(verdict.warnings))

        return await self._calls.answer("PutShop", context, work)

    async def GetShop(self, request: pb.GetShopRequest, context: Context) -> pb.GetShopResponse:
        """The shop's own facts, as they were put."""

        async def work(caller: Caller) -> pb.GetShopResponse:
            found = await self._desk.get_shop(caller.shop)
            if isinstance(found, Refusal):
                raise missing("shop", caller.shop)
            return pb.GetShopResponse(shop=msgspec.json.encode(found))

        return await self._calls.answer("GetShop", context, work)

    async def PutArticles(self, request: pb.PutArticlesRequest, context: Context) -> pb.PutArticlesResponse:
        """What is sold."""

        async def work(caller: Caller) -> pb.PutArticlesResponse:
            _bounded(request.articles, "articles")
            articles = [read_json(one, Article, f"articles.{place}") for place, one in enumerate(request.articles)]
            await _taken(self._desk.put_articles(caller.shop, articles))
            return pb.PutArticlesResponse()

        return await self._calls.answer("PutArticles", context, work)

    async def PutOffers(self, request: pb.PutOffersRequest, context: Context) -> pb.PutOffersResponse:
        """Prices with their history."""

        async def work(caller: Caller) -> pb.PutOffersResponse:
            _bounded(request.offers, "offers")
            offers = [
                (
                    required(offer.sku, f"offers.{place}.sku"),
                    [read_price(one, f"offers.{place}.prices.{n}") for n, one in enumerate(offer.prices)],
                )
                for place, offer in enumerate(request.offers)
            ]
            for place, (sku, prices) in enumerate(offers):
                await _taken(self._desk.put_prices(caller.shop, sku, prices), f"offers.{place}")
            return pb.PutOffersResponse()

        return await self._calls.answer("PutOffers", context, work)

    async def PutStock(self, request: pb.PutStockRequest, context: Context) -> pb.PutStockResponse:
        """Units on hand."""

        async def work(caller: Caller) -> pb.PutStockResponse:
            _bounded(request.levels, "levels")
            levels = {required(one.sku, f"levels.{place}.sku"): one.on_hand for place, one in enumerate(request.levels)}
            if len(levels) < len(request.levels):
                raise invalid("levels", "names an article twice")
            await _taken(self._desk.put_levels(caller.shop, levels))
            return pb.PutStockResponse()

        return await self._calls.answer("PutStock", context, work)

    async def PutCoupons(self, request: pb.PutCouponsRequest, context: Context) -> pb.PutCouponsResponse:
        """Coupons, individual or public."""

        async def work(caller: Caller) -> pb.PutCouponsResponse:
            _bounded(request.coupons, "coupons")
            coupons = [read_json(one, Coupon, f"coupons.{place}") for place, one in enumerate(request.coupons)]
            await _taken(self._desk.put_coupons(caller.shop, coupons))
            return pb.PutCouponsResponse()

        return await self._calls.answer("PutCoupons", context, work)

    async def PutPurses(self, request: pb.PutPursesRequest, context: Context) -> pb.PutPursesResponse:
        """Gift cards and vouchers."""

        async def work(caller: Caller) -> pb.PutPursesResponse:
            _bounded(request.purses, "purses")
            purses = [read_purse(one, f"purses.{place}") for place, one in enumerate(request.purses)]
            await _taken(self._desk.put_purses(caller.shop, purses))
            return pb.PutPursesResponse()

        return await self._calls.answer("PutPurses", context, work)


async def _taken(putting: Awaitable[Refusal | None], under: str = "") -> None:
    """Raises Refused for what was not taken: the request is wrong, or, where the law says so, not allowed."""
    refused = await putting
    if refused is None:
        return
    if refused.field == "shop":
        raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "the shop has not been put yet", *by_law(refused).details)
    lawful = grpc.StatusCode.FAILED_PRECONDITION if refused.rule else grpc.StatusCode.INVALID_ARGUMENT
    field = f"{under}.{refused.field}" if under else refused.field
    raise by_law(msgspec.structs.replace(refused, field=field), lawful)


def _bounded(given: Sequence[object], field: str) -> None:
    if not 1 <= len(given) <= MANY:
        raise invalid(field, f"1 to {MANY} in one call")
