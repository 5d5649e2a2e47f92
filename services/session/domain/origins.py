"""Landing pages and campaigns as small numbers: each pair of texts is kept once, as bytes in one arena.

Most sessions begin at a page that others began at too, but there is no end of pages: what no live session names any
more is forgotten from time to time.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from services.session.domain.layout import ALIVE, HAS_CAMPAIGN, HAS_LANDING, ORIGIN, Columns, Register, Tables

__all__ = ["CAMPAIGN_MAX_BYTES", "PAGE_MAX_BYTES", "Texts", "forget", "intern_texts", "keep_origin", "pair", "rebuild",
           "texts_of", "to_array"]  # fmt: skip

PAGE_MAX_BYTES: Final = 800  # 200 characters of at most 4 bytes
CAMPAIGN_MAX_BYTES: Final = 400
_COUNT = Register.ORIGINS
_TOP = Register.TEXT_TOP
_SEED = Register.SEED
_ROW_TOP = Register.ROW_TOP
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_S29 = np.uint64(29)
_S32 = np.uint64(32)


class Texts(NamedTuple):
    """Pairs of texts: for each the page's and the campaign's bytes, one after the other."""

    pages: NDArray[np.uint16]
    campaigns: NDArray[np.uint16]
    text: NDArray[np.uint8]


@njit(cache=True, _nrt=False, forceinline=True)
def _copy(source: NDArray[np.uint8], begin: int, n: int, target: NDArray[np.uint8], at: int) -> None:
    for k in range(n):
        target[at + k] = source[begin + k]


@njit(cache=True, _nrt=False, forceinline=True)
def _place(t: Tables, h: np.uint64) -> np.int64:
    return np.int64(h & np.uint64(len(t.origin_slots) - 1))


@njit(cache=True, _nrt=False, forceinline=True)
def _intern(t: Tables, page: np.int64, campaign: np.int64) -> np.int64:
    """The number of the pair whose bytes lie at the arena's top; they stay there when the pair is new."""
    top = t.reg[_TOP]
    n = page + campaign
    h = np.uint64(t.reg[_SEED]) ^ (np.uint64(page) * _PRIME)
    for k in range(n):
        h = (h ^ np.uint64(t.origin_text[top + k])) * _PRIME
        h ^= h >> _S29
    h = (h ^ (h >> _S32)) * _MIX
    slot = _place(t, h)
    while t.origin_slots[slot] != 0:
        number = np.int64(t.origin_slots[slot]) - 1
        entry = t.origins[number]
        if entry.hash == h and entry.page == page and entry.campaign == campaign:
            same = 0
            while same < n and t.origin_text[entry.at + same] == t.origin_text[top + same]:
                same += 1
            if same == n:
                return np.int64(number)
        slot = (slot + 1) & (len(t.origin_slots) - 1)
    number = t.reg[_COUNT]
    entry = t.origins[number]
    entry.at = top
    entry.hash = h
    entry.page = np.uint16(page)
    entry.campaign = np.uint16(campaign)
    t.origin_slots[slot] = np.uint32(number + 1)
    t.reg[_COUNT] = number + 1
    t.reg[_TOP] = top + n
    return np.int64(number)


@njit(cache=True, _nrt=False, forceinline=True)
def keep_origin(t: Tables, c: Columns, i: int, r: int) -> None:
    """Keep the landing page and campaign of a session: the first that its events name. There must be room for both.

    Texts that are longer than the schema allows count as absent.
    """
    row = t.rows[r]
    page = np.int64(c.page[i + 1]) - np.int64(c.page[i])
    campaign = np.int64(c.campaign[i + 1]) - np.int64(c.campaign[i])
    if row.state & HAS_LANDING or page > PAGE_MAX_BYTES:
        page = np.int64(0)
    if row.state & HAS_CAMPAIGN or campaign > CAMPAIGN_MAX_BYTES:
        campaign = np.int64(0)
    if page == 0 and campaign == 0:
        return
    top = t.reg[_TOP]
    if page > 0:
        row.state = np.uint16(row.state | HAS_LANDING)
        _copy(c.page_text, c.page[i], page, t.origin_text, top)
    elif row.origin >= 0:
        page = np.int64(t.origins[row.origin].page)
        _copy(t.origin_text, t.origins[row.origin].at, page, t.origin_text, top)
    if campaign > 0:
        row.state = np.uint16(row.state | HAS_CAMPAIGN)
        _copy(c.campaign_text, c.campaign[i], campaign, t.origin_text, top + page)
    elif row.origin >= 0:
        entry = t.origins[row.origin]
        campaign = np.int64(entry.campaign)
        _copy(t.origin_text, entry.at + np.int64(entry.page), campaign, t.origin_text, top + page)
    row.origin = np.int32(_intern(t, page, campaign))


@njit(cache=True, _nrt=False)
def rebuild(t: Tables) -> None:
    """Enter all pairs into fresh slots."""
    for number in range(t.reg[_COUNT]):
        slot = _place(t, t.origins[number].hash)
        while t.origin_slots[slot] != 0:
            slot = (slot + 1) & (len(t.origin_slots) - 1)
        t.origin_slots[slot] = np.uint32(number + 1)


@njit(cache=True, _nrt=False)
def _gather(text: NDArray[np.uint8], at: NDArray[np.int64], sizes: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    top = np.int64(0)
    for k in range(len(at)):
        _copy(text, at[k], sizes[k], out, top)
        top += sizes[k]


@njit(cache=True, _nrt=False)
def _intern_all(
    t: Tables, pages: NDArray[np.uint16], campaigns: NDArray[np.uint16], text: NDArray[np.uint8], out: NDArray[np.int32]
) -> None:
    at = np.int64(0)
    for k in range(len(pages)):
        n = np.int64(pages[k]) + np.int64(campaigns[k])
        _copy(text, at, n, t.origin_text, t.reg[_TOP])
        out[k] = np.int32(_intern(t, np.int64(pages[k]), np.int64(campaigns[k])))
        at += n


@njit(cache=True, _nrt=False)
def _mark(t: Tables, numbers: NDArray[np.int32]) -> None:
    for r in range(t.reg[_ROW_TOP]):
        if t.rows[r].state & ALIVE and t.rows[r].origin >= 0:
            numbers[t.rows[r].origin] = np.int32(1)


@njit(cache=True, _nrt=False)
def _renumber(t: Tables, numbers: NDArray[np.int32]) -> None:
    for r in range(t.reg[_ROW_TOP]):
        if t.rows[r].state & ALIVE and t.rows[r].origin >= 0:
            t.rows[r].origin = numbers[t.rows[r].origin]


def pair(t: Tables, number: int) -> tuple[str, str]:
    """Page and campaign, empty where there is none (all of them for number -1)."""
    if number < 0:
        return "", ""
    entry = t.origins[number]
    begin, middle = int(entry["at"]), int(entry["at"]) + int(entry["page"])
    end = middle + int(entry["campaign"])
    return t.origin_text[begin:middle].tobytes().decode(), t.origin_text[middle:end].tobytes().decode()


def texts_of(origins: NDArray[np.void], text: NDArray[np.uint8], numbers: NDArray[Any]) -> Texts:
    """The pairs with these numbers."""
    entries = origins[numbers]
    sizes = entries["page"].astype(np.int64) + entries["campaign"]
    out = np.empty(int(sizes.sum()), np.uint8)
    _gather(text, entries["at"].astype(np.int64), sizes, out)
    return Texts(entries["page"].copy(), entries["campaign"].copy(), out)


def to_array(text: NDArray[np.uint8], at: NDArray[np.int64], sizes: NDArray[np.int64]) -> pa.Array:
    """The texts that begin at `at` as an Arrow column; an empty one is null."""
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    _gather(text, at, sizes, out)
    known = np.packbits(sizes > 0, bitorder="little")
    return pa.StringArray.from_buffers(len(sizes), pa.py_buffer(offsets), pa.py_buffer(out), pa.py_buffer(known))


def intern_texts(t: Tables, texts: Texts) -> NDArray[np.int32]:
    """The numbers of pairs, new or known; there must be room for all."""
    out = np.empty(len(texts.pages), np.int32)
    _intern_all(t, texts.pages, texts.campaigns, texts.text, out)
    return out


def forget(t: Tables) -> Tables:
    """Keep only the pairs of live sessions; arrays that signals still point into are left as they are."""
    numbers = np.full(int(t.reg[_COUNT]), -1, np.int32)
    _mark(t, numbers)
    used = np.flatnonzero(numbers > 0)
    texts = texts_of(t.origins, t.origin_text, used)
    entries = np.empty(len(t.origins), ORIGIN)
    entries[: len(used)] = t.origins[used]
    sizes = texts.pages.astype(np.int64) + texts.campaigns
    entries["at"][: len(used)] = np.cumsum(sizes) - sizes
    text = np.empty(max(len(t.origin_text) // 2, 2 * len(texts.text) + PAGE_MAX_BYTES + CAMPAIGN_MAX_BYTES), np.uint8)
    text[: len(texts.text)] = texts.text
    numbers[used] = np.arange(len(used), dtype=np.int32)
    _renumber(t, numbers)
    t.reg[_COUNT] = len(used)
    t.reg[_TOP] = len(texts.text)
    t = t._replace(origins=entries, origin_text=text, origin_slots=np.zeros(len(t.origin_slots), np.uint32))
    rebuild(t)
    return t
