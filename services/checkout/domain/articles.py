"""What is sold, with the facts that the law asks of it; how it becomes a line of a cart and of a law document."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec

from relance.rules.law import goods
from relance.rules.law.goods import EarlyStart
from relance.rules.law.totals import Percent
from services.checkout.domain.cart import Line
from services.checkout.domain.offers import Charged
from services.checkout.domain.outcomes import Refusal

__all__ = ["Article", "cart_line", "check_article", "law_line"]

replace = msgspec.structs.replace

_CARTS_OWN = frozenset(  # what a cart says of a line, and no article of itself
    {"id", "name", "quantity", "unit_minor", "delivery_on", "exception_shown", "early", "reduction", "requested",
     "gift", "vat_percent", "kind", "scope", "list_price_minor", "new_book"}
)  # fmt: skip


class Article(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`facts`: those of a line in a law document (relance/rules/law/goods.py) that are the article's own:
    `characteristics`, `safety`, `equipment`, `guarantees`, `exception` and so on. `counted`: has a stock level.

    `names`: by language, where it differs from `name`. `delivery_days`: of what is not delivered by a mode.
    `ancillary`: a contract beside others, which ends when those are withdrawn from: the lines of the skus
    `ancillary_of`, all others of the order when it names none (L221-27).
    """

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    product_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    names: dict[str, str] = {}
    image_url: str = ""
    product_url: str = ""
    weight_g: Annotated[int, msgspec.Meta(ge=0)] = 0
    vat_percent: str = "20"
    kind: Literal["goods", "digital", "service"] = "goods"
    scope: Literal["consumer", "gambling", "package_travel", "financial_service", "health"] = "consumer"
    list_price_minor: int | None = None
    discount_ceiling_percent: int | None = None
    free_delivery_allowed: bool = True
    new_book: bool = False
    extra: bool = False
    ancillary: Literal["", "insurance", "guarantee", "financing", "service"] = ""
    ancillary_of: tuple[str, ...] = ()
    facts: dict[str, Any] = {}
    version: int = 0

    @property
    def counted(self) -> bool:
        """Whether units of it can run out."""
        return self.kind == "goods"

    @property
    def exception(self) -> int | None:
        """The number of L221-28 by which no withdrawal is possible."""
        return self.facts.get("exception")

    def called(self, language: str) -> str:
        """Its name in a language."""
        return self.names.get(language, self.name)


def check_article(article: Article) -> Refusal | None:
    """Whether its facts are facts of a line. The field says which is not."""
    if own := sorted(_CARTS_OWN & article.facts.keys()):
        return Refusal(f"articles.{article.sku}.facts.{own[0]}", "is no fact of an article")
    try:
        law_line(article, cart_line(article, "1", 1, Charged(0, "", individual=False, automated=False), "fr"))
    except (msgspec.ValidationError, ValueError) as error:
        return Refusal(f"articles.{article.sku}.facts", str(error))
    return None


def cart_line(article: Article, id: str, quantity: int, price: Charged, language: str) -> Line:  # noqa: A002
    """The article as it is sold now. Raises ValueError when its VAT is no percentage."""
    return Line(
        id=id,
        product_id=article.product_id,
        sku=article.sku,
        name=article.called(language),
        quantity=quantity,
        unit_minor=price.price_minor,
        vat_percent=Percent.parse(article.vat_percent),
        kind=article.kind,
        scope=article.scope,
        offer_id=price.offer_id,
        list_price_minor=article.list_price_minor,
        discount_ceiling_percent=article.discount_ceiling_percent,
        free_delivery_allowed=article.free_delivery_allowed,
        new_book=article.new_book,
        extra=article.extra,
        personalised=price.automated,
    )


def law_line(
    article: Article,
    line: Line,
    delivery_on: date | None = None,
    early: EarlyStart | None = None,
    reduction: goods.Reduction | None = None,
) -> goods.Line:
    """The line as the law sees it: the article's facts, and what the cart says. Our pages show every exception."""
    facts = msgspec.convert(
        {"id": line.id, "name": line.name, "unit_minor": line.unit_minor, **article.facts}, goods.Line
    )
    return replace(
        facts,
        kind=line.kind,
        scope=line.scope,
        quantity=line.quantity,
        delivery_on=delivery_on,
        delivery_days=facts.delivery_days if facts.delivery_days is not None or line.kind == "goods" else 0,
        exception_shown=facts.exception is not None,
        early=early,
        reduction=reduction,
        new_book=line.new_book,
        list_price_minor=line.list_price_minor,
        vat_percent=str(line.vat_percent),
        requested=line.requested,
        gift=line.gift,
    )
