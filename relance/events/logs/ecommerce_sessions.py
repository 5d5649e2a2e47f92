"""E-commerce sessions: steps of sessions, without products, prices or totals."""

from typing import Any, Final

from relance.events.logs.lines import utc

__all__ = ["COLUMNS", "to_event"]

COLUMNS: Final = ("user_id", "session_id", "event", "timestamp", "platform", "user_lifecycle")

_TYPES: Final = {
    "home": "page.viewed",
    "account_page": "page.viewed",
    "review_page": "page.viewed",
    "error_page": "page.viewed",
    "catalog": "product.list_viewed",
    "filter_results": "product.list_viewed",
    "search": "products.searched",
    "promo_page": "promotion.viewed",
    "product_view": "product.viewed",
    "compare": "product.clicked",
    "wishlist_add": "wishlist.product_added",
    "add_to_cart": "cart.product_added",
    "cart": "cart.viewed",
    "shipping_details": "checkout.step_viewed",
    "checkout_bug": "checkout.step_viewed",
    "payment_details": "payment.info_entered",
    "payment_error": "payment.failed",
    "purchase": "order.completed",
    "support_chat": "support.requested",
}
_DEVICES: Final = ("desktop", "mobile", "tablet")
_RETURNING: Final = ("returning", "loyal")


def to_event(line: int, row: dict[str, str], shop: str) -> dict[str, Any]:
    """The CloudEvent of one row. Raises ValueError, with the reason, for an event that the format does not have."""
    step = row["event"]
    if step not in _TYPES:
        raise ValueError(f"{step!r} is no event of ecommerce-sessions")
    event_id = f"ecommerce-sessions-{line}"
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/shops/{shop}",
        "type": _TYPES[step],
        "time": utc(row["timestamp"]),
        "visitorid": row["user_id"],
        "returning": row["user_lifecycle"] in _RETURNING,
    }
    platform = row["platform"].lower()
    device = platform if platform in _DEVICES else "mobile" if "app" in platform else None
    return event | ({"device": device} if device else {}) | {"data": _data(step, row, event_id)}


def _data(step: str, row: dict[str, str], event_id: str) -> dict[str, Any]:
    """What the row says, and the ids that a type asks for: cart, checkout and order are the session's."""
    session = row["session_id"]
    told: dict[str, dict[str, Any]] = {
        "page.viewed": {"page": step},
        "product.list_viewed": {"list_id": step},
        "products.searched": {"query": ""},
        "promotion.viewed": {"promotion_id": step},
        "wishlist.product_added": {"wishlist_id": row["user_id"]},
        "cart.product_added": {"cart_id": session},
        "cart.viewed": {"cart_id": session},
        "checkout.step_viewed": {"checkout_id": session, "cart_id": session, "step": step},
        "payment.info_entered": {"checkout_id": session},
        "payment.failed": {
            "checkout_id": session, "attempt_id": event_id, "category": "technical", "retryable": True,
        },
        "order.completed": {"order_id": session, "checkout_id": session, "cart_id": session},
    }  # fmt: skip
    return told.get(_TYPES[step], {})
