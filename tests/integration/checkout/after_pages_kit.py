"""Orders of the example shop whose pages are looked at after the click: paid, sent, received, withdrawn from."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from uuid import UUID

import msgspec

from services.checkout.application.aftercaring import AfterView
from services.checkout.domain.articles import Article
from services.checkout.domain.offers import Price
from services.checkout.domain.orders import Deliver, Received, Ship
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop
from tests.integration.checkout.owing_kit import works
from tests.integration.checkout.pages_kit import Browser, Hosted, one_shop, order_as_far_as

__all__ = [
    "MAGAZINE", "after", "arrived", "bought", "fields", "later", "said", "shop_with_subscriptions", "subscriptions",
]  # fmt: skip

MAGAZINE = Article(
    sku="REVUE", product_id="revue", name="Revue Lumière", kind="service",
    facts={
        "characteristics": "un numéro par mois", "delivery_days": 0,
        "subscription": {
            "term_months": 12, "renews_tacitly": True, "refusal_days": 31, "monthly_total_minor": 900,
            "period_total_minor": 10_800, "duration": "12 mois",
        },
    },
)  # fmt: skip


def shop_with_subscriptions() -> Shop:
    """The example shop, which sells subscriptions too."""

    def more(shop: Shop) -> Shop:
        legal = msgspec.structs.replace(shop.legal, sells=("goods", "digital", "service"))
        return msgspec.structs.replace(shop, legal=legal)

    return one_shop(more)


def subscriptions(pages: Hosted) -> None:
    """Put a subscription on sale."""
    price = Price(id="p1", since=datetime.now(UTC) - timedelta(days=60), price_minor=900)
    assert pages.run(pages.desk.put_articles("demo", [MAGAZINE])) is None
    assert pages.run(pages.desk.put_prices("demo", "REVUE", [price])) is None


def bought(browser: Browser, *skus: str, locale: str = "fr") -> UUID:
    """An order that is placed, and paid by transfer; the browser may see all of it."""
    pages = browser.hosted
    here = order_as_far_as(browser, "recap", *skus, locale=locale)
    browser.go(f"{here}/payment")
    assert browser.submit(f"{here}/payment", {"means": "transfer", "act": "go"}).status_code == 200
    pressed = {"recap": browser.hidden("recap"), "terms": "yes", "early_start": "yes", "loss_acknowledged": "yes"}
    assert browser.send(f"{here}/order", pressed).status_code == 303, browser.page.text
    browser.go(f"{here}/recap")
    order_id = UUID(browser.url.split("/")[2])
    pages.run(works(pages.desk))
    total = after(pages, order_id).order_view.order.total_minor
    paid = Received(amount_minor=total, received_at=pages.desk.clock())
    assert not isinstance(pages.run(pages.desk.act("demo", order_id, paid)), Refusal)
    pages.run(works(pages.desk))
    return order_id


def arrived(pages: Hosted, order_id: UUID) -> None:
    """All goods of it that were not withdrawn are sent, and in the consumer's hands."""
    view = after(pages, order_id)
    goods = {one.id for one in view.after.sold if one.kind == "goods"}
    units = {line.id: line.quantity - line.withdrawn for line in view.order_view.order.lines if line.id in goods}
    for act in (Ship(parcel_id="P1", units=units, carrier="Colis"), Deliver(parcel_id="P1", received_by="consumer")):
        assert not isinstance(pages.run(pages.desk.act("demo", order_id, act)), Refusal)
    pages.run(works(pages.desk))


def after(pages: Hosted, order_id: UUID) -> AfterView:
    """What followed an order."""
    view = pages.run(pages.desk.aftercare("demo", order_id))
    assert isinstance(view, AfterView)
    return view


def later(days: int) -> Callable[[], datetime]:
    """A clock that is so many days ahead."""
    return lambda: datetime.now(UTC) + timedelta(days=days)


def fields(page: str) -> set[str]:
    """The names of all that the forms of a page ask for, and send without being asked."""
    return set(re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', page))


def said(page: str) -> str:
    """The words of a page's main part, with plain spaces."""
    main = re.search(r"<main.*</main>", page, re.DOTALL)
    assert main is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main[0])).split())
