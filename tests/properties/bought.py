"""Orders of a plan as the click concludes them, with their aftercare, and a book of law for the years they live in."""

from typing import Final
from uuid import UUID

import msgspec

from relance.rules.law.book import Book
from services.checkout.domain import lifecycle
from services.checkout.domain.aftercare import Aftercare, SoldLine
from services.checkout.domain.delivery import OfferedFee
from services.checkout.domain.events import Context
from services.checkout.domain.orders import Order, OrderLine
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.tenders import Tender
from tests.reference.plans import Plan
from tests.unit.checkout.sold import BOOK

__all__ = ["LAW", "cared", "placed"]

replace = msgspec.structs.replace


def with_rates() -> Book:
    """The book with half-years that no order has fixed yet."""
    rule = next(one for one in BOOK.all() if one.id == "B27")
    halves = [
        *rule.parameters["half_years"],
        {"first": "2026-07-01", "last": "2026-12-31", "percent": "7.30"},
        {"first": "2027-01-01", "last": "2027-06-30", "percent": "5.90"},
        {"first": "2027-07-01", "last": "2027-12-31", "percent": "6.05"},
        {"first": "2028-01-01", "last": "2028-06-30", "percent": "6.20"},
        {"first": "2028-07-01", "last": "2028-12-31", "percent": "6.45"},
        {"first": "2029-01-01", "last": "2029-06-30", "percent": "5.75"},
    ]
    entered = replace(rule, parameters=rule.parameters | {"half_years": halves})
    return Book([one for one in BOOK.all() if one.id != "B27"] + [entered])


LAW: Final = with_rates()


def placed(plan: Plan) -> Order:
    """The click; the gift card, when there is one, pays first."""
    lines = tuple(
        OrderLine(
            id=id_, product_id=f"p{id_}", name=f"Article {id_}", sku=f"S{id_}" if one.kind == "goods" else "",
            quantity=one.quantity, unit_minor=one.unit, net_minor=one.net,
        )
        for id_, one in plan.things.items()
    )  # fmt: skip
    total = sum(line.net_minor for line in lines) + plan.delivery
    card = Tender(means="card", kind="card", amount_minor=total - plan.gift - plan.voucher)
    gift = Tender(means="gift", kind="gift_card", amount_minor=plan.gift, state="held", ref="g")
    voucher = Tender(means="voucher", kind="voucher", amount_minor=plan.voucher, state="held", ref="v")
    tenders = tuple(one for one in (gift, voucher, card) if one.amount_minor)
    placement = lifecycle.Placement(
        order_id=UUID(int=plan.number + 1), checkout_id=f"c{plan.number}", recap_hash="h",
        context=Context(shop="lumen", cart_id="c"), lines=lines, tenders=tenders,
        delivery_minor=plan.delivery, discount_minor=0, total_minor=total,
    )  # fmt: skip
    moved = lifecycle.place(placement, plan.placed)
    assert not isinstance(moved, Refusal), moved
    return moved.state


def cared(plan: Plan) -> Aftercare:
    sold = tuple(
        SoldLine(
            id=id_, name=f"Article {id_}", kind=one.kind, vat_percent="20",
            promised_on=one.promised if one.kind == "goods" else None, essential=plan.essential and one.kind == "goods",
            exception=13 if one.waived else 1 if one.full else None, exception_shown=one.waived or one.full,
            requested_at=plan.placed if one.waived or one.full or one.days else None,
            loss_at=plan.placed if one.waived or one.full else None, service_days=one.days, subscribed=one.runs,
            ancillary_to=tuple(sorted(one.beside)),
        )
        for id_, one in plan.things.items()
    )  # fmt: skip
    goods = sum(one.unit * one.quantity for one in plan.things.values() if one.kind == "goods")
    fee = 0 if plan.free_from is not None and goods >= plan.free_from else plan.full_fee
    home = OfferedFee(
        mode="home", kind="home", fee_minor=fee, full_fee_minor=plan.full_fee, free_from_minor=plan.free_from,
        standard=True,
    )  # fmt: skip
    express = OfferedFee(
        mode="express", kind="express", fee_minor=1290, full_fee_minor=1290, free_from_minor=None, standard=False
    )  # fmt: skip
    return Aftercare(
        id=str(UUID(int=plan.number + 1)), checkout_id=f"c{plan.number}", opened_at=plan.placed, sold=sold,
        offered=(home, express), confirmed_at=plan.placed,
    )  # fmt: skip
