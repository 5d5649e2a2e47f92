"""The cart of a session, and the stage that it leaves when it is emptied (docs/detection.md, steps 10 and 11)."""

from typing import Final

import numpy as np
from numba import njit

from relance.events.catalog import CODE, EVENT_TYPES
from services.session.domain.layout import ABSENT, PRODUCT_SEEN, STAGE_MASK, TOTAL_KNOWN, Columns, Row

__all__ = ["ADDED", "CHECKOUT_TYPES", "PRODUCT", "UPDATED", "apply_cart", "empty_cart", "fall_back", "set_stage"]

ADDED: Final = CODE["cart.product_added"]
REMOVED: Final = CODE["cart.product_removed"]
UPDATED: Final = CODE["cart.updated"]
CHECKOUT_TYPES: Final = np.zeros(256, np.bool_)
for _type in EVENT_TYPES:
    CHECKOUT_TYPES[_type.code] = _type.name.startswith("checkout.")
PRODUCT: Final = 2
_MAX_ITEMS: Final = 2**31 - 1


@njit(cache=True, _nrt=False, forceinline=True)
def empty_cart(row: Row) -> None:
    """Nothing in it: total, price and currency unknown; the first addition counts from 0."""
    row.items = np.int32(0)
    row.total = 0
    row.top_price = ABSENT
    row.currency = np.uint16(0)
    row.state = np.uint16(row.state | TOTAL_KNOWN)


@njit(cache=True, _nrt=False, forceinline=True)
def set_stage(row: Row, stage: int) -> None:
    """The session's stage is this one."""
    row.state = np.uint16((row.state & ~STAGE_MASK) | stage)


@njit(cache=True, _nrt=False, forceinline=True)
def fall_back(row: Row) -> None:
    """The stage of a session whose cart is empty."""
    set_stage(row, PRODUCT if row.state & PRODUCT_SEEN else 1)


@njit(cache=True, _nrt=False, forceinline=True)
def _move_items(row: Row, c: Columns, i: int, sign: int) -> None:
    """Add (1) or take (-1) the event's items."""
    quantity = int(c.items[i])
    value = c.value[i]
    top = c.top_price[i]
    if quantity <= 0:
        quantity = 1
        value = ABSENT
        top = ABSENT
    currency = c.currency[i]
    known = row.state & TOTAL_KNOWN != 0 and value != ABSENT
    if currency != 0:
        if row.currency != 0 and row.currency != currency:
            known = False
        row.currency = currency
    if known:
        row.total += sign * value
    else:
        row.state = np.uint16(row.state & ~TOTAL_KNOWN)
    row.items = np.int32(min(row.items + sign * quantity, _MAX_ITEMS))
    if sign > 0 and top != ABSENT:
        row.top_price = max(row.top_price, top)


@njit(cache=True, _nrt=False, forceinline=True)
def _set_cart(row: Row, c: Columns, i: int) -> None:
    row.items = c.items[i]
    row.top_price = c.top_price[i]
    if c.currency[i] != 0:
        row.currency = c.currency[i]
    if c.total[i] != ABSENT:
        row.total = c.total[i]
        row.state = np.uint16(row.state | TOTAL_KNOWN)
    else:
        row.state = np.uint16(row.state & ~TOTAL_KNOWN)


@njit(cache=True, _nrt=False, forceinline=True)
def apply_cart(row: Row, c: Columns, i: int) -> bool:
    """Let a `cart.*` or `checkout.*` event change the cart; True if it emptied it."""
    code = c.type[i]
    if CHECKOUT_TYPES[code] and (c.items[i] < 0 or c.time[i] < row.cart_time):
        return False
    row.cart_time = c.time[i]
    if code == ADDED:
        _move_items(row, c, i, 1)
        return False
    if code == REMOVED:
        _move_items(row, c, i, -1)
        emptied = row.items <= 0
    else:
        emptied = c.items[i] == 0 or (code == UPDATED and c.items[i] < 0)
        if c.items[i] > 0:
            _set_cart(row, c, i)
    if emptied:
        empty_cart(row)
        fall_back(row)
    return emptied
