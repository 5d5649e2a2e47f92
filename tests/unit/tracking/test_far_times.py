"""Times at the ends of the calendar: one event that cannot be told must not spoil the batch of the others."""

import json

import pytest

from relance.kafka.machine import Checkpoint, Record
from services.session.topology import SessionFactory
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.rows import record_bytes, to_batch
from services.tracking.domain.shops import ShopTable

NOW_MS = 1_780_000_000_000
BEYOND = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")  # in UTC the years 0 and 10000
WITHIN = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z")


def event(time: str, visitor: str) -> bytes:
    attributes = {"specversion": "1.0", "id": time + visitor, "source": "/shops/demo", "type": "page.viewed"}
    return json.dumps(attributes | {"time": time, "visitorid": visitor, "data": {"page": "/"}}).encode()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(ShopTable(["demo"]))


@pytest.mark.parametrize("time", BEYOND)
@pytest.mark.parametrize("visitor", ["b0c3b0c3-0000-4000-8000-000000000001", "no uuid"])
def test_a_time_beyond_the_calendar_is_refused_alone(encoder: Encoder, time: str, visitor: str) -> None:
    values = [event(time, visitor), event("2026-05-01T10:00:00Z", visitor)]
    encoded = encoder.encode(values, received_ms=NOW_MS, shop="demo")
    assert [(one.index, one.problems[0].path) for one in encoded.refusals] == [(0, "time")]
    assert list(encoded.index) == [1]


@pytest.mark.parametrize("time", WITHIN)
def test_what_tracking_takes_the_session_service_applies(encoder: Encoder, time: str) -> None:
    encoded = encoder.encode([event(time, "no uuid")], received_ms=NOW_MS, shop="demo")
    assert not encoded.refusals
    record = record_bytes(to_batch(encoded.rows, encoded.strings, encoded.shops))
    machine = SessionFactory(16).restore(0, Checkpoint(offset=-1, stream_ms=-1, buckets=(), pieces=()))
    machine.apply(Record(0, NOW_MS, record))
    counts = machine.engine.counts
    assert counts["applied"] + counts["late"] == 1
