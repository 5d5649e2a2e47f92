"""JSON read byte by byte in compiled code: strings, numbers, and values that nobody looks at.

These functions accept a part of JSON and never more than all of it: what they take, a strict decoder takes too. At
anything unusual they answer UNSURE, and the event goes to the strict decoder, whose word is final. So being wrong here
can cost time and nothing else.

Positions are addresses. NUL stands behind each event, so that no scan runs from one event into the next: NUL is nowhere
allowed in JSON.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from services.tracking.domain.memory import LANES, byte_at, plain_bytes, put_byte, word_at

__all__ = [
    "ESCAPED", "NOT_ASCII", "UNSURE", "after_space", "hex_pair", "integer_at", "literal_end", "skip_value",
    "string_end", "unescape",
]  # fmt: skip

UNSURE: Final = -1
ESCAPED: Final = 1  # flags of a string
NOT_ASCII: Final = 2

_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C
_DEEPEST: Final = 48  # the strict decoder allows some more; who nests so deep can wait for it
_LONGEST_NUMBER: Final = 15  # digits that no decoder can find out of range


@njit(nogil=True)
def after_space(at: int) -> int:
    """Position of the first byte from `at` on that is no white space."""
    while byte_at(at) <= 0x20:
        byte = byte_at(at)
        if byte not in (0x20, 0x0A, 0x0D, 0x09):
            return at
        at += 1
    return at


@njit(nogil=True)
def _hex_digit(byte: int) -> int:
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    lower = byte | 0x20
    if 0x61 <= lower <= 0x66:
        return lower - 0x57
    return -1


@njit(nogil=True)
def hex_pair(at: int) -> int:
    """The byte that two hex digits spell; negative when they are none."""
    return (_hex_digit(byte_at(at)) << 4) | _hex_digit(byte_at(at + 1))


@njit(nogil=True)
def _escape_end(at: int) -> int:
    """Position after the escape whose backslash is at `at`. Lone surrogates and NUL are left to the strict decoder."""
    byte = byte_at(at + 1)
    if byte in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
        return at + 2
    if byte != 0x75:
        return UNSURE
    high = hex_pair(at + 2)
    low = hex_pair(at + 4)
    if high < 0 or low < 0 or (high == 0 and low == 0):
        return UNSURE
    if not 0xD8 <= high <= 0xDF:
        return at + 6
    second = hex_pair(at + 8)
    paired = byte_at(at + 6) == _BACKSLASH and byte_at(at + 7) == 0x75 and hex_pair(at + 10) >= 0
    return at + 12 if high <= 0xDB and paired and 0xDC <= second <= 0xDF else UNSURE


@njit(nogil=True)
def _utf8_end(at: int) -> int:
    """Position after the character of two to four bytes at `at`; only well-formed UTF-8."""
    first = byte_at(at)
    second = byte_at(at + 1)
    if 0xC2 <= first <= 0xDF:
        return at + 2 if second & 0xC0 == 0x80 else UNSURE
    third = byte_at(at + 2)
    if 0xE0 <= first <= 0xEF:
        low = 0xA0 if first == 0xE0 else 0x80
        high = 0x9F if first == 0xED else 0xBF
        return at + 3 if low <= second <= high and third & 0xC0 == 0x80 else UNSURE
    if 0xF0 <= first <= 0xF4:
        low = 0x90 if first == 0xF0 else 0x80
        high = 0x8F if first == 0xF4 else 0xBF
        good = low <= second <= high and third & 0xC0 == 0x80 and byte_at(at + 3) & 0xC0 == 0x80
        return at + 4 if good else UNSURE
    return UNSURE


@njit(nogil=True)
def string_end(at: int) -> Any:
    """Position of the closing quote of the string whose first character is at `at`, and the string's flags."""
    flags = 0
    while True:
        plain = plain_bytes(at)
        at += plain
        if plain == LANES:
            continue
        byte = byte_at(at)
        if byte == _QUOTE:
            return at, flags
        if byte == _BACKSLASH:
            flags |= ESCAPED
            at = _escape_end(at)
        elif byte >= 0x80:
            flags |= NOT_ASCII
            at = _utf8_end(at)
        else:
            return UNSURE, flags
        if at < 0:
            return UNSURE, flags


@njit(nogil=True)
def unescape(start: int, end: int, target: int) -> int:
    """Write the string from `start` to `end`, without its escapes, at `target`; the position after it."""
    at = start
    while at < end:
        byte = byte_at(at)
        if byte != _BACKSLASH:
            put_byte(target, byte)
            target += 1
            at += 1
            continue
        kind = byte_at(at + 1)
        if kind != 0x75:
            plain = kind
            if kind == 0x62:
                plain = 0x08
            elif kind == 0x66:
                plain = 0x0C
            elif kind == 0x6E:
                plain = 0x0A
            elif kind == 0x72:
                plain = 0x0D
            elif kind == 0x74:
                plain = 0x09
            put_byte(target, plain)
            target += 1
            at += 2
            continue
        code = (hex_pair(at + 2) << 8) | hex_pair(at + 4)
        if 0xD800 <= code < 0xDC00:  # with the next escape it is one character
            at += 6
            low = (hex_pair(at + 2) << 8) | hex_pair(at + 4)
            code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
        if code < 0x80:
            put_byte(target, code)
            target += 1
        elif code < 0x800:
            put_byte(target, 0xC0 | (code >> 6))
            put_byte(target + 1, 0x80 | (code & 0x3F))
            target += 2
        else:
            if code < 0x10000:
                put_byte(target, 0xE0 | (code >> 12))
            else:
                put_byte(target, 0xF0 | (code >> 18))
                target += 1
                put_byte(target, 0x80 | ((code >> 12) & 0x3F))
            put_byte(target + 1, 0x80 | ((code >> 6) & 0x3F))
            put_byte(target + 2, 0x80 | (code & 0x3F))
            target += 3
        at += 6
    return target


@njit(nogil=True)
def integer_at(at: int) -> Any:
    """Position after the integer at `at`, and its value. Fractions, exponents and long ones are unsure."""
    negative = byte_at(at) == 0x2D
    if negative:
        at += 1
    start = at
    value = np.int64(0)
    while 0x30 <= byte_at(at) <= 0x39:
        value = value * 10 + (byte_at(at) - 0x30)
        at += 1
        if at - start > 18:
            return UNSURE, value
    byte = byte_at(at)
    if at == start or (byte_at(start) == 0x30 and at - start > 1) or byte in (0x2E, 0x45, 0x65):
        return UNSURE, value
    return at, (-value if negative else value)


@njit(nogil=True)
def _number_end(at: int) -> int:
    """Position after a number of at most 15 digits, without exponent."""
    if byte_at(at) == 0x2D:
        at += 1
    start = at
    while 0x30 <= byte_at(at) <= 0x39:
        at += 1
    if at == start or (byte_at(start) == 0x30 and at - start > 1):
        return UNSURE
    if byte_at(at) == 0x2E:
        at += 1
        point = at
        while 0x30 <= byte_at(at) <= 0x39:
            at += 1
        if at == point:
            return UNSURE
    if at - start > _LONGEST_NUMBER or byte_at(at) in (0x45, 0x65):
        return UNSURE
    return at


@njit(nogil=True)
def literal_end(at: int) -> int:
    """Position after true, false or null."""
    four = word_at(at) & np.uint64(0xFFFF_FFFF)
    if four in (np.uint64(0x65757274), np.uint64(0x6C6C756E)):  # "true", "null"
        return at + 4
    if four == np.uint64(0x736C6166) and byte_at(at + 4) == 0x65:  # "false", its last letter apart
        return at + 5
    return UNSURE


@njit(nogil=True)
def _scalar_end(at: int) -> int:
    byte = byte_at(at)
    if byte == _QUOTE:
        return string_end(at + 1)[0] + 1 or UNSURE  # UNSURE + 1 is 0
    if byte == 0x2D or 0x30 <= byte <= 0x39:
        return _number_end(at)
    return literal_end(at)


@njit(nogil=True)
def _key_end(at: int) -> int:
    """Position of the value of the member whose key should begin at `at`."""
    if byte_at(at) != _QUOTE:
        return UNSURE
    close = string_end(at + 1)[0]
    if close < 0:
        return UNSURE
    at = after_space(close + 1)
    if byte_at(at) != 0x3A:
        return UNSURE
    return after_space(at + 1)


@njit(nogil=True)
def skip_value(at: int) -> int:
    """Position after the value at `at`, whatever it is, nested to 48 levels."""
    objects = np.uint64(0)  # one bit a level, the lowest is the innermost: 1 for an object
    depth = 0
    while True:
        byte = byte_at(at)
        if byte in (0x7B, 0x5B):
            depth += 1
            if depth > _DEEPEST:
                return UNSURE
            objects = (objects << np.uint64(1)) | np.uint64(byte == 0x7B)
            at = after_space(at + 1)
            if byte_at(at) != byte + 2:  # its closing bracket
                if byte == 0x7B:
                    at = _key_end(at)
                    if at < 0:
                        return UNSURE
                continue
        else:
            at = _scalar_end(at)
            if at < 0 or depth == 0:
                return at
            at = after_space(at)
        while True:  # here a value has ended, or a container is about to be closed
            inside = (objects & np.uint64(1)) != 0
            if byte_at(at) == 0x2C:
                at = after_space(at + 1)
                if inside:
                    at = _key_end(at)
                    if at < 0:
                        return UNSURE
                break
            if byte_at(at) != (0x7D if inside else 0x5D):
                return UNSURE
            depth -= 1
            objects >>= np.uint64(1)
            at += 1
            if depth == 0:
                return at
            at = after_space(at)
