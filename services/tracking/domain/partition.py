"""A visitor's partition: murmur2 over the 16 bytes, as Java and librdkafka (`murmur2_random`) compute it."""

from typing import Any, Final

import numpy as np
from numba import njit

__all__ = ["murmur2", "murmur2_words", "partition_of"]

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFF_FFFF
_M32: Final = np.uint32(_M)
_START_16: Final = np.uint32(_SEED ^ 16)
_R24: Final = np.uint32(24)
_R13: Final = np.uint32(13)
_R15: Final = np.uint32(15)
_R32: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFF_FFFF)


def murmur2(data: bytes) -> int:
    """The 32-bit hash; partition = (hash & 0x7fffffff) % partitions."""
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = (int.from_bytes(data[at : at + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if whole < len(data):
        h = ((h ^ int.from_bytes(data[whole:], "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a key among `partitions`."""
    return (murmur2(key) & 0x7FFF_FFFF) % partitions


@njit(nogil=True, cache=True)
def _step(h: np.uint32, word: np.uint64) -> np.uint32:
    k = np.uint32(np.uint32(word & _LOW) * _M32)  # products of 32 bits are widened to 64: cut each back
    k = np.uint32(np.uint32(k ^ (k >> _R24)) * _M32)
    return np.uint32(np.uint32(h * _M32) ^ k)


@njit(nogil=True, cache=True)
def murmur2_words(first: Any, second: Any) -> np.int64:
    """murmur2 & 0x7fffffff of 16 bytes, given as two little-endian words."""
    a = np.uint64(first)
    b = np.uint64(second)
    h = _step(_START_16, a)
    h = _step(h, a >> _R32)
    h = _step(h, b)
    h = _step(h, b >> _R32)
    h = np.uint32(np.uint32(h ^ (h >> _R13)) * _M32)
    h = np.uint32(h ^ (h >> _R15))
    return np.int64(h) & np.int64(0x7FFF_FFFF)
