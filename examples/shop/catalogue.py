"""What the shop sells, out of the files that it also puts to the checkout: one truth about names and prices."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

__all__ = ["Product", "load"]

HERE: Final = Path(__file__).parent


class Product(NamedTuple):
    """An article with its present price, tax included."""

    sku: str
    product_id: str
    name: str
    about: str
    price_minor: int
    spare_parts: str
    digital: bool

    @property
    def price(self) -> str:
        """12900 cents as 129,00 €."""
        return f"{self.price_minor // 100},{self.price_minor % 100:02d} €"


def load(folder: Path = HERE) -> dict[str, Product]:
    """Products by sku, in the order of articles.yaml."""
    articles = yaml.safe_load((folder / "articles.yaml").read_text(encoding="utf-8"))
    offers = yaml.safe_load((folder / "offers.yaml").read_text(encoding="utf-8"))
    prices = {offer["sku"]: _present(offer["prices"]) for offer in offers}
    return {article["sku"]: _product(article, prices[article["sku"]]) for article in articles}


def _present(prices: list[dict[str, Any]]) -> int:
    now = datetime.now(UTC)
    return int([price["price_minor"] for price in prices if price["since"].astimezone(UTC) <= now][-1])


def _product(article: dict[str, Any], price_minor: int) -> Product:
    facts = article["facts"]
    return Product(
        sku=article["sku"],
        product_id=article["product_id"],
        name=article["name"],
        about=facts["characteristics"],
        price_minor=price_minor,
        spare_parts=facts.get("equipment", {}).get("spare_parts", ""),
        digital=article.get("kind") == "digital",
    )
