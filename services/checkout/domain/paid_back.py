"""Dues as refunds of the law: one for each day on which money of a due went, or will have gone."""

from collections.abc import Iterator
from datetime import date
from typing import Final, Literal

import msgspec

from relance.rules.law import refunds
from relance.rules.law.acts import Refund
from relance.rules.law.calendar import paris_date
from relance.rules.law.terms import Unanswerable
from services.checkout.domain.aftercare import Aftercare, Due
from services.checkout.domain.dues import bringing, cap_minor, parts, standings
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order

__all__ = ["law_refunds"]

replace = msgspec.structs.replace

_CAUSES: Final[dict[str, Literal["withdrawal", "delivery", "guarantee"]]] = {
    "withdrawal": "withdrawal", "delivery": "delivery", "guarantee": "guarantee",
}  # fmt: skip


def law_refunds(order: Order, after: Aftercare, setting: Setting) -> tuple[Refund, ...]:
    """All dues that have a date. What is still open counts as paid today; what was paid for lateness goes to the parts
    that cost it, in their order.
    """
    money, stand = parts(order, after), standings(order, after, setting)
    found: list[Refund] = []
    for due in after.dues:
        due_on = stand[due.id].due_on
        by_day: dict[date, int] = {}
        for part in money[due.id]:
            by_day[part.on or setting.on] = by_day.get(part.on or setting.on, 0) + part.minor
        if due.regime in _CAUSES and due_on is not None and by_day:
            found += _of_due(order, due, due_on, sorted(by_day.items()), setting)
    return tuple(found)


def _of_due(
    order: Order, due: Due, due_on: date, by_day: list[tuple[date, int]], setting: Setting
) -> Iterator[Refund]:  # fmt: skip
    goods, surcharge = due.goods_minor, sum(one.minor for one in due.payouts if one.for_ == "surcharge")
    agreed = due.voucher is not None or any(one.agreed_at is not None for one in bringing(order, due))
    whole = Refund(
        cause=_CAUSES[due.regime],
        notice_on=due.notice_on if order.paid_at is None else max(due.notice_on, paris_date(order.paid_at)),
        product_minor=due.product_minor,
        shipped=due.shipped,
        recovered_on=due.recovered_on,
        dispatched_on=due.dispatched_on,
        collection_offered=due.collection_offered,
        refunded_on=setting.on,
        part_of=due.id if len(by_day) > 1 else "",
        means="other" if agreed else "original",
        original_means="original",
        other_means_agreed=agreed,
    )
    for place, (day, minor) in enumerate(by_day):
        is_last = place == len(by_day) - 1
        cost = surcharge if is_last else min(surcharge, _cost_minor(due, minor, due_on, day, setting))
        of_goods = min(goods, minor)
        goods, surcharge = goods - of_goods, surcharge - cost
        yield replace(
            whole, lines_minor=of_goods, delivery_paid_minor=minor - of_goods, amount_minor=minor + cost,
            surcharge_minor=cost, refunded_on=day,
        )  # fmt: skip


def _cost_minor(due: Due, minor: int, due_on: date, day: date, setting: Setting) -> int:
    """What the lateness of a part costs; nothing that could be told while a legal rate is missing."""
    law = (setting.book, due.notice_on)
    try:
        return refunds.late(_CAUSES[due.regime], minor, cap_minor(due), due_on, day, law).minor
    except Unanswerable:
        return 0
