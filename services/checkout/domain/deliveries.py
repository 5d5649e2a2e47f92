"""What became of the delivery of an order, line by line, as the law looks at it: what came, what is still to come."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final, Literal

from relance.rules.law.acts import Parcel
from relance.rules.law.calendar import first_instant_after, paris_date
from services.checkout.domain.aftercare import Aftercare, LateNotice, Resolved
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.lateness import awaited, latest, supplied_on
from services.checkout.domain.orders import ENDED, Order, OrderLine

__all__ = ["notice_before", "parcels", "resolution_of"]

_INSTANT: Final = timedelta(microseconds=1)
_Receiver = Literal["consumer", "designated"]


def parcels(order: Order, after: Aftercare, setting: Setting) -> tuple[Parcel, ...]:
    """Each receipt of each line that is delivered or supplied by a day, and what is still to come of it. What was sent
    in vain is nothing by itself: what follows it counts. What came after the consumer had left the contract is none.
    """
    days = latest(order, after, setting.book)
    return tuple(
        one for line in order.lines if line.id in days for one in _of_line(order, after, line, days[line.id])
    )  # fmt: skip


def resolution_of(after: Aftercare) -> Resolved | None:
    """The last resolution that was refused, else the last."""
    refused = [one for one in after.resolutions if not one.resolved]
    return next(reversed(refused or after.resolutions), None)


def notice_before(order: Order, after: Aftercare, setting: Setting) -> LateNotice | None:
    """The notice that carries the resolution furthest: given before it, once delivery was late, with the extra time
    that ends first. The last one while there is no resolution.
    """
    resolved = resolution_of(after)
    if resolved is None:
        return after.late_notices[-1] if after.late_notices else None
    days = latest(order, after, setting.book)

    def rank(notice: LateNotice) -> tuple[bool, date]:
        named = [day for line_id, day in days.items() if not notice.units or notice.units.get(line_id)]
        return all(notice.at < first_instant_after(day) for day in named), notice.until

    return min((one for one in after.late_notices if one.at <= resolved.received_at), key=rank, default=None)


def _of_line(order: Order, after: Aftercare, line: OrderLine, latest_on: date) -> Iterator[Parcel]:
    offered = _refused_in_time(order, after, line, latest_on)
    pool, settled = len(offered), 0
    for at, units, by in _receipts(order, after, line):
        still = _sold_at(after, line, at) - settled
        settled += units
        if still <= 0:
            continue
        again = paris_date(at) > latest_on and 0 < units <= pool
        yield Parcel(
            lines=(line.id,), promised_on=latest_on, received_at=at, received_by=by,
            offered_on=offered[0] if again else None,
        )  # fmt: skip
        pool -= units if again else 0
    count = 0 if order.state in ENDED or order.confirmed_at is None else awaited(order, after, line)
    if min(pool, count):
        yield Parcel(lines=(line.id,), promised_on=latest_on, offered_on=offered[0])
    if count > pool:
        lost = any(one.incident == "lost" and one.units.get(line.id) for one in order.parcels)
        yield Parcel(lines=(line.id,), promised_on=latest_on, lost=lost)


def _receipts(order: Order, after: Aftercare, line: OrderLine) -> list[tuple[datetime, int, _Receiver]]:
    """(when, units, by whom) in their order. Of a service the day is known, and counts to its end."""
    found: list[tuple[datetime, int, _Receiver]] = [
        (one.received_at, one.units[line.id], "designated" if one.received_by == "designated" else "consumer")
        for one in order.parcels
        if one.received_at is not None and one.units.get(line.id)
    ]
    sold = after.line(line.id)
    supplied = supplied_on(sold) if sold is not None else None
    if supplied is not None:
        found.append((first_instant_after(supplied) - _INSTANT, line.quantity, "consumer"))
    return sorted(found)


def _sold_at(after: Aftercare, line: OrderLine, at: datetime) -> int:
    """Units that the consumer had neither withdrawn from nor resolved over by an instant."""
    withdrawn = sum(
        one.units
        for statement in after.statements
        if (statement.anyway_at or statement.stated_at) <= at
        for one in statement.decisions
        if one.line_id == line.id and one.moved
    )
    resolved = sum(one.units.get(line.id, 0) for one in after.resolutions if one.resolved and one.received_at <= at)
    return line.quantity - withdrawn - resolved


def _refused_in_time(order: Order, after: Aftercare, line: OrderLine, latest_on: date) -> list[date]:
    """For each unit that the consumer refused at the door in time, the day; the earliest first."""
    refused = {one.parcel_id: one.at for one in after.incidents if one.kind == "refused"}
    for one in order.parcels:
        if one.incident == "refused" and one.incident_at is not None:
            refused.setdefault(one.id, one.incident_at)
    days: list[date] = []
    for one in order.parcels:
        if one.id in refused and paris_date(refused[one.id]) <= latest_on:
            days += [paris_date(refused[one.id])] * one.units.get(line.id, 0)
    return sorted(days)
