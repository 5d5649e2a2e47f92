"""What holds of an order's money, whatever was done with it and in whichever order."""

from typing import Final
from uuid import UUID

from services.checkout.application.desk import Desk
from services.checkout.domain import dues
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import ENDED, Order
from tests.integration.checkout.owing_kit import seen

__all__ = ["DELIVERY_MINOR", "LAMP_MINOR", "agrees", "keeps_its_price"]

LAMP_MINOR: Final = 4_990
DELIVERY_MINOR: Final = 490
_CAP_MINOR: Final = 350  # of what a withdrawal gives back of it: the cheapest standard delivery that was offered


async def agrees(desk: Desk, order_id: UUID) -> Order:
    """No unit is given up twice, no due is paid twice, and no more goes back than came. The order as it is."""
    view = await seen(desk, order_id)
    order, after = view.order_view.order, view.after
    line = order.lines[0]
    assert line.withdrawn + line.ended <= line.quantity, line
    asked = [one for one in order.refunds if one.cause != "surplus"]
    assert sum(one.amount_minor for one in asked) <= order.total_minor, asked
    assert len({(one.key, one.tender) for one in asked}) == len(asked), "each due, each tender once"
    stands = dues.standings(order, after, Setting(desk.clock(), desk.book))
    for due in after.dues:
        assert dues.unasked_minor(order, after, due) <= stands[due.id].open_minor <= due.amount_minor, due
    return order


async def keeps_its_price(desk: Desk, order_id: UUID) -> None:
    """Once nothing is owed any more: the shop keeps the price of what the consumer keeps, less what it gave beyond."""
    view = await seen(desk, order_id)
    order, after = view.order_view.order, view.after
    assert {one.state for one in view.standings.values()} <= {"settled", "paid"}, view.standings
    back = sum(one.amount_minor for one in order.refunds if one.cause != "surplus")
    if order.state in ENDED:
        assert back == order.total_minor, order.refunds
        return
    given = sum(one.amount_minor for one in order.refunds if one.cause == "goodwill" and not one.key.startswith("due/"))
    line = order.lines[0]
    kept = line.quantity - line.withdrawn - line.ended
    least = LAMP_MINOR * (line.quantity - kept)
    if not kept and not _is_claimed(after):
        least += _CAP_MINOR  # none of it goes back for a defect
    most = LAMP_MINOR * (line.quantity - kept) + (0 if kept else DELIVERY_MINOR) + given
    said = f"{least} to {most} of {order.total_minor}, with {given} given: {back}, {kept} kept, {order.id}"
    assert min(order.total_minor, least) <= back <= min(order.total_minor, most), said


def _is_claimed(after: Aftercare) -> bool:
    return any(one.state == "resolved" for one in after.claims)
