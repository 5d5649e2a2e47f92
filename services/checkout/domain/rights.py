"""What a withdrawal achieves for each line of an order, until when, and what it brings back.

The law itself is in relance/rules/law; here an order and its aftercare become the lines that it asks for.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from relance.rules.law import refunds, withdrawal
from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from relance.rules.law.refunds import ServiceUse
from relance.rules.law.withdrawal import Informed, Period
from services.checkout.domain.aftercare import Aftercare, LineDecision, SoldLine
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import ENDED, Order, OrderLine, Parcel, on_its_way
from services.checkout.domain.prices import price_minor

__all__ = [
    "Amounts", "amounts", "ancillary", "deadlines", "decide", "delivery_owed_minor", "gone_units", "law_lines",
    "left_units", "stated_units",
]  # fmt: skip

replace = msgspec.structs.replace

_OPEN = Period(None, None, None, None, "L221-27")


class Amounts(NamedTuple):
    """What is given back. `goods_minor`: goods and digital content; `service_minor`: of services, after what their use
    has earned (`service_kept_minor`); `by_line`: without delivery.
    """

    goods_minor: int
    delivery_minor: int
    service_minor: int
    service_kept_minor: int
    by_line: dict[str, int]

    @property
    def refund_minor(self) -> int:
        """All of it."""
        return self.goods_minor + self.service_minor + self.delivery_minor


def left_units(order: Order) -> dict[str, int]:
    """Units by line that can still be withdrawn from: none of an order that has ended."""
    if order.state in ENDED:
        return dict.fromkeys((line.id for line in order.lines), 0)
    return {line.id: line.quantity - line.withdrawn - line.ended for line in order.lines}


def gone_units(order: Order, after: Aftercare) -> dict[str, int]:
    """Units by line for which money was owed before: withdrawn or ended, but for those of a proven exception."""
    back = _taken_back(after)
    return {line.id: line.withdrawn + line.ended - back.get(line.id, 0) for line in order.lines}


def stated_units(order: Order, units: Mapping[str, int]) -> dict[str, int]:
    """What a statement is about: units by line, cut to those that are left, 0 where none is; all that is left when it
    names no line of the order.
    """
    left = left_units(order)
    named = {line_id: min(max(0, count), left[line_id]) for line_id, count in units.items() if line_id in left}
    return named or {line_id: count for line_id, count in left.items() if count} or left


def law_lines(order: Order, after: Aftercare, at: datetime) -> tuple[withdrawal.Line, ...]:
    """The lines as the law of withdrawal sees them at an instant. Goods that will never be received are
    none: they hold up no other.
    """
    sold = {line.id: line for line in after.sold}
    known = [(line, sold[line.id]) for line in order.lines if line.id in sold]
    return tuple(
        withdrawal.Line(
            id=line.id,
            kind=one.kind,
            received_at=_received_at(order, line, one) if one.kind == "goods" else None,
            regular=one.regular,
            early_start=_early(one, after, at),
            exception=_invoked(one, at),
            exception_shown=one.exception_shown,
            unsealed_proof=one.unsealed_on is not None,
        )
        for line, one in known
        if one.kind != "goods" or _expected(order, line)
    )


def deadlines(order: Order, after: Aftercare, book: Book) -> dict[str, Period]:
    """The period of each line; open for all before the contract is concluded."""
    concluded_at = order.concluded_at
    if concluded_at is None:
        return {line.id: _OPEN for line in order.lines}
    lines = law_lines(order, after, concluded_at)
    law = withdrawal.terms(book, paris_date(concluded_at))
    found = withdrawal.periods(concluded_at, lines, _informed(after), law)
    return {str(line.id): period for line, period in zip(lines, found, strict=True)}


def decide(
    order: Order, after: Aftercare, stated_at: datetime, units: Mapping[str, int], setting: Setting
) -> tuple[LineDecision, ...]:
    """What a statement of that instant achieves for each line that it is about, and which contracts end beside."""
    stated = stated_units(order, units)
    found = _found(order, after, stated_at, setting.book)
    sold = {line.id: line for line in after.sold}
    decisions = [
        _decision(line_id, count, found.get(line_id), sold.get(line_id), informed=after.informed)
        for line_id, count in stated.items()
    ]
    beside = ancillary(order, after, {one.line_id: one.units for one in decisions if one.moved})
    kept = [one for one in decisions if one.line_id not in {other.line_id for other in beside}]
    return (*kept, *beside)


def amounts(
    order: Order,
    after: Aftercare,
    accepted: Mapping[str, int],
    setting: Setting,
    *,
    stated_on: date | None = None,
    in_full: Collection[str] = (),
) -> Amounts:
    """What the accepted units give back, of an order that does not count them yet. `stated_on`: until when a service
    was used, today when it is not said; lines `in_full` give back all of it.
    """
    goods = service = kept = 0
    gone = gone_units(order, after)
    by_line: dict[str, int] = {}
    for line in order.lines:
        count, sold = accepted.get(line.id, 0), after.line(line.id)
        if not count:
            continue
        price = price_minor(line, after, gone[line.id], count)
        by_line[line.id] = price
        if sold is None or sold.kind != "service":
            goods += price
            continue
        used = 0 if line.id in in_full else _used_minor(sold, price, stated_on or setting.on, setting)
        by_line[line.id], service, kept = price - used, service + price - used, kept + used
    return Amounts(goods, _delivery_minor(order, after, accepted), service, kept, by_line)


# -- lines ------------------------------------------------------------------------------------------------------------


def _expected(order: Order, line: OrderLine) -> bool:
    """Whether units of it were received or are still to be."""
    received = any(parcel.received_at is not None for parcel in _parcels(order, line.id))
    return received or line.quantity > line.withdrawn + line.ended


def _received_at(order: Order, line: OrderLine, sold: SoldLine) -> datetime | None:
    """The last receipt of its units, None while one is still to come; of regular deliveries the first."""
    parcels = _parcels(order, line.id)
    times = [parcel.received_at for parcel in parcels if parcel.received_at is not None]
    if sold.regular:
        return min(times, default=None)
    to_ship = line.quantity - line.shipped - line.withdrawn - line.ended
    return max(times) if times and len(times) == len(parcels) and to_ship <= 0 else None


def _parcels(order: Order, line_id: str) -> list[Parcel]:
    """Those with units of a line, but for what was lost or came back before anybody received it."""
    return [parcel for parcel in order.parcels if parcel.units.get(line_id) and on_its_way(parcel)]


def _early(sold: SoldLine, after: Aftercare, at: datetime) -> bool:
    """Request and acknowledgement are on record at an instant; of digital content the confirmation too (A11)."""
    acts = [sold.requested_at, sold.loss_at]
    if sold.kind == "digital":
        acts.append(after.confirmed_at)
    return sold.kind != "goods" and all(one is not None and one <= at for one in acts)


def _invoked(sold: SoldLine, at: datetime) -> int | None:
    """The exception of the line; that of services (1°) only once the service is fully performed. Of a day the hour is
    not known: what is performed on that of the statement is not performed before it.
    """
    if sold.exception != 1:
        return sold.exception
    return 1 if sold.performed_on is not None and sold.performed_on < paris_date(at) else None


def _informed(after: Aftercare) -> Informed:
    return Informed(in_time=after.informed, on=after.informed_on)


# -- decisions --------------------------------------------------------------------------------------------------------


def _found(order: Order, after: Aftercare, stated_at: datetime, book: Book) -> dict[str, withdrawal.Decision]:
    """What the law says by line; before the conclusion it is the offer that falls (L221-27)."""
    concluded_at = order.concluded_at
    if concluded_at is None:
        falls = withdrawal.Decision("accepted", "before the contract was concluded", _OPEN)
        return {line.id: falls for line in order.lines}
    lines = law_lines(order, after, stated_at)
    law = withdrawal.terms(book, paris_date(concluded_at))
    decided = withdrawal.decide(concluded_at, lines, _informed(after), stated_at, law)
    return {str(line.id): one for line, one in zip(lines, decided, strict=True)}


def _decision(
    line_id: str, count: int, found: withdrawal.Decision | None, sold: SoldLine | None, *, informed: bool
) -> LineDecision:  # fmt: skip
    if found is None:
        return LineDecision(
            line_id=line_id, units=count, outcome="accepted", reason="its goods will not come", rule="B04",
            article="L221-27", moved=count > 0,
        )  # fmt: skip
    reason = found.reason if count else f"{found.reason}; nothing of it is left to withdraw from"
    if found.outcome == "excepted":
        number = (sold.exception if sold is not None else None) or 13  # digital content whose exception was not named
        return LineDecision(
            line_id=line_id, units=count, outcome="excepted", reason=reason, rule="B17", article=f"L221-28 {number}°",
            last_day=found.period.last_day, exception=number,
        )  # fmt: skip
    rule = "B04" if found.period is _OPEN else "B01" if informed else "B03"
    return LineDecision(
        line_id=line_id, units=count, outcome=found.outcome, reason=reason, rule=rule, article=found.period.article,
        last_day=found.period.last_day, moved=found.outcome == "accepted" and count > 0,
    )  # fmt: skip


def ancillary(order: Order, after: Aftercare, accepted: Mapping[str, int]) -> list[LineDecision]:
    """Contracts beside others of which what is accepted now leaves nothing: they end by law, in full (L221-27)."""
    left = left_units(order)
    gone = {line_id for line_id, count in left.items() if count <= accepted.get(line_id, 0)}
    return [
        LineDecision(
            line_id=sold.id, units=left[sold.id], outcome="ancillary", rule="B18", article="L221-27", moved=True,
            reason="ends with the contract beside which it stands",
        )
        for sold in after.sold
        if left.get(sold.id)
        and sold.ancillary_to
        and gone.issuperset(sold.ancillary_to)
        and any(accepted.get(main) for main in sold.ancillary_to)
    ]  # fmt: skip


# -- sums -------------------------------------------------------------------------------------------------------------


def _used_minor(sold: SoldLine, price_minor: int, stated_on: date, setting: Setting) -> int:
    """What the use of a service has earned until the statement, pro rata by whole days (L221-25)."""
    if sold.started_on is None or not sold.service_days:
        return 0
    used = ServiceUse(
        price_minor=price_minor,
        days=sold.service_days,
        used_days=min(max(0, (stated_on - sold.started_on).days), sold.service_days),
        express_request=sold.requested_at is not None,
    )
    return refunds.amount((), 0, (), used, setting.law_of(stated_on)).service_due_minor


def _delivery_minor(order: Order, after: Aftercare, accepted: Mapping[str, int]) -> int:
    """What of the delivery goes back with these units; what was given back before is not given again."""
    if not any(accepted.get(line.id) for line in _goods(order, after)):
        return 0
    return max(0, delivery_owed_minor(order, after, accepted) - sum(due.delivery_minor for due in after.dues))


def _goods(order: Order, after: Aftercare) -> list[OrderLine]:
    sold = {line.id: line for line in after.sold}
    return [line for line in order.lines if line.id not in sold or sold[line.id].kind == "goods"]


def delivery_owed_minor(order: Order, after: Aftercare, accepted: Mapping[str, int]) -> int:
    """What of the delivery is owed back in all: the cheapest standard fee of all goods less that of the goods that are
    kept; with the last of them all that was paid, up to the cheapest standard fee (L221-24 al. 4).
    """
    goods, gone = _goods(order, after), gone_units(order, after)
    kept = {line.id: line.quantity - gone[line.id] - accepted.get(line.id, 0) for line in goods}
    paid, whole = order.delivery_minor, sum(line.unit_minor * line.quantity for line in goods)
    fee = _standard_minor(after, whole, whole)
    if not any(kept.values()):
        return paid if fee is None else min(paid, fee)
    if fee is None:
        return 0
    worth = sum(line.unit_minor * kept[line.id] for line in goods)
    return min(paid, max(0, fee - (_standard_minor(after, worth, whole) or 0)))


def _standard_minor(after: Aftercare, worth_minor: int, whole_minor: int) -> int | None:
    """The cheapest standard fee for goods of a worth, by what was offered for all of them; None when none was."""
    fees = []
    for one in after.offered:
        if not one.standard or one.kind == "collect":
            continue
        free_from = one.free_from_minor
        whole_is_free = free_from is not None and whole_minor >= free_from and not one.fee_minor
        if worth_minor == whole_minor:
            fees.append(one.fee_minor)
        elif whole_is_free and free_from is not None and worth_minor >= free_from:
            fees.append(0)
        else:
            fees.append(max(one.fee_minor, one.full_fee_minor))
    return min(fees, default=None)


def _taken_back(after: Aftercare) -> dict[str, int]:
    """Units by line that the order counts as withdrawn though an exception was proven for them later."""
    units: dict[str, int] = {}
    for statement in after.statements:
        for one in statement.decisions:
            if one.moved and one.outcome == "excepted":
                units[one.line_id] = units.get(one.line_id, 0) + one.units
    return units
