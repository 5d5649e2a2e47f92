"""Dues of an order, and refunds that bring them, by hand."""

from datetime import date, timedelta
from typing import Any

import msgspec

from services.checkout.domain.aftercare import Aftercare, Due, new_due
from services.checkout.domain.orders import Order
from services.checkout.domain.refunds import Refund
from tests.unit.checkout.sold import at, cared, line, ordered

replace = msgspec.structs.replace

NOTICE = date(2026, 3, 5)
DUE = date(2026, 3, 19)


def owing(*dues: dict[str, Any], **more: Any) -> Aftercare:
    """An aftercare with dues of these fields; 49.90 after a withdrawal unless they say otherwise."""
    after = cared(**more)
    for one in dues:
        fields: dict[str, Any] = {"amount_minor": 4990, "product_minor": 4990, "notice_on": NOTICE, **one}
        regime, source = fields.pop("regime", "withdrawal"), fields.pop("source", "statement/s1")
        fields.setdefault("goods_minor", fields["amount_minor"])
        after = replace(after, dues=(*after.dues, new_due(after, regime, source, **fields)))
    return after


def only(after: Aftercare) -> Due:
    (found,) = after.dues
    return found


def paid(*refunds: Refund, **more: Any) -> Order:
    """A paid order of one lamp at 49.90, with these refunds."""
    return ordered(line(), refunds=refunds, **more)


def brought(due: Due, minor: int, on: date | None, id_: str = "r0", **more: Any) -> Refund:
    """A refund of a due; it went at noon of a Paris day, or is still under way."""
    fields: dict[str, Any] = {
        "id": id_, "tender": 0, "amount_minor": minor, "cause": "withdrawal", "requested_at": at("2026-03-10 10:00"),
        "key": f"due/{due.id}", "state": "requested" if on is None else "succeeded", "attempt_id": "a1",
        "succeeded_at": None if on is None else at(f"{on} 12:00"),
    }  # fmt: skip
    return Refund(**(fields | more))


def days_after(day: date, days: int) -> date:
    return day + timedelta(days=days)
