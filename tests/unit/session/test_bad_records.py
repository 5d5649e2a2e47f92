"""Records that the session service must not take: each is a BadRecord, and never the end of the process."""

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from relance.events.batch import SCHEMA
from relance.kafka.machine import BadRecord, Checkpoint, Record
from services.session.topology import SessionFactory, SessionMachine

HUGE = 2**64


@pytest.fixture
def machine() -> SessionMachine:
    return SessionFactory(16).restore(0, Checkpoint(offset=-1, stream_ms=-1, buckets=(), pieces=()))


def column(field: pa.Field, shop: str | None) -> pa.Array:
    if field.name == "visitor":
        return pa.array([bytes(16)], field.type)
    if field.name == "shop":
        return pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array([shop], pa.utf8()))
    return pa.array([""] if pa.types.is_string(field.type) else [1], field.type)


def stream(shop: str | None, batches: int) -> bytes:
    batch = pa.RecordBatch.from_arrays([column(field, shop) for field in SCHEMA], schema=SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as writer:
        for _ in range(batches):
            writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def test_one_batch_of_a_named_shop_is_taken(machine: SessionMachine) -> None:
    machine.apply(Record(0, 1_000, stream("demo", 1)))
    assert machine.engine.live == 1


@pytest.mark.parametrize(("shop", "batches"), [(None, 1), ("demo", 2), ("demo", 0)])
def test_other_streams_are_bad_records(machine: SessionMachine, shop: str | None, batches: int) -> None:
    with pytest.raises(BadRecord):
        machine.apply(Record(0, 1_000, stream(shop, batches)))
    assert machine.stream_ms == -1


def window(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "inactivity": "PT1S", **fields}


@pytest.mark.parametrize(
    "definitions",
    [
        {"windows": [window(f"w{place}", stage="cart") for place in range(65)]},
        {"windows": [window("twice", stage="cart"), window("twice", stage="browse")]},
        {"windows": [window("neither")]},
        {"windows": [window("unknown", event="no.such")]},
        {"windows": [window("channel", stage="cart", when={"consent": "telex"})]},
        {"windows": [window("large", stage="cart", when={"cart_total_at_least_minor": HUGE})]},
        {"session_gap": "-PT1S"},
        {"grace": "P10000D"},
    ],
)
def test_definitions_that_no_file_may_hold_are_bad_records(machine: SessionMachine, definitions: Any) -> None:
    control = {"kind": "definitions", "shop": "*", "version": 1, "definitions": definitions}
    with pytest.raises(BadRecord):
        machine.apply(Record(0, 1_000, msgspec.json.encode(control)))
    assert machine.version("*") == -1
