from datetime import date, timedelta

from relance.rules.law.delivery import resolve
from services.checkout.domain import lifecycle, stock
from services.checkout.domain.orders import (
    Cancel,
    Close,
    Deliver,
    Order,
    Prepare,
    Resolve,
    Ship,
    Withdraw,
    kept_minor,
    owed_minor,
    still_to_ship,
)  # fmt: skip
from services.checkout.domain.stock import Level
from tests.unit.checkout.story import AT, LAW, ORDER_ID, after, data, news, paying, placed, refused, said


def paid() -> Order:
    order = paying(placed().state)
    return after(order, news(order, "captured")).state


def shipped(count: int = 2) -> Order:
    return after(paid(), Prepare(), Ship(parcel_id="p1", units={"1": count}, carrier="La Poste")).state


def test_parcels_leave_and_arrive_until_all_is_there() -> None:
    order = shipped(1)
    assert refused(lifecycle.step(order, Ship(parcel_id="p2", units={"1": 2}), AT)).field == "units.1"
    order = after(order, Deliver(parcel_id="p1", received_by="consumer")).state
    assert order.state == "shipped"
    both = after(order, Ship(parcel_id="p2", units={"1": 1}), Deliver(parcel_id="p2", received_by="designated"))
    assert (both.state.state, said(both)) == ("delivered", ["order.delivered"])
    assert after(both.state, Close()).state.state == "closed"


def test_what_has_left_is_not_put_back_on_the_shelf() -> None:
    left = after(paid(), Ship(parcel_id="p1", units={"1": 1}))
    assert [effect.kind for effect in left.effects] == ["ship_stock"]
    held = resolve(
        date(2026, 11, 1), notice=None, essential=True, delivered_at=None, resolution_received_at=AT, law=LAW
    )
    ended = after(left.state, Resolve(found=held))
    assert "release_stock" in {effect.kind for effect in ended.effects}
    level = Level(sku="L-1", on_hand=4, committed={str(ORDER_ID): 1})
    (free,) = stock.release({"L-1": level}, str(ORDER_ID), still_to_ship(ended.state))
    assert (free.on_hand, free.free) == (4, 4), "the unit that never left is for sale again; the other is not here"


def test_units_withdrawn_before_they_left_are_for_sale_again() -> None:
    taken = after(paid(), Withdraw(stated_at=AT, medium="web", units={"1": 1}))
    assert "release_stock" in {effect.kind for effect in taken.effects}
    level = Level(sku="L-1", on_hand=4, committed={str(ORDER_ID): 2})
    (less,) = stock.release({"L-1": level}, str(ORDER_ID), still_to_ship(taken.state))
    assert (less.committed, less.free) == ({str(ORDER_ID): 1}, 3)
    assert stock.release({"L-1": less}, str(ORDER_ID), still_to_ship(taken.state)) == ()


def test_a_parcel_is_told_once() -> None:
    order = shipped()
    assert after(order, Ship(parcel_id="p1", units={"1": 2})).transition == ""
    there = after(order, Deliver(parcel_id="p1", received_by="consumer")).state
    assert after(there, Deliver(parcel_id="p1", received_by="consumer")).transition == ""


def test_a_deposit_is_no_receipt() -> None:
    deposited = after(shipped(), Deliver(parcel_id="p1", received_by="relay"))
    assert (deposited.state.state, said(deposited)) == ("shipped", [])
    assert after(deposited.state, Deliver(parcel_id="p1", received_by="locker")).transition == ""
    assert said(after(deposited.state, Deliver(parcel_id="p1", received_by="consumer"))) == ["order.delivered"]


def test_nothing_is_made_ready_before_it_is_paid() -> None:
    order = placed().state
    for act in (Prepare(), Ship(parcel_id="p", units={"1": 1}), Close(), Deliver(parcel_id="p", received_by="relay")):
        assert refused(lifecycle.step(order, act, AT)).reason


def test_what_has_left_is_not_cancelled() -> None:
    assert refused(lifecycle.step(shipped(), Cancel(reason="late"), AT)).field == "order.state"


def test_a_withdrawal_by_line_is_recorded_and_acknowledged() -> None:
    moved = after(shipped(), Withdraw(stated_at=AT, medium="letter", units={"1": 1}))
    assert said(moved) == ["withdrawal.requested"]
    assert [item["quantity"] for item in data(moved)["items"]] == [1]
    assert {effect.kind for effect in moved.effects} == {"acknowledge_withdrawal", "release_stock"}
    assert refused(lifecycle.step(moved.state, Withdraw(stated_at=AT, medium="web", units={"1": 2}), AT)).reason
    assert refused(lifecycle.step(moved.state, Withdraw(stated_at=AT, medium="web", units={"9": 1}), AT)).reason


def test_a_withdrawal_of_all_before_anything_left_ends_the_order() -> None:
    moved = after(paid(), Withdraw(stated_at=AT, medium="web"))
    assert (moved.state.state, said(moved)) == ("cancelled", ["withdrawal.requested", "order.cancelled"])
    assert kept_minor(moved.state) == owed_minor(moved.state) == 10470
    assert after(moved.state, Withdraw(stated_at=AT, medium="web")).transition == ""


def test_what_was_withdrawn_is_not_waited_for() -> None:
    order = after(shipped(1), Deliver(parcel_id="p1", received_by="consumer")).state
    assert after(order, Withdraw(stated_at=AT, medium="web", units={"1": 1})).state.state == "delivered"


def test_the_law_resolves_and_not_the_shop() -> None:
    promised = AT.date() - timedelta(days=3)
    early = resolve(promised, notice=None, essential=False, delivered_at=None, resolution_received_at=AT, law=LAW)
    found = refused(lifecycle.step(paid(), Resolve(found=early), AT))
    assert (found.rule, found.article) == ("C03", "L216-6")
    held = resolve(
        date(2026, 11, 1), notice=None, essential=True, delivered_at=None, resolution_received_at=AT, law=LAW
    )
    moved = after(paid(), Resolve(found=held))
    assert (moved.state.state, owed_minor(moved.state)) == ("resolved", 10470)
    assert after(moved.state, Resolve(found=held)).transition == ""


def test_only_what_the_law_gives_of_a_statement_moves() -> None:
    late = after(shipped(), Withdraw(stated_at=AT, medium="letter", units={"1": 2}, accepted={}))
    assert (said(late), late.transition, late.state.lines[0].withdrawn) == (["withdrawal.requested"], "withdrawn", 0)
    part = after(shipped(), Withdraw(stated_at=AT, medium="letter", units={"1": 2}, accepted={"1": 1}))
    assert part.state.lines[0].withdrawn == 1
    none = after(paid(), Withdraw(stated_at=AT, medium="web", accepted={}))
    assert (none.state.state, none.state.refunds) == ("confirmed", ())
    assert refused(lifecycle.step(part.state, Withdraw(stated_at=AT, medium="web", accepted={"1": 2}), AT)).reason
