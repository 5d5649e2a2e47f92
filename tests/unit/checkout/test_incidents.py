"""Parcels that do not arrive, units that never will, payment that is held back."""

from datetime import timedelta

from services.checkout.domain import lifecycle, stock
from services.checkout.domain.due import order_due
from services.checkout.domain.orders import (
    Cancel,
    ClockMoved,
    Deliver,
    End,
    HoldPayment,
    MarkParcel,
    Order,
    Received,
    Ship,
    Withdraw,
    kept_minor,
    owed_minor,
    still_to_ship,
)  # fmt: skip
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.story import AT, ORDER_ID, after, placed, refused
from tests.unit.checkout.test_shipping import paid, shipped


def lost(order: Order, parcel: str = "p1") -> Order:
    return after(order, MarkParcel(parcel_id=parcel, incident="lost")).state


def test_what_is_lost_is_shipped_anew() -> None:
    moved = after(shipped(), MarkParcel(parcel_id="p1", incident="lost"))
    order = moved.state
    assert (moved.transition, order.lines[0].shipped, still_to_ship(order)) == ("parcel_lost", 0, {"L-1": 2})
    assert after(order, MarkParcel(parcel_id="p1", incident="damaged")).transition == ""
    anew = after(order, Ship(parcel_id="p2", units={"1": 2}), Deliver(parcel_id="p2", received_by="consumer")).state
    assert (anew.state, anew.lines[0].shipped, anew.lines[0].received) == ("delivered", 2, 2)
    found = refused(lifecycle.step(anew, Deliver(parcel_id="p1", received_by="consumer"), AT))
    assert found.field == "parcel_id"


def test_goods_to_be_sent_anew_are_kept_as_far_as_there_are_any() -> None:
    order = lost(shipped())
    level = Level(sku="L-1", on_hand=5, committed={"another": 4})
    (kept,) = stock.promise({"L-1": level}, str(ORDER_ID), still_to_ship(order))
    assert (kept.committed, kept.free) == ({"another": 4, str(ORDER_ID): 1}, 0)
    assert stock.promise({"L-1": kept}, str(ORDER_ID), still_to_ship(order)) == ()


def test_a_parcel_that_was_given_up_may_still_arrive() -> None:
    there = after(lost(shipped()), Deliver(parcel_id="p1", received_by="consumer")).state
    assert (there.state, there.lines[0].shipped, there.lines[0].received) == ("delivered", 2, 2)


def test_what_was_refused_is_on_its_way_until_it_is_back() -> None:
    turned = after(shipped(), MarkParcel(parcel_id="p1", incident="refused")).state
    assert (turned.lines[0].shipped, turned.state) == (2, "shipped")
    back = after(turned, MarkParcel(parcel_id="p1", incident="returned")).state
    assert (back.lines[0].shipped, back.parcels[0].incident) == (0, "returned")


def test_what_was_received_is_a_matter_of_the_guarantee() -> None:
    there = after(shipped(), Deliver(parcel_id="p1", received_by="consumer")).state
    found = refused(lifecycle.step(there, MarkParcel(parcel_id="p1", incident="damaged"), AT))
    assert (found.rule, found.article) == ("C06", "L216-2")
    assert refused(lifecycle.step(there, MarkParcel(parcel_id="p9", incident="lost"), AT)).field == "parcel_id"


def test_all_withdrawn_after_a_loss_unwinds_as_if_nothing_had_left() -> None:
    ended = after(lost(shipped()), Withdraw(stated_at=AT, medium="web")).state
    assert (ended.state, owed_minor(ended)) == ("cancelled", 10470)
    assert owed_minor(ended) == kept_minor(ended)


def test_units_that_will_not_come_are_not_waited_for() -> None:
    one = after(paid(), Ship(parcel_id="p1", units={"1": 1}), Deliver(parcel_id="p1", received_by="consumer")).state
    assert one.state == "shipped"
    moved = after(one, End(units={"1": 1}, cause="unavailable"))
    assert (moved.state.state, moved.state.lines[0].ended, moved.transition) == ("delivered", 1, "ended")
    assert [effect.kind for effect in moved.effects] == ["release_stock"]
    assert refused(lifecycle.step(moved.state, End(units={"1": 1}, cause="unavailable"), AT)).field == "units.1"
    assert refused(lifecycle.step(moved.state, Ship(parcel_id="p2", units={"1": 1}), AT)).field == "order.state"


def test_what_is_on_its_way_is_not_unavailable_but_can_be_given_up() -> None:
    order = shipped()
    assert refused(lifecycle.step(order, End(units={"1": 1}, cause="unavailable"), AT)).field == "units.1"
    gone = after(order, End(units={"1": 2}, cause="resolved")).state
    assert (gone.lines[0].ended, gone.state) == (2, "shipped")
    assert refused(lifecycle.step(placed().state, End(units={"1": 1}, cause="resolved"), AT)).field == "order.state"
    assert refused(lifecycle.step(order, End(units={"1": 0}, cause="resolved"), AT)).field == "units"


def test_a_parcel_of_ended_units_holds_up_nothing() -> None:
    two = after(
        paid(), Ship(parcel_id="p1", units={"1": 1}), Ship(parcel_id="p2", units={"1": 1}),
        Deliver(parcel_id="p1", received_by="consumer"), End(units={"1": 1}, cause="resolved"),
    ).state  # fmt: skip
    assert two.state == "delivered"


def awaited() -> Order:
    return placed(Tender(means="cheque", kind="offline", amount_minor=10470, state="awaited"), days=7).state


def test_suspended_payment_does_not_lapse_and_goes_on_with_the_time_it_had() -> None:
    order = awaited()
    assert order_due(order) == AT + timedelta(days=7)
    held = after(order, HoldPayment(held=True), at=AT + timedelta(days=5)).state
    assert order_due(held) is None
    late = AT + timedelta(days=30)
    assert after(held, ClockMoved(), at=late).transition == ""
    assert after(held, HoldPayment(held=True), at=late).transition == ""
    again = after(held, HoldPayment(held=False), at=late).state
    assert (again.held_at, again.awaited_until) == (None, AT + timedelta(days=32))
    assert after(again, ClockMoved(), at=AT + timedelta(days=32)).state.state == "lapsed"
    money = Received(amount_minor=10470, received_at=AT)
    settled = after(again, money).state
    found = refused(lifecycle.step(settled, HoldPayment(held=True), AT))
    assert (found.rule, found.article) == ("C02", "L216-6 I 1°")


def test_what_is_unavailable_is_not_for_sale_again() -> None:
    one = after(paid(), End(units={"1": 1}, cause="unavailable"))
    assert [(effect.kind, effect.ref) for effect in one.effects] == [("release_stock", "unavailable")]
    level = Level(sku="L-1", on_hand=5, committed={str(ORDER_ID): 2, "another": 1})
    (left,) = stock.release({"L-1": level}, str(ORDER_ID), still_to_ship(one.state), gone=True)
    assert (left.on_hand, left.free, left.committed) == (4, 2, {str(ORDER_ID): 1, "another": 1})
    assert stock.release({"L-1": left}, str(ORDER_ID), still_to_ship(one.state), gone=True) == ()
    whole = after(paid(), Cancel(reason="unavailable"))
    assert ("release_stock", "unavailable") in {(effect.kind, effect.ref) for effect in whole.effects}
    other = after(paid(), Cancel(reason="mistake"))
    assert ("release_stock", "") in {(effect.kind, effect.ref) for effect in other.effects}
    resolved = after(paid(), End(units={"1": 1}, cause="resolved"))
    assert [(effect.kind, effect.ref) for effect in resolved.effects] == [("release_stock", "")]
