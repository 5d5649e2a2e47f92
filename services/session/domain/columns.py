"""An Arrow batch as the arrays that kernels read, without copying where Arrow allows it."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relance.events.batch import SCHEMA
from relance.kernel.errors import InputError
from services.session.domain.interning import Interned
from services.session.domain.layout import Columns

__all__ = ["to_columns"]


def _words(batch: pa.RecordBatch) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    column = batch.column(0)
    raw = np.frombuffer(column.buffers()[1], np.uint8)[16 * column.offset : 16 * (column.offset + len(column))]
    words = raw.view(">u8").reshape(-1, 2)
    return words[:, 0].astype(np.uint64), words[:, 1].astype(np.uint64)


def _offsets(column: pa.Array) -> NDArray[np.int32]:
    return _fixed(np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1])


def _text(column: pa.Array) -> NDArray[np.uint8]:
    data = column.buffers()[2]
    return _fixed(np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8))


def _fixed(column: NDArray[Any]) -> NDArray[Any]:
    """Read-only, as Arrow's own are: kernels are compiled once for each kind of array."""
    column = column.view()
    column.flags.writeable = False
    return column


def to_columns(batch: pa.RecordBatch, shops: Interned, append_ms: int | NDArray[np.int64]) -> Columns:
    """Arrays of the batch; `append_ms` is one instant or one a row. Raises InputError if the schema is another."""
    if not batch.schema.equals(SCHEMA):
        message = "the batch has not the schema of relance.events.batch"
        raise InputError(message)
    n = batch.num_rows  # not 0: an empty Arrow array may have no buffers
    hi, lo = _words(batch)
    shop = batch.column(1)
    numbers = np.array([shops.intern(word) for word in shop.dictionary.to_pylist()] or [0], np.int32)
    plain = [_fixed(np.asarray(batch.column(k))) for k in range(2, 16)]
    kind, time, arrival, event_hash, _cart, total, value, top, items, currency, device, flags, granted, denied = plain
    return Columns(
        hi=hi,
        lo=lo,
        shop=numbers[np.asarray(shop.indices)],
        type=kind,
        time=time,
        arrival=arrival,
        event_hash=event_hash,
        total=total,
        value=value,
        top_price=top,
        items=items,
        currency=currency,
        device=device,
        flags=flags,
        granted=granted,
        denied=denied,
        page=_offsets(batch.column(17)),
        page_text=_text(batch.column(17)),
        campaign=_offsets(batch.column(18)),
        campaign_text=_text(batch.column(18)),
        append=np.full(n, append_ms, np.int64) if isinstance(append_ms, int) else append_ms,
    )
