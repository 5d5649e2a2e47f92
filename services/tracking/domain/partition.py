"""A visitor's partition, compiled: murmur2 over 16 bytes given as words (`relance.kernel.partitioning`)."""

from typing import Any, Final

import numpy as np
from numba import njit

from relance.kernel.partitioning import SEED

__all__ = ["murmur2_words"]

_M: Final = 0x5BD1E995
_M32: Final = np.uint32(_M)
_START_16: Final = np.uint32(SEED ^ 16)
_R24: Final = np.uint32(24)
_R13: Final = np.uint32(13)
_R15: Final = np.uint32(15)
_R32: Final = np.uint64(32)
_LOW: Final = np.uint64(0xFFFF_FFFF)


@njit(nogil=True)
def _step(h: np.uint32, word: np.uint64) -> np.uint32:
    k = np.uint32(np.uint32(word & _LOW) * _M32)  # products of 32 bits are widened to 64: cut each back
    k = np.uint32(np.uint32(k ^ (k >> _R24)) * _M32)
    return np.uint32(np.uint32(h * _M32) ^ k)


@njit(nogil=True)
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
