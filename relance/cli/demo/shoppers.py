"""A simulated shop: random shoppers who look, choose, hesitate, pay, fail and come back. Pure; chance is the seed's.

Times are ms since the shop's opening.
"""

import heapq
import itertools
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

__all__ = ["EVENTS_A_SHOPPER", "PRODUCTS", "Planned", "Product", "shopping"]

EVENTS_A_SHOPPER: Final = 7.2  # in the long run, by measurement: it turns a rate of events into one of arrivals
_CURRENCY: Final = "EUR"


class Product(NamedTuple):
    """What the shop sells."""

    product_id: str
    name: str
    price_minor: int


class Planned(NamedTuple):
    """An event before it happens. It is sent at `send_ms`; that may be later than it happened."""

    send_ms: int
    time_ms: int
    event: dict[str, Any]


class _Step(NamedTuple):
    """What a shopper does `after_ms` after the step before; `late_ms` is how long the news of it takes."""

    after_ms: int
    type: str
    data: dict[str, Any]
    late_ms: int = 0


PRODUCTS: Final = tuple(
    Product(f"P{number:03d}", name, price_minor)
    for number, (name, price_minor) in enumerate(
        (
            ("Aurore lamp", 12_900), ("Bulb, warm white", 900), ("Linen cushion", 3_490), ("Oak stool", 7_900),
            ("Wool blanket", 8_950), ("Stoneware bowl", 1_850), ("Tea towel", 790), ("Floor lamp Nuit", 21_900),
            ("Desk Atelier", 34_900), ("Chair Rivage", 15_900), ("Mirror, round", 9_900), ("Rug, 2 x 3 m", 24_900),
            ("Candle Figuier", 2_900), ("Vase Brume", 4_500), ("Kettle", 5_990), ("Coffee grinder", 6_990),
            ("Bed linen", 11_900), ("Bath towel", 2_490), ("Wall shelf", 5_490), ("Sofa Marais", 89_900),
        ),
        start=1,
    )
)  # fmt: skip
_BY_PRICE: Final = [1 / product.price_minor for product in PRODUCTS]
_PAGES: Final = ("/", "/new", "/lighting", "/kitchen", "/living-room", "/delivery", "/about")
_CAMPAIGNS: Final = ("", "", "", "autumn-sale", "newsletter-42")
_QUERIES: Final = ("lamp", "cushion", "gift", "rug 2x3", "coffee")
_FAILURES: Final = ("authentication", "insufficient_funds", "issuer_declined", "technical", "cancelled_by_user")


class _Cart:
    """A cart and what an event says of it."""

    def __init__(self, cart_id: str) -> None:
        self.cart_id = cart_id
        self.items: list[dict[str, Any]] = []

    @property
    def total_minor(self) -> int:
        return sum(item["quantity"] * item["price_minor"] for item in self.items)

    def add(self, product: Product, quantity: int) -> dict[str, Any]:
        """The addition, as `data`."""
        item = {
            "product_id": product.product_id, "name": product.name, "quantity": quantity,
            "price_minor": product.price_minor,
        }  # fmt: skip
        self.items.append(item)
        return {"cart_id": self.cart_id, "currency": _CURRENCY, "items": [item]}

    def whole(self) -> dict[str, Any]:
        """The cart, as `data`."""
        return {
            "cart_id": self.cart_id, "currency": _CURRENCY, "total_minor": self.total_minor, "items": self.items.copy(),
        }  # fmt: skip


def shopping(seed: int, shop: str, events_per_second: float, seconds: float) -> Iterator[Planned]:
    """What is sent to the shop, in order of `send_ms`, for so many seconds; without `time`, which the sender knows."""
    rng = Random(seed)
    per_ms = events_per_second / EVENTS_A_SHOPPER / 1_000
    end_ms = seconds * 1_000
    numbers = itertools.count()
    # (send_ms, tie-breaker, time_ms, shopper, step, the shopper's further steps)
    coming: list[tuple[int, int, int, dict[str, Any], _Step, Iterator[_Step]]] = []
    arrival_ms = rng.expovariate(per_ms)
    while True:
        while arrival_ms < end_ms and (not coming or arrival_ms <= coming[0][0]):
            shopper, steps = _shopper(rng, shop, next(numbers))
            _plan(coming, round(arrival_ms), shopper, steps, next(numbers))
            arrival_ms += rng.expovariate(per_ms)
        if not coming or coming[0][0] > end_ms:
            return
        send_ms, number, time_ms, shopper, step, steps = heapq.heappop(coming)
        if step.type == "checkout.contact_captured":
            shopper["personid"] = f"customer-{number}"
        yield Planned(send_ms, time_ms, {"id": f"{seed}-{number}", "type": step.type, **shopper, "data": step.data})
        _plan(coming, time_ms, shopper, steps, next(numbers))


def _plan(coming: list[Any], now_ms: int, shopper: dict[str, Any], steps: Iterator[_Step], number: int) -> None:
    step = next(steps, None)
    if step is not None:
        time_ms = now_ms + step.after_ms
        heapq.heappush(coming, (time_ms + step.late_ms, number, time_ms, shopper, step, steps))


def _shopper(rng: Random, shop: str, number: int) -> tuple[dict[str, Any], Iterator[_Step]]:
    """(attributes that all events of a shopper have, what the shopper will do)."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "source": f"/shops/{shop}",
        "visitorid": str(UUID(int=rng.getrandbits(128), version=4)),
        "device": rng.choices(("mobile", "desktop", "tablet"), (62, 34, 4))[0],
        "returning": rng.random() < 0.35,
    }
    if rng.random() < 0.2:
        attributes["personid"] = f"customer-{number}"
    return attributes, _visit(rng, number)


def _pause(rng: Random, around_ms: float) -> int:
    """Short mostly, long now and then; never more than four times as long."""
    return min(round(rng.lognormvariate(0, 0.6) * around_ms), round(4 * around_ms))


def _visit(rng: Random, number: int) -> Iterator[_Step]:
    """One shopper, from landing to leaving, to order and return."""
    landing: dict[str, Any] = {"page": rng.choice(_PAGES)}
    if campaign := rng.choice(_CAMPAIGNS):
        landing["campaign"] = campaign
    yield _Step(0, "page.viewed", landing)
    for _ in range(rng.randint(0, 4)):
        yield _browse(rng)
    if rng.random() < 0.35:
        return
    cart = _Cart(f"cart-{number}")
    yield from _choose(rng, cart)
    if not cart.items:
        return
    yield _Step(_pause(rng, 700), "cart.viewed", cart.whole())
    if rng.random() < 0.55:
        if rng.random() < 0.3:
            yield _Step(_pause(rng, 600), "exit.intent", {"page": "/cart"})
        if rng.random() > 0.25:
            return
        # Back before the session is over: what had fired meanwhile is credited if it comes to an order.
        yield _Step(rng.randint(8_000, 11_500), "page.viewed", {"page": "/cart"})
        yield _Step(_pause(rng, 500), "cart.viewed", cart.whole())
    yield from _check_out(rng, cart, number)


def _browse(rng: Random) -> _Step:
    after_ms = _pause(rng, 1_100)
    draw = rng.random()
    if draw < 0.4:
        return _Step(after_ms, "product.list_viewed", {"category": rng.choice(_PAGES)[1:] or "all"})
    if draw < 0.6:
        return _Step(after_ms, "products.searched", {"query": rng.choice(_QUERIES), "results": rng.randint(0, 40)})
    if draw < 0.7:
        return _Step(after_ms, "promotion.viewed", {"promotion_id": "autumn"})
    return _Step(after_ms, "page.viewed", {"page": rng.choice(_PAGES)})


def _choose(rng: Random, cart: _Cart) -> Iterator[_Step]:
    for _ in range(rng.randint(1, 4)):
        product = rng.choices(PRODUCTS, _BY_PRICE)[0] if rng.random() < 0.5 else rng.choice(PRODUCTS)
        item = {"product_id": product.product_id, "name": product.name, "price_minor": product.price_minor}
        yield _Step(_pause(rng, 1_300), "product.viewed", {"currency": _CURRENCY, "items": [item]})
        draw = rng.random()
        if draw < 0.38:
            yield _Step(_pause(rng, 900), "cart.product_added", cart.add(product, rng.choice((1, 1, 1, 2))))
        elif draw < 0.43:
            data = {"wishlist_id": cart.cart_id, "product_id": product.product_id}
            yield _Step(_pause(rng, 700), "wishlist.product_added", data)


def _check_out(rng: Random, cart: _Cart, number: int) -> Iterator[_Step]:
    checkout = {"checkout_id": f"checkout-{number}"}
    yield _Step(_pause(rng, 900), "checkout.started", {**checkout, **cart.whole()})
    if rng.random() < 0.2:
        return
    yield _Step(_pause(rng, 1_100), "checkout.contact_captured", {**checkout, "channel": "email"})
    yield _Step(_pause(rng, 900), "checkout.step_viewed", {**checkout, "step": "delivery"})
    if rng.random() < 0.15:
        return
    yield _Step(_pause(rng, 1_200), "payment.info_entered", {**checkout, "payment_method": "card"})
    for attempt in range(1, 4):
        paying = {**checkout, "attempt_id": f"attempt-{number}-{attempt}", "currency": _CURRENCY}
        yield _Step(_pause(rng, 600), "payment.attempted", {**paying, "amount_minor": cart.total_minor})
        if rng.random() < 0.78:
            yield from _order(rng, paying, cart, number)
            return
        failure = {**paying, "category": rng.choice(_FAILURES), "retryable": True}
        yield _Step(_pause(rng, 700), "payment.failed", failure)
        if rng.random() < 0.5:
            return
        yield _Step(_pause(rng, 1_500), "payment.info_entered", {**checkout, "payment_method": "paypal"})


def _order(rng: Random, paying: dict[str, Any], cart: _Cart, number: int) -> Iterator[_Step]:
    # The news of some orders comes late: Relance has then spoken of a payment left open, and takes it back.
    late_ms = rng.randint(7_500, 10_000) if rng.random() < 0.04 else 0
    order = {"order_id": f"order-{number}", "checkout_id": paying["checkout_id"]}
    if not late_ms:
        yield _Step(_pause(rng, 500), "payment.succeeded", {**paying, "amount_minor": cart.total_minor})
    yield _Step(150, "order.completed", {**order, **cart.whole()}, late_ms)
    if rng.random() < 0.1:
        yield _Step(_pause(rng, 4_000) + late_ms, "withdrawal.requested", {**order, "medium": "form"})
        yield _Step(_pause(rng, 3_000), "refund.succeeded", {**order, "amount_minor": cart.total_minor})
