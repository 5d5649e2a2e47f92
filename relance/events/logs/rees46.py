"""REES46 behaviour data: one shop's views, carts and purchases, in US dollars."""

from typing import Any, Final

from relance.events.logs.lines import utc
from relance.events.money import minor_units

__all__ = ["COLUMNS", "to_event"]

COLUMNS: Final = ("event_time", "event_type", "product_id", "price", "user_id", "user_session")

_TYPES: Final = {
    "view": "product.viewed",
    "cart": "cart.product_added",
    "remove_from_cart": "cart.product_removed",
    "purchase": "order.completed",
}
_CURRENCY: Final = "USD"


def to_event(line: int, row: dict[str, str], shop: str) -> dict[str, Any]:
    """The CloudEvent of one row. Raises ValueError, with the reason, for what REES46 does not write."""
    kind = row["event_type"]
    if kind not in _TYPES:
        raise ValueError(f"{kind!r} is no event_type of rees46")
    return {
        "specversion": "1.0",
        "id": f"rees46-{line}",
        "source": f"/shops/{shop}",
        "type": _TYPES[kind],
        "time": utc(row["event_time"].removesuffix(" UTC")),
        "visitorid": row["user_id"],
        "data": _data(kind, row),
    }


def _data(kind: str, row: dict[str, str]) -> dict[str, Any]:
    """An order carries no items and no total: the rows of one purchase are many, and none is known to be the last."""
    session = row["user_session"] or row["user_id"]
    if kind == "purchase":
        return {"order_id": session, "cart_id": session}
    item: dict[str, Any] = {"product_id": row["product_id"], "quantity": 1}
    if row["price"]:
        item["price_minor"] = minor_units(row["price"], _CURRENCY)
    told = {"brand": row.get("brand"), "category": row.get("category_code")}
    item |= {name: value for name, value in told.items() if value}
    named = {"product_id": row["product_id"]} if kind == "view" else {"cart_id": session}
    return named | {"currency": _CURRENCY, "items": [item]}
