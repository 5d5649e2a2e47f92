"""Checkpoint buckets: the rows of a range of hashes, out of the tables and back into them.

A value stands alone: zstd over a JSON head (shops, window ids and origins as text) and the columns of rows and nodes,
bytes transposed so that the high bytes of times compress away.
"""

from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from relance.kernel.errors import Defect
from services.session.domain.firing import next_due, take_node
from services.session.domain.index import home_of, insert, key_hash, take_row
from services.session.domain.interning import Interned
from services.session.domain.layout import NODE, ROW, SCHEDULED, Tables
from services.session.domain.origins import Texts, intern_texts, texts_of
from services.session.domain.packing import pack, unpack, unpacked_bytes
from services.session.domain.wheel import schedule

__all__ = ["FORMAT", "Bucket", "decode", "encode", "enter", "gather", "rows_at_most"]

FORMAT: Final = 2


def _saved_bytes(kind: np.dtype[Any], left_out: tuple[str, ...]) -> NDArray[np.int64]:
    """Places within a record of the bytes that are saved, field by field."""
    fields = [kind.fields[name] for name in kind.names or () if name not in left_out] if kind.fields else []
    return np.concatenate([np.arange(field[1], field[1] + field[0].itemsize) for field in fields])


_ROW_SAVED: Final = _saved_bytes(ROW, ("sched", "nodes"))
_NODE_SAVED: Final = _saved_bytes(NODE, ("next", "pad"))
_COUNT: Final = np.dtype("i4")
_COUNT_SAVED: Final = np.arange(_COUNT.itemsize)
_ROW_BYTES: Final = len(_ROW_SAVED) + _COUNT.itemsize


class Bucket(msgspec.Struct, frozen=True):
    """A decoded bucket: rows and nodes with numbers into its own lists of words; `counts`: nodes of each row."""

    rows: NDArray[np.void]
    nodes: NDArray[np.void]
    counts: NDArray[np.int32]
    shops: list[str]
    names: list[str]
    origins: Texts
    key: str  # digest of the hash key that chose the bucket of each row


@njit(cache=True)
def _find_rows(t: Tables, bucket: int, buckets: int, found: NDArray[np.int64]) -> int:
    """Rows whose hash lies in the bucket, by slot; returns how many there are; `found` gets what it can take."""
    size = len(t.tags)
    per_bucket = size // buckets
    slot = bucket * per_bucket
    n = 0
    walked = 0
    while walked < size and (walked < per_bucket or t.tags[slot] != 0):
        if t.tags[slot] != 0:
            r = np.int64(t.slots[slot])
            row = t.rows[r]
            h = key_hash(row.hi, row.lo, t.shop_key[row.shop])
            if home_of(h, buckets) == bucket:
                if n < len(found):
                    found[n] = r
                n += 1
        walked += 1
        slot = slot + 1 if slot + 1 < size else 0
    return n


@njit(cache=True)
def _count_nodes(t: Tables, found: NDArray[np.int64], counts: NDArray[np.int32]) -> int:
    total = 0
    for k in range(len(found)):
        count = 0
        n = np.int64(t.rows[found[k]].nodes)
        while n >= 0:
            count += 1
            n = np.int64(t.nodes[n].next)
        counts[k] = count
        total += count
    return total


@njit(cache=True)
def _copy_nodes(t: Tables, found: NDArray[np.int64], out: NDArray[np.void]) -> None:
    at = 0
    for k in range(len(found)):
        n = np.int64(t.rows[found[k]].nodes)
        while n >= 0:
            out[at].t = t.nodes[n].t
            out[at].name = t.nodes[n].name
            out[at].kind = t.nodes[n].kind
            at += 1
            n = np.int64(t.nodes[n].next)


def gather(t: Tables, bucket: int, buckets: int) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.int32]]:
    """(rows, nodes, node counts) of a bucket, as copies; the numbers in them are still the tables' own."""
    found = np.empty(1024, np.int64)
    n = _find_rows(t, bucket, buckets, found)
    if n > len(found):
        found = np.empty(n, np.int64)
        _find_rows(t, bucket, buckets, found)
    found = found[:n]
    counts = np.zeros(n, np.int32)
    total = _count_nodes(t, found, counts)
    nodes = np.zeros(total, NODE)
    if total:
        _copy_nodes(t, found, nodes)
    return t.rows[found], nodes, counts


def _compact(column: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The numbers that occur, and the column with places among them; negative numbers stay."""
    present = np.unique(column[column >= 0])
    return present, np.where(column >= 0, np.searchsorted(present, column), column).astype(column.dtype)


def _renumber(column: NDArray[Any], words: list[str]) -> tuple[NDArray[Any], list[str]]:
    """The column with numbers into the list of only those words that occur; negative numbers stay."""
    present, fresh = _compact(column)
    return fresh, [words[number] for number in present]


def encode(
    gathered: tuple[NDArray[np.void], NDArray[np.void], NDArray[np.int32]],
    shops: list[str],
    names: list[str],
    t: Tables,
    key: str,
) -> bytes:
    """The value of a bucket; lists and tables say what the numbers in rows and nodes mean."""
    rows, nodes, counts = gathered
    if not len(rows):
        return _EMPTY
    rows["state"] &= np.uint16(0xFFFF ^ SCHEDULED)
    shop_column, shop_words = _renumber(rows["shop"].astype(np.int64), shops)
    present, origin_column = _compact(rows["origin"])
    origins = texts_of(t.origins, t.origin_text, present)
    name_column, name_words = _renumber(nodes["name"], names)
    rows["shop"] = shop_column
    rows["origin"] = origin_column
    nodes["name"] = name_column
    head = msgspec.json.encode(
        {
            "rows": len(rows),
            "nodes": len(nodes),
            "shops": shop_words,
            "names": name_words,
            "origins": len(present),
            "key": key,
        }
    )
    parts = [_transposed(rows, _ROW_SAVED), _transposed(counts, _COUNT_SAVED), _transposed(nodes, _NODE_SAVED)]
    return _pack([head, *parts, *(column.tobytes() for column in origins)])


def _pack(parts: list[bytes]) -> bytes:
    return pack(FORMAT, b"".join([len(parts[0]).to_bytes(4, "big"), *parts]))


_EMPTY: Final = _pack([msgspec.json.encode({"rows": 0, "nodes": 0, "shops": [], "names": [], "origins": 0, "key": ""})])


def _transposed(records: NDArray[Any], saved: NDArray[np.int64]) -> bytes:
    """All first bytes, then all second bytes, and so on."""
    return records.view(np.uint8).reshape(len(records), records.itemsize)[:, saved].T.tobytes()


def _restored(
    body: memoryview, at: int, n: int, kind: np.dtype[Any], saved: NDArray[np.int64]
) -> tuple[NDArray[Any], int]:
    end = at + n * len(saved)
    records = np.zeros(n, kind)
    planes = np.frombuffer(body[at:end], np.uint8).reshape(len(saved), n)
    records.view(np.uint8).reshape(n, kind.itemsize)[:, saved] = planes.T
    return records, end


def rows_at_most(value: bytes) -> int:
    """How many rows a bucket may have, without decoding it; a little more than it has."""
    return unpacked_bytes(value) // _ROW_BYTES


def _texts(body: memoryview, at: int, n: int) -> Texts:
    pages = np.frombuffer(body, np.uint16, n, at)
    campaigns = np.frombuffer(body, np.uint16, n, at + 2 * n)
    size = int(pages.sum(dtype=np.int64) + campaigns.sum(dtype=np.int64))
    return Texts(pages, campaigns, np.frombuffer(body, np.uint8, size, at + 4 * n))


def decode(value: bytes) -> Bucket:
    """The inverse of `encode`. Raises Defect for an unknown format and for bytes that make no sense."""
    try:
        body = memoryview(unpack(FORMAT, value, "bucket"))
        head_size = int.from_bytes(body[:4], "big")
        head = msgspec.json.decode(body[4 : 4 + head_size])
        at = 4 + head_size
        rows, at = _restored(body, at, head["rows"], ROW, _ROW_SAVED)
        counts, at = _restored(body, at, len(rows), _COUNT, _COUNT_SAVED)
        nodes, at = _restored(body, at, head["nodes"], NODE, _NODE_SAVED)
        origins = _texts(body, at, head["origins"])
    except (msgspec.DecodeError, pa.ArrowException, OSError, ValueError, KeyError) as error:
        message = f"bucket cannot be read: {error}"
        raise Defect(message) from error
    return Bucket(
        rows=rows, nodes=nodes, counts=counts, shops=head["shops"], names=head["names"], origins=origins,
        key=head["key"],
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _enter_rows(t: Tables, rows: NDArray[np.void], nodes: NDArray[np.void], counts: NDArray[np.int32]) -> None:
    at = 0
    for k in range(len(rows)):
        r = take_row(t)
        t.rows[r] = rows[k]
        t.rows[r].nodes = np.int32(-1)
        for n in range(at + counts[k] - 1, at - 1, -1):
            take_node(t, r, nodes[n].kind, nodes[n].name, nodes[n].t)
        at += counts[k]
        row = t.rows[r]
        insert(t, key_hash(row.hi, row.lo, t.shop_key[row.shop]), r)
        schedule(t, r, next_due(t, r))


def enter(t: Tables, bucket: Bucket, shops: Interned, names: Interned) -> None:
    """Put a decoded bucket's rows into the tables, which must have room."""
    rows, nodes = bucket.rows, bucket.nodes
    shop_numbers = np.array([shops.intern(word) for word in bucket.shops] or [0], np.uint32)
    name_numbers = np.array([names.intern(word) for word in bucket.names] or [0], np.int32)
    origin_numbers = intern_texts(t, bucket.origins)
    rows["shop"] = shop_numbers[rows["shop"]]
    has = rows["origin"] >= 0
    rows["origin"][has] = origin_numbers[rows["origin"][has]]
    nodes["name"] = np.where(nodes["name"] >= 0, name_numbers[np.maximum(nodes["name"], 0)], -1)
    _enter_rows(t, rows, nodes, bucket.counts)
