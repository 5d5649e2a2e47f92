"""Said by shop backends and feeds: stock and prices. They have no visitor."""

from relance.events.envelope import Count, Currency, Data, Envelope, Id, Minor

__all__ = ["PriceData", "ProductPriceChanged", "ProductStockChanged", "StockData"]


class StockData(Data, frozen=True, kw_only=True):
    """Units in stock, before and now."""

    product_id: Id
    new: Count
    old: Count | None = None


class ProductStockChanged(Envelope, frozen=True, kw_only=True, tag="product.stock_changed"):
    """A product's stock changed."""

    data: StockData


class PriceData(Data, frozen=True, kw_only=True):
    """Price to all, before and now."""

    product_id: Id
    new_price_minor: Minor
    currency: Currency
    old_price_minor: Minor | None = None


class ProductPriceChanged(Envelope, frozen=True, kw_only=True, tag="product.price_changed"):
    """A product's price changed."""

    data: PriceData
