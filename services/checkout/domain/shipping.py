"""What happens to the goods of an order: prepared, shipped, received; and its ends: cancelled, resolved, withdrawn."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from services.checkout.domain.events import Saying, moved
from services.checkout.domain.orders import (
    ENDED,
    Cancel,
    Close,
    Deliver,
    Order,
    OrderLine,
    Parcel,
    Prepare,
    Resolve,
    Ship,
    Withdraw,
    items,
    on_its_way,
)  # fmt: skip
from services.checkout.domain.outcomes import Effect, Moved, Refusal, unchanged
from services.checkout.domain.payments import unwind

__all__ = [
    "all_received", "cancel", "close", "deliver", "prepare", "refused_units", "resolve", "ship", "still_sold",
    "withdraw", "wrong",
]  # fmt: skip

replace = msgspec.structs.replace


def prepare(order: Order, _act: Prepare) -> Moved[Order] | Refusal:
    """Goods are made ready once the payment is secured."""
    if order.state == "preparing":
        return unchanged(order)
    if order.state != "confirmed":
        return wrong(order, "nothing is prepared before the payment is secured")
    return moved(replace(order, state="preparing"), "preparing")


def ship(order: Order, act: Ship, at: datetime) -> Moved[Order] | Refusal:
    """A parcel leaves: of a paid order, with units that did not leave before and were not withdrawn."""
    if any(parcel.id == act.parcel_id for parcel in order.parcels):
        return unchanged(order)
    if order.state not in {"confirmed", "preparing", "shipped"} or order.paid_at is None:
        return wrong(order, "nothing is shipped before it is paid")
    if refused := refused_units(order, act.units, lambda line: max(0, still_sold(line) - line.shipped)):
        return refused
    if not any(act.units.values()):
        return Refusal("units", "a parcel holds something")
    lines = tuple(replace(line, shipped=line.shipped + act.units.get(line.id, 0)) for line in order.lines)
    parcel = Parcel(
        id=act.parcel_id, units=act.units, shipped_at=at, carrier=act.carrier, tracking_url=act.tracking_url
    )
    after = replace(order, state="shipped", lines=lines, parcels=(*order.parcels, parcel))
    return moved(after, "shipped", [Saying("order.shipped", at, _of(order, parcel))], [Effect("ship_stock", parcel.id)])


def deliver(order: Order, act: Deliver, at: datetime) -> Moved[Order] | Refusal:
    """A parcel is received, or deposited, which is no receipt (L221-18 2°). The last receipt delivers the order."""
    place = next((place for place, parcel in enumerate(order.parcels) if parcel.id == act.parcel_id), None)
    if place is None:
        return Refusal("parcel_id", "this order has no such parcel")
    parcel = order.parcels[place]
    received = act.received_by in {"consumer", "designated"}
    if parcel.received_at is not None or (not received and parcel.deposited_at is not None):
        return unchanged(order)
    if not received:
        return moved(_with_parcel(order, place, replace(parcel, deposited_at=at)), "deposited")
    parcel = replace(parcel, received_at=at, received_by=act.received_by)
    found = 0 if on_its_way(order.parcels[place]) else 1  # it was given up, and nothing was sent for it
    if found and (refused := _sent_anew(order, parcel)):
        return refused
    lines = tuple(
        replace(
            line,
            received=line.received + parcel.units.get(line.id, 0),
            shipped=line.shipped + found * parcel.units.get(line.id, 0),
        )
        for line in order.lines
    )
    after = replace(_with_parcel(order, place, parcel), lines=lines)
    if after.state == "shipped" and all_received(after):
        after = replace(after, state="delivered")
    anew = [Effect("release_stock")] if found else []  # what was kept to be sent for it is for sale again
    return moved(after, "delivered", [Saying("order.delivered", at, _of(order, parcel))], anew)


def close(order: Order, _act: Close) -> Moved[Order] | Refusal:
    """Nothing more is expected."""
    if order.state == "closed":
        return unchanged(order)
    if order.state != "delivered":
        return wrong(order, "only a delivered order is closed")
    return moved(replace(order, state="closed"), "closed")


def cancel(order: Order, act: Cancel, at: datetime) -> Moved[Order] | Refusal:
    """Before anything was shipped: all that was paid goes back."""
    if order.state == "cancelled":
        return unchanged(order)
    if order.state not in {"placed", "confirmed", "preparing"}:
        return wrong(order, "goods that have left are withdrawn from, not cancelled")
    after, effects = unwind(order, "cancelled", at)
    if act.reason == "unavailable":  # what there is not is not for sale again
        effects = [Effect(one.kind, act.reason) if one.kind == "release_stock" else one for one in effects]
    return moved(replace(after, state="cancelled"), "cancelled", [_cancellation(order, act.reason, at)], effects)


def resolve(order: Order, act: Resolve, at: datetime) -> Moved[Order] | Refusal:
    """The contract ended for want of delivery (L216-6): nothing was received, and all goes back (L216-7)."""
    if order.state == "resolved":
        return unchanged(order)
    if order.state in ENDED or any(line.received for line in order.lines):
        return wrong(order, "it was delivered or has ended before")
    if not act.found.resolved:
        return Refusal("resolution", act.found.reason, act.found.rule, "L216-6")
    after, effects = unwind(order, "resolved", at)
    return moved(replace(after, state="resolved"), "resolved", [_cancellation(order, "resolved", at)], effects)


def withdraw(order: Order, act: Withdraw, at: datetime) -> Moved[Order] | Refusal:
    """A statement is recorded whatever its form; what the law gives of it moves. When nothing has left and all is
    withdrawn, the order ends at once and all goes back.
    """
    asked = act.units or {line.id: still_sold(line) for line in order.lines}
    taken = asked if act.accepted is None else act.accepted
    if refused := refused_units(order, asked, lambda line: line.quantity) or refused_units(order, taken, still_sold):
        return refused
    if order.state in ENDED or not any(asked.values()):
        return unchanged(order)
    lines = tuple(replace(line, withdrawn=line.withdrawn + taken.get(line.id, 0)) for line in order.lines)
    fields = {
        "order_id": str(order.id),
        "stated_at": act.stated_at,
        "medium": act.medium,
        "items": items(order.lines, asked),
    }
    after = replace(order, lines=lines)
    sayings = [] if act.told else [Saying("withdrawal.requested", at, fields)]
    effects = [] if act.told else [Effect("acknowledge_withdrawal")]
    effects.append(Effect("release_stock"))  # units that will not leave are for sale again
    whole = any(taken.values()) and all(still_sold(line) == 0 for line in lines)
    if whole and not any(on_its_way(parcel) for parcel in order.parcels) and not act.earned:
        after, undone = unwind(after, "withdrawal", at)
        return moved(
            replace(after, state="cancelled"),
            "withdrawn",
            [*sayings, _cancellation(order, "withdrawal", at)],
            [*effects, *undone],
        )
    if after.state == "shipped" and all_received(after):
        after = replace(after, state="delivered")
    return moved(after, "withdrawn", sayings, effects)


def still_sold(line: OrderLine) -> int:
    """Units that are still sold: neither withdrawn nor ended."""
    return line.quantity - line.withdrawn - line.ended


def wrong(order: Order, reason: str) -> Refusal:
    """The refusal of an act for which the order is in another state."""
    return Refusal("order.state", f"the order is {order.state}: {reason}")


def refused_units(order: Order, units: dict[str, int], most: Callable[[OrderLine], int]) -> Refusal | None:
    """Why these units cannot be: there is no such line, or it has fewer."""
    by_id = {line.id: line for line in order.lines}
    for line_id, count in units.items():
        line = by_id.get(line_id)
        if line is None:
            return Refusal(f"units.{line_id}", "this order has no such line")
        if not 0 <= count <= most(line):
            return Refusal(f"units.{line_id}", f"at most {most(line)} units")
    return None


def all_received(order: Order) -> bool:
    """Every unit is with the consumer, or was withdrawn before it left, or will never come."""
    lines = {line.id: line for line in order.lines}

    def arrived(parcel: Parcel) -> bool:
        if parcel.received_at is not None or not on_its_way(parcel):
            return True
        held = [lines[line_id] for line_id, count in parcel.units.items() if count]
        return all(line.ended and line.received >= still_sold(line) for line in held)

    return all(arrived(parcel) for parcel in order.parcels) and all(
        line.shipped >= still_sold(line) for line in order.lines
    )


def _sent_anew(order: Order, parcel: Parcel) -> Refusal | None:
    """A parcel that was given up arrives after all: refused when other units were sent in its place."""
    lines = {line.id: line for line in order.lines}
    if all(lines[line_id].shipped + count <= lines[line_id].quantity for line_id, count in parcel.units.items()):
        return None
    return Refusal("parcel_id", f"it was {parcel.incident}, and its units were sent anew in another parcel")


def _with_parcel(order: Order, place: int, parcel: Parcel) -> Order:
    return replace(order, parcels=(*order.parcels[:place], parcel, *order.parcels[place + 1 :]))


def _of(order: Order, parcel: Parcel) -> dict[str, object]:
    return {
        "order_id": str(order.id),
        "parcel_id": parcel.id,
        "carrier": parcel.carrier or None,
        "tracking_url": parcel.tracking_url or None,
        "items": items(order.lines, parcel.units),
    }


def _cancellation(order: Order, reason: str, at: datetime) -> Saying:
    return Saying("order.cancelled", at, {"order_id": str(order.id), "reason": reason})
