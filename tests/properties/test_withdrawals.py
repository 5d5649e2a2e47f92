"""Withdrawals in any order, of any units, at any time: what moves, what is owed, and that nothing is said twice."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relance.rules.law.totals import unit_refund
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Setting, folded
from services.checkout.domain.looking import look
from services.checkout.domain.orders import Order, Parcel
from services.checkout.domain.statements import AcceptAnyway, Inform, StateWithdrawal, deadlines, state, step
from tests.unit.checkout.sold import BOOK, EXPRESS, PARIS, PLACED, STANDARD, cared, done, line, ordered, parcel, sold

KINDS = st.sampled_from(["goods", "goods", "goods", "digital", "service"])


@st.composite
def orders(draw: st.DrawFn) -> tuple[Order, Aftercare]:
    """An order of one to four lines, of which some units left in parcels that were received or not."""
    lines, held = [], []
    parcels: list[Parcel] = []
    for place in range(draw(st.integers(1, 4))):
        id_, quantity, net = str(place + 1), draw(st.integers(1, 4)), draw(st.integers(0, 20_000))
        kind = draw(KINDS)
        lines.append(line(id_, quantity=quantity, net_minor=net, unit_minor=net // quantity))
        made_to_order = draw(st.integers(0, 4)) == 0 and kind == "goods"
        more: dict[str, Any] = {"exception": 3, "exception_shown": True} if made_to_order else {}
        held.append(sold(id_, kind, **more))
        sent = draw(st.integers(0, quantity)) if kind == "goods" else 0
        if sent:
            day = draw(st.integers(2, 30))
            received = None if day > 25 else f"2026-03-{day:02d}T10:00"
            parcels.append(parcel(f"p{id_}", {id_: sent}, received))
    delivery = draw(st.sampled_from([0, 290, 490, 1290]))
    order = ordered(*lines, parcels=tuple(parcels), delivery_minor=delivery)
    return order, cared(*held, offered=draw(st.sampled_from([(), (STANDARD, EXPRESS), (EXPRESS,)])))


STATED = st.lists(
    st.tuples(st.integers(0, 60 * 24), st.dictionaries(st.sampled_from("12345"), st.integers(0, 5), max_size=4)),
    min_size=1,
    max_size=5,
)


def instant(hours: int) -> datetime:
    return PLACED + timedelta(hours=hours)


@settings(max_examples=150, deadline=None)
@given(orders(), STATED, st.sampled_from(["kind", "strict"]))
def test_what_is_accepted_is_owed_to_the_cent_and_nothing_else(
    case: tuple[Order, Aftercare], stated: list[tuple[int, dict[str, int]]], at_last: str
) -> None:
    order, after = case
    begun = order
    for place, (hours, units) in enumerate(sorted(stated, key=lambda one: one[0])):
        at = instant(hours)
        act = StateWithdrawal(id=f"s{place}", channel="web", stated_at=at, received_at=at, units=units)
        setting = Setting(at, BOOK)
        ends = deadlines(order, after, BOOK)
        found = done(state(order, after, act, setting))
        named = {id_ for id_, count in units.items() if count and int(id_) <= len(order.lines)}
        assert not named or {one.line_id for one in found.after.statements[-1].decisions} == named
        for one in found.after.statements[-1].decisions:
            period = ends.get(one.line_id)
            late = period is not None and period.ends_at is not None and at.astimezone(PARIS) >= period.ends_at
            sold_line = after.line(one.line_id)
            if sold_line is not None and sold_line.exception is None:
                assert (one.outcome == "late") == late
            assert one.moved == (one.outcome in {"accepted", "ancillary"} and one.units > 0)
        again = done(state(folded(order, found, at), found.after, act, setting))
        assert (again.after, again.acts, again.letters) == (found.after, (), ())
        order, after = folded(order, found, at), found.after
        holds(begun, order, after)
    if at_last == "kind":
        at = instant(61 * 24)
        for later in (AcceptAnyway(statement_id="s0"), Inform()):
            found = done(step(order, after, later, Setting(at, BOOK)))
            order, after = folded(order, found, at), found.after
            holds(begun, order, after)
    seen = look(order, after, Setting(instant(62 * 24), BOOK))
    twice = look(folded(order, seen, instant(62 * 24)), seen.after, Setting(instant(62 * 24), BOOK))
    assert (twice.after, twice.acts, twice.letters, twice.noted) == (seen.after, (), (), ())


def holds(begun: Order, order: Order, after: Aftercare) -> None:
    """Units and sums agree: of the order, of the decisions and of the dues."""
    moved: dict[str, int] = {}
    for statement in after.statements:
        for one in statement.decisions:
            moved[one.line_id] = moved.get(one.line_id, 0) + (one.units if one.moved else 0)
    for of in order.lines:
        assert of.withdrawn == moved.get(of.id, 0) <= of.quantity
    owed = sum(due.amount_minor for due in after.dues)
    goods = sum(unit_refund(one.net_minor, one.quantity, 0, one.withdrawn) for one in order.lines)
    delivery = sum(due.delivery_minor for due in after.dues)
    assert owed == goods + delivery
    assert 0 <= delivery <= begun.delivery_minor
    for due in after.dues:
        assert due.amount_minor == due.goods_minor + due.delivery_minor > 0
        assert due.goods_minor == sum(due.lines_minor.values())
    assert sum(one.amount_minor for one in order.refunds) <= order.total_minor
