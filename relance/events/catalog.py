"""Every event type with its code on the wire, its stage and its part in a session.

Codes are append-only: they stand in records of `tracking.batches.v1`. Meaning: docs/detection.md.
"""

import enum
from typing import Final

import msgspec

__all__ = ["BY_CODE", "CHANNELS", "CHANNEL_BIT", "CODE", "DEVICES", "EVENT_TYPES", "STAGES", "EventType", "Stage"]


class Stage(enum.IntEnum):
    """How far a session has come; 0 is for types that are activity only."""

    NONE = 0
    BROWSE = 1
    PRODUCT = 2
    CART = 3
    CHECKOUT = 4
    PAYMENT = 5


STAGES: Final = {stage.name.lower(): stage for stage in Stage if stage}


class EventType(msgspec.Struct, frozen=True):
    """`quiet` types begin no session and are no activity; `fact` types also go, whole, to `tracking.facts.v1`."""

    name: str
    code: int
    stage: Stage
    quiet: bool = False
    fact: bool = False


def _types() -> tuple[EventType, ...]:
    none, browse, product, cart, checkout, payment = Stage
    rows: list[tuple[str, Stage, bool, bool]] = [
        ("page.viewed", browse, False, False),
        ("product.list_viewed", browse, False, False),
        ("products.searched", browse, False, False),
        ("promotion.viewed", browse, False, False),
        ("promotion.clicked", browse, False, False),
        ("product.viewed", product, False, False),
        ("product.clicked", product, False, False),
        ("wishlist.product_added", product, False, False),
        ("wishlist.product_removed", product, False, False),
        ("cart.product_added", cart, False, True),
        ("cart.product_removed", cart, False, True),
        ("cart.viewed", cart, False, True),
        ("cart.updated", cart, False, True),
        ("coupon.entered", cart, False, True),
        ("coupon.applied", cart, False, True),
        ("coupon.denied", cart, False, True),
        ("coupon.removed", cart, False, True),
        ("checkout.started", checkout, False, True),
        ("checkout.step_viewed", checkout, False, True),
        ("checkout.step_completed", checkout, False, True),
        ("checkout.contact_captured", checkout, False, True),
        ("payment.info_entered", payment, False, True),
        ("payment.attempted", payment, False, True),
        ("payment.action_required", payment, False, True),
        ("payment.failed", payment, False, True),
        ("payment.succeeded", payment, False, True),
        ("order.completed", none, False, True),
        ("order.placed", none, True, True),
        ("order.paid", none, True, True),
        ("order.updated", none, True, True),
        ("order.cancelled", none, True, True),
        ("order.refunded", none, True, True),
        ("order.expired", none, True, True),
        ("order.shipped", none, True, True),
        ("order.delivered", none, True, True),
        ("refund.succeeded", none, True, True),
        ("withdrawal.requested", none, True, True),
        ("consent.changed", none, True, True),
        ("identity.linked", none, True, True),
        ("product.stock_changed", none, True, True),
        ("product.price_changed", none, True, True),
        ("exit.intent", none, False, True),
        ("page.engaged", none, False, False),
        ("page.left", none, False, True),
        ("support.requested", none, False, True),
    ]
    return tuple(
        EventType(name=name, code=code, stage=stage, quiet=quiet, fact=fact)
        for code, (name, stage, quiet, fact) in enumerate(rows, start=1)
    )


EVENT_TYPES: Final = _types()
CODE: Final = {event_type.name: event_type.code for event_type in EVENT_TYPES}
BY_CODE: Final = {event_type.code: event_type for event_type in EVENT_TYPES}

DEVICES: Final = {"desktop": 1, "mobile": 2, "tablet": 3}

CHANNELS: Final = (
    "email", "sms", "push", "web_push", "phone", "whatsapp", "chat", "popup", "post", "messenger", "rcs", "ads",
)  # fmt: skip
CHANNEL_BIT: Final = {channel: 1 << place for place, channel in enumerate(CHANNELS)}
