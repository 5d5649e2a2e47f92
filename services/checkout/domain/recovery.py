"""Goods that were withdrawn while they were on their way, and are back without anybody having sent them."""

from datetime import date, datetime

import msgspec

from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, Due, put_in
from services.checkout.domain.follow_up import Noted, Outcome, Setting, joined
from services.checkout.domain.orders import Order, Parcel, on_its_way
from services.checkout.domain.restitution import source_of

__all__ = ["look"]

replace = msgspec.structs.replace

_Free = dict[tuple[str, str], int]  # units by parcel and line that no due has counted


def look(order: Order, after: Aftercare, _setting: Setting) -> Outcome:
    """What came back, or was lost, before anybody received it counts as recovered: nobody waits for what nobody can
    send back. Each unit counts for one due, the oldest first; a due is recovered once all of its units are.
    """
    outcome = Outcome(after)
    given_up = [parcel for parcel in order.parcels if not on_its_way(parcel)]
    free: _Free = {(parcel.id, line_id): count for parcel in given_up for line_id, count in parcel.units.items()}
    for due in after.dues:
        if due.regime != "withdrawal" or not due.shipped:
            continue
        back_on = _back_on(given_up, free, due, _known_at(after, due))
        if back_on is None or due.recovered_on is not None:
            continue
        facts = {"step": "recovered", "due": due.id, "on": back_on.isoformat()}
        noted = Noted("happened", "withdrawal", ("B13",), facts)
        dues = put_in(outcome.after.dues, replace(due, recovered_on=back_on))
        outcome = joined(outcome, Outcome(replace(outcome.after, dues=dues), noted=(noted,)))
    return outcome


def _known_at(after: Aftercare, due: Due) -> datetime | None:
    """Since when its units are withdrawn: what was given up before was no part of them."""
    return next((one.anyway_at or one.recorded_at for one in after.statements if source_of(one) == due.source), None)


def _back_on(given_up: list[Parcel], free: _Free, due: Due, known_at: datetime | None) -> date | None:
    """The day on which the last of its units had failed to arrive, which it takes off `free`; None while one is with
    the consumer or under way.
    """
    days = []
    for line_id, count in due.units.items():
        wanted = count
        for parcel in given_up:
            at = parcel.incident_at
            if at is None or (known_at is not None and at < known_at):
                continue
            if due.recovered_on is not None and paris_date(at) > due.recovered_on:
                continue
            taken = min(wanted, free.get((parcel.id, line_id), 0))
            if taken:
                free[parcel.id, line_id] -= taken
                wanted -= taken
                days.append(paris_date(at))
        if wanted:
            return None
    return max(days, default=None)
