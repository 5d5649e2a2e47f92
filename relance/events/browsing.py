"""Said by browsers and apps: what a shopper looks at, searches for and leaves."""

from relance.events.envelope import Count, Data, Envelope, Id, Text

__all__ = [
    "ExitIntent", "ListData", "PageEngaged", "PageLeft", "PageViewed", "ProductClicked", "ProductListViewed",
    "ProductViewed", "ProductsSearched", "PromotionClicked", "PromotionData", "PromotionViewed", "SearchData",
    "SupportData", "SupportRequested", "VisibilityData", "WishlistData", "WishlistProductAdded",
    "WishlistProductRemoved",
]  # fmt: skip


class PageViewed(Envelope, frozen=True, kw_only=True, tag="page.viewed"):
    """A page was shown."""

    data: Data = Data()


class ListData(Data, frozen=True, kw_only=True):
    """A list is named by its id or by its category."""

    one_of = ("list_id", "category")

    list_id: Id | None = None
    category: Text | None = None


class ProductListViewed(Envelope, frozen=True, kw_only=True, tag="product.list_viewed"):
    """A category, a shelf or filtered results were shown."""

    data: ListData


class SearchData(Data, frozen=True, kw_only=True):
    """`query` may be empty where the source does not tell it."""

    query: Text
    results: Count | None = None


class ProductsSearched(Envelope, frozen=True, kw_only=True, tag="products.searched"):
    """A search was made."""

    data: SearchData


class PromotionData(Data, frozen=True, kw_only=True):
    """A banner or the like."""

    promotion_id: Id
    name: Text | None = None
    creative: Text | None = None
    position: Text | None = None


class PromotionViewed(Envelope, frozen=True, kw_only=True, tag="promotion.viewed"):
    """A promotion was shown."""

    data: PromotionData


class PromotionClicked(Envelope, frozen=True, kw_only=True, tag="promotion.clicked"):
    """A promotion was followed."""

    data: PromotionData


class ProductViewed(Envelope, frozen=True, kw_only=True, tag="product.viewed"):
    """A product's page was shown: `product_id`, or the item with its price in `items`."""

    data: Data = Data()


class ProductClicked(Envelope, frozen=True, kw_only=True, tag="product.clicked"):
    """A product was chosen from a list."""

    data: Data = Data()


class WishlistData(Data, frozen=True, kw_only=True):
    """A list of wishes; where a shop has one a visitor, the visitor's id serves."""

    wishlist_id: Id


class WishlistProductAdded(Envelope, frozen=True, kw_only=True, tag="wishlist.product_added"):
    """A product was put on a wish list."""

    data: WishlistData


class WishlistProductRemoved(Envelope, frozen=True, kw_only=True, tag="wishlist.product_removed"):
    """A product was taken from a wish list."""

    data: WishlistData


class ExitIntent(Envelope, frozen=True, kw_only=True, tag="exit.intent"):
    """The shopper is about to leave (pointer towards the window's edge, back button, long pause)."""

    data: Data = Data()


class VisibilityData(Data, frozen=True, kw_only=True):
    """How long the page was visible and used."""

    engaged_ms: Count | None = None


class PageEngaged(Envelope, frozen=True, kw_only=True, tag="page.engaged"):
    """Said each 15 s of visible interaction."""

    data: VisibilityData = VisibilityData()


class PageLeft(Envelope, frozen=True, kw_only=True, tag="page.left"):
    """The page was hidden or closed."""

    data: VisibilityData = VisibilityData()


class SupportData(Data, frozen=True, kw_only=True):
    """What the shopper asked help for; no free text of his."""

    topic: Text | None = None
    medium: Text | None = None


class SupportRequested(Envelope, frozen=True, kw_only=True, tag="support.requested"):
    """A chat was opened, a call-back asked for, or the like."""

    data: SupportData = SupportData()
