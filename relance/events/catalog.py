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


_NONE, _BROWSE, _PRODUCT, _CART, _CHECKOUT, _PAYMENT = Stage

# name, stage, quiet, fact; a code is the place in this list, counted from 1
_ROWS: Final = (
    ("page.viewed", _BROWSE, False, False),
    ("product.list_viewed", _BROWSE, False, False),
    ("products.searched", _BROWSE, False, False),
    ("promotion.viewed", _BROWSE, False, False),
    ("promotion.clicked", _BROWSE, False, False),
    ("product.viewed", _PRODUCT, False, False),
    ("product.clicked", _PRODUCT, False, False),
    ("wishlist.product_added", _PRODUCT, False, False),
    ("wishlist.product_removed", _PRODUCT, False, False),
    ("cart.product_added", _CART, False, True),
    ("cart.product_removed", _CART, False, True),
    ("cart.viewed", _CART, False, True),
    ("cart.updated", _CART, False, True),
    ("coupon.entered", _CART, False, True),
    ("coupon.applied", _CART, False, True),
    ("coupon.denied", _CART, False, True),
    ("coupon.removed", _CART, False, True),
    ("checkout.started", _CHECKOUT, False, True),
    ("checkout.step_viewed", _CHECKOUT, False, True),
    ("checkout.step_completed", _CHECKOUT, False, True),
    ("checkout.contact_captured", _CHECKOUT, False, True),
    ("payment.info_entered", _PAYMENT, False, True),
    ("payment.attempted", _PAYMENT, False, True),
    ("payment.action_required", _PAYMENT, False, True),
    ("payment.failed", _PAYMENT, False, True),
    ("payment.succeeded", _PAYMENT, False, True),
    ("order.completed", _NONE, False, True),
    ("order.placed", _NONE, True, True),
    ("order.paid", _NONE, True, True),
    ("order.updated", _NONE, True, True),
    ("order.cancelled", _NONE, True, True),
    ("order.refunded", _NONE, True, True),
    ("order.expired", _NONE, True, True),
    ("order.shipped", _NONE, True, True),
    ("order.delivered", _NONE, True, True),
    ("refund.succeeded", _NONE, True, True),
    ("withdrawal.requested", _NONE, True, True),
    ("consent.changed", _NONE, True, True),
    ("identity.linked", _NONE, True, True),
    ("product.stock_changed", _NONE, True, True),
    ("product.price_changed", _NONE, True, True),
    ("exit.intent", _NONE, False, True),
    ("page.engaged", _NONE, False, False),
    ("page.left", _NONE, False, True),
    ("support.requested", _NONE, False, True),
)

EVENT_TYPES: Final = tuple(
    EventType(name=name, code=code, stage=stage, quiet=quiet, fact=fact)
    for code, (name, stage, quiet, fact) in enumerate(_ROWS, start=1)
)
CODE: Final = {event_type.name: event_type.code for event_type in EVENT_TYPES}
BY_CODE: Final = {event_type.code: event_type for event_type in EVENT_TYPES}

DEVICES: Final = {"desktop": 1, "mobile": 2, "tablet": 3}

CHANNELS: Final = (
    "email", "sms", "push", "web_push", "phone", "whatsapp", "chat", "popup", "post", "messenger", "rcs", "ads",
)  # fmt: skip
CHANNEL_BIT: Final = {channel: 1 << place for place, channel in enumerate(CHANNELS)}
