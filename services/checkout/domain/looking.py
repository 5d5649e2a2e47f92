"""One look at an order's aftercare, the same by whatever it is asked for: a click, a transition, a new day.

Who looks twice finds nothing more to do. Each part looks at its own and says when it wants to be asked again.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Final, Literal

from relance.rules.law.calendar import first_instant
from services.checkout.domain import recovery
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Outcome, Setting, folded, joined
from services.checkout.domain.orders import Order

__all__ = ["LOOKS", "NEXTS", "State", "look", "next_look", "state_of"]

State = Literal["owing", "watching", "quiet"]

Look = Callable[[Order, Aftercare, Setting], Outcome]
Next = Callable[[Order, Aftercare, Setting], date | None]

LOOKS: Final[tuple[Look, ...]] = (recovery.look,)
NEXTS: Final[tuple[Next, ...]] = ()


def look(order: Order, after: Aftercare, setting: Setting) -> Outcome:
    """What is to be done now, each part beginning where the one before ended."""
    outcome = Outcome(after)
    for one in LOOKS:
        outcome = joined(outcome, one(folded(order, outcome, setting.at), outcome.after, setting))
    return outcome


def next_look(order: Order, after: Aftercare, setting: Setting) -> datetime | None:
    """The Paris midnight on which something changes by itself; None when nothing will."""
    days = [day for one in NEXTS if (day := one(order, after, setting)) is not None]
    return first_instant(min(days)) if days else None


def state_of(order: Order, after: Aftercare, setting: Setting) -> State:
    """What a worklist asks: whether something is owed, whether time will bring something, or neither."""
    back = {refund.id: refund.amount_minor for refund in order.refunds if refund.state == "succeeded"}
    for due in after.dues:
        paid = sum(back.get(id_, 0) for id_ in due.refund_ids)
        paid += sum(one.minor for one in due.payouts if one.for_ == "principal")
        if paid < due.amount_minor:
            return "owing"
    return "quiet" if next_look(order, after, setting) is None else "watching"
