"""What keeps goods from coming, in the order machine: parcels that do not arrive, units that never will, payment that
the consumer holds back meanwhile.
"""

from datetime import datetime

import msgspec

from services.checkout.domain.events import moved
from services.checkout.domain.orders import ENDED, End, HoldPayment, MarkParcel, Order, OrderLine, on_its_way
from services.checkout.domain.outcomes import Effect, Moved, Refusal, unchanged
from services.checkout.domain.shipping import all_received, refused_units, still_sold, wrong

__all__ = ["end", "endable", "hold_payment", "mark_parcel"]

replace = msgspec.structs.replace


def mark_parcel(order: Order, act: MarkParcel, at: datetime) -> Moved[Order] | Refusal:
    """Until goods are received their loss is the trader's: what is lost, damaged or came back is to be shipped anew.
    One that was refused is on its way back until it is there.
    """
    place = next((place for place, one in enumerate(order.parcels) if one.id == act.parcel_id), None)
    if place is None:
        return Refusal("parcel_id", "this order has no such parcel")
    before = order.parcels[place]
    if before.received_at is not None:
        reason = "it was received: what is wrong with its goods is a matter of the legal guarantee"
        return Refusal("parcel_id", reason, "C06", "L216-2")
    if not on_its_way(before) or before.incident == act.incident:
        return unchanged(order)
    parcel = replace(before, incident=act.incident, incident_at=at)
    lines = order.lines
    if not on_its_way(parcel):
        lines = tuple(replace(line, shipped=line.shipped - parcel.units.get(line.id, 0)) for line in lines)
    parcels = (*order.parcels[:place], parcel, *order.parcels[place + 1 :])
    after = replace(order, parcels=parcels, lines=lines)
    return moved(_arrived(after), f"parcel_{act.incident}", (), [Effect("promise_stock", parcel.id)])


def endable(line: OrderLine) -> int:
    """Units of a line that have not been received and can still fail to come."""
    return max(0, still_sold(line) - line.received)


def end(order: Order, act: End) -> Moved[Order] | Refusal:
    """Units will never come: they are neither shipped nor waited for any more. The contract may also be resolved over
    what came after an essential date. What is owed for them is not decided here. Who ends all of an order of which
    nothing has left cancels or resolves it.
    """
    if order.state in ENDED:
        return unchanged(order)
    if order.confirmed_at is None:
        return wrong(order, "nothing is ended by line before its payment is secured: it is cancelled")
    unavailable = act.cause == "unavailable"
    most = (lambda line: max(0, still_sold(line) - line.shipped)) if unavailable else still_sold
    if refused := refused_units(order, act.units, most):
        return refused
    if not any(act.units.values()):
        return Refusal("units", "no unit is named")
    lines = tuple(replace(line, ended=line.ended + act.units.get(line.id, 0)) for line in order.lines)
    release = Effect("release_stock", act.cause if unavailable else "")  # what there is not is not for sale again
    return moved(_arrived(replace(order, lines=lines)), "ended", (), [release])


def hold_payment(order: Order, act: HoldPayment, at: datetime) -> Moved[Order] | Refusal:
    """An awaited payment does not lapse while it is suspended, and has as long as before when it goes on."""
    if act.held == (order.held_at is not None):
        return unchanged(order)
    if order.state in ENDED:
        return wrong(order, "nothing is to be paid any more")
    if act.held and order.paid_at is not None:
        return Refusal("held", "it is paid: there is nothing to hold back", "C02", "L216-6 I 1°")
    if act.held or order.held_at is None:
        return moved(replace(order, held_at=at), "payment_held")
    until = None if order.awaited_until is None else order.awaited_until + (at - order.held_at)
    return moved(replace(order, held_at=None, awaited_until=until), "payment_goes_on")


def _arrived(order: Order) -> Order:
    """Delivered, when what still comes of it is nothing."""
    some = any(line.received for line in order.lines)
    return replace(order, state="delivered") if order.state == "shipped" and some and all_received(order) else order
