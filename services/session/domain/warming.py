"""Compiles, or loads from the cache, every kernel that the service calls, so that the first event does not wait."""

from datetime import timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from relance.events.batch import SCHEMA
from relance.events.catalog import CODE
from relance.rules.windows import Definitions, Window
from services.session.domain.engine import Engine

__all__ = ["warm"]

_MINUTE: Final = timedelta(minutes=1)


def _batch() -> pa.RecordBatch:
    """Two visitors' product views, as they come out of an IPC stream."""
    columns = []
    for field in SCHEMA:
        if field.name == "visitor":
            columns.append(pa.array([b"\0" * 15 + b"\1", b"\0" * 15 + b"\2"], field.type))
        elif pa.types.is_dictionary(field.type):
            columns.append(pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), pa.array(["warm"])))
        elif pa.types.is_string(field.type):
            columns.append(pa.array(["", "/"], pa.utf8()))
        else:
            values = {"type": [CODE["product.viewed"], CODE["payment.failed"]], "event_hash": [1, 2]}
            columns.append(pa.array(values.get(field.name, [0, 0]), field.type))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def warm() -> None:
    """Run a small story through an engine of its own. Takes seconds when nothing is cached, else half a second."""
    engine = Engine(buckets=1)
    windows = (
        Window(id="stage", stage="product", inactivity=_MINUTE),
        Window(id="event", event="payment.failed", inactivity=_MINUTE),
    )
    engine.define(0, "*", 1, Definitions(windows=windows))
    engine.apply(_batch(), 0)
    engine.define(1, "*", 2, Definitions(windows=windows[:1]))
    engine.next_deadline()
    saved = engine.snapshot(0)
    restored = Engine(buckets=1)
    restored.start_at(1)
    restored.recall(np.array([1], np.uint64), np.array([0], np.uint32), ["warm"], 1)
    restored.join(saved)
    signals = restored.advance(100_000_000)
    signals.to_signals()
    signals.to_ended_batch()
