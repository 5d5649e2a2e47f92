"""Until when each line of an order is to be delivered, what of it is late, and what a resolution for that achieves."""

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from relance.kernel.errors import Defect
from relance.rules.law import delivery
from relance.rules.law.book import Book
from relance.rules.law.calendar import Moment, first_instant, first_instant_after, paris_date
from relance.rules.law.delivery import Notice, Resolution
from services.checkout.domain.aftercare import Aftercare, LateNotice, SoldLine
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.incidents import endable
from services.checkout.domain.orders import ENDED, Order, OrderLine, Parcel
from services.checkout.domain.shipping import still_sold

__all__ = ["Late", "awaited", "goods_of", "here", "late", "latest", "resolution", "resolvable", "supplied_on"]

_INSTANT: Final = timedelta(microseconds=1)


class Late(NamedTuple):
    """Units of a line that should have come by `latest_on`, so many days ago."""

    line_id: str
    units: int
    latest_on: date
    days: int
    essential: bool


def latest(order: Order, after: Aftercare, book: Book) -> dict[str, date]:
    """The last day on which the delivery of each line of goods, or the supply of a service, is in time; none before
    the contract is concluded.
    """
    concluded_at = order.concluded_at
    if concluded_at is None:
        return {}
    law = (book, paris_date(concluded_at))
    return {
        one.id: delivery.latest_on(concluded_at, one.promised_on, law)
        for one in _promised(order, after).values()
    }  # fmt: skip


def late(order: Order, after: Aftercare, on: date, book: Book) -> tuple[Late, ...]:
    """What is still to come of an order on a day after its last one. Goods that the consumer's own carrier lost are
    with the consumer.
    """
    if order.state in ENDED or order.confirmed_at is None:
        return ()
    days, sold = latest(order, after, book), _promised(order, after)
    return tuple(
        Late(line.id, count, days[line.id], (on - days[line.id]).days, sold[line.id].essential)
        for line in order.lines
        if line.id in days and on > days[line.id] and (count := awaited(order, after, line))
    )


def goods_of(order: Order, after: Aftercare) -> dict[str, SoldLine]:
    """The lines that are goods, by id."""
    known = {line.id for line in order.lines}
    return {one.id: one for one in after.sold if one.kind == "goods" and one.id in known}


def _promised(order: Order, after: Aftercare) -> dict[str, SoldLine]:
    """The lines that are delivered or supplied by a day (L216-1), by id: goods, and services that are contracts of
    their own and do not go on and on. Digital content has a law of its own (L224-25-1).
    """
    known = {line.id for line in order.lines}
    return {
        one.id: one
        for one in after.sold
        if one.id in known and (one.kind == "goods" or (one.kind == "service" and not _runs_by_itself(one)))
    }


def _runs_by_itself(sold: SoldLine) -> bool:
    """A subscription runs from its conclusion, and cover beside goods with them: nobody waits for either."""
    return sold.subscribed or bool(sold.ancillary_to)


def supplied_on(sold: SoldLine) -> date | None:
    """The day on which a service was supplied: one that lasts from its start, any other once it is performed."""
    if sold.kind != "service":
        return None
    return sold.started_on or sold.performed_on if sold.service_days else sold.performed_on


def here(after: Aftercare, line: OrderLine) -> bool:
    """Whether nothing of a line is awaited: it came, or was supplied."""
    sold = after.line(line.id)
    return not endable(line) or (sold is not None and supplied_on(sold) is not None)


def awaited(order: Order, after: Aftercare, line: OrderLine) -> int:
    """Units of a line that are still to come to the consumer."""
    return 0 if here(after, line) else max(0, endable(line) - _his(order, after, line))


def _his(order: Order, after: Aftercare, line: OrderLine) -> int:
    """Units that were lost with a carrier of the consumer's own."""
    passed = {one.parcel_id for one in after.incidents if one.own_carrier}
    return sum(one.units.get(line.id, 0) for one in order.parcels if one.id in passed and one.received_at is None)


def _received(order: Order, line: OrderLine) -> list[Parcel]:
    return [one for one in order.parcels if one.received_at is not None and one.units.get(line.id)]


def resolution(
    order: Order, after: Aftercare, line: OrderLine, received_at: datetime, setting: Setting, *, refused: bool = False
) -> Resolution:  # fmt: skip
    """What the law says of a resolution of one line that the trader receives at an instant, with the notice that
    carries it furthest. `refused`: he refuses to deliver.
    """
    day = latest(order, after, setting.book)[line.id]
    sold = _promised(order, after)[line.id]
    receipts = [one.received_at for one in _received(order, line) if one.received_at is not None]
    supplied = supplied_on(sold)
    if supplied is not None:
        receipts.append(first_instant_after(supplied) - _INSTANT)
    delivered_at = None if awaited(order, after, line) or not receipts else max(receipts)
    notices: list[LateNotice | None] = [one for one in after.late_notices if not one.units or one.units.get(line.id)]
    found: Resolution | None = None
    for notice in notices or [None]:
        found = delivery.resolve(
            day,
            notice=None if notice is None else _law_notice(notice),
            essential=sold.essential,
            delivered_at=delivered_at,
            resolution_received_at=received_at,
            refused=refused,
            law=setting.law_of(paris_date(received_at)),
        )
        if found.resolved:
            return found
    if found is None:
        raise Defect("a resolution is asked for at least once")
    return found


def _law_notice(notice: LateNotice) -> Notice:
    return Notice(at=Moment(notice.at), until=Moment(first_instant(notice.until), whole_day=True))


def resolvable(order: Order, after: Aftercare, line: OrderLine, received_at: datetime, setting: Setting) -> int:
    """Units of a line over which a resolution that is received at an instant ends the contract: what had not come by
    then, and what came after an essential date.
    """
    in_time = received_at
    sold = _promised(order, after)[line.id]
    if sold.essential:
        in_time = min(received_at, first_instant_after(latest(order, after, setting.book)[line.id]) - _INSTANT)
    supplied = supplied_on(sold)
    if supplied is not None and first_instant_after(supplied) - _INSTANT <= in_time:
        return 0
    receipts = [one for one in _received(order, line) if one.received_at is not None and one.received_at <= in_time]
    came = sum(one.units.get(line.id, 0) for one in receipts) + _his(order, after, line)
    return max(0, still_sold(line) - came)
