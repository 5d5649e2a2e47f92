"""Segment: `track`, `page`, `screen`, `identify`, `alias` and `batch` bodies as our events.

Names of e-commerce spec v2; besides, a `track` with the name of one of our types in any spelling ("Payment Failed",
"cart.updated"), its properties then named as ours. Calls that mean nothing here (`group`, other names) give no event.
"""

from collections.abc import Iterator
from typing import Any, Final

from relance.events.bodies.building import (
    TYPE_BY_NAME,
    Origin,
    Properties,
    consent_of,
    data,
    device_of,
    flat,
    is_given,
    text,
)
from relance.events.codec import EventError
from relance.events.faults import Problem
from relance.kernel.instants import format_ms

__all__ = ["to_events"]

_TYPES: Final = {
    "product_list_filtered": "product.list_viewed",
    "product_added": "cart.product_added",
    "product_removed": "cart.product_removed",
    "wishlist_product_added_to_cart": "cart.product_added",
    "product_added_to_wishlist": "wishlist.product_added",
    "product_removed_from_wishlist": "wishlist.product_removed",
    "order_canceled": "order.cancelled",
} | TYPE_BY_NAME
_CONTACT: Final = {
    "email": ("email",),
    "phone": ("phone",),
    "first_name": ("firstName", "first_name"),
    "last_name": ("lastName", "last_name"),
}


def to_events(body: object, shop: str, received_ms: int | None) -> list[dict[str, Any]]:
    """The events of one body (parsed JSON), as CloudEvents that the strict decoder has still to check.

    `received_ms` is the time of those that tell none; None: there is no such time. Raises EventError when the body is
    no such call.
    """
    if not isinstance(body, dict):
        raise EventError((Problem("", "must be a JSON object"),))
    if "batch" not in body:
        return list(_call(body, shop, received_ms, ""))
    if not isinstance(body["batch"], list):
        raise EventError((Problem("batch", "must be an array"),))
    shared = {name: body[name] for name in ("context", "sentAt") if name in body}
    events: list[dict[str, Any]] = []
    for place, call in enumerate(body["batch"]):
        path = f"batch[{place}]"
        if not isinstance(call, dict):
            raise EventError((Problem(path, "must be a JSON object"),))
        events += _call(shared | call, shop, received_ms, path)
    return events


def _call(call: Properties, shop: str, received_ms: int | None, path: str) -> Iterator[dict[str, Any]]:
    kind = call.get("type")
    envelope = _envelope(call, shop, received_ms)
    match kind:
        case "track":
            yield from _track(call, envelope)
        case "page" | "screen":
            yield envelope | {"type": "page.viewed", "data": _page(call)}
        case "identify":
            yield from _identify(call, envelope)
        case "alias":
            link = {
                "anonymous_id": text(call.get("previousId")),
                "user_id": text(call.get("userId")),
                "method": "alias",
            }
            yield envelope | {"type": "identity.linked", "data": _given(link)}
        case "group":
            return
        case _:
            where = f"{path}.type" if path else "type"
            raise EventError((Problem(where, f"{str(kind)[:100]!r} is no call that is known here"),))


def _track(call: Properties, envelope: dict[str, Any]) -> Iterator[dict[str, Any]]:
    name = str(call.get("event") or "").strip().lower().replace(" ", "_").replace(".", "_")
    type_name = _TYPES.get(name)
    if type_name is None:
        return
    properties = _object(call, "properties")
    products = next(
        (properties[name] for name in ("products", "items") if isinstance(properties.get(name), list)), None
    )
    if products is None:
        products = flat(properties)
        properties = {name: value for name, value in properties.items() if products is None or name != "url"}
    if type_name.startswith("product.") and type_name.endswith("_changed"):
        products = None
    visitor = envelope.get("visitorid") or envelope.get("personid")
    built = data(type_name, properties, products, Origin(str(envelope.get("id")), visitor))
    yield envelope | {"type": type_name, "data": _seen_on(call) | built}


def _identify(call: Properties, envelope: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A link when it says who the person is; and, when it names a checkout, the contact that was captured in it."""
    traits = _object(call, "traits")
    contact = _given(
        {ours: next((traits[n] for n in names if traits.get(n)), None) for ours, names in _CONTACT.items()}
    )
    reachable = _given({"email": contact.get("email"), "sms": contact.get("phone")})
    if envelope.get("personid") or reachable:
        link = {"anonymous_id": envelope.get("visitorid"), "user_id": envelope.get("personid"), "method": "identify"}
        yield envelope | {"type": "identity.linked", "data": _given(link) | ({"contact": contact} if contact else {})}
    checkout = text(traits.get("checkout_id"))
    for channel in reachable if checkout else ():
        captured = {"checkout_id": checkout, "channel": channel, "contact": contact, "consent": traits.get("consent")}
        part = {"id": f"{envelope.get('id')}/{channel}", "type": "checkout.contact_captured", "data": _given(captured)}
        yield envelope | part


def _envelope(call: Properties, shop: str, received_ms: int | None) -> dict[str, Any]:
    """Attributes. `originalTimestamp` means that Segment has already corrected `timestamp` for the device's clock."""
    context = _object(call, "context")
    when = call.get("timestamp") or call.get("originalTimestamp")
    if when is None and received_ms is not None:
        when = format_ms(received_ms)
    corrected = "originalTimestamp" in call and call.get("timestamp") is not None
    agent_data = context.get("userAgentData")
    is_mobile = isinstance(agent_data, dict) and agent_data.get("mobile") is True
    attributes = {
        "specversion": "1.0",
        "id": text(call.get("messageId")),
        "source": f"/shops/{shop}/segment",
        "time": when,
        "visitorid": text(call.get("anonymousId")),
        "personid": text(call.get("userId")),
        "device": device_of(
            "mobile" if is_mobile else _object(context, "device").get("type"), context.get("userAgent")
        ),
        "senttime": None if corrected or call.get("timestamp") is None else call.get("sentAt"),
    }
    return _given(attributes)


def _page(call: Properties) -> dict[str, Any]:
    properties = _object(call, "properties")
    own = {name: properties.get(name) for name in ("url", "title", "referrer")} | {"page": properties.get("path")}
    named = {"page": call.get("name")} if call.get("name") else {}
    return named | _seen_on(call) | _given(own)


def _seen_on(call: Properties) -> dict[str, Any]:
    """The page on which something happened, the campaign that led there, and consent."""
    context = _object(call, "context")
    page = _object(context, "page")
    told = {name: page.get(name) for name in ("url", "title", "referrer")}
    told |= {"page": page.get("path"), "campaign": _object(context, "campaign").get("name")}
    told["consent"] = consent_of(_object(context, "consent").get("categoryPreferences"))
    return _given(told)


def _object(of: Properties, name: str) -> Properties:
    value = of.get(name)
    return value if isinstance(value, dict) else {}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if is_given(value)}
