"""Objects of known shape, read in compiled code: their members, and the values of plain fields.

What is found is noted by role (`shapes.ENVELOPE_ROLES` and so on) in *notes*, a table with a line of integers a role.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from services.tracking.domain import shapes
from services.tracking.domain.calendar import UNSURE_INSTANT, instant_at
from services.tracking.domain.memory import byte_at, cell, put_word, word_at
from services.tracking.domain.scan import (
    ESCAPED,
    UNSURE,
    after_space,
    integer_at,
    literal_end,
    skip_value,
    string_end,
    unescape,
)

__all__ = ["complete", "find", "flat_object", "member_at", "next_member", "note", "note_field"]

# columns of a note
START: Final = 0  # of the text, without escapes; of other kinds the value
END: Final = 1
GIVEN: Final = 2  # 1 when the field is there and not null
RAW_START: Final = 3  # of the text as it stands in the event
RAW_END: Final = 4
NOTE_WIDTH: Final = 8

# lines after those of the roles
TAIL: Final = shapes.ROLES  # where text without its escapes goes, and where that room ends
LAST_SOURCE: Final = shapes.ROLES + 1  # the source seen last: address, size, hash, shop's code
NOTES: Final = shapes.ROLES + 2

# the book: addresses and sizes of all tables
SLOTS: Final = 0
SLOT_MASK: Final = 1
FIELDS: Final = 2
SHAPES: Final = 3
TYPES: Final = 4
SHOP_SLOTS: Final = 5
SHOP_MASK: Final = 6
SHOP_KNOWN: Final = 7  # a byte each, 1: known
SHOP_ONLY: Final = 8  # code of the only shop allowed; negative: all that are known
HEX: Final = 9  # what each of the 256 bytes is as a hex digit; 0x10 is added for capitals, 0x80 for no digit
BOOK: Final = 10

_QUOTE: Final = 0x22
_NULL: Final = np.uint64(0x6C6C756E)
_LOW: Final = np.uint64(0xFFFF_FFFF)
_MIX_1: Final = np.uint64(shapes.MIX[0])
_MIX_2: Final = np.uint64(shapes.MIX[1])
_MIX_3: Final = np.uint64(shapes.MIX[2])
_MIX_4: Final = np.uint64(shapes.MIX[3])


@njit(nogil=True)
def _key_word(at: int, size: int) -> np.uint64:
    """The first `size` bytes (8 at most) as a word; 0 for none."""
    if size >= 8:
        return word_at(at)
    if size <= 0:
        return np.uint64(0)
    return word_at(at) & ((np.uint64(1) << np.uint64(8 * size)) - np.uint64(1))


@njit(nogil=True)
def find(book: int, space: int, at: int, size: int) -> int:
    """What the key of `size` bytes means in a space; negative: nothing."""
    if size > shapes.KEY_BYTES:
        return -1
    first = _key_word(at, size)
    second = third = fourth = np.uint64(0)
    h = (first + np.uint64(space)) * _MIX_1
    if size > 8:
        second = _key_word(at + 8, size - 8)
        third = _key_word(at + 16, size - 16)
        fourth = _key_word(at + 24, size - 24)
        h ^= second * _MIX_2 ^ third * _MIX_3 ^ fourth * _MIX_4
    mask = cell(book, SLOT_MASK)
    place = np.int64(h >> np.uint64(40)) & mask
    slots = cell(book, SLOTS)
    while True:
        slot = slots + place * (8 * shapes.SLOT_WIDTH)
        held = cell(slot, 0)
        if held == -1:
            return -1
        if (
            held == space and word_at(slot + 8) == first and word_at(slot + 16) == second
            and word_at(slot + 24) == third and word_at(slot + 32) == fourth
        ):  # fmt: skip
            return cell(slot, 5)
        place = (place + 1) & mask


@njit(nogil=True)
def member_at(book: int, shape: int, at: int) -> Any:
    """Position of the value of the member at `at`, and the address of its field; 0 for a field that nobody knows."""
    if byte_at(at) != _QUOTE:
        return UNSURE, 0
    close, flags = string_end(at + 1)
    if close < 0 or flags:
        return UNSURE, 0
    place = find(book, shape, at + 1, close - at - 1)
    value = after_space(close + 1)
    if byte_at(value) != 0x3A:
        return UNSURE, 0
    field = 0
    if place >= 0:
        field = cell(book, FIELDS) + place * (8 * shapes.FIELD_WIDTH)
    return after_space(value + 1), field


@njit(nogil=True)
def next_member(at: int) -> int:
    """Position of the next member's key; the negative position after the object when `at` was its last."""
    at = after_space(at)
    byte = byte_at(at)
    if byte == 0x2C:
        return after_space(at + 1)
    if byte == 0x7D:
        return -(at + 1)
    return 0


@njit(nogil=True)
def note(notes: int, role: int, start: int, end: int, raw_start: int, raw_end: int) -> None:
    """Note what a role's field holds, and where it stands in the event."""
    line = notes + role * (8 * NOTE_WIDTH)
    put_word(line + 8 * START, start)
    put_word(line + 8 * END, end)
    put_word(line + 8 * GIVEN, 1)
    put_word(line + 8 * RAW_START, raw_start)
    put_word(line + 8 * RAW_END, raw_end)


@njit(nogil=True)
def _note_text(notes: int, role: int, start: int, end: int, flags: int) -> bool:
    """Note a string, without its escapes; False when there is no room for it."""
    if flags & ESCAPED:
        tail = notes + TAIL * (8 * NOTE_WIDTH)
        target = cell(tail, START)
        if target + (end - start) > cell(tail, END):
            return False
        after = unescape(start, end, target)
        put_word(tail + 8 * START, after)
        note(notes, role, target, after, start, end)
    else:
        note(notes, role, start, end, start, end)
    return True


@njit(nogil=True)
def _text_field(book: int, notes: int, field: int, at: int) -> int:
    """Position after the string at `at`, noted; as a string, a word or an instant."""
    if byte_at(at) != _QUOTE:
        return UNSURE
    start = at + 1
    end, flags = string_end(start)
    if end < 0:
        return UNSURE
    kind = cell(field, shapes.FIELD_KIND)
    role = cell(field, shapes.FIELD_ROLE)
    if kind == shapes.STRING:
        low = cell(field, shapes.FIELD_LOW)
        size = end - start  # in bytes; the limits are of characters
        if size < low or size > cell(field, shapes.FIELD_HIGH):
            return UNSURE
        if low > 1 and flags and not role:  # of those with a role, the row's builder checks the whole form
            return UNSURE
        if role and not _note_text(notes, role, start, end, flags):
            return UNSURE
        return end + 1
    if flags:
        return UNSURE
    if kind == shapes.WORD:
        value = find(book, cell(field, shapes.FIELD_EXTRA), start, end - start)
        if value < 0:
            return UNSURE
    else:
        value = instant_at(start, end)
        if value == UNSURE_INSTANT:
            return UNSURE
    if role:
        note(notes, role, value, 0, start, end)
    return end + 1


@njit(nogil=True)
def note_field(book: int, notes: int, field: int, at: int) -> Any:
    """Position after the plain value at `at`, checked and noted, and whether it is there (1) or null (0)."""
    kind = cell(field, shapes.FIELD_KIND)
    first = byte_at(at)
    if first == 0x6E:
        if cell(field, shapes.FIELD_NULLABLE) and (word_at(at) & _LOW) == _NULL:
            return at + 4, 0
        return UNSURE, 0
    if kind in (shapes.STRING, shapes.WORD, shapes.INSTANT):
        return _text_field(book, notes, field, at), 1
    role = cell(field, shapes.FIELD_ROLE)
    if kind == shapes.INTEGER:
        end, value = integer_at(at)
        if end < 0 or value < cell(field, shapes.FIELD_LOW) or value > cell(field, shapes.FIELD_HIGH):
            return UNSURE, 0
    elif kind == shapes.BOOLEAN and first in (0x74, 0x66):
        end = literal_end(at)
        value = np.int64(first == 0x74)
        if end < 0:
            return UNSURE, 0
    else:
        return UNSURE, 0
    if role:
        note(notes, role, value, 0, at, end)
    return end, 1


@njit(nogil=True)
def complete(book: int, shape: int, seen: int, given: int) -> bool:
    """Whether a shape's required fields were seen, and one of its alternatives given."""
    line = cell(book, SHAPES) + shape * (8 * shapes.SHAPE_WIDTH)
    required = cell(line, shapes.SHAPE_REQUIRED)
    one_of = cell(line, shapes.SHAPE_ONE_OF)
    return (seen & required) == required and (one_of == 0 or (given & one_of) != 0)


@njit(nogil=True)
def flat_object(book: int, notes: int, shape: int, at: int) -> int:
    """Position after the object at `at`, whose fields are all plain."""
    if byte_at(at) != 0x7B:
        return UNSURE
    seen = 0
    given = 0
    at = after_space(at + 1)
    if byte_at(at) == 0x7D:
        return at + 1 if complete(book, shape, seen, given) else UNSURE
    while True:
        at, field = member_at(book, shape, at)
        if at < 0:
            return UNSURE
        if field == 0:
            at = skip_value(at)
        else:
            bit = 1 << cell(field, shapes.FIELD_BIT)
            if seen & bit:
                return UNSURE
            seen |= bit
            at, there = note_field(book, notes, field, at)
            given |= bit * there
        if at < 0:
            return UNSURE
        at = next_member(at)
        if at <= 0:
            return -at if at < 0 and complete(book, shape, seen, given) else UNSURE
