"""The tables of one partition: made small, made larger when a kernel says that it lacks room."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.session.domain.index import reindex
from services.session.domain.layout import ABSENT, DEFINITION, NODE, ORIGIN, OUT, ROW, WINDOW, Register, Tables
from services.session.domain.origins import rebuild as rebuild_origins
from services.session.domain.running import AHEAD, OUT_ROOM, ROOM, TEXT_ROOM
from services.session.domain.seen import rebuild
from services.session.domain.wheel import CHUNK, SLOTS

__all__ = ["fresh", "make_room", "reserve_lists", "reserve_origins", "reserve_rows", "reserve_seen", "state_bytes"]

_START_ROWS: Final = 1024
_START_NODES: Final = 1024
_START_CHUNKS: Final = 1024
_START_SEEN: Final = 1 << 14
_MAX_SEEN: Final = 1 << 22
_SEEN_GROWTH: Final = 8  # each time all ids are entered again, at random places
_START_ORIGINS: Final = 1024
_START_TEXT: Final = 1 << 16


def fresh(buckets: int, seed: int) -> Tables:
    """Empty tables; the index has a multiple of `buckets` slots, so that a bucket is a range of slots."""
    reg = np.zeros(Register.SIZE, np.int64)
    reg[[Register.STREAM]] = ABSENT
    reg[Register.SEED] = seed
    reg[[Register.ROW_FREE, Register.NODE_FREE, Register.CHUNK_FREE, Register.CHUNK]] = -1
    reg[Register.NODE_LEFT] = _START_NODES
    reg[Register.CHUNK_LEFT] = _START_CHUNKS
    slots = -(-2 * _START_ROWS // buckets) * buckets
    return Tables(
        reg=reg,
        rows=np.empty(_START_ROWS, ROW),
        tags=np.zeros(slots, np.uint8),
        slots=np.empty(slots, np.uint32),
        heads=np.full(SLOTS, -1, np.int32),
        chunk_items=np.empty((_START_CHUNKS, CHUNK), np.int32),
        chunk_next=np.empty(_START_CHUNKS, np.int32),
        chunk_n=np.empty(_START_CHUNKS, np.int32),
        nodes=np.empty(_START_NODES, NODE),
        definitions=np.zeros(1, DEFINITION),
        windows=np.zeros(1, WINDOW),
        shop_definition=np.zeros(1, np.int32),
        shop_key=np.zeros(1, np.uint64),
        joined=np.full(buckets, -1, np.int64),
        seen_hash=np.empty(_START_SEEN, np.uint64),
        seen_shop=np.empty(_START_SEEN, np.uint32),
        seen_at=np.empty(_START_SEEN, np.int64),
        seen_tags=np.zeros(2 * _START_SEEN, np.uint8),
        seen_slots=np.empty(2 * _START_SEEN, np.uint32),
        out=np.empty(2 * OUT_ROOM, OUT),
        aux=np.empty(2 * OUT_ROOM, np.int32),
        origins=np.empty(_START_ORIGINS, ORIGIN),
        origin_slots=np.zeros(2 * _START_ORIGINS, np.uint32),
        origin_text=np.empty(_START_TEXT, np.uint8),
        ahead=np.empty(AHEAD, np.uint32),
    )


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    larger = np.empty((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def reserve_seen(t: Tables, ids: int) -> Tables:
    """A ring with room for so many ids, or for as many as the filter ever keeps."""
    size = len(t.seen_hash)
    while size < min(ids, _MAX_SEEN):
        size *= 2
    return t if size == len(t.seen_hash) else _with_seen(t, size)


def _with_seen(t: Tables, size: int) -> Tables:
    """A ring of that size; positions stay, so the entries move to their places in it."""
    positions = np.arange(t.reg[Register.SEEN_HEAD], t.reg[Register.SEEN_TAIL])
    old, new = positions & (len(t.seen_hash) - 1), positions & (size - 1)
    ring: dict[str, NDArray[Any]] = {}
    for name in ("seen_hash", "seen_shop", "seen_at"):
        column = getattr(t, name)
        ring[name] = np.empty(size, column.dtype)
        ring[name][new] = column[old]
    t = t._replace(**ring, seen_tags=np.zeros(2 * size, np.uint8), seen_slots=np.empty(2 * size, np.uint32))
    rebuild(t)
    return t


def reserve_rows(t: Tables, wanted: int) -> Tables:
    """Room for `wanted` live sessions in rows and index."""
    if wanted > len(t.rows):
        t = t._replace(rows=_grown(t.rows, max(wanted, len(t.rows) * 3 // 2)))
    if wanted * 8 > len(t.tags) * 7:
        buckets = len(t.joined)
        slots = -(-max(wanted * 3 // 2, len(t.tags) * 3 // 2) // buckets) * buckets
        t = t._replace(tags=np.zeros(slots, np.uint8), slots=np.empty(slots, np.uint32))
        reindex(t)
    return t


def reserve_lists(t: Tables, nodes: int, chunks: int) -> Tables:
    """Room for so many more nodes and wheel chunks."""
    reg = t.reg
    if reg[Register.NODE_LEFT] < nodes:
        more = max(len(t.nodes), nodes)
        reg[Register.NODE_LEFT] += more
        t = t._replace(nodes=_grown(t.nodes, len(t.nodes) + more))
    if reg[Register.CHUNK_LEFT] < chunks:
        more = max(len(t.chunk_n) // 2, chunks)
        reg[Register.CHUNK_LEFT] += more
        size = len(t.chunk_n) + more
        t = t._replace(
            chunk_items=_grown(t.chunk_items, size),
            chunk_next=_grown(t.chunk_next, size),
            chunk_n=_grown(t.chunk_n, size),
        )
    return t


def reserve_origins(t: Tables, pairs: int, text: int) -> Tables:
    """Room for so many more landing pages and campaigns, and bytes of theirs."""
    wanted = int(t.reg[Register.ORIGINS]) + pairs
    if wanted > len(t.origins):
        size = len(t.origins)
        while size < wanted:
            size *= 2
        t = t._replace(origins=_grown(t.origins, size), origin_slots=np.zeros(2 * size, np.uint32))
        rebuild_origins(t)
    top = int(t.reg[Register.TEXT_TOP])
    if len(t.origin_text) - top < text:
        larger = np.empty(max(2 * len(t.origin_text), top + text), np.uint8)
        larger[:top] = t.origin_text[:top]
        t = t._replace(origin_text=larger)
    return t


def make_room(t: Tables) -> Tables:
    """Enlarge what lacks room for the next step; signals must have been taken out before."""
    reg = t.reg
    t = reserve_lists(t, ROOM, ROOM)
    t = reserve_origins(t, 1, TEXT_ROOM)
    if len(t.aux) - reg[Register.AUX_N] < OUT_ROOM:
        t = t._replace(aux=_grown(t.aux, 2 * len(t.aux)))
    if reg[Register.SEEN_TAIL] - reg[Register.SEEN_HEAD] >= len(t.seen_hash):
        t = _with_seen(t, min(_SEEN_GROWTH * len(t.seen_hash), _MAX_SEEN))
    free = reg[Register.ROW_FREE] >= 0 or reg[Register.ROW_TOP] < len(t.rows)
    if not free or reg[Register.LIVE] * 8 >= len(t.tags) * 7:
        t = reserve_rows(t, int(reg[Register.LIVE]) + 1)
    return t


def state_bytes(t: Tables) -> tuple[int, int]:
    """(bytes of session state in use, bytes of the duplicate filter)."""
    reg = t.reg
    rows = int(reg[Register.ROW_TOP]) * ROW.itemsize + t.tags.nbytes + t.slots.nbytes
    chunks = int(reg[Register.CHUNK_TOP]) * (4 * CHUNK + 8) + t.heads.nbytes
    nodes = int(reg[Register.NODE_TOP]) * NODE.itemsize
    seen = t.seen_hash.nbytes + t.seen_shop.nbytes + t.seen_at.nbytes + t.seen_tags.nbytes + t.seen_slots.nbytes
    return rows + chunks + nodes, seen
