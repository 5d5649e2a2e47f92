"""No record, fact or packed buffer is larger than Kafka or the compiled reader bears."""

import json
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry

from services.tracking.domain.columnar import Encoder, buffer_for
from services.tracking.domain.rows import to_batch
from services.tracking.domain.shops import ShopTable
from services.tracking.metrics import Metrics
from services.tracking.topology.publisher import Limits, Publisher

VISITOR = "0d9b6c1e-93b5-4f1a-8f9f-0b1f5f5f7a11"


def event(number: int, **more: Any) -> bytes:
    told = {
        "specversion": "1.0", "id": f"e-{number}", "source": "/shops/demo", "type": "page.viewed",
        "time": "2026-11-22T10:00:00.000Z", "visitorid": VISITOR, "data": {"page": f"/{number}"},
    } | more  # fmt: skip
    return json.dumps(told).encode()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(ShopTable(["demo"]))


def publisher(**limits: int) -> Publisher:
    nowhere = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    return Publisher(nowhere, Limits(**limits), Metrics(CollectorRegistry()))


def test_a_few_large_rows_among_small_ones_do_not_make_a_record_too_large() -> None:
    sizes = np.full(1_000, 100, np.int64)
    sizes[490:500] = 90_000
    parts = publisher(batch_bytes_max=200_000)._slices(sizes, None)
    assert all(part is not None and sizes[part].sum() <= 200_000 for part in parts)
    assert np.concatenate([part for part in parts if part is not None]).tolist() == list(range(1_000))


def test_a_row_above_the_bound_has_a_record_of_its_own() -> None:
    order = np.array([4, 1, 3], np.int64)
    parts = publisher(batch_bytes_max=1_000)._slices(np.array([0, 5_000, 0, 500, 400], np.int64), order)
    assert [part.tolist() for part in parts if part is not None] == [[4], [1], [3]]


def test_rows_are_shared_out_evenly() -> None:
    parts = publisher(batch_events_max=5_000)._slices(np.full(5_030, 100, np.int64), None)
    assert [len(part) for part in parts if part is not None] == [2_515, 2_515]


def test_what_fits_stays_as_it_is() -> None:
    order = np.array([2, 0], np.int64)
    assert publisher()._slices(np.full(3, 100, np.int64), order) == [order]


def test_a_fact_too_large_for_its_topic_is_refused_with_its_row(encoder: Encoder) -> None:
    large = event(1, type="cart.viewed", data={"cart_id": "c"}, note="x" * 1_100_000)
    small = event(2, type="cart.viewed", data={"cart_id": "c"})
    encoded = encoder.encode([small, large, event(3)], received_ms=0)
    assert [refusal.index for refusal in encoded.refusals] == [1]
    assert "is larger than" in encoded.refusals[0].problems[0].reason
    assert encoded.fact_values == [small]
    assert list(encoded.index) == [0, 2]
    assert len(encoded.rows) == 2


def test_packed_events_are_what_single_ones_are(encoder: Encoder) -> None:
    events = [
        event(1), event(2, type="cart.viewed", data={"cart_id": "c"}), b"{", event(4, visitorid=None),
        event(5, visitorid="phone-1", data={"page": "/\u00e4\\"}),
    ]  # fmt: skip
    buffer = buffer_for(4_096)
    for _ in range(2):  # the second time over what the first left behind
        spans, at = [], 0
        for value in events:
            buffer[at : at + len(value)] = np.frombuffer(value, np.uint8)
            spans.append((at, at + len(value)))
            buffer[at + len(value)] = 0
            at += len(value) + 1
        packed = encoder.encode_packed(buffer, np.array(spans, np.int64), 0, 7)
        single = encoder.encode(events, received_ms=0, arrival_ms=7)
        assert packed.fact_values[-len(single.fact_values) :] == single.fact_values
        assert [refusal.index for refusal in packed.refusals] == [refusal.index for refusal in single.refusals] == [2]
        assert to_batch(packed.rows, packed.strings, packed.shops).equals(
            to_batch(single.rows, single.strings, single.shops)
        )
        events.reverse()
        events.sort(key=lambda value: value == b"{")
        events.insert(2, events.pop())


def test_a_buffer_is_kept_while_it_is_large_enough() -> None:
    first = buffer_for(10_000)
    assert buffer_for(9_000, first) is first
    assert len(buffer_for(1_000_000, first)) > 1_000_000
