"""The duplicate filter: exact for 10 minutes of stream time, or for the last 4 million ids, whichever is less.

A ring keeps the ids in order of arrival; an open-addressing table finds them. What expires leaves both at once.
"""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from services.session.domain.index import home_of, tag_of
from services.session.domain.layout import Register, Tables

__all__ = ["LIMIT", "WITHIN_MS", "expire", "note", "note_many", "rebuild", "spread", "was_seen"]

WITHIN_MS: Final = 600_000
LIMIT: Final = 4_000_000
_HEAD = Register.SEEN_HEAD
_TAIL = Register.SEEN_TAIL
_EVICTED = Register.SEEN_EVICTED
_SEED = Register.SEED
_MIX = np.uint64(0xD6E8FEB86659FD93)
_MIX2 = np.uint64(0xBF58476D1CE4E5B9)


@njit(cache=True, _nrt=False, forceinline=True)
def spread(event_hash: np.uint64, shop: np.uint32, seed: np.int64) -> np.uint64:
    """The place of an id in the table, as a hash; nobody who does not know the seed can choose ids that collide."""
    h = (event_hash ^ (np.uint64(shop) << np.uint64(40)) ^ np.uint64(seed)) * _MIX
    h = (h ^ (h >> np.uint64(32)) ^ np.uint64(seed)) * _MIX2
    return h ^ (h >> np.uint64(32))


@njit(cache=True, _nrt=False, forceinline=True)
def was_seen(t: Tables, event_hash: np.uint64, shop: np.uint32) -> bool:
    """True if the id is in the filter (what has expired must have been taken out)."""
    size = len(t.seen_tags)
    mask = len(t.seen_hash) - 1
    h = spread(event_hash, shop, t.reg[_SEED])
    tag = tag_of(h)
    slot = home_of(h, size)
    while True:
        found = t.seen_tags[slot]
        if found == 0:
            return False
        if found == tag:
            at = np.int64(t.seen_slots[slot]) & mask
            if t.seen_hash[at] == event_hash and t.seen_shop[at] == shop:
                return True
        slot += 1
        if slot == size:
            slot = 0


@njit(cache=True, _nrt=False, forceinline=True)
def _enter(t: Tables, position: int) -> None:
    size = len(t.seen_tags)
    at = position & (len(t.seen_hash) - 1)
    h = spread(t.seen_hash[at], t.seen_shop[at], t.reg[_SEED])
    slot = home_of(h, size)
    while t.seen_tags[slot] != 0:
        slot += 1
        if slot == size:
            slot = 0
    t.seen_tags[slot] = tag_of(h)
    t.seen_slots[slot] = np.uint32(position & 0xFFFFFFFF)


@njit(cache=True, _nrt=False, forceinline=True)
def _drop(t: Tables, position: int) -> None:
    """Take one id out of the table and close the gap."""
    size = len(t.seen_tags)
    mask = len(t.seen_hash) - 1
    at = position & mask
    slot = home_of(spread(t.seen_hash[at], t.seen_shop[at], t.reg[_SEED]), size)
    wanted = np.uint32(position & 0xFFFFFFFF)
    while t.seen_tags[slot] == 0 or t.seen_slots[slot] != wanted:
        slot += 1
        if slot == size:
            slot = 0
    hole = slot
    while True:
        slot += 1
        if slot == size:
            slot = 0
        if t.seen_tags[slot] == 0:
            break
        other = np.int64(t.seen_slots[slot]) & mask
        home = home_of(spread(t.seen_hash[other], t.seen_shop[other], t.reg[_SEED]), size)
        if (hole < home <= slot) or (slot < hole < home) or (home <= slot < hole):
            continue
        t.seen_tags[hole] = t.seen_tags[slot]
        t.seen_slots[hole] = t.seen_slots[slot]
        hole = slot
    t.seen_tags[hole] = 0


@njit(cache=True, _nrt=False, forceinline=True)
def expire(t: Tables, now: int) -> None:
    """Take out what was first seen more than 10 minutes before `now`."""
    mask = len(t.seen_hash) - 1
    head = t.reg[_HEAD]
    tail = t.reg[_TAIL]
    while head < tail and now - t.seen_at[head & mask] > WITHIN_MS:
        _drop(t, head)
        head += 1
    t.reg[_HEAD] = head


@njit(cache=True, _nrt=False, forceinline=True)
def note(t: Tables, event_hash: np.uint64, shop: np.uint32, now: int) -> None:
    """Enter an id that is not in the filter; the oldest makes room when LIMIT is reached. The ring must have room."""
    head = t.reg[_HEAD]
    tail = t.reg[_TAIL]
    if tail - head >= LIMIT:
        _drop(t, head)
        t.reg[_HEAD] = head + 1
        t.reg[_EVICTED] += 1
    at = tail & (len(t.seen_hash) - 1)
    t.seen_hash[at] = event_hash
    t.seen_shop[at] = shop
    t.seen_at[at] = now
    _enter(t, tail)
    t.reg[_TAIL] = tail + 1


@njit(cache=True, _nrt=False, nogil=True)
def rebuild(t: Tables) -> None:
    """Enter all ids of the ring into a fresh table."""
    for position in range(t.reg[_HEAD], t.reg[_TAIL]):
        _enter(t, position)


@njit(cache=True, _nrt=False, nogil=True)
def note_many(t: Tables, hashes: NDArray[np.uint64], shops: NDArray[np.uint32], at: int) -> int:
    """Enter ids that are not in the filter, as far as the ring has room; returns how many."""
    n = 0
    while n < len(hashes) and t.reg[_TAIL] - t.reg[_HEAD] < len(t.seen_hash):
        note(t, hashes[n], shops[n], at)
        n += 1
    return n
