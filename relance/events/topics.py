"""The map of the system: every topic, who says it, who hears it, how it is kept.

Partition counts never change after creation: a visitor's events must stay in one partition.
"""

from typing import Final

import msgspec

__all__ = [
    "ALL",
    "BATCHES",
    "ENDED",
    "FACTS",
    "MESSAGES",
    "NOTIFICATION_DEAD_LETTERS",
    "ORDERS",
    "OUTCOMES",
    "RAW",
    "SESSION_CHANGELOG",
    "SESSION_DEAD_LETTERS",
    "SHOPS",
    "SIGNALS",
    "TRACKING_DEAD_LETTERS",
    "Topic",
]

DAY_MS: Final = 86_400_000


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic; `key` and `value` are words for people, the rest is configuration."""

    name: str
    key: str
    value: str
    says: tuple[str, ...]
    hears: tuple[str, ...]
    partitions: int
    retention_ms: int = 7 * DAY_MS
    compact: bool = False
    append_time: bool = True
    max_message_bytes: int = 1_048_588
    segment_bytes: int = 268_435_456
    extra: dict[str, str] = {}


RAW: Final = Topic(
    name="shop-events",
    key="visitor or nothing",
    value="CloudEvent, JSON (structured) or binary mode with ce_* headers",
    says=("shops", "checkout"),
    hears=("tracking",),
    partitions=4,
)
BATCHES: Final = Topic(
    name="tracking.batches.v1",
    key="none; partition = murmur2(visitor, 16 bytes)",
    value="Arrow batch, tick or definitions",
    says=("tracking", "session"),
    hears=("session",),
    partitions=4,
    max_message_bytes=4_194_304,
)
FACTS: Final = Topic(
    name="tracking.facts.v1",
    key="visitor (36 characters), or person, or product",
    value="CloudEvent, JSON structured",
    says=("tracking",),
    hears=("trigger", "audience", "notification"),
    partitions=4,
)
SHOPS: Final = Topic(
    name="tracking.shops.v1",
    key="shop, or * for the default set",
    value="relance.events.shops.Shop, JSON",
    says=("cli",),
    hears=("tracking", "session"),
    partitions=1,
    compact=True,
)
TRACKING_DEAD_LETTERS: Final = Topic(
    name="tracking.dead-letters.v1",
    key="source topic/partition/offset",
    value="original bytes; headers say why and whence",
    says=("tracking",),
    hears=("cli",),
    partitions=1,
    retention_ms=30 * DAY_MS,
    max_message_bytes=2_097_152,
)
SESSION_DEAD_LETTERS: Final = Topic(
    name="session.dead-letters.v1",
    key="source topic/partition/offset",
    value="original bytes; headers say why and whence",
    says=("session",),
    hears=("cli",),
    partitions=1,
    retention_ms=30 * DAY_MS,
    max_message_bytes=4_194_304,
)
SIGNALS: Final = Topic(
    name="session.signals.v1",
    key="visitor (36 characters)",
    value="relance.events.signals.Signal, JSON",
    says=("session",),
    hears=("trigger", "audience", "cli"),
    partitions=4,
)
ENDED: Final = Topic(
    name="session.ended.v1",
    key="none",
    value="Arrow batch of relance.events.signals.ENDED_SCHEMA",
    says=("session",),
    hears=("audience", "cli"),
    partitions=4,
    max_message_bytes=4_194_304,
)
SESSION_CHANGELOG: Final = Topic(
    name="session-sessions-changelog",
    key="checkpoint key",
    value="checkpoint bucket, filter segment or definitions",
    says=("session",),
    hears=("session",),
    partitions=4,
    compact=True,
    append_time=False,
    max_message_bytes=4_194_304,  # a bucket, or all definitions, must fit: a refused write ends the process
    segment_bytes=67_108_864,
    # Each save leaves the one before to the cleaner; a restore reads what it has not taken away yet.
    extra={"min.cleanable.dirty.ratio": "0.1", "segment.ms": "600000", "delete.retention.ms": "60000"},
)

MESSAGES: Final = Topic(
    name="checkout.messages.v1",
    key="order id",
    value="relance.events.messages.MessageRequest, JSON",
    says=("checkout",),
    hears=("notification",),
    partitions=4,
    retention_ms=30 * DAY_MS,  # a confirmation is due by law: an outage of notification loses none
)
ORDERS: Final = Topic(
    name="checkout.orders.v1",
    key="order id",
    value="CloudEvent of an order, JSON structured",
    says=("checkout",),
    hears=("trigger",),
    partitions=4,
    retention_ms=30 * DAY_MS,
)
OUTCOMES: Final = Topic(
    name="notification.outcomes.v1",
    key="order id",
    value="relance.events.messages.MessageOutcome, JSON",
    says=("notification",),
    hears=("checkout", "trigger"),
    partitions=4,
    retention_ms=30 * DAY_MS,
)
NOTIFICATION_DEAD_LETTERS: Final = Topic(
    name="notification.dead-letters.v1",
    key="source topic/partition/offset, or request id",
    value="original bytes; headers say why and whence",
    says=("notification",),
    hears=("cli",),
    partitions=1,
    retention_ms=30 * DAY_MS,
    max_message_bytes=2_097_152,
)

ALL: Final = (
    RAW,
    BATCHES,
    FACTS,
    SHOPS,
    TRACKING_DEAD_LETTERS,
    SESSION_DEAD_LETTERS,
    SIGNALS,
    ENDED,
    SESSION_CHANGELOG,
    MESSAGES,
    ORDERS,
    OUTCOMES,
    NOTIFICATION_DEAD_LETTERS,
)
