"""Said by shop backends and the checkout: the life of an order."""

from typing import Annotated

from msgspec import Meta

from relance.events.envelope import Currency, Data, Envelope, Id, Instant, Minor, Text, Url

__all__ = [
    "CancellationData", "OrderCancelled", "OrderCompleted", "OrderData", "OrderDelivered", "OrderExpired", "OrderPaid",
    "OrderPlaced", "OrderRefunded", "OrderShipped", "OrderUpdated", "PaidData", "ParcelData", "RefundedData",
    "WithdrawalData", "WithdrawalRequested",
]  # fmt: skip


class OrderData(Data, frozen=True, kw_only=True):
    """An order is named; items and total are given where they are certain."""

    order_id: Id
    checkout_id: Id | None = None
    shipping_minor: Minor | None = None
    tax_minor: Minor | None = None
    discount_minor: Minor | None = None
    coupon: Text | None = None
    affiliation: Text | None = None
    status: Text | None = None


class OrderCompleted(Envelope, frozen=True, kw_only=True, tag="order.completed"):
    """The order is concluded and its payment secured: this converts."""

    data: OrderData


class OrderPlaced(Envelope, frozen=True, kw_only=True, tag="order.placed"):
    """The order button was pressed."""

    data: OrderData


class PaidData(OrderData, frozen=True, kw_only=True):
    """What was paid."""

    total_minor: Annotated[int, Meta(ge=0, le=1_000_000_000_000_000)]
    currency: Currency


class OrderPaid(Envelope, frozen=True, kw_only=True, tag="order.paid"):
    """The order is paid in full."""

    data: PaidData


class OrderUpdated(Envelope, frozen=True, kw_only=True, tag="order.updated"):
    """The order changed."""

    data: OrderData


class CancellationData(OrderData, frozen=True, kw_only=True):
    """Why it was cancelled."""

    reason: Text


class OrderCancelled(Envelope, frozen=True, kw_only=True, tag="order.cancelled"):
    """The order was cancelled."""

    data: CancellationData


class RefundedData(OrderData, frozen=True, kw_only=True):
    """Without `amount_minor`, the whole order; `items` are those given back."""

    amount_minor: Minor | None = None


class OrderRefunded(Envelope, frozen=True, kw_only=True, tag="order.refunded"):
    """The order, or a part of it, was refunded."""

    data: RefundedData


class OrderExpired(Envelope, frozen=True, kw_only=True, tag="order.expired"):
    """The order lapsed unpaid."""

    data: OrderData


class ParcelData(OrderData, frozen=True, kw_only=True):
    """One parcel; its items in `items`."""

    parcel_id: Id | None = None
    carrier: Text | None = None
    tracking_url: Url | None = None


class OrderShipped(Envelope, frozen=True, kw_only=True, tag="order.shipped"):
    """A parcel left."""

    data: ParcelData


class OrderDelivered(Envelope, frozen=True, kw_only=True, tag="order.delivered"):
    """A parcel arrived."""

    data: ParcelData


class WithdrawalData(OrderData, frozen=True, kw_only=True):
    """A statement of withdrawal: when it was sent, by what medium, for which `items` (absent: all)."""

    stated_at: Instant | None = None
    medium: Text | None = None


class WithdrawalRequested(Envelope, frozen=True, kw_only=True, tag="withdrawal.requested"):
    """A consumer withdrew."""

    data: WithdrawalData
