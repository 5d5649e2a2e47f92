"""Orders are looked at one by one: what is wrong with one of them hides no other from whoever lists them."""

from collections.abc import Callable
from typing import TypeVar

from relance.observability import logs

__all__ = ["looked_at", "unread"]

T = TypeVar("T")

_log = logs.logger("singly")


def looked_at(shop: str, order_id: str, look: Callable[[], T]) -> T | None:
    """What `look` gives; None, and a line in the log, when it fails."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are listed
        _log.error("order_failed", shop=shop, order=order_id, error=type(error).__name__, text=str(error)[:200])
        return None


def unread(shop: str, order_id: str) -> None:
    """An order, or what follows it, cannot be read: said in the log."""
    _log.error("order_unreadable", shop=shop, order=order_id)
