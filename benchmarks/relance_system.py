"""Relance as a contestant: tracking reads the raw topic, session says what has ended and what was abandoned."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from confluent_kafka import Producer

from benchmarks.answers import rows_of_relance
from benchmarks.cluster import Cluster
from benchmarks.systems import Place, Start, System
from benchmarks.workload import BIG_CART_MINOR, GAP_MS, GRACE_MS, SHOP
from relance.events.shops import Key, Shop
from relance.events.topics import ALL, BATCHES, ENDED, RAW, SHOPS, SIGNALS, Topic
from relance.rules.windows import ControlRecord, Definitions, When, Window

__all__ = ["DEFINITIONS", "RELANCE", "fresh_topics", "session_start", "tracking_start", "write_shop"]

# The gap of the rivals, and one window that fires within it for each big cart.
DEFINITIONS: Final = Definitions(
    session_gap=timedelta(milliseconds=GAP_MS),
    grace=timedelta(milliseconds=GRACE_MS),
    windows=(
        Window(
            id="cart-big",
            stage="cart",
            inactivity=timedelta(seconds=3),
            when=When(cart_total_at_least_minor=BIG_CART_MINOR),
        ),
    ),
)


_HASH_KEY: Final = "the-bench-sends-no-crafted-ids"  # one for all runs: a restart reads the same state


def tracking_start(place: Place, **settings: str) -> Start:
    """The tracking service, on free ports; `settings` are RELANCE_TRACKING_* without the prefix."""
    return _service(
        "tracking", place, {"PORT": "0", "GRPC_PORT": "0", "METRICS_PORT": "0", "RAW_METRICS_PORT": "0", **settings}
    )


def session_start(place: Place, **settings: str) -> Start:
    """The session service, as `tracking_start`."""
    return _service(
        "session",
        place,
        {"GRPC_PORT": "0", "METRICS_PORT": "0", "LOG_LEVEL": "warning", "HASH_KEY": _HASH_KEY, **settings},
    )


def _service(name: str, place: Place, settings: dict[str, str]) -> Start:
    environ = {f"RELANCE_{name.upper()}_{key}": value for key, value in {"LOG_LEVEL": "warning", **settings}.items()}
    return Start(
        name,
        (sys.executable, "-m", f"services.{name}"),
        {"RELANCE_KAFKA": place.kafka, "RELANCE_HOME": place.state, **environ},
    )


def fresh_topics(cluster: Cluster, *, keep: Sequence[Topic] = ()) -> None:
    """All of Relance's topics empty, all its groups forgotten; what is in `keep` stays."""
    kept = {topic.name for topic in keep}
    made = [topic for topic in ALL if topic.name not in kept]
    mine = {name for name in cluster.topics() if name.startswith(("tracking", "session"))} - kept
    cluster.drop(mine | {topic.name for topic in made})
    cluster.forget(
        group
        for group in cluster.groups()
        if group.startswith(("tracking", "session", "relance-tracking", "relance-session"))
    )
    for topic in made:
        cluster.make_topic(topic)


def write_shop(kafka: str, definitions: Definitions, *keys: Key) -> None:
    """The bench's shop, its definitions in the log too, before any event."""
    producer = Producer({"bootstrap.servers": kafka, "log_level": 2})
    shop = Shop(shop=SHOP, version=1, keys=keys, definitions=definitions, definitions_version=1)
    producer.produce(SHOPS.name, key=SHOP.encode(), value=msgspec.json.encode(shop))
    control = ControlRecord(shop=SHOP, version=1, definitions=definitions)
    for partition in range(BATCHES.partitions):
        producer.produce(BATCHES.name, value=msgspec.json.encode(control), partition=partition)
    producer.flush(30)


def _prepare(cluster: Cluster, place: Place) -> None:
    fresh_topics(cluster, keep=(RAW,))
    write_shop(place.kafka, DEFINITIONS)


RELANCE: Final = System(
    name="relance",
    title="Relance",
    starts=lambda place: (session_start(place), tracking_start(place)),
    prepare=_prepare,
    outputs=lambda _place: (SIGNALS.name, ENDED.name),
    groups=lambda _place: "tracking",
    rows=rows_of_relance,
    wait_ms=GAP_MS + GRACE_MS,
)
