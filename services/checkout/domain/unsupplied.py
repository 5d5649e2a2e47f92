"""What is owed for goods that never come: all that was paid for them, and with the last of them the delivery."""

from collections.abc import Mapping
from datetime import date

import msgspec

from services.checkout.domain.aftercare import Aftercare, new_due, put_in
from services.checkout.domain.lateness import goods_of
from services.checkout.domain.orders import ENDED, Order
from services.checkout.domain.prices import price_minor
from services.checkout.domain.restitution import unwound
from services.checkout.domain.rights import delivery_owed_minor, gone_units
from services.checkout.domain.shipping import still_sold

__all__ = ["given_back", "with_those_beside"]


def with_those_beside(order: Order, after: Aftercare, units: Mapping[str, int]) -> dict[str, int]:
    """Units with those of contracts that stand beside lines which now end whole: without them they have no object."""
    left = {line.id: still_sold(line) - units.get(line.id, 0) for line in order.lines}
    ended = {line_id: count for line_id, count in units.items() if count}
    for sold in after.sold:
        beside = sold.ancillary_to and not any(left.get(main, 0) > 0 for main in sold.ancillary_to)
        if beside and left.get(sold.id, 0) > 0 and any(units.get(main) for main in sold.ancillary_to):
            ended[sold.id] = left[sold.id] + ended.get(sold.id, 0)
    return ended


def given_back(
    order: Order, moved: Order, after: Aftercare, units: Mapping[str, int], *, source: str, on: date
) -> Aftercare:  # fmt: skip
    """The aftercare with what is owed for units that end: their price, and with the last goods, when none ever came,
    the whole delivery.
    """
    if moved.state in ENDED:
        return unwound(order, moved, after, units, regime="delivery", source=source, notice_on=on)
    gone = gone_units(order, after)
    lines = {
        line.id: price_minor(line, after, gone[line.id], units[line.id]) for line in order.lines if units.get(line.id)
    }
    goods = [line for line in moved.lines if line.id in goods_of(order, after)]
    given = sum(due.delivery_minor for due in after.dues)
    nothing_came = not any(still_sold(line) or line.received for line in goods)
    owed = order.delivery_minor if nothing_came else delivery_owed_minor(order, after, units)
    way = max(0, owed - given)
    if not sum(lines.values()) + way:
        return after
    due = new_due(
        after, "delivery", source, units=dict(units), lines_minor=lines, goods_minor=sum(lines.values()),
        delivery_minor=way, amount_minor=sum(lines.values()) + way, product_minor=sum(lines.values()), notice_on=on,
    )  # fmt: skip
    return msgspec.structs.replace(after, dues=put_in(after.dues, due))
