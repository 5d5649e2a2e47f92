"""One look at an order's aftercare, the same by whatever it is asked for: a click, a transition, a new day.

Who looks twice finds nothing more to do. Each part looks at its own and says when it wants to be asked again.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Final, Literal

from relance.rules.law.calendar import first_instant
from services.checkout.domain import claims, discharge, lateness, papers, promises, recovery
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.dues import standings
from services.checkout.domain.follow_up import Outcome, Setting, folded, joined
from services.checkout.domain.orders import Order

__all__ = ["LOOKS", "NEXTS", "UNDER_WAY", "State", "look", "next_look", "owes", "state_of"]

State = Literal["owing", "watching", "quiet"]

Look = Callable[[Order, Aftercare, Setting], Outcome]
Next = Callable[[Order, Aftercare, Setting], date | None]

LOOKS: Final[tuple[Look, ...]] = (promises.look, recovery.look, discharge.look, claims.look, papers.look)
NEXTS: Final[tuple[Next, ...]] = (promises.next_on, discharge.next_on, claims.next_on)
UNDER_WAY: Final = frozenset({"placed", "confirmed", "preparing", "shipped"})
_OPEN_CLAIMS: Final = frozenset({"opened", "taken"})


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
    """What a worklist asks: whether the shop owes something, be it money, goods, an answer or, while the order is under
    way, a confirmation that came back; whether time will bring something; or neither.
    """
    unconfirmed = order.confirmed_at is not None and after.confirmed_at is None
    if (unconfirmed and order.state in UNDER_WAY) or owes(order, after, setting):
        return "owing"
    return "quiet" if next_look(order, after, setting) is None else "watching"


def owes(order: Order, after: Aftercare, setting: Setting) -> bool:
    """Whether money, goods or an answer are owed to the consumer. A confirmation that cannot reach him is not among
    them: who mistyped his address would be kept for ever by it.
    """
    if any(one.acknowledged_at is None for one in after.statements):
        return True
    if any(one.state in _OPEN_CLAIMS for one in after.claims) or lateness.late(order, after, setting.on, setting.book):
        return True
    return any(one.state != "settled" for one in standings(order, after, setting).values())
