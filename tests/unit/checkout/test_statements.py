"""A statement of withdrawal: recorded as it comes, decided after, and what it moves."""

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import Order, OrderTerms, Withdraw
from services.checkout.domain.recovery import look
from services.checkout.domain.refunds import Refund
from services.checkout.domain.statements import (
    AcceptAnyway,
    CutAccess,
    Inform,
    PerformService,
    ProveDispatch,
    ProveUnsealed,
    RecordReturn,
    StartService,
    acknowledged,
    check,
    step,
    unknown_line,
)  # fmt: skip
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.sold import at, cared, done, follow, line, ordered, parcel, refused, setting, sold, stated

ALL = parcel("a", {"1": 2}, "2026-03-03T18:00")


def two() -> Order:
    return ordered(line(quantity=2, net_minor=9980), parcels=(ALL,))


def outcomes(after: Aftercare, id_: str = "s1") -> dict[str, str]:
    statement = after.statement(id_)
    assert statement is not None
    return {one.line_id: one.outcome for one in statement.decisions}


def test_one_unit_is_withdrawn_acknowledged_first_and_owed() -> None:
    order, after, found = follow(two(), cared(), stated("2026-03-17T23:59:59", {"1": 1}), "2026-03-18T08:00")
    assert [letter.kind for letter in found.letters] == ["withdrawal.acknowledged", "withdrawal.decided"]
    assert [(one.act, one.facts.get("step")) for one in found.noted] == [("declared", None), ("happened", "decided")]
    assert found.noted[0].rules == ("B04", "B06", "B09")
    assert order.lines[0].withdrawn == 1
    (due,) = after.dues
    assert (due.units, due.goods_minor, due.delivery_minor, due.amount_minor) == ({"1": 1}, 4990, 0, 4990)
    assert (due.regime, due.shipped, due.notice_on, due.source) == (
        "withdrawal", True, date(2026, 3, 17), "statement/s1",
    )  # fmt: skip
    decision = after.statements[0].decisions[0]
    assert (decision.rule, decision.article, decision.last_day) == ("B01", "L221-18", date(2026, 3, 17))


def test_the_same_statement_again_changes_nothing() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    again = done(step(order, after, stated("2026-03-11T10:00"), setting("2026-03-11T10:00")))
    assert (again.after, again.acts, again.letters, again.noted) == (after, (), (), ())


def test_what_was_sent_in_time_is_in_time_and_paid_from_when_it_was_known() -> None:
    letter = stated("2026-03-17T16:00", received="2026-03-21T09:00", channel="letter")
    _, after, found = follow(two(), cared(), letter, "2026-03-23T09:00")
    assert outcomes(after) == {"1": "accepted"}
    assert after.dues[0].notice_on == date(2026, 3, 21)
    assert (found.noted[0].rules, found.noted[0].by) == (("B04", "B09"), "shop")


def test_a_late_statement_is_recorded_and_acknowledged_and_moves_nothing() -> None:
    order, after, found = follow(two(), cared(), stated("2026-03-18T00:00"), "2026-03-18T00:00")
    assert (outcomes(after), after.dues, order.lines[0].withdrawn) == ({"1": "late"}, (), 0)
    assert [letter.kind for letter in found.letters] == ["withdrawal.acknowledged", "withdrawal.decided"]
    assert found.acts == (Withdraw(stated_at=at("2026-03-18T00:00"), medium="web", units={"1": 2}, accepted={}),)


def test_units_are_cut_to_what_is_left() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-10T10:00", {"1": 7, "9": 1}), "2026-03-10T10:00")
    assert (after.statements[0].units, order.lines[0].withdrawn) == ({"1": 2}, 2)
    _, again, found = follow(order, after, stated("2026-03-11T10:00", {"1": 1}, "s2"), "2026-03-11T10:00")
    assert (again.statements[1].units, outcomes(again, "s2"), found.acts) == ({"1": 0}, {"1": "accepted"}, ())
    assert "nothing of it is left" in again.statements[1].decisions[0].reason
    assert len(again.dues) == 1
    assert [letter.kind for letter in found.letters] == ["withdrawal.acknowledged", "withdrawal.decided"]


def test_a_line_that_is_withdrawn_already_takes_no_other_with_it() -> None:
    order = ordered(line("1"), line("2"), parcels=(parcel("a", {"1": 1, "2": 1}, "2026-03-03T18:00"),))
    order, after, _ = follow(
        order, cared(sold("1"), sold("2")), stated("2026-03-10T10:00", {"1": 1}), "2026-03-10T10:00"
    )
    order, after, _ = follow(order, after, stated("2026-03-10T10:01", {"1": 1}, "s2"), "2026-03-10T10:01")
    assert (outcomes(after, "s2"), [one.withdrawn for one in order.lines]) == ({"1": "accepted"}, [1, 0])
    order, after, _ = follow(order, after, stated("2026-03-10T10:02", {"1": 0, "2": 0}, "s3"), "2026-03-10T10:02")
    assert [one.withdrawn for one in order.lines] == [1, 1]


def test_a_statement_that_names_only_unknown_lines_is_about_the_whole_contract() -> None:
    _, after, _ = follow(two(), cared(), stated("2026-03-10T10:00", {"x": 3}), "2026-03-10T10:00")
    assert after.statements[0].units == {"1": 2}
    assert unknown_line(two(), {"1": 1}) is None
    assert refused(unknown_line(two(), {"1": 1, "x": 1})).field == "units.x"
    assert refused(unknown_line(two(), {"1": 0})).field == "units.1"


@pytest.mark.parametrize(
    ("when", "received", "now", "field"),
    [
        ("2026-03-10T10:00:01", "2026-03-10T10:00:01", "2026-03-10T10:00", "stated_at"),
        ("2026-03-10T10:00", "2026-03-10T09:59", "2026-03-10T10:00", "received_at"),
        ("2026-03-10T10:00", "2026-03-11T10:00", "2026-03-10T10:00", "received_at"),
    ],
)
def test_times_that_cannot_be_are_refused(when: str, received: str, now: str, field: str) -> None:
    act = stated(when, received=received, channel="phone")
    found = refused(step(two(), cared(), act, setting(now)))
    assert (found.field, found.article[:7]) == (field, "L221-21")
    assert check(stated("2026-03-10T10:00"), at("2026-03-10T10:00")) is None


def test_all_before_anything_left_unwinds_the_order_and_the_due_names_its_refunds() -> None:
    order, after, _ = follow(ordered(line()), cared(), stated("2026-03-03T10:00"), "2026-03-03T10:00")
    assert (order.state, [one.amount_minor for one in order.refunds]) == ("cancelled", [5480])
    (due,) = after.dues
    assert (due.amount_minor, due.goods_minor, due.delivery_minor) == (5480, 4990, 490)
    assert (due.refund_ids, due.shipped) == ((order.refunds[0].id,), False)


def test_what_was_owed_and_not_asked_for_is_discharged_by_the_refunds_of_the_whole() -> None:
    order = ordered(line("1"), line("2", net_minor=1000))
    after = cared(sold("1"), sold("2"))
    order, after, _ = follow(order, after, stated("2026-03-03T10:00", {"2": 1}), "2026-03-03T10:00")
    assert (after.dues[0].amount_minor, after.dues[0].shipped, order.refunds) == (1000, False, ())
    order, after, _ = follow(order, after, stated("2026-03-03T11:00", {"1": 1}, "s2"), "2026-03-03T11:00")
    assert [due.amount_minor for due in after.dues] == [1000, 5480]
    assert {due.refund_ids for due in after.dues} == {(order.refunds[0].id,)}
    assert order.refunds[0].amount_minor == sum(due.amount_minor for due in after.dues)


def test_an_order_that_was_never_paid_owes_nothing_when_it_is_withdrawn_from() -> None:
    due = Tender(means="card", kind="card", amount_minor=5480)
    order = ordered(line(), tenders=(due,), paid_at=None, confirmed_at=None, state="placed")
    order, after, found = follow(order, cared(), stated("2026-03-02T11:00"), "2026-03-02T11:00")
    assert (order.state, order.refunds, after.dues, outcomes(after)) == ("cancelled", (), (), {"1": "accepted"})
    assert [letter.kind for letter in found.letters] == ["withdrawal.acknowledged", "withdrawal.decided"]
    again, kept, found = follow(order, after, stated("2026-03-02T12:00", id_="s2"), "2026-03-02T12:00")
    assert (again, found.acts, kept.statements[1].units) == (order, (), {"1": 0})


def test_before_the_contract_is_concluded_the_offer_falls() -> None:
    due = Tender(means="card", kind="card", amount_minor=5480)
    terms = OrderTerms(concluded="payment_secured")
    order = ordered(line(), tenders=(due,), terms=terms, paid_at=None, confirmed_at=None, state="placed")
    order, after, _ = follow(order, cared(), stated("2026-03-02T11:00"), "2026-03-02T11:00")
    assert (order.state, after.statements[0].decisions[0].article) == ("cancelled", "L221-27")


def test_what_is_still_here_is_owed_apart_from_what_left() -> None:
    order = ordered(line(quantity=3, net_minor=10000), parcels=(parcel("a", {"1": 2}, None),))
    _, after, _ = follow(order, cared(), stated("2026-03-04T10:00"), "2026-03-04T10:00")
    here, left = after.dues
    assert (here.units, here.goods_minor, here.delivery_minor, here.shipped) == ({"1": 1}, 3333, 0, False)
    assert (left.units, left.goods_minor, left.delivery_minor, left.shipped) == ({"1": 2}, 6667, 490, True)
    assert [due.id for due in after.dues] == sorted({due.id for due in after.dues}, key=[here.id, left.id].index)


def test_returns_and_proofs_of_dispatch_reach_the_due_that_waits_for_them() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    back = RecordReturn(statement_id="s1", on=date(2026, 3, 20))
    sent = ProveDispatch(statement_id="s1", on=date(2026, 3, 16))
    _, after, found = follow(order, after, back, "2026-03-20T10:00")
    _, after, _ = follow(order, after, sent, "2026-03-21T10:00")
    assert (after.dues[0].recovered_on, after.dues[0].dispatched_on) == (date(2026, 3, 20), date(2026, 3, 16))
    assert (found.noted[0].facts["step"], found.noted[0].rules) == ("returned", ("B13",))
    later = RecordReturn(statement_id="s1", on=date(2026, 3, 21))
    assert done(step(order, after, later, setting("2026-03-21T10:00"))).after == after
    sooner = RecordReturn(statement_id="s1", on=date(2026, 3, 19))
    assert follow(order, after, sooner, "2026-03-21T10:00")[1].dues[0].recovered_on == date(2026, 3, 19)
    for wrong in (date(2026, 3, 22), date(2026, 3, 1)):
        act = RecordReturn(statement_id="s1", on=wrong)
        assert refused(step(order, after, act, setting("2026-03-21T10:00"))).field == "on"
    unknown = ProveDispatch(statement_id="s9", on=date(2026, 3, 16))
    assert refused(step(order, after, unknown, setting("2026-03-21T10:00"))).field == "statement_id"


# -- exceptions -------------------------------------------------------------------------------------------------------


def test_an_exception_that_was_not_shown_is_none() -> None:
    order = ordered(line(), parcels=(parcel("a", {"1": 1}, "2026-03-03T18:00"),))
    for shown, outcome in ((True, "excepted"), (False, "accepted")):
        made = cared(sold(exception=3, exception_shown=shown))
        _, after, _ = follow(order, made, stated("2026-03-10T10:00"), "2026-03-10T10:00")
        decision = after.statements[0].decisions[0]
        assert (decision.outcome, len(after.dues)) == (outcome, int(not shown))
        assert (decision.exception, decision.rule) == ((3, "B17") if shown else (None, "B01"))


def test_digital_content_is_excepted_once_request_loss_and_confirmation_are_on_record() -> None:
    order = ordered(line(), delivery_minor=0)
    acts: dict[str, Any] = {
        "requested_at": at("2026-03-02T10:00"),
        "loss_at": at("2026-03-02T10:00"),
        "exception_shown": True,
    }
    for confirmed, when, outcome in (
        ("2026-03-02T10:05", "2026-03-02T10:05", "excepted"),
        ("2026-03-02T10:05", "2026-03-02T10:04", "accepted"),
        (None, "2026-03-10T10:00", "accepted"),
    ):
        made = cared(sold(kind="digital", **acts), confirmed_at=None if confirmed is None else at(confirmed))
        _, after, _ = follow(order, made, stated(when), "2026-03-10T10:00")
        assert outcomes(after) == {"1": outcome}
    decision = follow(order, cared(sold(kind="digital", **acts)), stated("2026-03-03T10:00"), "2026-03-03T10:00")
    assert decision[1].statements[0].decisions[0].exception == 13


def test_a_service_is_excepted_only_once_it_is_fully_performed() -> None:
    order = ordered(line(), delivery_minor=0)
    acts: dict[str, Any] = {"requested_at": at("2026-03-02T10:00"), "loss_at": at("2026-03-02T10:00")}
    made = cared(sold(kind="service", exception=1, exception_shown=True, **acts))
    _, after, _ = follow(order, made, stated("2026-03-10T10:00"), "2026-03-10T10:00")
    assert outcomes(after) == {"1": "accepted"}
    _, performed, _ = follow(order, made, PerformService(line_id="1", on=date(2026, 3, 9)), "2026-03-09T10:00")
    _, after, _ = follow(order, performed, stated("2026-03-10T10:00"), "2026-03-10T10:00")
    assert outcomes(after) == {"1": "excepted"}
    _, after, _ = follow(order, performed, stated("2026-03-08T10:00"), "2026-03-10T10:00")
    assert outcomes(after) == {"1": "accepted"}
    goods = StartService(line_id="1", on=date(2026, 3, 9))
    assert refused(step(two(), cared(), goods, setting("2026-03-09T10:00"))).rule == "B25"
    tomorrow = StartService(line_id="1", on=date(2026, 3, 10))
    assert refused(step(order, made, tomorrow, setting("2026-03-09T10:00"))).field == "on"
    same = PerformService(line_id="1", on=date(2026, 3, 9))
    assert done(step(order, performed, same, setting("2026-03-09T10:00"))).noted == ()


def sealed() -> Aftercare:
    return cared(sold("1", exception=5, exception_shown=True), sold("2"))


def sent() -> Order:
    return ordered(line("1"), line("2", net_minor=1000), parcels=(parcel("a", {"1": 1, "2": 1}, "2026-03-03T18:00"),))


def test_sealed_goods_are_excepted_once_unsealing_is_proven() -> None:
    proof = ProveUnsealed(line_id="1", on=date(2026, 3, 9))
    _, after, _ = follow(sent(), sealed(), proof, "2026-03-09T10:00")
    _, after, _ = follow(sent(), after, stated("2026-03-10T10:00"), "2026-03-10T10:00")
    assert (outcomes(after), after.dues[0].units) == ({"1": "excepted", "2": "accepted"}, {"2": 1})
    assert done(step(sent(), after, proof, setting("2026-03-10T10:00"))).noted == ()
    other = ProveUnsealed(line_id="2", on=date(2026, 3, 9))
    assert refused(step(sent(), sealed(), other, setting("2026-03-09T10:00"))).rule == "B17"
    assert refused(step(sent(), sealed(), proof, setting("2026-03-08T10:00"))).field == "on"


def test_a_seal_found_broken_when_the_goods_come_back_takes_their_part_from_what_is_owed() -> None:
    order, after, _ = follow(sent(), sealed(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    assert (after.dues[0].amount_minor, after.dues[0].delivery_minor) == (4990 + 1000 + 490, 490)
    proof = ProveUnsealed(line_id="1", on=date(2026, 3, 16))
    moved, proven, found = follow(order, after, proof, "2026-03-16T10:00")
    assert (outcomes(proven), moved) == ({"1": "excepted", "2": "accepted"}, order)
    assert (proven.dues[0].units, proven.dues[0].amount_minor, proven.dues[0].delivery_minor) == ({"2": 1}, 1000, 0)
    assert (proven.dues[0].product_minor, [letter.kind for letter in found.letters]) == (1000, ["withdrawal.decided"])
    _, kinder, _ = follow(moved, proven, AcceptAnyway(statement_id="s1"), "2026-03-17T10:00")
    assert (outcomes(kinder)["1"], kinder.dues[1].goods_minor) == ("accepted", 4990)
    assert sum(due.delivery_minor for due in kinder.dues) == 490
    _, same, _ = follow(moved, kinder, AcceptAnyway(statement_id="s1"), "2026-03-18T10:00")
    assert same == kinder


def test_money_that_moves_is_not_taken_back_for_a_seal() -> None:
    order, after, _ = follow(sent(), sealed(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    refund = Refund(
        id="r", tender=0, amount_minor=6480, cause="withdrawal", requested_at=at("2026-03-15T10:00"),
        key=f"due/{after.dues[0].id}",
    )  # fmt: skip
    paid = ordered(*sent().lines, parcels=sent().parcels, refunds=(refund,))
    found = refused(step(paid, after, ProveUnsealed(line_id="1", on=date(2026, 3, 16)), setting("2026-03-16T10:00")))
    assert (found.rule, found.article) == ("B17", "L221-28")
    assert order.lines[0].withdrawn == 1


# -- kinder than the law, longer, and beside ---------------------------------------------------------------------------


def test_the_shop_may_accept_what_is_late() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-20T10:00", {"1": 1}), "2026-03-20T10:00")
    kind = AcceptAnyway(statement_id="s1")
    order, after, found = follow(order, after, kind, "2026-03-25T10:00")
    assert (outcomes(after), order.lines[0].withdrawn) == ({"1": "accepted"}, 1)
    assert (after.dues[0].amount_minor, after.dues[0].notice_on) == (4990, date(2026, 3, 25))
    assert after.statements[0].anyway_at == at("2026-03-25T10:00")
    assert [act.told for act in found.acts if isinstance(act, Withdraw)] == [True]
    assert refused(step(order, after, AcceptAnyway(statement_id="s2"), setting("2026-03-25T10:00"))).field


def test_what_was_late_is_in_time_when_nobody_had_informed_the_consumer() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-20T10:00"), "2026-03-20T10:00")
    assert outcomes(after) == {"1": "late"}
    order, after, found = follow(order, after, Inform(), "2026-04-02T10:00")
    decision = after.statements[0].decisions[0]
    assert (decision.outcome, decision.rule, decision.article) == ("accepted", "B03", "L221-20")
    assert (after.dues[0].amount_minor, after.dues[0].notice_on) == (9980 + 490, date(2026, 3, 20))
    assert [letter.kind for letter in found.letters] == ["withdrawal.decided"]
    assert order.lines[0].withdrawn == 2
    assert done(step(order, after, Inform(), setting("2026-04-02T10:00"))).noted == ()
    tomorrow = Inform(on=date(2026, 4, 3))
    assert refused(step(order, after, tomorrow, setting("2026-04-02T10:00"))).rule == "B03"


def test_late_information_leaves_late_what_came_after_its_fourteen_days() -> None:
    order, after, _ = follow(two(), cared(), stated("2026-03-20T10:00"), "2026-03-20T10:00")
    _, after, found = follow(order, after, Inform(on=date(2026, 3, 4)), "2026-04-02T10:00")
    assert (outcomes(after), after.dues, found.letters) == ({"1": "late"}, (), ())


def insured(**more: Any) -> tuple[Order, Aftercare]:
    order = ordered(
        line("1", quantity=2, net_minor=9980), line("2", net_minor=1200), line("3", net_minor=500),
        parcels=(parcel("a", {"1": 2, "3": 1}, "2026-03-03T18:00"),),
    )  # fmt: skip
    after = cared(sold("1"), sold("2", "service", extra=True, ancillary_to=("1",), **more), sold("3"))
    return order, after


def test_an_ancillary_contract_ends_with_the_last_unit_of_what_it_stands_beside() -> None:
    order, after = insured(started_on=date(2026, 3, 2), service_days=10, requested_at=at("2026-03-02T10:00"))
    order, after, _ = follow(order, after, stated("2026-03-10T10:00", {"1": 1}), "2026-03-10T10:00")
    assert outcomes(after) == {"1": "accepted"}
    order, after, _ = follow(order, after, stated("2026-03-11T10:00", {"1": 1}, "s2"), "2026-03-11T10:00")
    assert outcomes(after, "s2") == {"1": "accepted", "2": "ancillary"}
    beside = after.statements[1].decisions[1]
    assert (beside.rule, beside.article, order.lines[1].withdrawn) == ("B18", "L221-27", 1)
    assert [(due.goods_minor, due.service_kept_minor, due.shipped) for due in after.dues[1:]] == [
        (1200, 0, False), (4990, 0, True),
    ]  # fmt: skip


def test_an_ancillary_contract_ends_though_its_own_withdrawal_would_be_late() -> None:
    order, after = insured()
    _, after, _ = follow(order, after, stated("2026-03-17T10:00"), "2026-03-17T10:00")  # conclusion + 15 days
    assert outcomes(after) == {"1": "accepted", "2": "ancillary", "3": "accepted"}
    assert sum(due.amount_minor for due in after.dues) == order.total_minor


def test_what_the_shop_accepts_of_itself_ends_what_stands_beside_it() -> None:
    order, after = insured()
    order, after, _ = follow(order, after, stated("2026-03-20T10:00", {"1": 2}), "2026-03-20T10:00")
    assert (outcomes(after), after.dues) == ({"1": "late"}, ())
    order, kinder, _ = follow(order, after, AcceptAnyway(statement_id="s1"), "2026-03-21T10:00")
    assert (outcomes(kinder), [one.withdrawn for one in order.lines]) == (
        {"1": "accepted", "2": "ancillary"},
        [2, 1, 0],
    )
    assert sum(due.goods_minor for due in kinder.dues) == 9980 + 1200
    order, after = insured()
    order, after, _ = follow(order, after, stated("2026-03-20T10:00", {"1": 2}), "2026-03-20T10:00")
    order, after, _ = follow(order, after, Inform(), "2026-03-21T10:00")
    assert (outcomes(after), [one.withdrawn for one in order.lines]) == ({"1": "accepted", "2": "ancillary"}, [2, 1, 0])


def test_access_is_cut_only_after_a_withdrawal_was_accepted() -> None:
    order, made = ordered(line(), delivery_minor=0), cared(sold(kind="digital"))
    act = CutAccess(line_id="1", at=at("2026-03-10T11:00"))
    assert refused(step(order, made, act, setting("2026-03-10T12:00"))).rule == "B26"
    order, after, _ = follow(order, made, stated("2026-03-10T10:00"), "2026-03-10T10:00")
    assert refused(step(order, after, act, setting("2026-03-10T10:30"))).field == "at"
    _, after, found = follow(order, after, act, "2026-03-10T12:00")
    assert (after.sold[0].digital_cut_at, found.noted[0].rules) == (at("2026-03-10T11:00"), ("B26",))
    assert done(step(order, after, act, setting("2026-03-10T12:00"))).noted == ()
    assert refused(step(two(), cared(), act, setting("2026-03-10T12:00"))).field == "line_id"


def test_an_acknowledgement_is_noted_once() -> None:
    _, after, _ = follow(two(), cared(), stated("2026-03-10T10:00"), "2026-03-10T10:00")
    first = acknowledged(after, "s1", at("2026-03-10T10:01"))
    assert not first.statements[0].by_post
    assert first.statements[0].acknowledged_at == at("2026-03-10T10:01")
    assert acknowledged(first, "s1", at("2026-03-10T10:02")) == first
    assert acknowledged(first, "s9", at("2026-03-10T10:02")) == first


def test_goods_that_nobody_received_are_not_waited_for() -> None:
    way = ordered(line("1"), line("2", net_minor=1000), parcels=(parcel("a", {"1": 1}),))
    order, after, _ = follow(way, cared(sold("1"), sold("2")), stated("2026-03-04T10:00"), "2026-03-04T10:00")
    assert look(order, after, setting("2026-03-09T10:00")).after == after
    back = replace(order.parcels[0], incident="returned", incident_at=at("2026-03-09T10:00"))
    found = look(replace(order, parcels=(back,)), after, setting("2026-03-10T10:00"))
    assert [(due.shipped, due.recovered_on) for due in found.after.dues] == [(False, None), (True, date(2026, 3, 9))]
    assert [(one.what, one.rules) for one in found.noted] == [("withdrawal", ("B13",))]
    assert look(replace(order, parcels=(back,)), found.after, setting("2026-03-11T10:00")).noted == ()
