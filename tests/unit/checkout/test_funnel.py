"""The funnel: what is counted once, which days are in, and that without data nothing is divided."""

import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.checkout.domain.checkouts import Checkout, ChooseDelivery, ChooseMeans, Contact, GiveContact
from services.checkout.domain.events import Context
from services.checkout.domain.funnel import STEPS, Begun, Placed, Tally
from services.checkout.domain.orders import Order
from tests.unit.checkout.sold import line, ordered

DAY = date(2026, 3, 2)
AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
CONTACT = GiveContact(contact=Contact(email="ada@example.org"))


def checkout(visitor: str = "v", cart: str = "c", at: datetime = AT, **more: Any) -> Checkout:
    return Checkout(
        id=uuid4(), context=Context(shop="demo", cart_id=cart, visitor_id=visitor), items=(), total_minor=0,
        needs_delivery=True, started_at=at, expires_at=at + timedelta(days=7), **more,
    )  # fmt: skip


def order(of: Checkout, **more: Any) -> Order:
    made = ordered(line(net_minor=4990))
    return msgspec.structs.replace(made, id=UUID(int=of.id.int + 1), checkout_id=str(of.id), context=of.context, **more)


def seen(*some: Checkout) -> list[Begun]:
    """As the store reads them."""
    return [msgspec.json.decode(msgspec.json.encode(one), type=Begun) for one in some]


def sold(*some: Order) -> list[Placed]:
    return [msgspec.json.decode(msgspec.json.encode(one), type=Placed) for one in some]


def test_each_step_counts_those_who_passed_it() -> None:
    tally = Tally(DAY, DAY)
    bought = checkout("v4", "c4", state="ordered")
    tally.checkouts(seen(
        checkout("v1", "c1"),
        checkout("v2", "c2", contact=CONTACT),
        checkout("v3", "c3", contact=CONTACT, delivery=ChooseDelivery(mode="home"), means=ChooseMeans(means="card")),
        bought,
    ))  # fmt: skip
    tally.orders(sold(order(bought)))
    found = tally.funnel()
    assert (found.visitors, found.carts, found.orders, found.completed, found.buyers) == (4, 4, 1, 1, 1)
    assert [found.steps[name] for name in STEPS] == [4, 3, 2, 2, 1, 1]
    assert (found.conversion, found.abandonment) == (Fraction(1, 4), Fraction(3, 4))
    assert found.revenue_minor == order(bought).total_minor


def test_checkouts_of_one_cart_count_once_with_the_furthest_step() -> None:
    tally = Tally(DAY, DAY)
    tally.checkouts(seen(checkout(state="superseded", contact=CONTACT), checkout()))
    found = tally.funnel()
    assert (found.carts, found.visitors, found.steps["contact"]) == (1, 1, 1)


def test_days_are_those_of_paris_and_both_are_in() -> None:
    late = datetime(2026, 3, 2, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in Paris
    tally = Tally(DAY, DAY)
    tally.checkouts(seen(checkout("a", "a", late), checkout("b", "b", late + timedelta(seconds=1))))
    tally.checkouts(seen(checkout("c", "c", datetime(2026, 3, 1, 23, tzinfo=UTC))))
    assert tally.funnel().carts == 2


def test_without_data_nothing_is_divided() -> None:
    found = Tally(DAY, DAY).funnel()
    assert (found.visitors, found.carts, found.conversion, found.abandonment) == (0, 0, None, None)


def test_an_unpaid_order_is_no_sale_and_one_of_other_days_does_not_count() -> None:
    tally = Tally(DAY, DAY)
    bought, before = checkout(state="ordered"), checkout("w", "w", AT - timedelta(days=1), state="ordered")
    tally.checkouts(seen(bought, before))
    tally.orders(sold(order(bought, paid_at=None), order(before)))
    found = tally.funnel()
    assert (found.orders, found.completed, found.buyers, found.revenue_minor) == (1, 0, 0, 0)


def test_nothing_of_a_person_leaves_it() -> None:
    tally = Tally(DAY, DAY)
    bought = checkout("visitor-7", "cart-7", state="ordered", contact=CONTACT)
    tally.checkouts(seen(bought))
    tally.orders(sold(order(bought)))
    told = json.dumps(msgspec.to_builtins(tally.funnel(), enc_hook=str))
    assert not any(word in told for word in ("visitor-7", "cart-7", "ada", str(bought.id)))


def test_payments_that_failed_are_counted_by_why() -> None:
    tally = Tally(DAY, DAY)
    bought = checkout(state="ordered")
    tries = [{"state": "failed", "category": "insufficient_funds"}, {"state": "failed"}, {"state": "captured"}]
    placed = msgspec.json.decode(msgspec.json.encode(order(bought)), type=dict[str, Any])
    tally.checkouts(seen(bought))
    tally.orders([msgspec.convert(placed | {"attempts": tries}, Placed)])
    assert tally.funnel().failures == {"insufficient_funds": 1, "unknown": 1}


def test_what_went_back_is_no_revenue() -> None:
    tally = Tally(DAY, DAY)
    bought = checkout(state="ordered")
    back = [{"state": "succeeded", "amount_minor": 490}, {"state": "failed", "amount_minor": 100}]
    placed = msgspec.json.decode(msgspec.json.encode(order(bought)), type=dict[str, Any])
    tally.checkouts(seen(bought))
    tally.orders([msgspec.convert(placed | {"refunds": back}, Placed)])
    assert tally.funnel().revenue_minor == order(bought).total_minor - 490
