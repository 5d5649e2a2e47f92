"""What is owed back for units that a statement withdraws: at most two dues, for what left and may have to come back
first, and for all the rest.
"""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import msgspec

from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, Due, LineDecision, Regime, Statement, new_due, put_in
from services.checkout.domain.dues import unasked_minor
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import ENDED, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.prices import price_minor
from services.checkout.domain.rights import Amounts, amounts, delivery_owed_minor, gone_units

__all__ = ["Granted", "asked_for", "no_longer_owing", "owing", "paid_by_hand", "source_of", "unwound"]

replace = msgspec.structs.replace


class Granted(NamedTuple):
    """What of a statement is accepted now, and from which day the time to pay runs."""

    statement: Statement
    decisions: tuple[LineDecision, ...]
    notice_on: date

    @property
    def units(self) -> dict[str, int]:
        """Units by line."""
        return {one.line_id: one.units for one in self.decisions}

    def amounts(self, order: Order, after: Aftercare, setting: Setting) -> Amounts:
        """What it gives back, of an order that does not count it yet. What ends beside another line does so in full."""
        in_full = [one.line_id for one in self.decisions if one.outcome == "ancillary"]
        stated_on = paris_date(self.statement.stated_at)
        return amounts(order, after, self.units, setting, stated_on=stated_on, in_full=in_full)


class _Part(NamedTuple):
    """Units of a line: what they give back, and what they cost."""

    units: int
    minor: int
    price_minor: int


def source_of(statement: Statement) -> str:
    """What its dues name as their source."""
    return f"statement/{statement.id}"


def asked_for(order: Order, due: Due) -> bool:
    """Whether money moves, or has moved, for a due."""
    key = f"due/{due.id}"
    return bool(due.refund_ids or due.payouts) or any(refund.key == key for refund in order.refunds)


def paid_by_hand(after: Aftercare) -> bool:
    """Whether the shop paid a part of the order back by itself: then not all that came may go back as it came."""
    return any(one.for_ == "principal" for due in after.dues if not due.by_hand for one in due.payouts)


def owing(
    order: Order, moved: Order, after: Aftercare, granted: Granted, found: Amounts, setting: Setting
) -> Aftercare:  # fmt: skip
    """The aftercare with what is owed for the units that are accepted now. `moved`: the order that counts them; when it
    has ended by that, everything goes back at once, and the due is discharged by those refunds.
    """
    accepted = granted.units
    if not accepted:
        return after
    if moved.state in ENDED and order.state not in ENDED:
        return unwound(
            order, moved, after, accepted, regime="withdrawal", source=source_of(granted.statement),
            notice_on=granted.notice_on,
        )  # fmt: skip
    stays, left = _parts(order, after, accepted, found)
    for parts, shipped in ((stays, False), (left, True)):
        takes_delivery = shipped == bool(left)
        after = _with_due(after, granted, parts, setting, found.delivery_minor if takes_delivery else 0, shipped)
    return after


def no_longer_owing(order: Order, after: Aftercare, statement: Statement, line_id: str) -> Aftercare | Refusal:
    """The aftercare when an exception is proven for a line that was accepted: its part of what is owed goes, and what
    of the delivery was owed because of it. Refused once its money moves.
    """
    held = [due for due in after.dues if due.source == source_of(statement) and line_id in due.units]
    if any(asked_for(order, due) for due in held):
        reason = "what was accepted of this line is being paid back, or was"
        return Refusal("line_id", reason, "B17", "L221-28")
    units = sum(due.units[line_id] for due in held)
    given = sum(due.delivery_minor for due in after.dues)
    too_much = max(0, given - delivery_owed_minor(order, after, {line_id: -units}))
    for due in held:
        less = due.lines_minor.get(line_id, 0)
        delivery = max(0, due.delivery_minor - too_much)
        too_much -= due.delivery_minor - delivery
        rest = replace(
            due,
            units={line: count for line, count in due.units.items() if line != line_id},
            lines_minor={line: minor for line, minor in due.lines_minor.items() if line != line_id},
            goods_minor=due.goods_minor - less,
            delivery_minor=delivery,
            amount_minor=due.goods_minor - less + delivery,
            product_minor=due.product_minor - less,
        )
        after = replace(after, dues=put_in(after.dues, rest))
    return after


def _parts(
    order: Order, after: Aftercare, accepted: dict[str, int], found: Amounts
) -> tuple[dict[str, _Part], dict[str, _Part]]:  # fmt: skip
    """(what is with the shop, or no goods at all; what left), by line. Units that did not leave are taken first."""
    before = gone_units(order, after)
    stays: dict[str, _Part] = {}
    left: dict[str, _Part] = {}
    for line in order.lines:
        count, sold = accepted.get(line.id, 0), after.line(line.id)
        if not count:
            continue
        gone = before[line.id]
        price, back = price_minor(line, after, gone, count), found.by_line[line.id]
        if sold is not None and sold.kind != "goods":
            stays[line.id] = _Part(count, back, price)
            continue
        here = min(count, max(0, line.quantity - line.shipped - line.withdrawn - line.ended))
        first = min(back, price_minor(line, after, gone, here))
        if here:
            stays[line.id] = _Part(here, first, first)
        if count > here:
            left[line.id] = _Part(count - here, back - first, back - first)
    return stays, left


def _with_due(
    after: Aftercare, granted: Granted, parts: dict[str, _Part], setting: Setting, delivery_minor: int, shipped: bool,  # noqa: FBT001 - which of the two
) -> Aftercare:  # fmt: skip
    goods = sum(part.minor for part in parts.values())
    if not goods + delivery_minor:
        return after
    price = sum(part.price_minor for part in parts.values())
    due = new_due(
        after, "withdrawal", source_of(granted.statement),
        units={line_id: part.units for line_id, part in parts.items()},
        lines_minor={line_id: part.minor for line_id, part in parts.items()},
        goods_minor=goods, delivery_minor=delivery_minor, service_kept_minor=price - goods,
        amount_minor=goods + delivery_minor, product_minor=price, notice_on=granted.notice_on, shipped=shipped,
        collection_offered=setting.terms.collects_returns,
        recovered_on=granted.statement.returned_on if shipped else None,
        dispatched_on=granted.statement.dispatched_on if shipped else None,
    )  # fmt: skip
    return replace(after, dues=(*after.dues, due))


def unwound(
    order: Order, moved: Order, after: Aftercare, units: Mapping[str, int], *, regime: Regime, source: str,
    notice_on: date,
) -> Aftercare:  # fmt: skip
    """The aftercare of an order that has ended before anything of it was kept: every cent goes back, the delivery
    whole. Refunds that bring what was owed before, and not asked for, discharge that too; not what the order's money
    cannot bring.
    """
    known = {refund.id for refund in order.refunds}
    fresh = [refund for refund in moved.refunds if refund.id not in known]
    if not fresh:
        return after  # nothing was paid: nothing is owed
    ids = tuple(refund.id for refund in fresh)
    amount = sum(refund.amount_minor for refund in fresh)
    for due in after.dues:
        if missing := 0 if due.by_hand else unasked_minor(order, after, due):
            after = replace(after, dues=put_in(after.dues, replace(due, refund_ids=(*due.refund_ids, *ids))))
            amount -= missing
    if amount <= 0:
        return after
    lines, gone = {line.id: line for line in order.lines}, gone_units(order, after)
    prices = {
        line_id: price_minor(line, after, gone[line_id], count)
        for line_id, count in units.items()
        if (line := lines.get(line_id)) is not None
    }
    given = sum(due.delivery_minor for due in after.dues)
    delivery = min(amount, max(0, order.delivery_minor - given))
    due = new_due(
        after, regime, source, units=dict(units), lines_minor=prices,
        goods_minor=amount - delivery, delivery_minor=delivery, amount_minor=amount,
        product_minor=sum(prices.values()), notice_on=notice_on, refund_ids=ids,
    )  # fmt: skip
    return replace(after, dues=(*after.dues, due))
