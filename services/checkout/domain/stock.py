"""Stock of a shop that lets us count it: reserved at the click, committed by the payment, released at the lapse.

All or nothing; each act can be repeated. `version` is compared when a level is stored, so that of two that race one is
told to look again.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from services.checkout.domain.outcomes import Refusal

__all__ = ["Level", "commit", "outlived", "promise", "release", "reserve", "ship"]

replace = msgspec.structs.replace


class Hold(msgspec.Struct, frozen=True):
    """Units kept for an order until an instant."""

    quantity: int
    until: datetime


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """`on_hand` units, of which those in `holds` (by order) are promised; `committed`: by order, to be shipped."""

    sku: str
    on_hand: int
    holds: dict[str, Hold] = {}
    committed: dict[str, int] = {}
    version: int = 0

    @property
    def free(self) -> int:
        """Units that can still be promised."""
        kept = sum(hold.quantity for hold in self.holds.values()) + sum(self.committed.values())
        return self.on_hand - kept


def reserve(
    levels: Mapping[str, Level], order_id: str, wanted: Mapping[str, int], until: datetime
) -> tuple[Level, ...] | Refusal:
    """The levels that change. Refused, with nothing reserved, when one sku has too few."""
    changed: list[Level] = []
    for sku, quantity in wanted.items():
        level = levels.get(sku)
        if level is None:
            return Refusal(f"lines.{sku}", "is not for sale", "C08", "L121-4 5°, 6°")
        if order_id in level.holds or order_id in level.committed:
            continue
        if level.free < quantity:
            left = f"{level.free} left" if level.free > 0 else "sold out"
            return Refusal(f"lines.{sku}", f"{left}, {quantity} wanted", "C08", "L121-4 5°, 6°")
        holds = {**level.holds, order_id: Hold(quantity, until)}
        changed.append(replace(level, holds=holds, version=level.version + 1))
    return tuple(changed)


def commit(levels: Mapping[str, Level], order_id: str) -> tuple[Level, ...]:
    """The levels that change when the order is confirmed."""
    return tuple(
        replace(
            level,
            holds=_without(level.holds, order_id),
            committed={**level.committed, order_id: level.holds[order_id].quantity},
            version=level.version + 1,
        )
        for level in levels.values()
        if order_id in level.holds
    )


def ship(level: Level, order_id: str, quantity: int) -> Level | Refusal:
    """The level after units of a committed order have left. A parcel leaves once: the order sees to that."""
    left = level.committed.get(order_id, 0) - quantity
    if left < 0:
        return Refusal(f"lines.{level.sku}", "more leaves than this order was promised")
    rest = {order: count for order, count in {**level.committed, order_id: left}.items() if count}
    return replace(level, on_hand=level.on_hand - quantity, committed=rest, version=level.version + 1)


def promise(levels: Mapping[str, Level], order_id: str, still: Mapping[str, int]) -> tuple[Level, ...]:
    """The levels that change when goods of a paid order have to be sent anew: as many as are free are kept for it."""
    changed = []
    for sku, level in levels.items():
        if order_id in level.holds:
            continue  # not paid yet: nothing of it has left
        have = level.committed.get(order_id, 0)
        more = min(still.get(sku, 0) - have, level.free)
        if more > 0:
            committed = {**level.committed, order_id: have + more}
            changed.append(replace(level, committed=committed, version=level.version + 1))
    return tuple(changed)


def release(
    levels: Mapping[str, Level], order_id: str, still: Mapping[str, int] | None = None, *, gone: bool = False
) -> tuple[Level, ...]:  # fmt: skip
    """The levels that change when the order lapses or is cancelled. `still`: the units by sku that it goes on to
    ship, after some were withdrawn; then what is held or committed beyond them is free again. `gone`: there are no
    such units, so that nobody is offered them anew.
    """
    changed = []
    for sku, level in levels.items():
        most = (still or {}).get(sku, 0)
        hold = level.holds.get(order_id)
        holds = _without(level.holds, order_id)
        if hold is not None and most:
            holds = {**level.holds, order_id: Hold(min(hold.quantity, most), hold.until)}
        committed = {**level.committed, order_id: min(level.committed.get(order_id, 0), most)}
        committed = {order: count for order, count in committed.items() if count}
        if (holds, committed) != (level.holds, level.committed):
            after = replace(level, holds=holds, committed=committed, version=level.version + 1)
            on_hand = level.on_hand - (after.free - level.free) if gone else level.on_hand
            changed.append(replace(after, on_hand=on_hand))
    return tuple(changed)


def outlived(level: Level, at: datetime) -> frozenset[str]:
    """Orders whose hold has outlived its time: they are to be looked at, since only their lapse releases it."""
    return frozenset(order for order, hold in level.holds.items() if hold.until <= at)


def _without(holds: Mapping[str, Hold], order_id: str) -> dict[str, Hold]:
    return {order: hold for order, hold in holds.items() if order != order_id}
