"""The order machine: one transition for each act."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.checkout.domain import incidents, payments, shipping
from services.checkout.domain.attempts import News
from services.checkout.domain.events import Context, Saying, moved
from services.checkout.domain.orders import (
    Act,
    Cancel,
    CancelAttempt,
    ClockMoved,
    Close,
    Deliver,
    End,
    GiveBack,
    HoldPayment,
    MarkParcel,
    Order,
    OrderLine,
    OrderTerms,
    Prepare,
    Received,
    Resolve,
    Ship,
    StartAttempt,
    SwitchMeans,
    Withdraw,
)  # fmt: skip
from services.checkout.domain.outcomes import Effect, Moved, Refusal, then
from services.checkout.domain.tenders import Tender

__all__ = ["Placement", "place", "step"]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What the click concludes: exactly what the recap of `recap_hash` showed. `pay_within_days`: of offline means."""

    order_id: UUID
    checkout_id: str
    recap_hash: str
    context: Context
    lines: tuple[OrderLine, ...]
    tenders: tuple[Tender, ...]
    delivery_minor: int
    discount_minor: int
    total_minor: int
    pay_within_days: int = 0
    terms: OrderTerms = OrderTerms()


def place(placement: Placement, at: datetime) -> Moved[Order] | Refusal:
    """The click. An order with nothing to pay by the provider is confirmed at once."""
    tendered = sum(tender.amount_minor for tender in placement.tenders)
    summed = sum(line.net_minor for line in placement.lines) + placement.delivery_minor
    if not tendered == summed == placement.total_minor:
        reason = f"the recap says {placement.total_minor} cents, its lines {summed}, the tenders {tendered}"
        return Refusal("recap.total_minor", reason, "A13", "L112-1")
    awaited = any(tender.state == "awaited" for tender in placement.tenders)
    order = Order(
        id=placement.order_id,
        context=placement.context,
        checkout_id=placement.checkout_id,
        recap_hash=placement.recap_hash,
        terms=placement.terms,
        lines=placement.lines,
        tenders=placement.tenders,
        total_minor=placement.total_minor,
        delivery_minor=placement.delivery_minor,
        discount_minor=placement.discount_minor,
        placed_at=at,
        deadline=at + timedelta(hours=placement.terms.lapse_hours),
        awaited_until=at + timedelta(days=placement.pay_within_days) if awaited else None,
    )
    done = moved(order, "placed", [Saying("order.placed", at, payments.whole(order))], [Effect("acknowledge")])
    return then(done, payments.confirm(done.state, at))


def step(order: Order, act: Act, at: datetime) -> Moved[Order] | Refusal:
    """The order after an act; a refusal, or a move without transition, changes nothing."""
    match act:
        case StartAttempt():
            return payments.start(order, act, at)
        case SwitchMeans():
            return payments.switch(order, act, at)
        case CancelAttempt():
            return payments.cancel_attempt(order, act)
        case News():
            return payments.hear(order, act, at)
        case ClockMoved():
            return payments.pass_time(order, at)
        case Received():
            return payments.receive(order, act, at)
        case GiveBack():
            return payments.give_back(order, act, at)
        case Prepare():
            return shipping.prepare(order, act)
        case Ship():
            return shipping.ship(order, act, at)
        case Deliver():
            return shipping.deliver(order, act, at)
        case MarkParcel():
            return incidents.mark_parcel(order, act, at)
        case End():
            return incidents.end(order, act)
        case HoldPayment():
            return incidents.hold_payment(order, act, at)
        case Close():
            return shipping.close(order, act)
        case Cancel():
            return shipping.cancel(order, act, at)
        case Resolve():
            return shipping.resolve(order, act, at)
        case Withdraw():
            return shipping.withdraw(order, act, at)
    return payments.hear_refund(order, act, at)
