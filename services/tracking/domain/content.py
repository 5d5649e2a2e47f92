"""An event's `data`, its items and its consent, read in compiled code."""

from typing import Final

import numpy as np
from numba import njit

from services.tracking.domain import shapes
from services.tracking.domain.members import (
    END,
    GIVEN,
    NOTE_WIDTH,
    START,
    complete,
    find,
    flat_object,
    member_at,
    next_member,
    note,
    note_field,
)
from services.tracking.domain.memory import byte_at, cell, put_word, word_at
from services.tracking.domain.scan import ESCAPED, UNSURE, after_space, skip_value, string_end

__all__ = ["is_granted", "scan_data"]

# the notes of items and consent
ITEMS_SUM: Final = 0
ITEMS_VALUE: Final = 1
ITEMS_TOP: Final = 3
ITEMS_PRODUCT_START: Final = 4
ITEMS_PRODUCT_END: Final = 5
GRANTED: Final = 0
DENIED: Final = 1

_ABSENT: Final = -(2**63)
_QUOTE: Final = 0x22
_LOW: Final = np.uint64(0xFFFF_FFFF)
_TRUE: Final = np.uint64(0x65757274)
_ITEM_PRODUCT: Final = shapes.ITEM_ROLES["product_id"]
_ITEM_QUANTITY: Final = shapes.ITEM_ROLES["quantity"]
_ITEM_PRICE: Final = shapes.ITEM_ROLES["price_minor"]
_ITEMS: Final = shapes.DATA_ROLES["items"]
_CONSENT: Final = shapes.DATA_ROLES["consent"]


@njit(nogil=True)
def _forget_item(notes: int) -> None:
    for role in (_ITEM_PRODUCT, _ITEM_QUANTITY, _ITEM_PRICE):
        put_word(notes + (role * NOTE_WIDTH + GIVEN) * 8, 0)


@njit(nogil=True)
def _items(book: int, notes: int, field: int, at: int) -> int:
    """Position after the array of items at `at`; quantities, value and highest price are noted."""
    if byte_at(at) != 0x5B:
        return UNSURE
    line = notes + _ITEMS * (8 * NOTE_WIDTH)
    put_word(line + 8 * GIVEN, 1)
    put_word(line + 8 * ITEMS_PRODUCT_START, 0)
    count, quantities, value, top, priced = 0, 0, np.int64(0), np.int64(_ABSENT), True
    at = after_space(at + 1)
    more = byte_at(at) != 0x5D
    if not more:
        at += 1
    while more:
        _forget_item(notes)
        at = flat_object(book, notes, shapes.ITEM, at)
        if at < 0:
            return UNSURE
        count += 1
        quantity = 1
        if cell(notes, _ITEM_QUANTITY * NOTE_WIDTH + GIVEN):
            quantity = cell(notes, _ITEM_QUANTITY * NOTE_WIDTH)
        quantities += quantity
        if cell(notes, _ITEM_PRICE * NOTE_WIDTH + GIVEN):
            price = cell(notes, _ITEM_PRICE * NOTE_WIDTH)
            value += quantity * price
            top = max(top, price)
        else:
            priced = False
        if count == 1:
            put_word(line + 8 * ITEMS_PRODUCT_START, cell(notes, _ITEM_PRODUCT * NOTE_WIDTH + START))
            put_word(line + 8 * ITEMS_PRODUCT_END, cell(notes, _ITEM_PRODUCT * NOTE_WIDTH + END))
        at = after_space(at)
        byte = byte_at(at)
        more = byte == 0x2C
        if not more and byte != 0x5D:
            return UNSURE
        at = after_space(at + 1) if more else at + 1
    if count > cell(field, shapes.FIELD_HIGH):
        return UNSURE
    put_word(line + 8 * ITEMS_SUM, quantities)
    put_word(line + 8 * ITEMS_VALUE, value if priced else _ABSENT)
    put_word(line + 8 * ITEMS_TOP, top)
    return at


@njit(nogil=True)
def is_granted(start: int, end: int) -> bool:
    """Whether the text is ``granted``."""
    return end - start == 7 and (word_at(start) & np.uint64(0x00FF_FFFF_FFFF_FFFF)) == np.uint64(0x006465746E617267)


@njit(nogil=True)
def _consent(book: int, notes: int, at: int) -> int:
    """Position after the object from channel to consent at `at`; the channels' bits are noted."""
    if byte_at(at) != 0x7B:
        return UNSURE
    granted = 0
    denied = 0
    at = after_space(at + 1)
    more = byte_at(at) != 0x7D
    if not more:
        at += 1
    while more:
        if byte_at(at) != _QUOTE:
            return UNSURE
        close, flags = string_end(at + 1)
        if close < 0 or flags & ESCAPED:
            return UNSURE
        channel = find(book, shapes.CHANNEL_SPACE, at + 1, close - at - 1)
        at = after_space(close + 1)
        if byte_at(at) != 0x3A:
            return UNSURE
        value = after_space(at + 1)
        at = skip_value(value)
        if at < 0:
            return UNSURE
        if channel >= 0:
            yes = (word_at(value) & _LOW) == _TRUE
            if byte_at(value) == _QUOTE:
                yes = is_granted(value + 1, at - 1)
                if string_end(value + 1)[1] & ESCAPED:
                    return UNSURE
            bit = 1 << channel
            granted = (granted | bit) if yes else (granted & ~bit)
            denied = (denied & ~bit) if yes else (denied | bit)
        at = next_member(at)
        if at == 0:
            return UNSURE
        more = at > 0
        at = abs(at)
    note(notes, _CONSENT, granted, denied, 0, 0)
    return at


@njit(nogil=True)
def scan_data(book: int, notes: int, shape: int, at: int) -> int:
    """Position after the object `data` at `at`, checked against its shape and noted."""
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
            kind = cell(field, shapes.FIELD_KIND)
            there = 1
            if kind < shapes.ITEMS or byte_at(at) == 0x6E:
                at, there = note_field(book, notes, field, at)
            elif kind == shapes.ITEMS:
                at = _items(book, notes, field, at)
            elif kind == shapes.CONSENT:
                at = _consent(book, notes, at)
            elif kind == shapes.OBJECT:
                at = flat_object(book, notes, cell(field, shapes.FIELD_EXTRA), at)
            else:
                return UNSURE
            given |= bit * there
        if at < 0:
            return UNSURE
        at = next_member(at)
        if at <= 0:
            return -at if at < 0 and complete(book, shape, seen, given) else UNSURE
