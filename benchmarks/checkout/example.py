"""The example shop as the bench uses it: its own files, with stock for as many orders as a run makes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from benchmarks.systems import ROOT
from services.checkout.application.desk import Desk
from services.checkout.domain.articles import Article
from services.checkout.domain.offers import Price
from services.checkout.domain.shops import Shop

__all__ = ["SHOP", "on_sale", "put_by_desk", "read", "shop_of"]

SHOP: Final = "demo"
UNITS: Final = 10_000_000  # of each article: no run sells out
_FOLDER: Final = ROOT / "examples" / "shop"


class _Offered(msgspec.Struct):
    sku: str
    prices: tuple[Price, ...]


def read(name: str) -> Any:
    """One of the example's files, as plain data."""
    return yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def shop_of(folder: Path = _FOLDER) -> Shop:
    """The shop."""
    return msgspec.yaml.decode((folder / "shop.yaml").read_bytes(), type=Shop)


def on_sale(times: int) -> Mapping[str, tuple[Article, tuple[Price, ...]]]:
    """The example's five articles with their prices, each `times` times under a number of its own, by sku."""
    articles = msgspec.yaml.decode((_FOLDER / "articles.yaml").read_bytes(), type=tuple[Article, ...])
    offers = msgspec.yaml.decode((_FOLDER / "offers.yaml").read_bytes(), type=tuple[_Offered, ...])
    prices = {one.sku: one.prices for one in offers}
    found = {}
    for number in range(times):
        mark = f"-{number + 1}" if number else ""
        for article in articles:
            named = msgspec.structs.replace(article, sku=article.sku + mark, product_id=article.product_id + mark)
            found[named.sku] = (named, prices[article.sku])
    return found


async def put_by_desk(desk: Desk, times: int) -> list[str]:
    """The shop with `times` x 5 articles, in a desk of this process; their skus. Raises RuntimeError when refused."""
    goods = on_sale(times)
    done = [await desk.put_shop(shop_of())]
    done.append(await desk.put_articles(SHOP, [article for article, _ in goods.values()]))
    done += [await desk.put_prices(SHOP, sku, prices) for sku, (_, prices) in goods.items()]
    counted = [sku for sku, (article, _) in goods.items() if article.counted]
    done.append(await desk.put_levels(SHOP, dict.fromkeys(counted, UNITS)))
    if refused := [one for one in done if one is not None]:
        raise RuntimeError(f"the example shop was refused: {refused[0]}")
    return list(goods)
