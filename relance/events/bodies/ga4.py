"""Google Analytics 4: pushes of the data layer as our events.

A body is one push (`{"event": "add_to_cart", "ecommerce": {...}}`), the arguments of one `gtag` call
(`["event", "purchase", {...}]`), or many of them: `{"client_id": ..., "user_id": ..., "events": [...]}`, which also is
the form of the Measurement Protocol. The visitor is `visitorid` or `client_id`, the person `user_id`. Besides Google's
names, those of our types in any spelling ("payment_failed") are taken. Pushes that mean nothing here give no event.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from relance.events.bodies.building import TYPE_BY_NAME, Origin, Properties, data, device_of, is_given, text
from relance.events.codec import EventError
from relance.events.faults import Problem
from relance.kernel.instants import format_ms

__all__ = ["to_events"]

_TYPES: Final = TYPE_BY_NAME | {
    "page_view": "page.viewed",
    "view_item": "product.viewed",
    "view_item_list": "product.list_viewed",
    "select_item": "product.clicked",
    "search": "products.searched",
    "view_search_results": "products.searched",
    "add_to_cart": "cart.product_added",
    "remove_from_cart": "cart.product_removed",
    "view_cart": "cart.viewed",
    "add_to_wishlist": "wishlist.product_added",
    "begin_checkout": "checkout.started",
    "add_shipping_info": "checkout.step_completed",
    "add_payment_info": "payment.info_entered",
    "purchase": "order.completed",
    "refund": "order.refunded",
    "view_promotion": "promotion.viewed",
    "select_promotion": "promotion.clicked",
    "generate_lead": "checkout.contact_captured",
    "login": "identity.linked",
    "sign_up": "identity.linked",
}
_NAMES: Final = {
    "transaction_id": "order_id",
    "search_term": "query",
    "shipping_tier": "shipping_method",
    "payment_type": "payment_method",
    "item_list_id": "list_id",
    "item_list_name": "list_name",
    "promotion_name": "name",
    "creative_name": "creative",
    "creative_slot": "position",
    "page_location": "url",
    "page_path": "page",
    "page_title": "title",
    "page_referrer": "referrer",
}
_ITEM_NAMES: Final = {
    "item_id": "product_id",
    "item_name": "name",
    "item_brand": "brand",
    "item_category": "category",
    "item_variant": "variant",
    "index": "position",
}
_ADS: Final = ("ad_storage", "ad_user_data", "ad_personalization")
_CONTEXT: Final = ("visitorid", "client_id", "user_id", "timestamp_micros", "time", "device", "user_agent", "url")


def to_events(body: object, shop: str, received_ms: int | None) -> list[dict[str, Any]]:
    """The events of one body (parsed JSON), as CloudEvents that the strict decoder has still to check.

    `received_ms` is the time of those that tell none; None: there is no such time. The id is the push's `event_id`,
    else made from its content: twins are told apart by a time, or by their place in one body. Raises EventError when
    the body is no such push.
    """
    if isinstance(body, dict) and isinstance(body.get("events"), list):
        shared = {name: body[name] for name in _CONTEXT if name in body}
        pushes = [(f"events[{place}]", push) for place, push in enumerate(body["events"])]
    else:
        shared, pushes = {}, [("", body)]
    events: list[dict[str, Any]] = []
    for place, (path, push) in enumerate(pushes):
        name, parameters = _named(push, path)
        if name == "consent":
            parameters = _ads_consent(parameters)
        type_name = "consent.changed" if name == "consent" and parameters else _TYPES.get(name.replace(".", "_"))
        if type_name is not None:
            events.append(_event(type_name, name, shared | parameters, _Place(shop, received_ms, place)))
    return events


class _Place(msgspec.Struct, frozen=True):
    """Where a push came from."""

    shop: str
    received_ms: int | None
    index: int


def _named(push: object, path: str) -> tuple[str, dict[str, Any]]:
    """The event's name and its parameters, of any of the forms that a push has; ("", {}) when it is no event."""
    if isinstance(push, dict) and "0" in push:  # the arguments object of gtag(), as JSON writes it
        push = [push[str(place)] for place in range(len(push)) if str(place) in push]
    if isinstance(push, list):
        match push:
            case ["event", str(name), dict() as parameters, *_]:
                return name, _lifted(parameters)
            case ["event", str(name)]:
                return name, {}
            case ["consent", "update", dict() as parameters, *_]:
                return "consent", dict(parameters)
        return "", {}
    if not isinstance(push, dict):
        raise EventError((Problem(path, "must be a push: a JSON object, or an array of gtag's arguments"),))
    named = push.get("event", push.get("name"))
    if not isinstance(named, str):
        return "", {}
    inner = push.get("params")
    taken = {"event" if "event" in push else "name", "params"}
    own = {name: value for name, value in push.items() if name not in taken}
    return named, _lifted(own | inner if isinstance(inner, dict) else own)


def _lifted(parameters: Properties) -> dict[str, Any]:
    """Parameters with those of `ecommerce` among them."""
    ecommerce = parameters.get("ecommerce")
    own = {name: value for name, value in parameters.items() if name != "ecommerce"}
    return own | ecommerce if isinstance(ecommerce, dict) else own


def _ads_consent(told: Properties) -> dict[str, Any]:
    """Consent mode knows storage, not channels: all that it says of advertising, granted or not, is the channel ads."""
    words = [told[name] for name in _ADS if name in told]
    if not words:
        return {}
    status = "granted" if all(word == "granted" for word in words) else "denied"
    context = {name: told[name] for name in (*_CONTEXT, "event_id") if name in told}
    return context | {"channel": "ads", "status": status, "purpose": "marketing", "proof": "consent mode"}


def _event(type_name: str, name: str, given: Properties, place: _Place) -> dict[str, Any]:
    visitor = text(given.get("visitorid") or given.get("client_id"))
    person = text(given.get("user_id"))
    content = msgspec.json.encode([name, given, place.index], order="sorted")
    event_id = text(given.get("event_id")) or str(
        uuid5(uuid5(NAMESPACE_URL, f"/shops/{place.shop}/ga4"), content.decode())
    )
    properties = _renamed(given, _NAMES) | _extra(type_name, name, given)
    listed = given.get("items")
    items = [_renamed(item, _ITEM_NAMES) for item in listed] if isinstance(listed, list) else None
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/shops/{place.shop}/ga4",
        "type": type_name,
        "time": _time(given, place.received_ms),
        "visitorid": visitor,
        "personid": person,
        "device": device_of(given.get("device"), given.get("user_agent")),
    }
    built = data(type_name, properties, items, Origin(event_id, visitor or person))
    return {key: value for key, value in attributes.items() if is_given(value)} | {"data": built}


def _renamed(given: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(given, dict):
        return given
    return {names.get(name, name): value for name, value in given.items()}


def _extra(type_name: str, name: str, given: Properties) -> dict[str, Any]:
    """What an event says by its name, or by its items."""
    match type_name:
        case "checkout.step_completed" if name == "add_shipping_info":
            return {"step": "shipping"}
        case "checkout.contact_captured":
            return {"channel": given.get("channel", "email")}
        case "identity.linked":
            link = {
                "anonymous_id": given.get("visitorid") or given.get("client_id"),
                "method": given.get("method", name),
            }
            return {key: value for key, value in link.items() if value is not None}
        case "product.list_viewed" | "promotion.viewed" | "promotion.clicked":
            return _of_first_item(given)
    return {}


def _of_first_item(given: Properties) -> dict[str, Any]:
    """List and promotion stand at the event or at each of its items; the event's word goes first."""
    items = given.get("items")
    first = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
    wanted = ("item_list_id", "item_list_name", "promotion_id", "promotion_name", "creative_name", "creative_slot")
    found = {_NAMES.get(name, name): given.get(name, first.get(name)) for name in wanted}
    return {name: value for name, value in found.items() if is_given(value)}


def _time(given: Properties, received_ms: int | None) -> Any:
    micros = given.get("timestamp_micros")
    if isinstance(micros, str) and micros.isascii() and micros.isdigit():
        micros = int(micros)
    if isinstance(micros, int) and not isinstance(micros, bool) and 0 <= micros < 253_402_300_800_000_000:
        return format_ms(micros // 1000)
    if "time" in given:
        return given["time"]
    return None if received_ms is None else format_ms(received_ms)
