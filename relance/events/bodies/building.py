"""Builds `data` from properties with the names of Segment's e-commerce spec (the other formats are renamed to it).

Nothing is refused here: what cannot be converted is passed on as it is, so that the strict decoder names it with its
path, and only the event that has it is refused.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from relance.events.catalog import CHANNEL_BIT, CODE
from relance.events.codec import data_type
from relance.events.money import nearest_minor_units

__all__ = ["TYPE_BY_NAME", "Origin", "Properties", "consent_of", "data", "device_of", "flat", "is_given", "text"]

Properties = dict[str, Any]

# "Payment Failed", "payment_failed" and "payment.failed" are payment.failed: names that neither spec has
TYPE_BY_NAME: Final = {name.replace(".", "_"): name for name in CODE}

_COUNTS: Final = {"version", "results", "position", "engaged_ms", "new", "old"}
_ITEM_TEXTS: Final = ("name", "sku", "variant", "variant_id", "brand", "category", "coupon", "url", "image_url")
_ITEM_ID: Final = ("product_id", "sku", "id", "name")
_AMOUNTS: Final = {
    "total_minor": ("total", "value", "revenue"),
    "amount_minor": ("amount", "total", "value"),
    "discount_minor": ("discount",),
    "shipping_minor": ("shipping",),
    "tax_minor": ("tax",),
    "new_price_minor": ("new_price", "new"),
    "old_price_minor": ("old_price", "old"),
}
_ALIASES: Final = {
    "promotion_id": ("promotion_id", "creative", "name"),
    "coupon_id": ("coupon_id", "coupon_name", "coupon"),
    "list_id": ("list_id", "list_name", "list"),
    "payment_method": ("payment_method", "method"),
}


# elsewhere `value` or `total` is that of the product, or of what was refunded
_WITH_TOTAL: Final = (
    "cart.viewed",
    "cart.updated",
    "checkout.",
    "order.completed",
    "order.p",
    "order.updated",
    "order.c",
)


class Origin(msgspec.Struct, frozen=True):
    """What stands in for ids that the other format does not have."""

    event_id: str
    visitor: str | None  # the visitor's id, else the person's


def data(type_name: str, given: Properties, products: Iterable[Any] | None, origin: Origin) -> dict[str, Any]:
    """`data` of an event of `type_name`. `products` None: the body names none, which differs from an empty list."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(data_type(type_name))}
    currency = str(given.get("currency") or "").upper()
    built: dict[str, Any] = {"currency": currency} if currency else {}
    left_out = {"currency", "items"} | (set() if type_name.startswith(_WITH_TOTAL) else {"total_minor"})
    for name in fields:
        if name.endswith("_minor"):
            value = _amount(_first(given, _AMOUNTS.get(name, ())), currency)
        elif name in _COUNTS:
            value = given.get(name)
        else:
            value = text(_first(given, _ALIASES.get(name, (name,))))
        if value is not None and name not in left_out:
            built[name] = value
    if products is not None:
        built["items"] = [_item(product, currency) for product in products if _quantity(product) != 0]
    _name_product(type_name, built)
    return _stand_ins(type_name, given, built, origin) | built


def _name_product(type_name: str, built: dict[str, Any]) -> None:
    """A product event names its product, also beside the items; other events do not."""
    if not type_name.startswith(("product.", "wishlist.")) or type_name == "product.list_viewed":
        built.pop("product_id", None)
    elif "product_id" not in built:
        match built.get("items"):
            case [{"product_id": product_id}]:
                built["product_id"] = product_id


def _stand_ins(type_name: str, given: Properties, built: Properties, origin: Origin) -> dict[str, Any]:
    """Ids and words that the type asks for and the other format may lack.

    A cart, list of wishes or checkout without an id is the visitor's only one; Segment names a checkout by its order.
    """
    kind = data_type(type_name)
    wanted = {field.encode_name for field in msgspec.structs.fields(kind) if field.required}
    if kind.one_of and not any(name in built for name in kind.one_of):
        wanted.add(kind.one_of[0])
    values: dict[str, Any] = {
        "cart_id": origin.visitor,
        "checkout_id": text(given.get("order_id")) or origin.visitor,
        "wishlist_id": origin.visitor,
        "attempt_id": origin.event_id,
        "query": "",
        "list_id": "unknown",
        "reason": "unknown",
        "category": "technical",
        "retryable": True,
    }
    return {name: values[name] for name in values if name in wanted and values[name] is not None}


def _item(product: Any, currency: str) -> Any:
    if not isinstance(product, dict):
        return product
    item = {"product_id": text(_first(product, _ITEM_ID)), "quantity": _quantity(product)}
    item |= {name: text(product.get(name)) for name in _ITEM_TEXTS}
    item |= {"position": product.get("position"), "price_minor": _amount(product.get("price"), currency)}
    return {name: value for name, value in item.items() if value is not None}


def flat(given: Properties) -> list[Properties] | None:
    """The one product that stands among the properties themselves, if any does."""
    return [given] if any(given.get(name) for name in ("product_id", "sku")) else None


def _quantity(product: Any) -> Any:
    """A whole number, also where it is written "2" or 2.0; anything else as it is."""
    value = product.get("quantity") if isinstance(product, dict) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value


def _amount(value: Any, currency: str) -> Any:
    if value is None:
        return None
    try:
        return nearest_minor_units(value, currency)
    except ValueError:
        return value


def _first(given: Properties, names: Iterable[str]) -> Any:
    return next((given[name] for name in names if is_given(given.get(name))), None)


def is_given(value: Any) -> bool:
    """Whether it says anything: other systems send null or "" for what they do not know."""
    return value is not None and value != ""


def text(value: Any) -> Any:
    """Ids are often numbers elsewhere; ours are strings."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def device_of(given: Any, user_agent: Any) -> str | None:
    """desktop, mobile or tablet, from a word for it or from the browser's user agent; None when neither tells."""
    word = str(given or "").lower()
    if word in {"desktop", "mobile", "tablet"}:
        return word
    if word in {"ios", "android", "app", "phone", "smartphone"}:
        return "mobile"
    agent = str(user_agent or "").lower()
    if "ipad" in agent or "tablet" in agent or ("android" in agent and "mobile" not in agent):
        return "tablet"
    if "mobi" in agent or "iphone" in agent:
        return "mobile"
    return "desktop" if agent.startswith("mozilla/") else None


def consent_of(preferences: Any) -> dict[str, Any] | None:
    """A snapshot of consent, of the channels that we know."""
    if not isinstance(preferences, dict):
        return None
    return {str(name): value for name, value in preferences.items() if name in CHANNEL_BIT} or None
