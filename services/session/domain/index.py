"""Open addressing on (shop, visitor): linear probing over a byte of hash, rows compared only when that byte agrees."""

import numpy as np
from numba import njit

from services.session.domain.layout import ALIVE, Register, Tables

__all__ = ["find", "free_row", "insert", "key_hash", "remove", "tag_of", "take_row"]

_K1 = np.uint64(0x9E3779B97F4A7C15)
_K2 = np.uint64(0xBF58476D1CE4E5B9)
_K3 = np.uint64(0x94D049BB133111EB)
_S31 = np.uint64(31)
_S27 = np.uint64(27)
_S30 = np.uint64(30)
_ROW_FREE = Register.ROW_FREE
_ROW_TOP = Register.ROW_TOP
_LIVE = Register.LIVE


@njit(cache=True, _nrt=False, forceinline=True)
def key_hash(hi: np.uint64, lo: np.uint64, shop_key: np.uint64) -> np.uint64:
    """64 well-mixed bits of a visitor; the top bits choose bucket and slot, so that a bucket is a range of slots."""
    h = (hi ^ shop_key) * _K1
    h ^= h >> _S30
    h = (h + lo) * _K2
    h ^= h >> _S27
    h *= _K3
    return h ^ (h >> _S31)


@njit(cache=True, _nrt=False, forceinline=True)
def tag_of(h: np.uint64) -> np.uint8:
    """One byte of the hash that is never 0."""
    return np.uint8((h & np.uint64(0x7F)) | np.uint64(0x80))


@njit(cache=True, _nrt=False, forceinline=True)
def home_of(h: np.uint64, size: int) -> np.int64:
    """First slot to look at in a table of `size` slots; slots follow the order of the hashes."""
    return np.int64(((h >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32))


@njit(cache=True, _nrt=False, forceinline=True)
def find(t: Tables, h: np.uint64, hi: np.uint64, lo: np.uint64, shop: np.uint32) -> np.int64:
    """The visitor's row, or -1."""
    size = len(t.tags)
    tag = tag_of(h)
    slot = home_of(h, size)
    while True:
        found = t.tags[slot]
        if found == 0:
            return np.int64(-1)
        if found == tag:
            r = np.int64(t.slots[slot])
            row = t.rows[r]
            if row.lo == lo and row.hi == hi and row.shop == shop:
                return r
        slot += 1
        if slot == size:
            slot = 0


@njit(cache=True, _nrt=False, forceinline=True)
def insert(t: Tables, h: np.uint64, r: int) -> None:
    """Enter a row that is not in the index. The table must have room."""
    size = len(t.tags)
    slot = home_of(h, size)
    while t.tags[slot] != 0:
        slot += 1
        if slot == size:
            slot = 0
    t.tags[slot] = tag_of(h)
    t.slots[slot] = np.uint32(r)


@njit(cache=True, _nrt=False, forceinline=True)
def remove(t: Tables, h: np.uint64, r: int) -> None:
    """Take a row out and close the gap, so that no tombstones gather."""
    size = len(t.tags)
    slot = home_of(h, size)
    while np.int64(t.slots[slot]) != r or t.tags[slot] == 0:
        slot += 1
        if slot == size:
            slot = 0
    hole = slot
    while True:
        slot += 1
        if slot == size:
            slot = 0
        if t.tags[slot] == 0:
            break
        other = t.rows[np.int64(t.slots[slot])]
        home = home_of(key_hash(other.hi, other.lo, t.shop_key[other.shop]), size)
        # The entry may move into the hole unless its home lies cyclically in (hole, slot].
        if (hole < home <= slot) or (slot < hole < home) or (home <= slot < hole):
            continue
        t.tags[hole] = t.tags[slot]
        t.slots[hole] = t.slots[slot]
        hole = slot
    t.tags[hole] = 0


@njit(cache=True, _nrt=False, forceinline=True)
def take_row(t: Tables) -> np.int64:
    """A row for a new session. There must be room."""
    r = t.reg[_ROW_FREE]
    if r >= 0:
        t.reg[_ROW_FREE] = t.rows[r].nodes
    else:
        r = t.reg[_ROW_TOP]
        t.reg[_ROW_TOP] = r + 1
    t.reg[_LIVE] += 1
    return r


@njit(cache=True, _nrt=False, forceinline=True)
def free_row(t: Tables, r: int) -> None:
    """Give a row back."""
    row = t.rows[r]
    row.state = np.uint16(0)
    row.nodes = np.int32(t.reg[_ROW_FREE])
    t.reg[_ROW_FREE] = r
    t.reg[_LIVE] -= 1


@njit(cache=True, _nrt=False, nogil=True)
def reindex(t: Tables) -> None:
    """Enter all live rows into a fresh index."""
    for r in range(t.reg[_ROW_TOP]):
        row = t.rows[r]
        if row.state & ALIVE:
            insert(t, key_hash(row.hi, row.lo, t.shop_key[row.shop]), r)
