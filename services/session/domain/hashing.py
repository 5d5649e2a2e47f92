"""uuid5 in compiled code: ids for as many endings as there are shoppers (RFC 9562, section 5.5; FIPS 180-4)."""

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["uuid5_into"]

_BLOCK: Final = 64


@njit(cache=True, inline="always")
def _turn(value: np.uint32, by: int) -> np.uint32:
    return np.uint32((value << np.uint32(by)) | (value >> np.uint32(32 - by)))


@njit(cache=True)
def _digest_block(state: NDArray[np.uint32], words: NDArray[np.uint32]) -> None:
    for k in range(16, 80):
        words[k] = _turn(np.uint32(words[k - 3] ^ words[k - 8] ^ words[k - 14] ^ words[k - 16]), 1)
    a, b, c, d, e = state[0], state[1], state[2], state[3], state[4]
    for k in range(80):
        if k < 20:
            f = np.uint32((b & c) | (~b & d))
            add = np.uint32(0x5A827999)
        elif k < 40:
            f = np.uint32(b ^ c ^ d)
            add = np.uint32(0x6ED9EBA1)
        elif k < 60:
            f = np.uint32((b & c) | (b & d) | (c & d))
            add = np.uint32(0x8F1BBCDC)
        else:
            f = np.uint32(b ^ c ^ d)
            add = np.uint32(0xCA62C1D6)
        fresh = np.uint32(_turn(a, 5) + f + e + add + words[k])
        e = d
        d = c
        c = _turn(b, 30)
        b = a
        a = fresh
    state[0] = np.uint32(state[0] + a)
    state[1] = np.uint32(state[1] + b)
    state[2] = np.uint32(state[2] + c)
    state[3] = np.uint32(state[3] + d)
    state[4] = np.uint32(state[4] + e)


@njit(cache=True)
def _sha1(message: NDArray[np.uint8], length: int, state: NDArray[np.uint32], words: NDArray[np.uint32]) -> None:
    """SHA-1 of the first `length` bytes; `message` must have room for the padding (72 bytes more)."""
    state[0] = np.uint32(0x67452301)
    state[1] = np.uint32(0xEFCDAB89)
    state[2] = np.uint32(0x98BADCFE)
    state[3] = np.uint32(0x10325476)
    state[4] = np.uint32(0xC3D2E1F0)
    total = (length + 8) // _BLOCK * _BLOCK + _BLOCK
    message[length] = 0x80
    message[length + 1 : total] = 0
    bits = length * 8
    for k in range(8):
        message[total - 1 - k] = np.uint8(bits >> (8 * k) & 0xFF)
    for start in range(0, total, _BLOCK):
        for k in range(16):
            at = start + 4 * k
            words[k] = np.uint32(
                (np.uint32(message[at]) << np.uint32(24))
                | (np.uint32(message[at + 1]) << np.uint32(16))
                | (np.uint32(message[at + 2]) << np.uint32(8))
                | np.uint32(message[at + 3])
            )
        _digest_block(state, words)


@njit(cache=True)
def _put_int(message: NDArray[np.uint8], at: int, value: int) -> int:
    """Write a decimal number; returns the place after it."""
    if value < 0:
        message[at] = 45
        at += 1
        value = -value
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    for k in range(digits):
        message[at + digits - 1 - k] = np.uint8(48 + value % 10)
        value //= 10
    return at + digits


@njit(cache=True)
def _finish(state: NDArray[np.uint32], out: NDArray[np.uint8]) -> None:
    for k in range(16):
        out[k] = np.uint8(state[k >> 2] >> np.uint32(24 - 8 * (k & 3)) & np.uint32(0xFF))
    out[6] = (out[6] & 0x0F) | 0x50
    out[8] = (out[8] & 0x3F) | 0x80


@njit(cache=True)
def uuid5_into(
    namespaces: NDArray[np.uint8],
    heads: NDArray[np.uint8],
    head_at: NDArray[np.int64],
    head_of: NDArray[np.int64],
    numbers: NDArray[np.int64],
    tail: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> None:
    """For each row k: uuid5(namespaces[k], head + str(number) + tail).

    `namespaces` and `out` are (n, 16); `head_of[k]` chooses the head `heads[head_at[h]:head_at[h + 1]]`; text is UTF-8.
    """
    longest = 0
    for h in range(len(head_at) - 1):
        longest = max(longest, head_at[h + 1] - head_at[h])
    message = np.empty(16 + longest + 24 + len(tail) + 2 * _BLOCK, np.uint8)
    state = np.empty(5, np.uint32)
    words = np.empty(80, np.uint32)
    for k in range(len(numbers)):
        message[:16] = namespaces[k]
        at = 16
        for h in range(head_at[head_of[k]], head_at[head_of[k] + 1]):
            message[at] = heads[h]
            at += 1
        at = _put_int(message, at, numbers[k])
        for b in tail:
            message[at] = b
            at += 1
        _sha1(message, at, state, words)
        _finish(state, out[k])
