"""What the passage of stream time makes of one session: windows that fire, armed windows that come due, the end."""

from typing import Final

import numpy as np
from numba import njit

from services.session.domain.index import free_row, key_hash, remove
from services.session.domain.layout import (
    ABANDONED,
    ABSENT,
    ARMED,
    DEVICE_MASK,
    DEVICE_SHIFT,
    ENDED,
    FIRED,
    MAX_FIRINGS,
    PERSON_KNOWN,
    PLACE_ENDED,
    RETURNING,
    SCHEDULED,
    STAGE_MASK,
    TOTAL_KNOWN,
    Register,
    Row,
    Tables,
)
from services.session.domain.wheel import schedule

__all__ = ["check", "emit", "end_due", "free_node", "has_fired", "next_due", "take_node", "window_at"]

_NODE_FREE = Register.NODE_FREE
_NODE_TOP = Register.NODE_TOP
_NODE_LEFT = Register.NODE_LEFT
_OUT_N = Register.OUT_N
_GROUP = Register.GROUP
_FIRED = Register.FIRED
_FAR: Final = 1 << 62


@njit(cache=True, _nrt=False, forceinline=True)
def take_node(t: Tables, r: int, kind: int, name: int, at: int) -> None:
    """Put a node in front of the row's list. There must be room."""
    n = t.reg[_NODE_FREE]
    if n >= 0:
        t.reg[_NODE_FREE] = t.nodes[n].next
    else:
        n = t.reg[_NODE_TOP]
        t.reg[_NODE_TOP] = n + 1
    t.reg[_NODE_LEFT] -= 1
    node = t.nodes[n]
    node.kind = np.int32(kind)
    node.name = np.int32(name)
    node.t = at
    node.next = t.rows[r].nodes
    t.rows[r].nodes = np.int32(n)


@njit(cache=True, _nrt=False, forceinline=True)
def free_node(t: Tables, r: int, n: int, before: int) -> np.int64:
    """Unlink node `n`, which follows `before` (-1: it is the head); returns the one that followed."""
    after = np.int64(t.nodes[n].next)
    if before < 0:
        t.rows[r].nodes = np.int32(after)
    else:
        t.nodes[before].next = np.int32(after)
    t.nodes[n].next = np.int32(t.reg[_NODE_FREE])
    t.reg[_NODE_FREE] = n
    t.reg[_NODE_LEFT] += 1
    return after


@njit(cache=True, _nrt=False, forceinline=True)
def window_at(t: Tables, d: int, name: int) -> np.int64:
    """Place in `t.windows` of the window with this id in definition `d`, or -1."""
    for w in range(t.definitions[d].begin, t.definitions[d].end):
        if t.windows[w].name == name:
            return np.int64(w)
    return np.int64(-1)


@njit(cache=True, _nrt=False, forceinline=True)
def shown_total(row: Row) -> np.int64:
    """The total as signals and predicates see it."""
    if row.items > 0 and row.state & TOTAL_KNOWN:
        return np.int64(row.total)
    return np.int64(ABSENT)


@njit(cache=True, _nrt=False, forceinline=True)
def holds(row: Row, window: Row) -> bool:
    """Whether all predicates of the window's `when` hold for the session."""
    if window.total_at_least >= 0 or window.total_below >= 0:
        total = shown_total(row)
        if total == ABSENT:
            return False
        if window.total_at_least >= 0 and total < window.total_at_least:
            return False
        if window.total_below >= 0 and total >= window.total_below:
            return False
    if window.currency != 0 and row.currency != window.currency:
        return False
    if window.price_at_least >= 0 and (row.top_price == ABSENT or row.top_price < window.price_at_least):
        return False
    if row.items < window.items_at_least or row.events < window.events_at_least:
        return False
    if window.device != 0 and (row.state & DEVICE_MASK) >> DEVICE_SHIFT != window.device:
        return False
    if window.person >= 0 and (row.state & PERSON_KNOWN != 0) != (window.person == 1):
        return False
    if window.returning >= 0 and (row.state & RETURNING != 0) != (window.returning == 1):
        return False
    return window.consent == 0 or row.consent & window.consent != 0


@njit(cache=True, _nrt=False, forceinline=True)
def has_fired(t: Tables, r: int, name: int) -> bool:
    """Whether the window fired in this episode."""
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind == FIRED and node.name == name:
            return True
        n = np.int64(node.next)
    return False


@njit(cache=True, _nrt=False, forceinline=True)
def end_due(t: Tables, r: int) -> np.int64:
    """When the session ends, as things stand."""
    row = t.rows[r]
    d = t.shop_definition[row.shop]
    definition = t.definitions[d]
    due = row.last_activity + definition.longest[row.state & STAGE_MASK] + definition.grace
    n = np.int64(row.nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind == ARMED:
            w = window_at(t, d, node.name)
            due = max(due, node.t + t.windows[w].inactivity + definition.grace)
        n = np.int64(node.next)
    return due


@njit(cache=True, _nrt=False, forceinline=True)
def next_due(t: Tables, r: int) -> np.int64:
    """The earliest instant at which something of the session is due, as things stand."""
    row = t.rows[r]
    d = t.shop_definition[row.shop]
    definition = t.definitions[d]
    stage = row.state & STAGE_MASK
    due = end_due(t, r)
    for w in range(definition.begin, definition.end):
        window = t.windows[w]
        if window.stage == stage and window.since <= row.seen:
            at = row.last_activity + window.inactivity + definition.grace
            if at < due and holds(row, window) and not has_fired(t, r, window.name):
                due = at
    n = np.int64(row.nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind == ARMED:
            w = window_at(t, d, node.name)
            due = min(due, node.t + t.windows[w].inactivity + definition.grace)
        n = np.int64(node.next)
    return due


@njit(cache=True, _nrt=False, forceinline=True)
def emit(t: Tables, r: int, kind: int, place: int, name: int, deadline: int, due: int) -> None:
    """Write one signal that shows the session as it is. There must be room."""
    at = t.reg[_OUT_N]
    t.reg[_OUT_N] = at + 1
    t.reg[_FIRED] += 1
    row = t.rows[r]
    out = t.out[at]
    out.group = t.reg[_GROUP]
    out.due = due
    out.hi = row.hi
    out.lo = row.lo
    out.deadline = deadline
    out.last_activity = row.last_activity
    out.first_append = row.first_append
    out.total = shown_total(row)
    out.duration = row.last_activity - row.first_activity
    out.shop = np.int32(row.shop)
    out.place = np.int32(place)
    out.name = np.int32(name)
    out.items = row.items
    out.events = np.int32(row.events)
    out.episode = np.int32(row.episode)
    out.origin = row.origin
    out.names_begin = np.int32(0)
    out.names_end = np.int32(0)
    out.currency = row.currency
    out.kind = np.uint8(kind)
    out.stage = np.uint8(row.state & STAGE_MASK)


@njit(cache=True, _nrt=False, forceinline=True)
def _fire_stage_windows(t: Tables, r: int, to: int) -> None:
    row = t.rows[r]
    definition = t.definitions[t.shop_definition[row.shop]]
    stage = row.state & STAGE_MASK
    for w in range(definition.begin, definition.end):
        window = t.windows[w]
        if window.stage != stage or window.since > row.seen:
            continue
        deadline = row.last_activity + window.inactivity
        if deadline + definition.grace <= to and holds(row, window) and not has_fired(t, r, window.name):
            emit(t, r, ABANDONED, w - definition.begin, window.name, deadline, deadline + definition.grace)
            _note_firing(t, r, window.name, deadline)


@njit(cache=True, _nrt=False)
def _note_firing(t: Tables, r: int, name: int, deadline: int) -> None:
    """Keep a firing of an event window; the session's oldest gives way when there are too many."""
    count = 0
    oldest = np.int64(-1)
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind == FIRED:
            count += 1
            if oldest < 0 or node.t < t.nodes[oldest].t:
                oldest = n
        n = np.int64(node.next)
    if count < MAX_FIRINGS:
        take_node(t, r, FIRED, name, deadline)
    else:
        t.nodes[oldest].t = deadline
        t.nodes[oldest].name = np.int32(name)


@njit(cache=True, _nrt=False)
def _fired_with(t: Tables, r: int, name: int, deadline: int) -> bool:
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind == FIRED and node.name == name and node.t == deadline:
            return True
        n = np.int64(node.next)
    return False


@njit(cache=True, _nrt=False)
def _fire_armed(t: Tables, r: int, to: int) -> None:
    row = t.rows[r]
    d = t.shop_definition[row.shop]
    definition = t.definitions[d]
    before = np.int64(-1)
    n = np.int64(row.nodes)
    while n >= 0:
        node = t.nodes[n]
        w = window_at(t, d, node.name) if node.kind == ARMED else np.int64(-1)
        deadline = node.t + (t.windows[w].inactivity if w >= 0 else 0)
        if w < 0 or deadline + definition.grace > to:
            before = n
            n = np.int64(node.next)
            continue
        name = np.int64(node.name)
        n = free_node(t, r, n, before)
        if holds(row, t.windows[w]) and not _fired_with(t, r, name, deadline):
            emit(t, r, ABANDONED, w - definition.begin, name, deadline, deadline + definition.grace)
            head = np.int64(row.nodes)
            _note_firing(t, r, name, deadline)
            if before < 0 and np.int64(row.nodes) != head:
                before = np.int64(row.nodes)  # the new node now stands before `n`


@njit(cache=True, _nrt=False, forceinline=True)
def forget(t: Tables, r: int) -> None:
    """Take a session out."""
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        n = free_node(t, r, n, -1)
    row = t.rows[r]
    remove(t, key_hash(row.hi, row.lo, t.shop_key[row.shop]), r)
    free_row(t, r)


@njit(cache=True, _nrt=False, forceinline=True)
def check(t: Tables, r: int, to: int) -> None:
    """Fire all of the session that is due by `to`, then end it or look at it again when the next thing is due."""
    end = end_due(t, r)
    _fire_stage_windows(t, r, to)
    if t.rows[r].nodes >= 0:
        _fire_armed(t, r, to)
    if end <= to:
        emit(t, r, ENDED, PLACE_ENDED, -1, ABSENT, end)
        forget(t, r)
        return
    t.rows[r].state = np.uint16(t.rows[r].state & ~np.uint16(SCHEDULED))
    schedule(t, r, next_due(t, r))
