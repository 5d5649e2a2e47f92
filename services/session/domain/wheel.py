"""The timer wheel: rows in slots of 64 ms, looked at when stream time comes by.

Deadlines are lazy: an event that moves a deadline later leaves the row where it is; it is looked at when its slot comes
up. Only an earlier deadline moves the row; its old entry is known as stale by `ROW.sched`. What is due beyond the
horizon waits in the last slot and is looked at again then.
"""

from typing import Final

import numpy as np
from numba import njit

from services.session.domain.layout import SCHEDULED, Register, Tables

__all__ = ["CHUNK", "SLOTS", "TICK_SHIFT", "give_chunk", "push", "reschedule", "schedule"]

TICK_SHIFT: Final = 6
SLOTS: Final = 1 << 15
CHUNK: Final = 15
_CUR = Register.CUR
_FREE = Register.CHUNK_FREE
_TOP = Register.CHUNK_TOP
_LEFT = Register.CHUNK_LEFT


@njit(cache=True, _nrt=False, forceinline=True)
def take_chunk(t: Tables) -> np.int64:
    """An empty chunk. There must be room."""
    c = t.reg[_FREE]
    if c >= 0:
        t.reg[_FREE] = t.chunk_next[c]
    else:
        c = t.reg[_TOP]
        t.reg[_TOP] = c + 1
    t.reg[_LEFT] -= 1
    t.chunk_n[c] = 0
    return c


@njit(cache=True, _nrt=False, forceinline=True)
def give_chunk(t: Tables, c: int) -> None:
    """Give a chunk back."""
    t.chunk_next[c] = t.reg[_FREE]
    t.reg[_FREE] = c
    t.reg[_LEFT] += 1


@njit(cache=True, _nrt=False, forceinline=True)
def push(t: Tables, slot: int, r: int) -> None:
    """Put an entry into a slot. There must be room for a chunk."""
    c = np.int64(t.heads[slot])
    if c < 0 or t.chunk_n[c] == CHUNK:
        fresh = take_chunk(t)
        t.chunk_next[fresh] = np.int32(c)
        t.heads[slot] = np.int32(fresh)
        c = fresh
    t.chunk_items[c, t.chunk_n[c]] = np.int32(r)
    t.chunk_n[c] += 1


@njit(cache=True, _nrt=False, forceinline=True)
def schedule(t: Tables, r: int, due: int) -> None:
    """Look at row `r` again at `due` (ms), or at the horizon, or at once if it is overdue."""
    cur = t.reg[_CUR]
    tick = min(max(due >> TICK_SHIFT, cur), cur + SLOTS - 1)
    row = t.rows[r]
    row.sched = np.uint32(tick & 0xFFFFFFFF)
    row.state = np.uint16(row.state | SCHEDULED)
    push(t, tick & (SLOTS - 1), r)


@njit(cache=True, _nrt=False, forceinline=True)
def reschedule(t: Tables, r: int, due: int) -> None:
    """Make sure that row `r` is looked at no later than `due`."""
    row = t.rows[r]
    if row.state & SCHEDULED:
        cur = t.reg[_CUR]
        waits = (np.int64(row.sched) - cur) & 0xFFFFFFFF
        if waits < SLOTS and waits <= max((due >> TICK_SHIFT) - cur, 0):
            return
    schedule(t, r, due)
