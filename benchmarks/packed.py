"""Packed records: `tracking.batches.v1` filled with Arrow batches as tracking writes them, for many live sessions."""

import time
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Producer

from benchmarks.workload import SHOP
from relance.events.batch import ABSENT, SCHEMA
from relance.events.catalog import CODE
from relance.events.topics import BATCHES
from relance.rules.windows import Definitions, When, Window

__all__ = ["EIGHT_WINDOWS", "fill"]

ROWS: Final = 5_000
_EUR: Final = 5 << 10 | 21 << 5 | 18
_TYPES: Final = np.array(
    [CODE[name] for name in ("page.viewed", "product.list_viewed", "product.viewed", "product.viewed", "page.engaged")],
    dtype=np.uint8,
)  # fmt: skip
_CART_SHARE: Final = 0.03

# Long enough that nothing ends while the bench runs: what is measured is the work of events on many live sessions.
EIGHT_WINDOWS: Final = Definitions(
    session_gap=timedelta(minutes=30),
    windows=(
        Window(id="browse", stage="browse", inactivity=timedelta(minutes=10)),
        Window(id="product", stage="product", inactivity=timedelta(minutes=15)),
        Window(id="product-known", stage="product", inactivity=timedelta(minutes=20), when=When(known_person=True)),
        Window(id="cart", stage="cart", inactivity=timedelta(minutes=20)),
        Window(id="big", stage="cart", inactivity=timedelta(minutes=25), when=When(cart_total_at_least_minor=50_000)),
        Window(id="checkout", stage="checkout", inactivity=timedelta(minutes=10)),
        Window(id="payment", stage="payment", inactivity=timedelta(minutes=5)),
        Window(id="payment-failed", event="payment.failed", inactivity=timedelta(minutes=5)),
    ),
)  # fmt: skip

Ints = npt.NDArray[np.int64]


def fill(kafka: str, *, sessions: int, events: int | None, partitions: int, seed: int) -> None:
    """Write one event for each of `sessions` visitors in random order, or `events` events of random ones of them."""
    visitors = np.frombuffer(np.random.default_rng(seed).bytes(16 * sessions), dtype="S16")
    rng = np.random.default_rng([seed, events or 0])
    place = np.arange(sessions) % partitions  # the session service takes what its partition holds
    producer = Producer(
        {
            "bootstrap.servers": kafka, "compression.type": "lz4", "linger.ms": 20, "log_level": 2,
            "message.max.bytes": BATCHES.max_message_bytes, "queue.buffering.max.kbytes": 262_144,
        }
    )  # fmt: skip
    number = 0 if events is None else sessions  # events' ids
    for partition in range(partitions):
        own = np.flatnonzero(place == partition)
        chosen = rng.permutation(own) if events is None else rng.choice(own, size=events * len(own) // sessions)
        for first in range(0, len(chosen), ROWS):
            rows = chosen[first : first + ROWS]
            producer.produce(BATCHES.name, value=_batch(rng, visitors[rows], number), partition=partition)
            number += len(rows)
            producer.poll(0)
            while len(producer) > 200:
                producer.poll(0.05)
    if producer.flush(60):
        raise RuntimeError("the packed records did not reach Kafka")


def _batch(rng: np.random.Generator, visitors: npt.NDArray[np.bytes_], number: int) -> bytes:
    count = len(visitors)
    types = rng.choice(_TYPES, size=count)
    carts = rng.random(count) < _CART_SHARE
    types[carts] = CODE["cart.updated"]
    totals = np.where(carts, rng.integers(1_000, 100_000, size=count), ABSENT)
    product = np.isin(types, [CODE["product.viewed"]])
    ids = np.arange(number, number + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    empty = np.zeros(count, dtype=np.uint16)
    columns = {
        "visitor": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(visitors.tobytes())]),
        "shop": pa.DictionaryArray.from_arrays(np.zeros(count, dtype=np.int32), pa.array([SHOP])),
        "type": types,
        "time": np.full(count, int(time.time() * 1000)),
        "arrival": np.full(count, ABSENT),
        "event_hash": ids,
        "cart_hash": np.where(carts, ids, np.uint64(0)),
        "total_minor": totals,
        "value_minor": totals,
        "top_price_minor": totals,
        "items": np.where(carts, 1, -1).astype(np.int32),
        "currency": np.where(carts, _EUR, 0).astype(np.uint16),
        "device": np.full(count, 2, dtype=np.uint8),
        "flags": np.full(count, 6, dtype=np.uint8),
        "consent_granted": empty,
        "consent_denied": empty,
        "product": _PRODUCTS.take(np.where(product, rng.integers(1, 1001, size=count), 0)),
        "page": _PAGES.take(np.where(product, 0, rng.integers(1, 201, size=count))),
        "campaign": _PAGES.take(np.zeros(count, dtype=np.int64)),
    }
    batch = pa.record_batch(
        [pa.array(column, type=SCHEMA.field(name).type) for name, column in columns.items()], schema=SCHEMA
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


_PRODUCTS: Final = pa.array(["", *(f"p-{number:06d}" for number in range(1000))])
_PAGES: Final = pa.array(["", *(f"/c/{number:06d}" for number in range(200))])
