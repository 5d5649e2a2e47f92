"""Rows: what an event says to the session service, as one line of 64-bit integers, and rows turned into Arrow columns.

Rows are written event by event and read column by column. One array of whole lines makes both cheap: many small arrays
(one a request) join with a single copy, and a column is a strided read. Strings stand apart, in row order.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from relance.events.batch import SCHEMA

__all__ = ["WIDTH", "Order", "Rows", "gather_strings", "join", "record_bytes", "sizes_bytes", "to_batch"]

Rows = npt.NDArray[np.int64]
"""Shape (events, WIDTH)."""
Order = npt.NDArray[np.int64]
"""Row numbers."""

VISITOR_A: Final = 0  # the visitor's 16 bytes in network order, as two words
VISITOR_B: Final = 1
SHOP: Final = 2  # code of `shops.ShopTable`
TYPE: Final = 3
TIME: Final = 4
ARRIVAL: Final = 5
EVENT_HASH: Final = 6
CART_HASH: Final = 7
TOTAL: Final = 8
VALUE: Final = 9
TOP_PRICE: Final = 10
ITEMS: Final = 11
CURRENCY: Final = 12
DEVICE: Final = 13
FLAGS: Final = 14
GRANTED: Final = 15
DENIED: Final = 16
PARTITION_HASH: Final = 17  # murmur2 of the visitor, 31 bits
STRINGS_AT: Final = 18  # where this row's strings begin: product, page, campaign, without gaps
PRODUCT_BYTES: Final = 19
PAGE_BYTES: Final = 20
CAMPAIGN_BYTES: Final = 21
WIDTH: Final = 22

_PLAIN: Final = (
    ("type", TYPE, np.uint8),
    ("time", TIME, np.int64),
    ("arrival", ARRIVAL, np.int64),
    ("event_hash", EVENT_HASH, np.uint64),
    ("cart_hash", CART_HASH, np.uint64),
    ("total_minor", TOTAL, np.int64),
    ("value_minor", VALUE, np.int64),
    ("top_price_minor", TOP_PRICE, np.int64),
    ("items", ITEMS, np.int32),
    ("currency", CURRENCY, np.uint16),
    ("device", DEVICE, np.uint8),
    ("flags", FLAGS, np.uint8),
    ("consent_granted", GRANTED, np.uint16),
    ("consent_denied", DENIED, np.uint16),
)
_FIXED_BYTES: Final = 104  # of a row's numbers, its visitor and shop, and the ends of its strings
NUMBERS: Final = tuple((name, column) for name, column, _ in _PLAIN if name != "arrival")
_BARE_SCHEMA: Final = pa.schema(
    [pa.field(f.name, f.type, nullable=False) for f in SCHEMA], metadata=SCHEMA.metadata
)  # the reasons of the columns are for readers of the code: they would double a small record


@njit(nogil=True, cache=True)
def gather_strings(rows: Any, order: Any, strings: Any, field: int) -> Any:
    """Offsets and bytes of the strings counted in column `field` (product, page or campaign bytes), rows in `order`."""
    count = order.shape[0]
    offsets = np.empty(count + 1, np.int32)
    offsets[0] = 0
    for number in range(count):
        offsets[number + 1] = offsets[number] + rows[order[number], field]
    data = np.empty(offsets[count], np.uint8)
    for number in range(count):
        row = order[number]
        size = rows[row, field]
        if size:
            source = rows[row, STRINGS_AT]
            for before in range(PRODUCT_BYTES, field):
                source += rows[row, before]
            target = offsets[number]
            for place in range(size):
                data[target + place] = strings[source + place]
    return offsets, data


def sizes_bytes(rows: Rows) -> npt.NDArray[np.int64]:
    """About how many bytes each row adds to a record."""
    return _FIXED_BYTES + rows[:, PRODUCT_BYTES : CAMPAIGN_BYTES + 1].sum(axis=1)


def join(parts: Sequence[tuple[Rows, bytes]]) -> tuple[Rows, bytes]:
    """Rows and strings of several encodings as one, in order; the given arrays stay as they are."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part[0] for part in parts])
    sizes = np.array([len(part[1]) for part in parts], np.int64)
    counts = [len(part[0]) for part in parts]
    rows[:, STRINGS_AT] += np.repeat(np.cumsum(sizes) - sizes, counts)
    return rows, b"".join([part[1] for part in parts])


@njit(nogil=True, cache=True)
def _transpose(rows: Any, order: Any, places: Any, visitor: Any, shop: Any, kind: Any, time: Any, arrival: Any,
               event_hash: Any, cart_hash: Any, total: Any, value: Any, top_price: Any, items: Any, currency: Any,
               device: Any, flags: Any, granted: Any, denied: Any) -> int:  # fmt: skip
    """Rows, in `order`, to columns in one pass; the number of shops.

    `places` (by shop code, -1 at first) gets the shops' places.
    """
    shops = 0
    for number in range(order.shape[0]):
        row = rows[order[number]]
        visitor[number, 0] = row[VISITOR_A]
        visitor[number, 1] = row[VISITOR_B]
        if places[row[SHOP]] < 0:
            places[row[SHOP]] = shops
            shops += 1
        shop[number] = places[row[SHOP]]
        kind[number] = row[TYPE]
        time[number] = row[TIME]
        arrival[number] = row[ARRIVAL]
        event_hash[number] = row[EVENT_HASH]
        cart_hash[number] = row[CART_HASH]
        total[number] = row[TOTAL]
        value[number] = row[VALUE]
        top_price[number] = row[TOP_PRICE]
        items[number] = row[ITEMS]
        currency[number] = row[CURRENCY]
        device[number] = row[DEVICE]
        flags[number] = row[FLAGS]
        granted[number] = row[GRANTED]
        denied[number] = row[DENIED]
    return shops


def to_batch(rows: Rows, strings: bytes, shops: Sequence[str], order: Order | None = None) -> pa.RecordBatch:
    """One Arrow batch of the rows numbered in `order`, or of all; `shops` maps a row's shop code to its name."""
    if order is None:
        order = np.arange(len(rows))
    count = len(order)
    visitor = np.empty((count, 2), np.int64)
    places = np.full(len(shops), -1, np.int32)
    shop = np.empty(count, np.int32)
    plain = [np.empty(count, kind) for _, _, kind in _PLAIN]
    used = _transpose(rows, order, places, visitor, shop, *plain)
    names = [""] * used
    for code in np.flatnonzero(places >= 0).tolist():
        names[places[code]] = shops[code]
    columns: dict[str, pa.Array] = {
        name: pa.Array.from_buffers(_BARE_SCHEMA.field(name).type, count, [None, pa.py_buffer(column)])
        for (name, _, _), column in zip(_PLAIN, plain, strict=True)
    }
    columns["visitor"] = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(visitor)])
    columns["shop"] = pa.DictionaryArray.from_arrays(pa.array(shop), pa.array(names, pa.utf8()), safe=False)
    text = np.frombuffer(strings, np.uint8)
    for name, column in (("product", PRODUCT_BYTES), ("page", PAGE_BYTES), ("campaign", CAMPAIGN_BYTES)):
        offsets, data = gather_strings(rows, order, text, column)
        columns[name] = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
    return pa.RecordBatch.from_arrays([columns[name] for name in _BARE_SCHEMA.names], schema=_BARE_SCHEMA)


def record_bytes(batch: pa.RecordBatch) -> bytes:
    """The batch as the Arrow IPC stream that one record of `tracking.batches.v1` is."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())
