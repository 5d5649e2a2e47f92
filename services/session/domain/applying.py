"""What one event makes of its visitor's session (docs/detection.md, steps 5 to 13 and 18)."""

from typing import Final

import numpy as np
from numba import njit

from relance.events.batch import FLAG_PERSON, FLAG_RETURNING, FLAG_RETURNING_GIVEN
from relance.events.catalog import CODE, EVENT_TYPES
from services.session.domain.cart import (
    ADDED,
    CHECKOUT_TYPES,
    PRODUCT,
    UPDATED,
    apply_cart,
    empty_cart,
    fall_back,
    set_stage,
)
from services.session.domain.firing import emit, free_node, take_node, window_at
from services.session.domain.index import find, home_of, insert, key_hash, take_row
from services.session.domain.layout import (
    ABSENT,
    ALIVE,
    ARMED,
    CONVERTED,
    DEVICE_MASK,
    DEVICE_SHIFT,
    FIRED,
    ORDER,
    PAID,
    PERSON_KNOWN,
    PLACE_REMOVED,
    PRODUCT_SEEN,
    RETRACTED,
    RETURNING,
    STAGE_MASK,
    TOTAL_KNOWN,
    Columns,
    Register,
    Row,
    Tables,
)
from services.session.domain.origins import keep_origin
from services.session.domain.seen import note, was_seen
from services.session.domain.wheel import reschedule

__all__ = ["apply_event"]

_STAGE: Final = np.zeros(256, np.uint8)
_QUIET: Final = np.zeros(256, np.bool_)
_CART: Final = np.zeros(256, np.bool_)  # cart.*
for _type in EVENT_TYPES:
    _STAGE[_type.code] = _type.stage
    _QUIET[_type.code] = _type.quiet
    _CART[_type.code] = _type.name.startswith("cart.")
_STARTED: Final = CODE["checkout.started"]
_SUCCEEDED: Final = CODE["payment.succeeded"]
_COMPLETED: Final = CODE["order.completed"]
_CONSENT: Final = CODE["consent.changed"]
_LINKED: Final = CODE["identity.linked"]
_CART_STAGE: Final = 3

_STREAM = Register.STREAM
_OFFSET = Register.OFFSET
_SEQUENCE = Register.SEQUENCE
_GROUP = Register.GROUP
_AUX_N = Register.AUX_N
_OUT_N = Register.OUT_N
_APPLIED = Register.APPLIED
_DUPLICATE = Register.DUPLICATE
_LATE = Register.LATE
_QUIET_N = Register.QUIET
_SKIPPED = Register.SKIPPED


@njit(cache=True, _nrt=False, forceinline=True)
def _begin(t: Tables, c: Columns, i: int, h: np.uint64) -> np.int64:
    r = take_row(t)
    row = t.rows[r]
    now = t.reg[_STREAM]
    row.hi = c.hi[i]
    row.lo = c.lo[i]
    row.shop = np.uint32(c.shop[i])
    row.first_append = now
    row.last_activity = min(c.time[i], now)
    row.first_activity = row.last_activity
    row.cart_time = ABSENT
    row.opener_time = ABSENT
    row.top_price = ABSENT
    row.total = 0
    row.items = np.int32(0)
    row.events = np.uint32(0)
    row.nodes = np.int32(-1)
    row.origin = np.int32(-1)
    row.currency = np.uint16(0)
    row.episode = np.uint16(0)
    row.consent = np.uint16(0)
    row.state = np.uint16(1 | ALIVE | TOTAL_KNOWN)
    insert(t, h, r)
    return r


@njit(cache=True, _nrt=False, forceinline=True)
def _time_of(t: Tables, r: int, kind: int) -> np.int64:
    """Time of the last order or payment, or ABSENT."""
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        if t.nodes[n].kind == kind:
            return np.int64(t.nodes[n].t)
        n = np.int64(t.nodes[n].next)
    return np.int64(ABSENT)


@njit(cache=True, _nrt=False)
def _keep_time(t: Tables, r: int, kind: int, at: int) -> None:
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        if t.nodes[n].kind == kind:
            t.nodes[n].t = max(t.nodes[n].t, at)
            return
        n = np.int64(t.nodes[n].next)
    take_node(t, r, kind, -1, at)


@njit(cache=True, _nrt=False, forceinline=True)
def _note_facts(row: Row, c: Columns, i: int) -> None:
    state = row.state
    if c.flags[i] & FLAG_PERSON or c.type[i] == _LINKED:
        state |= PERSON_KNOWN
    if c.flags[i] & FLAG_RETURNING_GIVEN:
        state = state | RETURNING if c.flags[i] & FLAG_RETURNING else state & ~RETURNING
    if c.device[i]:
        state = (state & ~DEVICE_MASK) | (np.int64(c.device[i] & 3) << DEVICE_SHIFT)
    row.state = np.uint16(state)
    row.consent = np.uint16((row.consent & ~c.denied[i]) | c.granted[i])


@njit(cache=True, _nrt=False, forceinline=True)
def _apply_stage(row: Row, code: int, blocked: int) -> None:
    """Raise the stage to the event's, unless an order or payment keeps stages 3 to 5 shut."""
    stage = np.int64(_STAGE[code])
    if stage == PRODUCT:
        row.state = np.uint16(row.state | PRODUCT_SEEN)
    if stage >= _CART_STAGE and blocked != ABSENT and row.opener_time <= blocked:
        return
    if stage > row.state & STAGE_MASK:
        set_stage(row, stage)


@njit(cache=True, _nrt=False)
def _disarm(t: Tables, r: int, at: int) -> None:
    """Disarm what is armed at or before `at`."""
    before = np.int64(-1)
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        if t.nodes[n].kind == ARMED and t.nodes[n].t <= at:
            n = free_node(t, r, n, before)
        else:
            before = n
            n = np.int64(t.nodes[n].next)


@njit(cache=True, _nrt=False)
def _arm(t: Tables, c: Columns, i: int, r: int) -> None:
    """Arm the shop's windows on this event, and look at the session when the first of them is due."""
    d = t.shop_definition[c.shop[i]]
    definition = t.definitions[d]
    for w in range(definition.begin, definition.end):
        window = t.windows[w]
        if window.event != c.type[i]:
            continue
        armed_at = c.time[i]
        n = np.int64(t.rows[r].nodes)
        while n >= 0 and not (t.nodes[n].kind == ARMED and t.nodes[n].name == window.name):
            n = np.int64(t.nodes[n].next)
        if n >= 0:
            t.nodes[n].t = max(t.nodes[n].t, armed_at)
        else:
            take_node(t, r, ARMED, window.name, armed_at)
        reschedule(t, r, armed_at + window.inactivity + definition.grace)


@njit(cache=True, _nrt=False)
def _retract(t: Tables, r: int, at: int) -> None:
    """Say for each firing with a deadline at or after `at` that it never was, and forget it."""
    d = t.shop_definition[t.rows[r].shop]
    before = np.int64(-1)
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        node = t.nodes[n]
        if node.kind != FIRED or node.t < at:
            before = n
            n = np.int64(node.next)
            continue
        w = window_at(t, d, node.name)
        place = w - t.definitions[d].begin if w >= 0 else np.int64(PLACE_REMOVED)
        emit(t, r, RETRACTED, place, node.name, node.t, t.reg[_STREAM])
        n = free_node(t, r, n, before)


@njit(cache=True, _nrt=False)
def _convert(t: Tables, r: int, at: int) -> None:
    """An order: retractions, the conversion, and a new episode."""
    t.reg[_GROUP] += 1
    _retract(t, r, at)
    t.reg[_GROUP] += 1
    names_begin = t.reg[_AUX_N]
    before = np.int64(-1)
    n = np.int64(t.rows[r].nodes)
    while n >= 0:
        if t.nodes[n].kind == FIRED:
            t.aux[t.reg[_AUX_N]] = t.nodes[n].name
            t.reg[_AUX_N] += 1
            n = free_node(t, r, n, before)
        else:
            before = n
            n = np.int64(t.nodes[n].next)
    emit(t, r, CONVERTED, 0, -1, ABSENT, t.reg[_STREAM])
    out = t.out[t.reg[_OUT_N] - 1]
    out.names_begin = np.int32(names_begin)
    out.names_end = np.int32(t.reg[_AUX_N])
    row = t.rows[r]
    row.episode = np.uint16(min(row.episode + 1, 65_535))
    row.state = np.uint16(row.state & ~PRODUCT_SEEN)
    if row.cart_time <= at:
        empty_cart(row)
        set_stage(row, 1)
    _disarm(t, r, at)
    _keep_time(t, r, ORDER, at)


@njit(cache=True, _nrt=False, forceinline=True)
def _change(t: Tables, c: Columns, i: int, r: int) -> None:
    """All that an event changes beyond activity and count."""
    row = t.rows[r]
    code = c.type[i]
    at = c.time[i]
    ordered = np.int64(ABSENT)
    blocked = np.int64(ABSENT)
    if row.nodes >= 0:
        ordered = _time_of(t, r, ORDER)
        if ordered != ABSENT and at <= ordered:
            return
        blocked = max(ordered, _time_of(t, r, PAID))
    if _CART[code] and at < row.cart_time:
        return
    _note_facts(row, c, i)
    if not _QUIET[code]:
        keep_origin(t, c, i, r)
        emptied = False
        if _CART[code] or CHECKOUT_TYPES[code]:
            if code == ADDED or code == _STARTED or (code == UPDATED and c.items[i] > 0):
                row.opener_time = max(row.opener_time, at)
            emptied = apply_cart(row, c, i)
        if code == _COMPLETED:
            _convert(t, r, at)
            return
        if code == _SUCCEEDED:
            fall_back(row)
            _disarm(t, r, at)
            _keep_time(t, r, PAID, at)
            return
        if not emptied:
            _apply_stage(row, code, blocked)
    mask = t.definitions[t.shop_definition[c.shop[i]]].event_mask
    if mask & (np.uint64(1) << np.uint64(code)) and (blocked == ABSENT or at > blocked):
        _arm(t, c, i, r)


@njit(cache=True, _nrt=False, forceinline=True)
def apply_event(t: Tables, c: Columns, i: int) -> None:
    """Apply event `i` at the present stream time. There must be room for one session, its nodes, signals and timers."""
    shop = np.uint32(c.shop[i])
    if was_seen(t, c.event_hash[i], shop):
        t.reg[_DUPLICATE] += 1
        return
    now = t.reg[_STREAM]
    note(t, c.event_hash[i], shop, now)
    h = key_hash(c.hi[i], c.lo[i], t.shop_key[shop])
    if t.joined[home_of(h, len(t.joined))] >= t.reg[_OFFSET]:
        t.reg[_SKIPPED] += 1
        return
    code = c.type[i]
    at = c.time[i]
    arrival = c.arrival[i] if c.arrival[i] != ABSENT else now
    r = find(t, h, c.hi[i], c.lo[i], shop)
    definition = t.definitions[t.shop_definition[shop]]
    if arrival - at > definition.lateness and not (r >= 0 and (code == _COMPLETED or code == _CONSENT)):
        t.reg[_LATE] += 1
        return
    if r < 0:
        if _QUIET[code]:
            t.reg[_QUIET_N] += 1
            return
        r = _begin(t, c, i, h)
    t.reg[_APPLIED] += 1
    row = t.rows[r]
    if not _QUIET[code]:
        row.events += np.uint32(1)
        active = min(at, now)
        row.last_activity = max(row.last_activity, active)
        row.first_activity = min(row.first_activity, active)
    row.seen = np.uint32(t.reg[_SEQUENCE])
    _change(t, c, i, r)
    reschedule(t, r, row.last_activity + definition.shortest[row.state & STAGE_MASK] + definition.grace)
