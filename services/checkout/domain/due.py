"""When an order is looked at again: by the clock, and by asking its provider."""

from datetime import datetime, timedelta
from typing import Final

from services.checkout.domain.orders import Order
from services.checkout.domain.refunds import Refund

__all__ = ["may_change", "order_due", "watched"]

_COMES_BACK: Final = timedelta(days=30)  # a refund that a card's bank did not take has come back by then


def order_due(order: Order) -> datetime | None:
    """When the clock changes something of an order, None when it does not."""
    times = [one.waits_until for one in order.attempts if one.state in {"sent", "action_required"}]
    if order.state == "placed" and not order.lapsing:
        times.append(order.deadline)
    awaited = order.held_at is None and any(one.state == "awaited" for one in order.tenders)
    if awaited and order.state in {"confirmed", "preparing"}:
        times.append(order.awaited_until)
    return min((at for at in times if at is not None), default=None)


def watched(order: Order, at: datetime) -> bool:
    """Whether the provider has something to say about it."""
    return any(one.open_at_psp for one in order.attempts) or any(may_change(one, at) for one in order.refunds)


def may_change(refund: Refund, at: datetime) -> bool:
    """Whether the provider may have news of a refund: it is under way, or succeeded lately and may still come back."""
    if not refund.attempt_id or refund.means:
        return False
    lately = refund.succeeded_at is not None and at < refund.succeeded_at + _COMES_BACK
    return refund.state in {"requested", "pending"} or (refund.state == "succeeded" and lately)
