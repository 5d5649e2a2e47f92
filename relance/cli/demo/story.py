"""One shopper's minute: what she does, and in words what Relance says of her. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from relance.cli.demo.shoppers import PRODUCTS, Planned
from relance.events.signals import Signal
from relance.rules.windows import Definitions, Window
from relance.rules.windows_file import duration_text

__all__ = ["HEROINE", "SCENES", "Scene", "meaning", "money", "scenes", "signal_in_words"]

HEROINE: Final = "Camille"
_LAMP, _BULB = PRODUCTS[0], PRODUCTS[1]


class Scene(NamedTuple):
    """Something she does at `at_ms` after the opening, and how it is told."""

    at_ms: int
    type: str
    data: dict[str, Any]
    words: str


def _items(lamps: int, bulbs: int) -> list[dict[str, Any]]:
    wanted = ((_LAMP, lamps), (_BULB, bulbs))
    return [
        {"product_id": one.product_id, "name": one.name, "quantity": count, "price_minor": one.price_minor}
        for one, count in wanted
        if count
    ]


def _cart(lamps: int, bulbs: int) -> dict[str, Any]:
    total_minor = lamps * _LAMP.price_minor + bulbs * _BULB.price_minor
    return {"cart_id": "cart-camille", "currency": "EUR", "items": _items(lamps, bulbs), "total_minor": total_minor}


_TOTAL: Final[int] = _cart(2, 2)["total_minor"]
_CHECKOUT: Final = {"checkout_id": "checkout-camille"}
_PAYING: Final = {**_CHECKOUT, "currency": "EUR", "amount_minor": _TOTAL}
_ORDER: Final = {"order_id": "order-camille", **_CHECKOUT, **_cart(2, 2)}

SCENES: Final = (
    Scene(3_000, "page.viewed", {"page": "/", "campaign": "newsletter-42"}, "opens the shop from the newsletter"),
    Scene(4_500, "products.searched", {"query": "lamp", "results": 14}, 'searches for "lamp"'),
    Scene(6_000, "product.viewed", {"items": _items(1, 0), "currency": "EUR"}, "looks at the Aurore lamp, 129.00 EUR"),
    Scene(
        8_000, "cart.product_added", {"cart_id": "cart-camille", "items": _items(2, 0), "currency": "EUR"},
        "puts two of them into her cart",
    ),
    Scene(
        9_500, "cart.product_added", {"cart_id": "cart-camille", "items": _items(0, 2), "currency": "EUR"},
        "and two bulbs: 276.00 EUR",
    ),
    Scene(10_500, "cart.viewed", _cart(2, 2), "looks at her cart. Her telephone rings"),
    Scene(21_000, "page.viewed", {"page": "/cart"}, "is back"),
    Scene(23_000, "checkout.started", {**_CHECKOUT, **_cart(2, 2)}, "goes to the checkout"),
    Scene(25_000, "checkout.contact_captured", {**_CHECKOUT, "channel": "email"}, "gives her address"),
    Scene(27_000, "payment.info_entered", {**_CHECKOUT, "payment_method": "card"}, "types her card's number"),
    Scene(28_500, "payment.attempted", {**_PAYING, "attempt_id": "camille-1"}, "presses pay"),
    Scene(
        29_500, "payment.failed",
        {**_CHECKOUT, "attempt_id": "camille-1", "category": "authentication", "retryable": True},
        "sees her bank refuse: authentication failed",
    ),
    Scene(34_000, "payment.attempted", {**_PAYING, "attempt_id": "camille-2"}, "tries again"),
    Scene(35_500, "payment.succeeded", {**_PAYING, "attempt_id": "camille-2"}, "has paid"),
    Scene(35_600, "order.completed", _ORDER, "has ordered two lamps and two bulbs"),
    Scene(38_000, "page.left", {}, "closes the page"),
)  # fmt: skip

_KNOWN_MS: Final = next(scene.at_ms for scene in SCENES if scene.type == "checkout.contact_captured")


def scenes(shop: str) -> Iterator[Planned]:
    """Her minute as events."""
    for number, scene in enumerate(SCENES):
        event = {
            "specversion": "1.0", "id": f"camille-{number}", "source": f"/shops/{shop}", "type": scene.type,
            "visitorid": HEROINE, "device": "mobile", "returning": False, "data": scene.data,
        }  # fmt: skip
        if scene.at_ms >= _KNOWN_MS:
            event["personid"] = "customer-camille"
        yield Planned(scene.at_ms, scene.at_ms, event)


def money(minor: int, currency: str | None) -> str:
    """12900, EUR: 129.00 EUR. The demo's currencies have cents."""
    return f"{minor // 100:,}.{minor % 100:02d} {currency or ''}".rstrip()


def meaning(window: Window) -> str:
    """When a window fires, in few words."""
    when = window.when
    conditions = [
        f"from {money(when.cart_total_at_least_minor, when.currency)}" if when.cart_total_at_least_minor else "",
        f"{when.events_at_least}+ events" if when.events_at_least else "",
        "with a cart" if when.items_at_least else "",
        {True: "known", False: "stranger", None: ""}[when.known_person],
    ]
    wait = _short(window.inactivity)
    if window.stage:
        begin = f"{window.stage} idle {wait}"
    else:
        begin = f"{wait} after {window.event}" if window.inactivity else f"at {window.event}"
    return ", ".join([begin, *filter(None, conditions)])


def signal_in_words(signal: Signal, definitions: Definitions, late_ms: int) -> str:
    """What Relance says of her; `late_ms` is the time from when it was due until it could be read."""
    said = f"{max(late_ms, 0)} ms after due"
    if signal.kind == "ended":
        return f"her session is over after {signal.events} events; {said}"
    if signal.kind == "converted":
        credited = ", ".join(signal.windows or ())
        return "she has bought" + (f"; credited to {credited}" if credited else "")
    if signal.kind == "retracted":
        return f"takes {signal.window} back: the order was there first"
    window = next((one for one in definitions.windows if one.id == signal.window), None)
    worth = "" if signal.cart_total_minor is None else f", {money(signal.cart_total_minor, signal.currency)}"
    if window is None:
        return f"{signal.window} fires{worth}; {said}"
    wait = _short(window.inactivity)
    why = f"{wait} idle" if window.stage else f"{wait} after {window.event}" if window.inactivity else f"{window.event}"
    return f"{window.id} fires: {why} + {_short(definitions.grace)} grace{worth}; {said}"


def _short(duration: timedelta) -> str:
    """6 s; what is longer than a minute as ISO 8601."""
    seconds = duration.total_seconds()
    return f"{seconds:g} s" if seconds <= 60 else duration_text(duration)
