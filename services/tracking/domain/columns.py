"""From what was noted of an event to its row, in compiled code; `decoding.row_of` says the same in plain Python."""

from typing import Final

import numpy as np
from numba import njit

from services.tracking.domain import content, members, rows, shapes
from services.tracking.domain.content import is_granted
from services.tracking.domain.hashing import hash64_span
from services.tracking.domain.memory import byte_at, cell, put_byte, put_word, word_at
from services.tracking.domain.partition import murmur2_words
from services.tracking.domain.scan import UNSURE
from services.tracking.domain.texts import campaign, copy, cut, path

__all__ = [
    "META_WIDTH", "cart", "consent", "currency", "given", "identity", "key", "source", "strings", "time",
    "type_line", "visitor",
]  # fmt: skip

# what is told of an event beside its row
STATE: Final = 0  # 0: for the strict decoder
FACT: Final = 1
VISITOR: Final = 2  # one of the spellings below
VISITOR_START: Final = 3  # of the text in the event
VISITOR_END: Final = 4
TIME_START: Final = 5  # 0 unless the time was corrected
TIME_END: Final = 6
SENT_START: Final = 7
SENT_END: Final = 8
KEY_START: Final = 9  # of the person, or else the product
KEY_END: Final = 10
META_WIDTH: Final = 11

DONE: Final = 1
NONE: Final = 0  # spellings of a visitor id
CANONICAL: Final = 1  # a UUID in lower case
UUID_OTHERWISE: Final = 2
TEXT: Final = 3

_ABSENT: Final = -(2**63)
_W: Final = 8 * members.NOTE_WIDTH
_PAGE_MAX: Final = 200
_CAMPAIGN_MAX: Final = 100
_FAR_MS: Final = 2**46  # the year 4199
_SHOPS: Final = np.uint64(int.from_bytes(b"/shops/\0", "little"))
_SEVEN: Final = np.uint64(0x00FF_FFFF_FFFF_FFFF)

_R_ID: Final = shapes.ENVELOPE_ROLES["id"]
_R_SOURCE: Final = shapes.ENVELOPE_ROLES["source"]
_R_TYPE: Final = shapes.ENVELOPE_ROLES["type"]
_R_TIME: Final = shapes.ENVELOPE_ROLES["time"]
_R_VISITOR: Final = shapes.ENVELOPE_ROLES["visitorid"]
_R_PERSON: Final = shapes.ENVELOPE_ROLES["personid"]
_R_DEVICE: Final = shapes.ENVELOPE_ROLES["device"]
_R_RETURNING: Final = shapes.ENVELOPE_ROLES["returning"]
_R_SENT: Final = shapes.ENVELOPE_ROLES["senttime"]
_R_CART: Final = shapes.DATA_ROLES["cart_id"]
_R_CURRENCY: Final = shapes.DATA_ROLES["currency"]
_R_TOTAL: Final = shapes.DATA_ROLES["total_minor"]
_R_ITEMS: Final = shapes.DATA_ROLES["items"]
_R_PRODUCT: Final = shapes.DATA_ROLES["product_id"]
_R_PAGE: Final = shapes.DATA_ROLES["page"]
_R_URL: Final = shapes.DATA_ROLES["url"]
_R_CAMPAIGN: Final = shapes.DATA_ROLES["campaign"]
_R_CONSENT: Final = shapes.DATA_ROLES["consent"]
_R_CHANNEL: Final = shapes.DATA_ROLES["channel"]
_R_STATUS: Final = shapes.DATA_ROLES["status"]


@njit(nogil=True)
def given(notes: int, role: int) -> bool:
    """Whether the field is there, and not null."""
    return cell(notes + role * _W, members.GIVEN) != 0


@njit(nogil=True)
def type_line(book: int, notes: int) -> int:
    """Address of the event type's line."""
    return cell(book, members.TYPES) + cell(notes + _R_TYPE * _W, members.START) * (8 * shapes.TYPE_WIDTH)


@njit(nogil=True)
def _is_word_byte(byte: int) -> bool:
    return 0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A


@njit(nogil=True)
def _shop_code(book: int, start: int, end: int) -> int:
    """Code of the shop in the source text; negative when it is of another form, not known, or not allowed."""
    first = start + 7
    if end <= first or (word_at(start) & _SEVEN) != _SHOPS or not _is_word_byte(byte_at(first)):
        return -1
    at = first + 1
    while at < end and (_is_word_byte(byte_at(at)) or byte_at(at) in (0x2E, 0x5F, 0x2D)):
        at += 1
    if at - first > 64:
        return -1
    last = at
    if at < end and byte_at(at) != 0x2F:
        return -1
    while at < end:
        if not 0x21 <= byte_at(at) <= 0x7E:
            return -1
        at += 1
    h = hash64_span(first, last, np.uint64(0))
    mask = cell(book, members.SHOP_MASK)
    place = np.int64(h) & mask
    while True:
        slot = cell(book, members.SHOP_SLOTS) + place * 32
        code = cell(slot, 0)
        if code < 0:
            return -1
        if word_at(slot + 8) == h and cell(slot, 2) == last - first and _same(cell(slot, 3), first, last - first):
            only = cell(book, members.SHOP_ONLY)
            allowed = code == only or (only < 0 and byte_at(cell(book, members.SHOP_KNOWN) + code) != 0)
            return code if allowed else -1
        place = (place + 1) & mask


@njit(nogil=True)
def _same(one: int, other: int, size: int) -> bool:
    place = 0
    while place + 8 <= size:
        if word_at(one + place) != word_at(other + place):
            return False
        place += 8
    while place < size:
        if byte_at(one + place) != byte_at(other + place):
            return False
        place += 1
    return True


@njit(nogil=True)
def source(book: int, notes: int) -> int:
    """Code of the event's shop, as `_shop_code`; neighbours often have one source, so the last one is remembered."""
    line = notes + _R_SOURCE * _W
    last = notes + members.LAST_SOURCE * _W
    start = cell(line, members.START)
    size = cell(line, members.END) - start
    if cell(last, 1) != size or not _same(cell(last, 0), start, size):
        put_word(last, start)
        put_word(last + 8, size)
        put_word(last + 16, np.int64(hash64_span(start, start + size, np.uint64(0))))
        put_word(last + 24, _shop_code(book, start, start + size))
    return cell(last, 3)


@njit(nogil=True)
def visitor(book: int, row: int, meta: int, start: int, end: int) -> None:
    """The visitor's words and partition, and how the id was spelled; other strings than UUIDs are left open."""
    put_word(meta + 8 * VISITOR, TEXT)
    if (
        end - start != 36 or byte_at(start + 8) != 0x2D or byte_at(start + 13) != 0x2D
        or byte_at(start + 18) != 0x2D or byte_at(start + 23) != 0x2D
    ):  # fmt: skip
        return
    digits = cell(book, members.HEX)
    at = start
    kinds = 0
    for place in range(16):
        if place in (4, 6, 8, 10):
            at += 1
        high = byte_at(digits + byte_at(at))
        low = byte_at(digits + byte_at(at + 1))
        kinds |= high | low
        put_byte(row + place, (high << 4) | (low & 0xF))
        at += 2
    if kinds & 0x80:
        return
    put_word(row + 8 * rows.PARTITION_HASH, murmur2_words(cell(row, 0), cell(row, 1)))
    put_word(meta + 8 * VISITOR, UUID_OTHERWISE if kinds & 0x10 else CANONICAL)


@njit(nogil=True)
def currency(notes: int) -> int:
    """Code of the currency, 0 without one; negative when it is of another form."""
    line = notes + _R_CURRENCY * _W
    if not cell(line, members.GIVEN):
        return 0
    start = cell(line, members.START)
    if cell(line, members.END) - start != 3:
        return -1
    code = 0
    for place in range(3):
        letter = byte_at(start + place) - 0x40
        if letter < 1 or letter > 26:
            return -1
        code = code << 5 | letter
    return code


@njit(nogil=True)
def time(notes: int, meta: int, received_ms: int) -> int:
    """The event's time, corrected where the sender told its clock; the smallest int64 when unsure."""
    time = notes + _R_TIME * _W
    sent = notes + _R_SENT * _W
    value = cell(time, members.START)
    if not cell(sent, members.GIVEN) or received_ms == _ABSENT:
        return value
    value += received_ms - cell(sent, members.START)
    if not 0 <= value < _FAR_MS:
        return _ABSENT
    put_word(meta + 8 * TIME_START, cell(time, members.RAW_START))
    put_word(meta + 8 * TIME_END, cell(time, members.RAW_END))
    put_word(meta + 8 * SENT_START, cell(sent, members.RAW_START))
    put_word(meta + 8 * SENT_END, cell(sent, members.RAW_END))
    return value


@njit(nogil=True)
def strings(book: int, notes: int, row: int, target: int) -> int:
    """Write product, page and campaign at `target`, and their sizes into the row; negative when unsure."""
    start, end = 0, 0
    if cell(type_line(book, notes), shapes.TYPE_PRODUCT):
        if given(notes, _R_PRODUCT):
            start = cell(notes + _R_PRODUCT * _W, members.START)
            end = cell(notes + _R_PRODUCT * _W, members.END)
        elif given(notes, _R_ITEMS):
            start = cell(notes + _R_ITEMS * _W, content.ITEMS_PRODUCT_START)
            end = cell(notes + _R_ITEMS * _W, content.ITEMS_PRODUCT_END) if start else 0
    put_word(row + 8 * rows.PRODUCT_BYTES, end - start)
    target = copy(start, end, target)
    path_start, path_end, query, url_end = 0, 0, 0, 0
    if given(notes, _R_URL):
        url_end = cell(notes + _R_URL * _W, members.END)
        path_start, path_end, query = path(cell(notes + _R_URL * _W, members.START), url_end)
    start, end = path_start, path_end
    if given(notes, _R_PAGE) and cell(notes + _R_PAGE * _W, members.END) > cell(notes + _R_PAGE * _W, members.START):
        start = cell(notes + _R_PAGE * _W, members.START)
        end = cell(notes + _R_PAGE * _W, members.END)
    end = cut(start, end, _PAGE_MAX)
    if end < 0:
        return UNSURE
    put_word(row + 8 * rows.PAGE_BYTES, end - start)
    target = copy(start, end, target)
    start, end = 0, 0
    if given(notes, _R_CAMPAIGN):
        start = cell(notes + _R_CAMPAIGN * _W, members.START)
        end = cell(notes + _R_CAMPAIGN * _W, members.END)
    if start == end and query < url_end and byte_at(query) == 0x3F:
        start, end = campaign(query, url_end)
        if start < 0:
            return UNSURE
    end = cut(start, end, _CAMPAIGN_MAX)
    if end < 0:
        return UNSURE
    put_word(row + 8 * rows.CAMPAIGN_BYTES, end - start)
    return copy(start, end, target)


@njit(nogil=True)
def consent(book: int, notes: int, row: int) -> None:
    """Bits of the channels said granted and not granted."""
    granted = 0
    denied = 0
    if given(notes, _R_CONSENT):
        granted = cell(notes + _R_CONSENT * _W, content.GRANTED)
        denied = cell(notes + _R_CONSENT * _W, content.DENIED)
    if cell(type_line(book, notes), shapes.TYPE_CONSENT):
        bit = 1 << cell(notes + _R_CHANNEL * _W, members.START)
        status = notes + _R_STATUS * _W
        if is_granted(cell(status, members.START), cell(status, members.END)):
            granted |= bit
            denied &= ~bit
        else:
            denied |= bit
            granted &= ~bit
    put_word(row + 8 * rows.GRANTED, granted)
    put_word(row + 8 * rows.DENIED, denied)


@njit(nogil=True)
def cart(notes: int, row: int) -> None:
    """Cart, money and items."""
    put_word(row + 8 * rows.CART_HASH, 0)
    if given(notes, _R_CART):
        line = notes + _R_CART * _W
        found = np.int64(hash64_span(cell(line, members.START), cell(line, members.END), np.uint64(0)))
        put_word(row + 8 * rows.CART_HASH, found or 1)
    total = cell(notes + _R_TOTAL * _W, members.START) if given(notes, _R_TOTAL) else _ABSENT
    put_word(row + 8 * rows.TOTAL, total)
    items, value, top = -1, np.int64(_ABSENT), np.int64(_ABSENT)
    if given(notes, _R_ITEMS):
        line = notes + _R_ITEMS * _W
        items = cell(line, content.ITEMS_SUM)
        value = cell(line, content.ITEMS_VALUE)
        top = cell(line, content.ITEMS_TOP)
    put_word(row + 8 * rows.ITEMS, items)
    put_word(row + 8 * rows.VALUE, value)
    put_word(row + 8 * rows.TOP_PRICE, top)


@njit(nogil=True)
def identity(notes: int, row: int) -> None:
    """Event hash, device and flags; `source` comes first."""
    line = notes + _R_ID * _W
    seed = word_at(notes + members.LAST_SOURCE * _W + 16)
    put_word(row + 8 * rows.EVENT_HASH, np.int64(hash64_span(cell(line, members.START), cell(line, members.END), seed)))
    device = cell(notes + _R_DEVICE * _W, members.START) if given(notes, _R_DEVICE) else 0
    put_word(row + 8 * rows.DEVICE, device)
    flags = 1 if given(notes, _R_PERSON) else 0
    if given(notes, _R_RETURNING):
        flags |= 4 | cell(notes + _R_RETURNING * _W, members.START) << 1
    put_word(row + 8 * rows.FLAGS, flags)


@njit(nogil=True)
def key(notes: int, meta: int) -> None:
    """Where the person stands, or else the product: the key of a fact without visitor."""
    role = _R_PERSON if given(notes, _R_PERSON) else _R_PRODUCT
    if given(notes, role):
        put_word(meta + 8 * KEY_START, cell(notes + role * _W, members.START))
        put_word(meta + 8 * KEY_END, cell(notes + role * _W, members.END))
