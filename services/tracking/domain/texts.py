"""Texts cut out of an event, in compiled code: the path of a URL, its campaign, and the first so many characters."""

from typing import Any, Final

import numpy as np
from numba import njit

from services.tracking.domain.memory import LANES, before_pair, before_query, before_slash, byte_at, put_word, word_at
from services.tracking.domain.scan import UNSURE

__all__ = ["campaign", "copy", "cut", "path"]

_UTM: Final = b"utm_campaign="
_UTM_FIRST: Final = np.uint64(int.from_bytes(_UTM[:8], "little"))
_UTM_SECOND: Final = np.uint64(int.from_bytes(_UTM[8:13].ljust(8, b"\0"), "little"))
_FIVE: Final = np.uint64(0xFF_FFFF_FFFF)


@njit(nogil=True)
def copy(start: int, end: int, target: int) -> int:
    """Copy, up to 7 bytes too many: the next copy overwrites them."""
    at = start
    while at < end:
        put_word(target + (at - start), np.int64(word_at(at)))
        at += 8
    return target + (end - start)


@njit(nogil=True)
def cut(start: int, end: int, most: int) -> int:
    """Where the text must end so that it has at most `most` characters; negative when bytes are not characters."""
    if end - start <= most:
        return end
    for at in range(start, end):
        if byte_at(at) >= 0x80:
            return UNSURE
    return start + most


@njit(nogil=True)
def _query_at(start: int, end: int) -> int:
    """Where the URL's query or fragment begins, or its end."""
    at = start
    while at < end:
        plain = before_query(at)
        at += plain
        if plain < LANES:
            break
    return min(at, end)


@njit(nogil=True)
def _slash_at(start: int, end: int) -> int:
    """The first slash, or the end."""
    at = start
    while at < end:
        plain = before_slash(at)
        at += plain
        if plain < LANES:
            break
    return min(at, end)


@njit(nogil=True)
def path(start: int, end: int) -> Any:
    """Start and end of the URL's path, as `decoding.path_of`, and where its query or fragment begins."""
    last = _query_at(start, end)
    slashes = _slash_at(start, last)
    while slashes + 1 < last and byte_at(slashes + 1) != 0x2F:
        slashes = _slash_at(slashes + 1, last)
    if slashes + 1 >= last or not (slashes == start or byte_at(slashes - 1) == 0x3A):
        return start, last, last
    at = _slash_at(slashes + 2, last)
    if at == last:
        return slashes, slashes + 1, last
    return at, last, last


@njit(nogil=True)
def campaign(start: int, end: int) -> Any:
    """utm_campaign in the query that begins at `start` (with its ``?``), empty without one; negative when unsure."""
    at = start
    while at < end and byte_at(at) != 0x23:
        at += 1
        first = at + len(_UTM)
        if end > first and word_at(at) == _UTM_FIRST and (word_at(at + 8) & _FIVE) == _UTM_SECOND:
            at = first
            while at < end and byte_at(at) not in (0x26, 0x23):
                if byte_at(at) in (0x25, 0x2B):
                    return UNSURE, UNSURE
                at += 1
            if at > first:
                return first, at
        while at < end:
            plain = before_pair(at)
            at += plain
            if plain < LANES:
                break
    return start, start
