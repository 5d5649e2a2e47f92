"""Goods that were withdrawn while they were on their way, and are back without anybody having sent them."""

from datetime import date

import msgspec

from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, Due, put_in
from services.checkout.domain.follow_up import Noted, Outcome, Setting, joined
from services.checkout.domain.orders import Order, on_its_way

__all__ = ["look"]

replace = msgspec.structs.replace


def look(order: Order, after: Aftercare, _setting: Setting) -> Outcome:
    """What came back, or was lost, before anybody received it counts as recovered: nobody waits for what nobody can
    send back.
    """
    outcome = Outcome(after)
    for due in after.dues:
        back_on = _back_on(order, due)
        if due.regime != "withdrawal" or not due.shipped or due.recovered_on is not None or back_on is None:
            continue
        facts = {"step": "recovered", "due": due.id, "on": back_on.isoformat()}
        noted = Noted("happened", "withdrawal", ("B13",), facts)
        dues = put_in(outcome.after.dues, replace(due, recovered_on=back_on))
        outcome = joined(outcome, Outcome(replace(outcome.after, dues=dues), noted=(noted,)))
    return outcome


def _back_on(order: Order, due: Due) -> date | None:
    """The day on which the last parcel with its units had failed to arrive; None while one is there or under way."""
    held = [parcel for parcel in order.parcels if any(parcel.units.get(line_id) for line_id in due.units)]
    if not held or any(on_its_way(parcel) for parcel in held):
        return None
    return max(paris_date(parcel.incident_at or order.placed_at) for parcel in held)
