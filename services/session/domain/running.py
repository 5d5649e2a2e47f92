"""The loop over a batch: clock moves, then events. It stops when a table must grow or the output
is full, and goes on from there.
"""

from typing import Final

import numpy as np
from numba import njit

from services.session.domain.applying import apply_event
from services.session.domain.firing import check, free_node, next_due
from services.session.domain.index import home_of, key_hash
from services.session.domain.layout import ABSENT, ALIVE, ARMED, MAX_FIRINGS, SCHEDULED, Columns, Register, Tables
from services.session.domain.origins import CAMPAIGN_MAX_BYTES, PAGE_MAX_BYTES
from services.session.domain.seen import expire, spread
from services.session.domain.wheel import SLOTS, TICK_SHIFT, give_chunk, push, schedule

__all__ = ["DONE", "OUT_ROOM", "ROOM", "TEXT_ROOM", "advance", "earliest", "recheck", "run"]

DONE: Final = 0
FULL: Final = 1  # some table has no room for the next step: make room, then call again
ROOM: Final = 136  # nodes and wheel chunks that one step may take: 64 windows, twice, and a few
OUT_ROOM: Final = MAX_FIRINGS + 2 * ROOM  # signals and names that one step may take

TEXT_ROOM: Final = PAGE_MAX_BYTES + CAMPAIGN_MAX_BYTES  # bytes of text that one step may take
AHEAD: Final = 64  # events whose memory is fetched ahead
_STREAM = Register.STREAM
_SCRATCH = Register.SCRATCH
_SEED = Register.SEED
_CUR = Register.CUR
_ROW_FREE = Register.ROW_FREE
_ROW_TOP = Register.ROW_TOP
_NODE_LEFT = Register.NODE_LEFT
_CHUNK_LEFT = Register.CHUNK_LEFT
_OUT_N = Register.OUT_N
_AUX_N = Register.AUX_N
_ORIGINS = Register.ORIGINS
_TEXT_TOP = Register.TEXT_TOP
_LIVE = Register.LIVE
_GROUP = Register.GROUP
_ADVANCING = Register.ADVANCING
_SLOT = Register.SLOT
_SLOT_LAST = Register.SLOT_LAST
_CHUNK = Register.CHUNK
_POS = Register.POS
_SEEN_HEAD = Register.SEEN_HEAD
_SEEN_TAIL = Register.SEEN_TAIL
_NEXT_ROW = Register.NEXT_ROW


@njit(cache=True, _nrt=False, forceinline=True)
def _has_room(t: Tables) -> bool:
    reg = t.reg
    return (
        reg[_NODE_LEFT] >= ROOM
        and reg[_CHUNK_LEFT] >= ROOM
        and len(t.out) - reg[_OUT_N] >= OUT_ROOM
        and len(t.aux) - reg[_AUX_N] >= OUT_ROOM
    )


@njit(cache=True, _nrt=False, forceinline=True)
def _has_room_for_event(t: Tables) -> bool:
    reg = t.reg
    return (
        (reg[_ROW_FREE] >= 0 or reg[_ROW_TOP] < len(t.rows))
        and reg[_LIVE] * 8 < len(t.tags) * 7
        and reg[_SEEN_TAIL] - reg[_SEEN_HEAD] < len(t.seen_hash)
        and reg[_ORIGINS] < len(t.origins)
        and len(t.origin_text) - reg[_TEXT_TOP] >= TEXT_ROOM
    )


@njit(cache=True, _nrt=False, forceinline=True)
def _due_now(t: Tables, r: int) -> bool:
    """Whether a wheel entry is the row's present one, and its turn has come."""
    row = t.rows[r]
    if not (row.state & ALIVE and row.state & SCHEDULED):
        return False
    waits = (np.int64(row.sched) - t.reg[_CUR]) & 0xFFFFFFFF
    return waits >= SLOTS or waits == 0


@njit(cache=True, _nrt=False, forceinline=True)
def _waits_here(t: Tables, r: int) -> bool:
    """Whether an entry that is not due is the row's present one: put a turn ahead, into a slot still to be walked."""
    row = t.rows[r]
    if not (row.state & ALIVE and row.state & SCHEDULED):
        return False
    return (np.int64(row.sched) ^ (t.reg[_SLOT] - 1)) & (SLOTS - 1) == 0


@njit(cache=True, _nrt=False)
def _begin_advance(t: Tables, to: int) -> None:
    reg = t.reg
    first = reg[_CUR]
    tick = to >> TICK_SHIFT
    reg[_STREAM] = to
    reg[_CUR] = tick
    reg[_GROUP] += 1
    reg[_ADVANCING] = 1
    reg[_SLOT] = max(first, tick - SLOTS + 1)
    reg[_SLOT_LAST] = tick
    reg[_CHUNK] = -1
    reg[_POS] = 0
    expire(t, to)


@njit(cache=True, _nrt=False, forceinline=True)
def _go_on_advancing(t: Tables) -> int:
    """Look at all rows whose turn has come."""
    reg = t.reg
    to = reg[_STREAM]
    while True:
        c = reg[_CHUNK]
        if c < 0:
            while reg[_SLOT] <= reg[_SLOT_LAST] and t.heads[reg[_SLOT] & (SLOTS - 1)] < 0:
                reg[_SLOT] += 1
            if reg[_SLOT] > reg[_SLOT_LAST]:
                reg[_ADVANCING] = 0
                return DONE
            slot = reg[_SLOT] & (SLOTS - 1)
            c = np.int64(t.heads[slot])
            t.heads[slot] = np.int32(-1)
            reg[_CHUNK] = c
            reg[_POS] = 0
            reg[_SLOT] += 1
        while reg[_POS] < t.chunk_n[c]:
            if not _has_room(t):
                return FULL
            r = np.int64(t.chunk_items[c, reg[_POS]])
            reg[_POS] += 1
            if _due_now(t, r):
                check(t, r, to)
            elif _waits_here(t, r):
                push(t, (reg[_SLOT] - 1) & (SLOTS - 1), r)
        reg[_CHUNK] = np.int64(t.chunk_next[c])
        reg[_POS] = 0
        give_chunk(t, c)


@njit(cache=True, _nrt=False)
def advance(t: Tables, to: int) -> int:
    """Move stream time to `to` if that is later, and fire what is due. Call again while it returns FULL."""
    reg = t.reg
    if not reg[_ADVANCING]:
        if reg[_STREAM] == ABSENT:
            reg[_STREAM] = to
            reg[_CUR] = to >> TICK_SHIFT
            return DONE
        if to <= reg[_STREAM]:
            return DONE
        _begin_advance(t, to)
    return _go_on_advancing(t)


@njit(cache=True, _nrt=False)
def _touch(t: Tables, c: Columns, begin: int, end: int) -> None:
    """Read what the events will need, without a branch in between: the cache misses then overlap."""
    sum_ = np.int64(0)
    seen_size = len(t.seen_tags)
    size = len(t.tags)
    top = t.reg[_ROW_TOP]
    for i in range(begin, end):
        seen = home_of(spread(c.event_hash[i], np.uint32(c.shop[i]), t.reg[_SEED]), seen_size)
        sum_ += np.int64(t.seen_tags[seen]) + np.int64(t.seen_slots[seen])
        slot = home_of(key_hash(c.hi[i], c.lo[i], t.shop_key[c.shop[i]]), size)
        sum_ += np.int64(t.tags[slot])
        t.ahead[i - begin] = t.slots[slot]
    for k in range(end - begin):
        r = np.int64(t.ahead[k])
        if r < top:
            row = t.rows[r]
            sum_ += row.cart_time + np.int64(row.state)
    t.reg[_SCRATCH] = sum_


@njit(cache=True, _nrt=False)
def run(t: Tables, c: Columns) -> int:
    """Apply events from `reg[NEXT_ROW]` on; returns DONE, or FULL to be called again once there is room."""
    reg = t.reg
    n = len(c.time)
    touched = reg[_NEXT_ROW]
    while reg[_NEXT_ROW] < n:
        i = reg[_NEXT_ROW]
        if i >= touched:
            touched = min(i + AHEAD, n)
            _touch(t, c, i, touched)
        if (reg[_ADVANCING] or c.append[i] > reg[_STREAM]) and advance(t, c.append[i]) == FULL:
            return FULL
        if not (_has_room(t) and _has_room_for_event(t)):
            return FULL
        apply_event(t, c, i)
        reg[_NEXT_ROW] = i + 1
    return DONE


@njit(cache=True, _nrt=False)
def recheck(t: Tables, definition: int, shop: int, kept: np.ndarray) -> int:
    """Definitions have changed for `shop` (-1: all shops that use `definition`): disarm what is not `kept` (by window
    id), and look at the sessions again at the next clock move.

    Call again while it returns FULL; `reg[NEXT_ROW]` must be 0 at the first call.
    """
    reg = t.reg
    while reg[_NEXT_ROW] < reg[_ROW_TOP]:
        r = reg[_NEXT_ROW]
        row = t.rows[r]
        if row.state & ALIVE and t.shop_definition[row.shop] == definition and (shop < 0 or shop == row.shop):
            if not _has_room(t):
                return FULL
            _disarm_changed(t, r, kept)
            schedule(t, r, reg[_STREAM])
        reg[_NEXT_ROW] = r + 1
    return DONE


@njit(cache=True, _nrt=False)
def _disarm_changed(t: Tables, r: int, kept: np.ndarray) -> None:
    before = np.int64(-1)
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind == ARMED and not (node.name < len(kept) and kept[node.name]):
            n = free_node(t, r, n, before)
        else:
            before = n
            n = np.int64(node.next)


@njit(cache=True, _nrt=False)
def earliest(t: Tables) -> np.int64:
    """The earliest due time, or a lower bound of it up to the wheel's horizon; ABSENT when nothing is waited for."""
    cur = t.reg[_CUR]
    for tick in range(cur, cur + SLOTS):
        slot = tick & (SLOTS - 1)
        if t.heads[slot] < 0:
            continue
        best = np.int64(ABSENT)
        c = np.int64(t.heads[slot])
        while c >= 0:
            for k in range(t.chunk_n[c]):
                r = np.int64(t.chunk_items[c, k])
                row = t.rows[r]
                if row.state & ALIVE and row.state & SCHEDULED and row.sched == np.uint32(tick & 0xFFFFFFFF):
                    due = next_due(t, r)
                    if best == ABSENT or due < best:
                        best = due
            c = np.int64(t.chunk_next[c])
        if best != ABSENT and (best >> TICK_SHIFT) <= tick:
            return best
        if best != ABSENT:
            return np.int64(tick << TICK_SHIFT)
    return np.int64(ABSENT)
