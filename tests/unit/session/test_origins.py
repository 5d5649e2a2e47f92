"""Landing pages are kept as long as their sessions live, and no longer: there is no end of them."""

from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from relance.events.batch import ABSENT, SCHEMA
from relance.events.catalog import CODE
from services.session.domain import engine as module
from services.session.domain.engine import Engine
from services.session.domain.live import look_up

HOUR_MS = 3_600_000
START_MS = 1_780_000_000_000


def views(numbers: range, at_ms: int) -> pa.RecordBatch:
    """One page view of each visitor, each of a page of its own."""
    count = len(numbers)
    own = {
        "visitor": pa.array([UUID(int=number).bytes for number in numbers], pa.binary(16)),
        "shop": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["demo"], pa.utf8())),
        "type": pa.array([CODE["page.viewed"]] * count, pa.uint8()),
        "time": pa.array([at_ms] * count, pa.int64()),
        "arrival": pa.array([ABSENT] * count, pa.int64()),
        "event_hash": pa.array(np.array(numbers, np.uint64) + np.uint64(at_ms)),
        "items": pa.array([-1] * count, pa.int32()),
        "page": pa.array([f"/{number}" for number in numbers], pa.utf8()),
    }
    columns = [
        own[field.name] if field.name in own
        else pa.array([""] * count, field.type) if pa.types.is_string(field.type)
        else pa.array([0] * count, field.type)
        for field in SCHEMA
    ]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def test_origins_of_sessions_that_ended_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORIGINS_KEPT", 100)
    engine = Engine(16)
    pages: list[str | None] = []
    for turn in range(20):
        at_ms = START_MS + turn * HOUR_MS
        said = engine.apply(views(range(turn * 50, turn * 50 + 50), at_ms), at_ms)
        pages += said.to_ended_batch().column("landing_page").to_pylist() if len(said) else []
        assert len(engine.tables.origins) <= 1_024
    assert sorted(pages, key=str) == sorted([f"/{number}" for number in range(950)], key=str)
    for number in range(950, 1_000):
        found = look_up(engine, "demo", UUID(int=number))
        assert found is not None
        assert found.landing_page == f"/{number}"
