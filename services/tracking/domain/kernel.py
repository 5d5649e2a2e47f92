"""Many events of JSON become rows, in compiled code; those it is unsure of are left to the strict decoder."""

from typing import Any, Final

import numpy as np
from numba import njit

from services.tracking.domain import columns, members, rows, shapes
from services.tracking.domain.columns import (
    DONE,
    FACT,
    META_WIDTH,
    NONE,
    STATE,
    TEXT,
    VISITOR,
    VISITOR_END,
    VISITOR_START,
)
from services.tracking.domain.content import scan_data
from services.tracking.domain.members import member_at, next_member, note_field
from services.tracking.domain.memory import byte_at, cell, put_word
from services.tracking.domain.scan import UNSURE, after_space, skip_value

__all__ = ["BARE", "NAMED", "UNDECIDED", "encode_events", "survey"]

UNDECIDED: Final = 1  # events for the strict decoder
NAMED: Final = 2  # events whose visitor id is no UUID
BARE: Final = 4  # events without a visitor

_ABSENT: Final = -(2**63)
_W: Final = 8 * members.NOTE_WIDTH
_R_TYPE: Final = shapes.ENVELOPE_ROLES["type"]
_R_VISITOR: Final = shapes.ENVELOPE_ROLES["visitorid"]


@njit(nogil=True)
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
                if columns.given(notes, _R_TYPE):
                    at = scan_data(book, notes, data_shape(book, notes), at)
                else:
                    data_at = at
                    at = skip_value(at)
        if at < 0:
            return UNSURE
        at = next_member(at)
    if at == 0 or (seen & required) != required:
        return UNSURE
    if data_at and scan_data(book, notes, data_shape(book, notes), data_at) < 0:
        return UNSURE
    if not has_data and cell(columns.type_line(book, notes), shapes.TYPE_DATA_REQUIRED):
        return UNSURE
    return -at


@njit(nogil=True)
def data_shape(book: int, notes: int) -> int:
    return cell(columns.type_line(book, notes), shapes.TYPE_SHAPE)


@njit(nogil=True)
def _encode_event(
    book: int, notes: int, at: int, end: int, row: int, meta: int, received_ms: int, arrival_ms: int, target: int
) -> int:
    """Fill the row and what is told beside it; the position after its strings. Negative: for the strict decoder."""
    after = _scan_event(book, notes, after_space(at))
    if after < 0 or (after != end and after_space(after) != end):  # beyond the end: NUL or a bracket, never `end`
        return UNSURE
    shop = columns.source(book, notes)
    currency = columns.currency(notes)
    time_ms = columns.time(notes, meta, received_ms)
    if shop < 0 or currency < 0 or time_ms == _ABSENT:
        return UNSURE
    line = notes + _R_VISITOR * _W
    if cell(line, members.GIVEN):
        if cell(line, members.START) != cell(line, members.RAW_START):
            return UNSURE
        put_word(meta + 8 * VISITOR_START, cell(line, members.RAW_START))
        put_word(meta + 8 * VISITOR_END, cell(line, members.RAW_END))
        columns.visitor(book, row, meta, cell(line, members.START), cell(line, members.END))
    else:
        columns.key(notes, meta)
    put_word(row + 8 * rows.SHOP, shop)
    put_word(row + 8 * rows.TYPE, cell(notes + _R_TYPE * _W, members.START))
    put_word(row + 8 * rows.TIME, time_ms)
    put_word(row + 8 * rows.ARRIVAL, arrival_ms)
    put_word(row + 8 * rows.CURRENCY, currency)
    columns.identity(notes, row)
    columns.cart(notes, row)
    columns.consent(book, notes, row)
    after = columns.strings(book, notes, row, target)
    if after < 0:
        return UNSURE
    put_word(meta + 8 * FACT, cell(columns.type_line(book, notes), shapes.TYPE_FACT))
    put_word(meta + 8 * STATE, DONE)
    return after


@njit(nogil=True, cache=True)  # what it calls is compiled into it
def encode_events(
    book: Any, notes: Any, spans: Any, received: Any, arrival: Any, table: Any, meta: Any, strings: Any
) -> Any:
    """Encode the events whose addresses are `spans[i]` (start, end); the bytes of strings written.

    `table` is (events, rows.WIDTH), `meta` zeros of (events, META_WIDTH) with addresses for positions. `received` and
    `arrival` hold a time for each event, or one for all. `strings` has room for all bytes of the events, and 64 more.
    Events whose `meta[i, STATE]` stays 0 are for the strict decoder.
    """
    target = np.int64(strings.ctypes.data)
    first = target
    put_word(np.int64(notes.ctypes.data) + members.LAST_SOURCE * _W + 8, -1)  # what it points to is of another call
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
def survey(meta: Any) -> Any:
    """Places of the facts among the events that were taken, and which of UNDECIDED, NAMED and BARE there are."""
    count = meta.shape[0]
    found = 0
    places = np.empty(count, np.int64)
    facts = 0
    for place in range(count):
        visitor = meta[place, VISITOR]
        if not meta[place, STATE]:
            found |= UNDECIDED
            continue
        if visitor == TEXT:
            found |= NAMED
        elif visitor == NONE:
            found |= BARE
        if meta[place, FACT] or visitor == NONE:
            places[facts] = place
            facts += 1
    return places[:facts].copy(), found
