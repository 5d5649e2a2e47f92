"""What withdrawn units give back: to the cent, whatever the steps."""

from datetime import date
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from services.checkout.domain import lifecycle, promises
from services.checkout.domain.aftercare import Aftercare, Payout, new_due
from services.checkout.domain.delivery import OfferedFee
from services.checkout.domain.discharge import look, pay_out
from services.checkout.domain.dues import unasked_minor
from services.checkout.domain.follow_up import folded
from services.checkout.domain.orders import GiveBack, Order
from services.checkout.domain.outcomes import Moved
from services.checkout.domain.promises import ReportUnavailable, ResolveLate
from services.checkout.domain.statements import StartService, amounts
from tests.unit.checkout.sold import (
    EXPRESS,
    STANDARD,
    at,
    cared,
    done,
    follow,
    line,
    ordered,
    parcel,
    setting,
    sold,
    stated,
)  # fmt: skip

HERE = "2026-03-03T18:00"
FREE_FROM_60 = OfferedFee(
    mode="home", kind="home", fee_minor=0, full_fee_minor=490, free_from_minor=6000, standard=True
)  # fmt: skip
NEVER_FREE = OfferedFee(
    mode="home", kind="home", fee_minor=490, full_fee_minor=490, free_from_minor=6000, standard=True
)  # fmt: skip
COLLECT = OfferedFee(
    mode="shop", kind="collect", fee_minor=0, full_fee_minor=0, free_from_minor=None, standard=True
)  # fmt: skip
RELAY = OfferedFee(
    mode="relay", kind="relay", fee_minor=290, full_fee_minor=290, free_from_minor=None, standard=True
)  # fmt: skip


def lamps(*, delivery_minor: int = 490, quantity: int = 3, net_minor: int = 10000) -> Order:
    return ordered(
        line("1", quantity=quantity, net_minor=net_minor, unit_minor=4000), line("2", net_minor=2000),
        parcels=(parcel("a", {"1": quantity, "2": 1}, HERE),), delivery_minor=delivery_minor,
    )  # fmt: skip


def owed(after: Aftercare) -> tuple[int, int]:
    return sum(due.goods_minor for due in after.dues), sum(due.delivery_minor for due in after.dues)


def test_steps_give_what_one_statement_gives() -> None:
    whole = follow(lamps(), cared(sold("1"), sold("2")), stated("2026-03-10T10:00"), "2026-03-10T10:00")[1]
    assert owed(whole) == (12000, 490)
    for steps in product(("1", "2"), repeat=4):
        if sorted(steps) != ["1", "1", "1", "2"]:
            continue
        order, after = lamps(), cared(sold("1"), sold("2"))
        for place, line_id in enumerate(steps):
            act = stated("2026-03-10T10:00", {line_id: 1}, f"s{place}")
            order, after, _ = follow(order, after, act, "2026-03-10T10:00")
            assert owed(after)[1] == (490 if place == 3 else 0)
        assert owed(after) == (12000, 490)
        assert [due.goods_minor for due in after.dues if "1" in due.units] == [3333, 3334, 3333]


@pytest.mark.parametrize(
    ("offered", "paid", "first", "all_of_it"),
    [
        ((STANDARD, EXPRESS), 1290, 0, 490),  # express was chosen: the cheapest standard fee
        ((FREE_FROM_60, EXPRESS), 1290, 0, 0),  # standard would have been free
        ((NEVER_FREE, EXPRESS), 1290, 0, 490),
        ((EXPRESS, COLLECT), 1290, 0, 1290),  # collecting caps nothing, and no standard mode was offered
        ((), 1290, 0, 1290),  # an order of before
        ((STANDARD, RELAY), 490, 0, 290),
        ((STANDARD,), 0, 0, 0),  # it was free by a coupon
    ],
)
def test_delivery_goes_back_with_the_last_goods_up_to_the_cheapest_standard_fee(
    offered: tuple[OfferedFee, ...], paid: int, first: int, all_of_it: int
) -> None:
    order, after = lamps(delivery_minor=paid), cared(sold("1"), sold("2"), offered=offered)
    order, after, _ = follow(order, after, stated("2026-03-10T10:00", {"1": 3}), "2026-03-10T10:00")
    assert owed(after) == (10000, first)
    order, after, _ = follow(order, after, stated("2026-03-11T10:00", {"2": 1}, "s2"), "2026-03-11T10:00")
    assert owed(after) == (12000, all_of_it)


def test_a_mode_that_is_free_above_a_sum_does_not_make_what_is_kept_dearer() -> None:
    cheap = OfferedFee(
        mode="big", kind="home", fee_minor=990, full_fee_minor=990, free_from_minor=None, standard=True
    )  # fmt: skip
    order, after = lamps(delivery_minor=990), cared(sold("1"), sold("2"), offered=(cheap,))
    order, after, _ = follow(order, after, stated("2026-03-10T10:00", {"1": 2}), "2026-03-10T10:00")
    assert owed(after) == (6667, 0)


def test_digital_content_gives_no_delivery_back() -> None:
    order = ordered(line("1"), line("2", net_minor=1999), parcels=(parcel("a", {"1": 1}, HERE),))
    after = cared(sold("1"), sold("2", "digital"))
    order, after, _ = follow(order, after, stated("2026-03-10T10:00", {"1": 1}), "2026-03-10T10:00")
    assert owed(after) == (4990, 490)
    _, after, _ = follow(order, after, stated("2026-03-11T10:00", {"2": 1}, "s2"), "2026-03-11T10:00")
    assert (owed(after), after.dues[1].shipped) == ((6989, 490), False)


@pytest.mark.parametrize(
    ("started", "when", "kept"),
    [
        (date(2026, 3, 2), "2026-03-02T23:59", 0),
        (date(2026, 3, 2), "2026-03-03T00:00", 333),  # a whole Paris day: 9999 / 30 = 333.3
        (date(2026, 3, 2), "2026-03-12T10:00", 3333),
        (date(2026, 3, 9), "2026-03-10T10:00", 333),
        (date(2026, 3, 12), "2026-03-10T10:00", 0),  # began after the statement
        (None, "2026-03-10T10:00", 0),
    ],
)
def test_a_service_is_paid_by_whole_days_of_use(started: date | None, when: str, kept: int) -> None:
    order = ordered(line(net_minor=9999), delivery_minor=0)
    after = cared(sold(kind="service", service_days=30, requested_at=at("2026-03-02T10:00")))
    if started is not None:
        _, after, _ = follow(order, after, StartService(line_id="1", on=started), "2026-03-15T10:00")
    found = amounts(order, after, {"1": 1}, setting("2026-03-20T10:00"), stated_on=at(when).date())
    assert (found.service_minor, found.service_kept_minor, found.goods_minor) == (9999 - kept, kept, 0)
    assert found.refund_minor == 9999 - kept
    unasked = cared(sold(kind="service", service_days=30, started_on=started))
    assert amounts(order, unasked, {"1": 1}, setting("2026-03-20T10:00")).service_kept_minor == 0
    endless = cared(sold(kind="service", started_on=started, requested_at=at("2026-03-02T10:00")))
    assert amounts(order, endless, {"1": 1}, setting("2026-03-20T10:00")).service_kept_minor == 0


def test_use_never_earns_more_than_the_service_costs() -> None:
    order = ordered(line(net_minor=1000), line("2"), delivery_minor=0)
    after = cared(
        sold(kind="service", service_days=3, started_on=date(2026, 3, 2), requested_at=at("2026-03-02T10:00")),
        sold("2"),
    )
    order, after, _ = follow(order, after, stated("2026-03-10T10:00", {"1": 1}), "2026-03-10T10:00")
    assert (after.dues, order.lines[0].withdrawn) == ((), 1)
    half = cared(
        sold(kind="service", service_days=16, started_on=date(2026, 3, 2), requested_at=at("2026-03-02T10:00")),
        sold("2"),
    )
    order = ordered(line(net_minor=1001), line("2"), delivery_minor=0)
    _, after, _ = follow(order, half, stated("2026-03-10T10:00", {"1": 1}), "2026-03-10T10:00")
    (due,) = after.dues
    assert (due.goods_minor, due.service_kept_minor, due.product_minor) == (500, 501, 1001)  # a half goes up


def test_an_order_of_services_alone_keeps_what_their_use_has_earned() -> None:
    used: dict[str, Any] = {"service_days": 10, "started_on": date(2026, 3, 2), "requested_at": at("2026-03-02T10:00")}
    order = ordered(line(net_minor=1000), delivery_minor=0)
    moved, after, _ = follow(order, cared(sold(kind="service", **used)), stated("2026-03-05T10:00"), "2026-03-05T10:00")
    (due,) = after.dues
    assert (due.amount_minor, due.service_kept_minor, moved.refunds, moved.state) == (700, 300, (), "confirmed")
    unused = cared(sold(kind="service", **(used | {"started_on": None})))
    moved, after, _ = follow(order, unused, stated("2026-03-05T10:00"), "2026-03-05T10:00")
    assert (after.dues[0].amount_minor, moved.refunds[0].amount_minor, moved.state) == (1000, 1000, "cancelled")


def test_units_that_will_never_come_count_before() -> None:
    order = ordered(
        line(quantity=3, net_minor=10000, ended=1), parcels=(parcel("a", {"1": 2}, HERE),)
    )  # fmt: skip
    found = amounts(order, cared(), {"1": 2}, setting("2026-03-10T10:00"))
    assert (found.by_line, found.delivery_minor) == ({"1": 6667}, 490)


def test_an_order_that_ends_gives_back_what_is_left_of_what_was_owed_before() -> None:
    """Of one unit, a part was given back; then the other is withdrawn before anything has left."""
    order, after, _ = follow(
        ordered(line(quantity=2, net_minor=8000)), cared(), stated("2026-03-03T09:00", {"1": 1}), "2026-03-03T09:00",
        automatic_refunds=False,
    )  # fmt: skip
    by_hand = {"amount_minor": 700, "product_minor": 700, "notice_on": date(2026, 6, 2), "by_hand": True}
    after = replace(after, dues=(*after.dues, new_due(after, "renewal", "contract/x", **by_hand)))
    given = lifecycle.step(order, GiveBack(key="shop/1", amount_minor=1500, cause="withdrawal"), at("2026-03-03T10:00"))
    assert isinstance(given, Moved)
    order, after = given.state, look(given.state, after, setting("2026-03-03T10:00", automatic_refunds=False)).after
    order, after, _ = follow(order, after, stated("2026-03-03T11:00", id_="s2"), "2026-03-03T11:00")
    assert order.state == "cancelled"
    assert sum(one.amount_minor for one in order.refunds) == order.total_minor == 8490
    assert [due.amount_minor for due in after.dues] == [4000, 700, 4490]
    first, advance, _ = after.dues
    assert unasked_minor(order, after, first) == 0
    assert (advance.refund_ids, unasked_minor(order, after, advance)) == ((), 700), "that was paid later"


@pytest.mark.parametrize("ends", ["withdrawn", "unavailable", "resolved"])
def test_what_the_shop_paid_by_hand_does_not_go_back_once_more(ends: str) -> None:
    """Of two units one was withdrawn before it left, and paid by hand; then the other ends too."""
    order, after, _ = follow(
        ordered(line(quantity=2, net_minor=8000)), cared(sold(promised_on=date(2026, 3, 4), essential=True)),
        stated("2026-03-03T09:00", {"1": 1}), "2026-03-03T09:00", automatic_refunds=False,
    )  # fmt: skip
    payout = Payout(id="p", minor=4000, paid_on=date(2026, 3, 3), for_="principal", means="bank_transfer")
    after = done(pay_out(order, after, after.dues[0].id, payout, setting("2026-03-03T10:00"))).after
    now = "2026-03-05T11:00"
    if ends == "withdrawn":
        order, after, _ = follow(order, after, stated(now, id_="s2"), now)
    else:
        act = ReportUnavailable(units={"1": 1}) if ends == "unavailable" else ResolveLate(
            received_at=at(now), medium="email"
        )  # fmt: skip
        found = done(promises.step(order, after, act, setting(now)))
        order, after = folded(order, found, at(now)), found.after
    found = look(order, after, setting(now))
    order, after = folded(order, found, at(now)), found.after
    assert sum(one.amount_minor for one in order.refunds) == 4490
    assert [due.amount_minor for due in after.dues] == [4000, 4490]
    assert sum(line.withdrawn + line.ended for line in order.lines) == 2
