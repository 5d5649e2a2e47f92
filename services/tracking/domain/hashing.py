"""64-bit hashes of identifiers: the same in Python and in compiled code, on every machine and in every release.

MurmurHash64A: eight bytes a step, good mixing, and a seed. The seed carries the first part into the second, so a pair
has no ambiguous border: ("ab", "c") and ("a", "bc") hash differently. Words are read little-endian.
"""

from typing import Final

import numpy as np
from numba import njit

from services.tracking.domain.memory import word_at

__all__ = ["cart_hash", "event_hash", "hash64", "hash64_span"]

_M: Final = 0xC6A4A7935BD1E995
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_M64: Final = np.uint64(_M)
_R: Final = np.uint64(47)


def event_hash(source: str, id: str) -> int:  # noqa: A002 - the field's name
    """Identity of an event; never ambiguous about where `source` ends and `id` begins."""
    return hash64(id.encode(), hash64(source.encode(), 0))


def cart_hash(cart_id: str) -> int:
    """Identity of a cart within its visitor; 0 is kept for "no cart"."""
    return hash64(cart_id.encode(), 0) or 1


def hash64(data: bytes, seed: int) -> int:
    """MurmurHash64A of `data`."""
    length = len(data)
    h = (seed ^ (length * _M)) & _MASK
    whole = length & ~7
    for at in range(0, whole, 8):
        k = (int.from_bytes(data[at : at + 8], "little") * _M) & _MASK
        k = ((k ^ (k >> 47)) * _M) & _MASK
        h = ((h ^ k) * _M) & _MASK
    if whole < length:
        h = ((h ^ int.from_bytes(data[whole:], "little")) * _M) & _MASK
    h = ((h ^ (h >> 47)) * _M) & _MASK
    return h ^ (h >> 47)


@njit(nogil=True)
def hash64_span(start: int, end: int, seed: np.uint64) -> np.uint64:
    """`hash64` of the bytes in memory from address `start` to `end`; 8 bytes beyond must be readable."""
    length = end - start
    h = seed ^ (np.uint64(length) * _M64)
    at = start
    while at + 8 <= end:
        k = word_at(at) * _M64
        k = (k ^ (k >> _R)) * _M64
        h = (h ^ k) * _M64
        at += 8
    if at < end:
        rest = (np.uint64(1) << np.uint64(8 * (end - at))) - np.uint64(1)
        h = (h ^ (word_at(at) & rest)) * _M64
    h = (h ^ (h >> _R)) * _M64
    return h ^ (h >> _R)
