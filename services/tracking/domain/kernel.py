"""One event of JSON becomes one row, in compiled code, or is left to the strict decoder.

`decoding.row_of` says the same in plain Python; tests compare the two.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from services.tracking.domain import members, rows, shapes
from services.tracking.domain.hashing import hash64_span
from services.tracking.domain.members import is_granted, member_at, next_member, note_field, scan_data
from services.tracking.domain.partition import murmur2_words
from services.tracking.domain.scan import (
    UNSURE,
    after_space,
    byte_at,
    cell,
    hex_pair,
    put_byte,
    put_word,
    skip_value,
    word_at,
)

__all__ = ["META_WIDTH", "encode_events", "split_array"]

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
_UTM: Final = b"utm_campaign="
_UTM_FIRST: Final = np.uint64(int.from_bytes(_UTM[:8], "little"))
_UTM_SECOND: Final = np.uint64(int.from_bytes(_UTM[8:13].ljust(8, b"\0"), "little"))
_FIVE: Final = np.uint64(0xFF_FFFF_FFFF)
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


@njit(nogil=True, cache=True)
def _given(notes: int, role: int) -> bool:
    return cell(notes + role * _W, members.GIVEN) != 0


@njit(nogil=True, cache=True)
def _scan_event(book: int, notes: int, at: int) -> int:
    """Position after the event at `at`; everything of it is checked and noted."""
    for role in range(shapes.ROLES):
        put_word(notes + role * _W + 8 * members.GIVEN, 0)
    if byte_at(at) != 0x7B:
        return UNSURE
    line = cell(book, members.SHAPES) + shapes.ENVELOPE * (8 * shapes.SHAPE_WIDTH)
    required = cell(line, shapes.SHAPE_REQUIRED)
    seen = 0
    data_at = 0
    has_data = False
    at = after_space(at + 1)
    while at > 0:
        at, field = member_at(book, shapes.ENVELOPE, at)
        if at < 0:
            return UNSURE
        if field == 0:
            at = skip_value(at)
        else:
            bit = 1 << cell(field, shapes.FIELD_BIT)
            if seen & bit:
                return UNSURE
            seen |= bit
            if cell(field, shapes.FIELD_KIND) != shapes.DATA:
                at, _ = note_field(book, notes, field, at)
            else:
                has_data = True
                if _given(notes, _R_TYPE):
                    at = scan_data(book, notes, _data_shape(book, notes), at)
                else:
                    data_at = at
                    at = skip_value(at)
        if at < 0:
            return UNSURE
        at = next_member(at)
    if at == 0 or (seen & required) != required:
        return UNSURE
    if data_at and scan_data(book, notes, _data_shape(book, notes), data_at) < 0:
        return UNSURE
    if not has_data and cell(_type_line(book, notes), shapes.TYPE_DATA_REQUIRED):
        return UNSURE
    return -at


@njit(nogil=True, cache=True)
def _type_line(book: int, notes: int) -> int:
    return cell(book, members.TYPES) + cell(notes + _R_TYPE * _W, members.START) * (8 * shapes.TYPE_WIDTH)


@njit(nogil=True, cache=True)
def _data_shape(book: int, notes: int) -> int:
    return cell(_type_line(book, notes), shapes.TYPE_SHAPE)


@njit(nogil=True, cache=True)
def _is_word_byte(byte: int) -> bool:
    return 0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def _same(one: int, other: int, size: int) -> bool:
    for place in range(size):  # noqa: SIM110 - generators do not compile
        if byte_at(one + place) != byte_at(other + place):
            return False
    return True


@njit(nogil=True, cache=True)
def _visitor(row: int, meta: int, start: int, end: int) -> None:
    """The visitor's words and partition, and how the id was spelled; other strings than UUIDs are left open."""
    put_word(meta + 8 * VISITOR, TEXT)
    if (
        end - start != 36 or byte_at(start + 8) != 0x2D or byte_at(start + 13) != 0x2D
        or byte_at(start + 18) != 0x2D or byte_at(start + 23) != 0x2D
    ):  # fmt: skip
        return
    at = start
    upper = 0
    faulty = 0
    for place in range(16):
        if place in (4, 6, 8, 10):
            at += 1
        value = hex_pair(at)
        faulty |= value
        upper |= (~byte_at(at) & byte_at(at) >> 1 & 0x20) | (~byte_at(at + 1) & byte_at(at + 1) >> 1 & 0x20)
        put_byte(row + place, value)
        at += 2
    if faulty < 0:
        return
    put_word(row + 8 * rows.PARTITION_HASH, murmur2_words(cell(row, 0), cell(row, 1)))
    put_word(meta + 8 * VISITOR, UUID_OTHERWISE if upper else CANONICAL)


@njit(nogil=True, cache=True)
def _currency(notes: int) -> int:
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


@njit(nogil=True, cache=True)
def _time(notes: int, meta: int, received_ms: int) -> int:
    """The event's time, corrected where the sender told its clock; the smallest int64 when unsure."""
    time = notes + _R_TIME * _W
    sent = notes + _R_SENT * _W
    value = cell(time, members.START)
    if not cell(sent, members.GIVEN) or received_ms == _ABSENT:
        return value
    value += received_ms - cell(sent, members.START)
    if not 0 <= value < _FAR_MS:
        return np.int64(_ABSENT)
    put_word(meta + 8 * TIME_START, cell(time, members.RAW_START))
    put_word(meta + 8 * TIME_END, cell(time, members.RAW_END))
    put_word(meta + 8 * SENT_START, cell(sent, members.RAW_START))
    put_word(meta + 8 * SENT_END, cell(sent, members.RAW_END))
    return value


@njit(nogil=True, cache=True)
def _copy(start: int, end: int, target: int) -> int:
    at = start
    while at < end:
        put_byte(target, byte_at(at))
        at += 1
        target += 1
    return target


@njit(nogil=True, cache=True)
def _cut(start: int, end: int, most: int) -> int:
    """Where the text must end so that it has at most `most` characters; negative when bytes are not characters."""
    if end - start <= most:
        return end
    for at in range(start, end):
        if byte_at(at) >= 0x80:
            return UNSURE
    return start + most


@njit(nogil=True, cache=True)
def _path(start: int, end: int) -> Any:
    """Start and end of the URL's path, as `decoding.path_of`, and where its query or fragment begins."""
    last = start
    slashes = 0
    while last < end and byte_at(last) != 0x3F and byte_at(last) != 0x23:
        if slashes == 0 and last + 1 < end and byte_at(last) == 0x2F and byte_at(last + 1) == 0x2F:
            slashes = last
        last += 1
    if slashes == 0 or not (slashes == start or byte_at(slashes - 1) == 0x3A):
        return start, last, last
    at = slashes + 2
    while at < last and byte_at(at) != 0x2F:
        at += 1
    if at == last:
        return slashes, slashes + 1, last
    return at, last, last


@njit(nogil=True, cache=True)
def _campaign(start: int, end: int) -> Any:
    """utm_campaign in the query that begins at `start` (with its ``?``), empty without one; negative when unsure."""
    at = start
    while at < end and byte_at(at) != 0x23:
        separated = at == start or byte_at(at) == 0x26
        at += 1
        if not separated:
            continue
        if end - at > 13 and word_at(at) == _UTM_FIRST and (word_at(at + 8) & _FIVE) == _UTM_SECOND:
            first = at + 13
            at = first
            while at < end and byte_at(at) not in (0x26, 0x23):
                if byte_at(at) in (0x25, 0x2B):
                    return UNSURE, UNSURE
                at += 1
            if at > first:
                return first, at
    return start, start


@njit(nogil=True, cache=True)
def _strings(book: int, notes: int, row: int, target: int) -> int:
    """Write product, page and campaign at `target`, and their sizes into the row; negative when unsure."""
    start, end = 0, 0
    if cell(_type_line(book, notes), shapes.TYPE_PRODUCT):
        if _given(notes, _R_PRODUCT):
            start = cell(notes + _R_PRODUCT * _W, members.START)
            end = cell(notes + _R_PRODUCT * _W, members.END)
        elif _given(notes, _R_ITEMS):
            start = cell(notes + _R_ITEMS * _W, members.ITEMS_PRODUCT_START)
            end = cell(notes + _R_ITEMS * _W, members.ITEMS_PRODUCT_END) if start else 0
    put_word(row + 8 * rows.PRODUCT_BYTES, end - start)
    target = _copy(start, end, target)
    path_start, path_end, query, url_end = 0, 0, 0, 0
    if _given(notes, _R_URL):
        url_end = cell(notes + _R_URL * _W, members.END)
        path_start, path_end, query = _path(cell(notes + _R_URL * _W, members.START), url_end)
    start, end = path_start, path_end
    if _given(notes, _R_PAGE) and cell(notes + _R_PAGE * _W, members.END) > cell(notes + _R_PAGE * _W, members.START):
        start = cell(notes + _R_PAGE * _W, members.START)
        end = cell(notes + _R_PAGE * _W, members.END)
    end = _cut(start, end, _PAGE_MAX)
    if end < 0:
        return UNSURE
    put_word(row + 8 * rows.PAGE_BYTES, end - start)
    target = _copy(start, end, target)
    start, end = 0, 0
    if _given(notes, _R_CAMPAIGN):
        start = cell(notes + _R_CAMPAIGN * _W, members.START)
        end = cell(notes + _R_CAMPAIGN * _W, members.END)
    if start == end and query < url_end and byte_at(query) == 0x3F:
        start, end = _campaign(query, url_end)
        if start < 0:
            return UNSURE
    end = _cut(start, end, _CAMPAIGN_MAX)
    if end < 0:
        return UNSURE
    put_word(row + 8 * rows.CAMPAIGN_BYTES, end - start)
    return _copy(start, end, target)


@njit(nogil=True, cache=True)
def _consent(book: int, notes: int, row: int) -> None:
    granted = 0
    denied = 0
    if _given(notes, _R_CONSENT):
        granted = cell(notes + _R_CONSENT * _W, members.GRANTED)
        denied = cell(notes + _R_CONSENT * _W, members.DENIED)
    if cell(_type_line(book, notes), shapes.TYPE_CONSENT):
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


@njit(nogil=True, cache=True)
def _cart(notes: int, row: int) -> None:
    """Cart, money and items."""
    cart = np.int64(0)
    if _given(notes, _R_CART):
        line = notes + _R_CART * _W
        cart = np.int64(hash64_span(cell(line, members.START), cell(line, members.END), np.uint64(0)))
        if cart == 0:
            cart = 1
    put_word(row + 8 * rows.CART_HASH, cart)
    total = cell(notes + _R_TOTAL * _W, members.START) if _given(notes, _R_TOTAL) else _ABSENT
    put_word(row + 8 * rows.TOTAL, total)
    items, value, top = -1, np.int64(_ABSENT), np.int64(_ABSENT)
    if _given(notes, _R_ITEMS):
        line = notes + _R_ITEMS * _W
        items = cell(line, members.ITEMS_SUM)
        value = cell(line, members.ITEMS_VALUE)
        top = cell(line, members.ITEMS_TOP)
    put_word(row + 8 * rows.ITEMS, items)
    put_word(row + 8 * rows.VALUE, value)
    put_word(row + 8 * rows.TOP_PRICE, top)


@njit(nogil=True, cache=True)
def _identity(notes: int, row: int) -> None:
    """Event hash, device and flags."""
    source = notes + _R_SOURCE * _W
    line = notes + _R_ID * _W
    seed = hash64_span(cell(source, members.START), cell(source, members.END), np.uint64(0))
    put_word(row + 8 * rows.EVENT_HASH, np.int64(hash64_span(cell(line, members.START), cell(line, members.END), seed)))
    device = cell(notes + _R_DEVICE * _W, members.START) if _given(notes, _R_DEVICE) else 0
    put_word(row + 8 * rows.DEVICE, device)
    flags = 1 if _given(notes, _R_PERSON) else 0
    if _given(notes, _R_RETURNING):
        flags |= 4 | cell(notes + _R_RETURNING * _W, members.START) << 1
    put_word(row + 8 * rows.FLAGS, flags)


@njit(nogil=True, cache=True)
def _key(notes: int, meta: int) -> None:
    """Where the person stands, or else the product: the key of a fact without visitor."""
    role = _R_PERSON if _given(notes, _R_PERSON) else _R_PRODUCT
    if _given(notes, role):
        put_word(meta + 8 * KEY_START, cell(notes + role * _W, members.START))
        put_word(meta + 8 * KEY_END, cell(notes + role * _W, members.END))


@njit(nogil=True, cache=True)
def _encode_event(
    book: int, notes: int, at: int, end: int, row: int, meta: int, received_ms: int, arrival_ms: int, target: int
) -> int:
    """Fill the row and what is told beside it; the position after its strings. Negative: for the strict decoder."""
    after = _scan_event(book, notes, after_space(at))
    if after < 0 or (after != end and after_space(after) != end):  # beyond the end: NUL or a bracket, never `end`
        return UNSURE
    source = notes + _R_SOURCE * _W
    shop = _shop_code(book, cell(source, members.START), cell(source, members.END))
    currency = _currency(notes)
    time_ms = _time(notes, meta, received_ms)
    if shop < 0 or currency < 0 or time_ms == _ABSENT:
        return UNSURE
    line = notes + _R_VISITOR * _W
    if cell(line, members.GIVEN):
        if cell(line, members.START) != cell(line, members.RAW_START):
            return UNSURE
        put_word(meta + 8 * VISITOR_START, cell(line, members.RAW_START))
        put_word(meta + 8 * VISITOR_END, cell(line, members.RAW_END))
        _visitor(row, meta, cell(line, members.START), cell(line, members.END))
    else:
        _key(notes, meta)
    put_word(row + 8 * rows.SHOP, shop)
    put_word(row + 8 * rows.TYPE, cell(notes + _R_TYPE * _W, members.START))
    put_word(row + 8 * rows.TIME, time_ms)
    put_word(row + 8 * rows.ARRIVAL, arrival_ms)
    put_word(row + 8 * rows.CURRENCY, currency)
    _identity(notes, row)
    _cart(notes, row)
    _consent(book, notes, row)
    after = _strings(book, notes, row, target)
    if after < 0:
        return UNSURE
    put_word(meta + 8 * FACT, cell(_type_line(book, notes), shapes.TYPE_FACT))
    put_word(meta + 8 * STATE, DONE)
    return after


@njit(nogil=True, cache=True)
def encode_events(
    book: Any, notes: Any, spans: Any, received: Any, arrival: Any, table: Any, meta: Any, strings: Any
) -> int:
    """Encode the events whose addresses are `spans[i]` (start, end); the bytes of strings written.

    `table` is (events, rows.WIDTH), `meta` zeros of (events, META_WIDTH) with addresses for positions. `received` and
    `arrival` hold a time for each event, or one for all. `strings` has room for all bytes of the events, and 64 more.
    Events whose `meta[i, STATE]` stays 0 are for the strict decoder.
    """
    target = np.int64(strings.ctypes.data)
    first = target
    for place in range(spans.shape[0]):
        row = np.int64(table.ctypes.data) + place * (8 * rows.WIDTH)
        line = np.int64(meta.ctypes.data) + place * (8 * META_WIDTH)
        put_word(row + 8 * rows.STRINGS_AT, target - first)
        after = _encode_event(
            np.int64(book.ctypes.data), np.int64(notes.ctypes.data), spans[place, 0], spans[place, 1], row, line,
            received[place if received.shape[0] > 1 else 0], arrival[place if arrival.shape[0] > 1 else 0], target,
        )  # fmt: skip
        if after > 0:
            target = after
    return target - first


@njit(nogil=True, cache=True)
def split_array(start: int, end: int, spans: Any) -> int:
    """Spans of the elements of the JSON array in memory from `start` to `end`; how many there are.

    Negative: malformed, or unsure, or more than `spans` has room for.
    """
    at = after_space(start)
    if byte_at(at) != 0x5B:
        return UNSURE
    at = after_space(at + 1)
    count = 0
    if byte_at(at) == 0x5D:
        return 0 if after_space(at + 1) == end else UNSURE
    while count < spans.shape[0]:
        after = skip_value(at)
        if after < 0 or after > end:
            return UNSURE
        spans[count, 0] = at
        spans[count, 1] = after
        count += 1
        at = after_space(after)
        byte = byte_at(at)
        if byte == 0x5D:
            return count if after_space(at + 1) == end else UNSURE
        if byte != 0x2C:
            return UNSURE
        at = after_space(at + 1)
    return UNSURE
