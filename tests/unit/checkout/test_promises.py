"""Delivery as promised: both sides of each date, and what the law gives then."""

from datetime import date
from typing import Any

import msgspec
import pytest

from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import folded
from services.checkout.domain.orders import (
    Deliver,
    HoldPayment,
    MarkParcel,
    Order,
    Ship,
    left_minor,
    owed_minor,
)
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import (
    DeliveryAct,
    NotifyLate,
    RefuseLiability,
    ReportIncident,
    ReportUnavailable,
    ResolveLate,
    Suspend,
    late,
    latest,
    look,
    next_on,
    step,
)  # fmt: skip
from services.checkout.domain.tenders import Tender
from tests.unit.checkout.sold import BOOK, at, cared, done, line, ordered, parcel, refused, setting, sold
from tests.unit.checkout.story import after as step_all

replace = msgspec.structs.replace

PROMISED = date(2026, 3, 10)


def lamp(**more: Any) -> Aftercare:
    return cared(sold(promised_on=PROMISED, **more))


def two() -> tuple[Order, Aftercare]:
    return ordered(line("1"), line("2", net_minor=2000)), cared(
        sold("1", promised_on=PROMISED), sold("2", promised_on=PROMISED)
    )


def acted(order: Order, after: Aftercare, act: DeliveryAct, now: str) -> tuple[Order, Aftercare]:
    found = done(step(order, after, act, setting(now)))
    return folded(order, found, at(now)), found.after


def resolved(order: Order, after: Aftercare, received: str, now: str = "", **more: object) -> tuple[Order, Aftercare]:
    act = ResolveLate(received_at=at(received), medium="email", **more)  # type: ignore[arg-type]
    return acted(order, after, act, now or received)


def why_not(order: Order, after: Aftercare, received: str, **more: object) -> tuple[str, str]:
    act = ResolveLate(received_at=at(received), medium="email", **more)  # type: ignore[arg-type]
    found = refused(step(order, after, act, setting(received)))
    return found.rule, found.reason


def test_the_day_is_the_promised_one_else_thirty_days_after_conclusion_and_never_rolled() -> None:
    order = ordered(line())
    assert latest(order, lamp(), BOOK) == {"1": PROMISED}
    assert latest(order, cared(), BOOK) == {"1": date(2026, 4, 1)}
    sunday = ordered(line(), placed=at("2026-02-27T23:59:59"))
    assert latest(sunday, cared(), BOOK) == {"1": date(2026, 3, 29)}, "a Sunday on which clocks change"
    assert latest(order, cared(sold(kind="digital")), BOOK) == {}


def test_late_from_the_first_instant_after_the_day() -> None:
    order = ordered(line(quantity=3, net_minor=9000))
    assert late(order, lamp(), date(2026, 3, 10), BOOK) == ()
    (one,) = late(order, lamp(), date(2026, 3, 11), BOOK)
    assert (one.units, one.latest_on, one.days, one.essential) == (3, PROMISED, 1, False)


def test_what_came_was_withdrawn_or_ended_is_not_late() -> None:
    on = date(2026, 3, 20)
    some = ordered(line(quantity=3, net_minor=9000, withdrawn=1), parcels=(parcel("p", {"1": 1}, "2026-03-09T10:00"),))
    assert [one.units for one in late(some, lamp(), on, BOOK)] == [1]
    deposited = ordered(line(), parcels=(parcel("p", {"1": 1}, deposited_at=at("2026-03-09T10:00")),))
    assert [one.units for one in late(deposited, lamp(), on, BOOK)] == [1], "a locker is no receipt"
    assert late(ordered(line(), state="cancelled"), lamp(), on, BOOK) == ()
    assert late(ordered(line(), state="placed", confirmed_at=None), lamp(), on, BOOK) == ()


def test_a_notice_counts_only_once_delivery_is_late() -> None:
    order = ordered(line())
    for given, carries in (("2026-03-10T23:59:59", False), ("2026-03-11T00:00:00", True)):
        _, after = acted(order, lamp(), NotifyLate(at=at(given), until=date(2026, 3, 20), medium="email"), given)
        assert len(after.late_notices) == 1, "it is put on record either way"
        if carries:
            assert resolved(order, after, "2026-03-21T00:00:00")[0].state == "resolved"
        else:
            assert why_not(order, after, "2026-03-21T00:00:00") == (
                "C03", "the notice was given before delivery was late",
            )  # fmt: skip


def test_a_resolution_counts_only_once_the_extra_time_has_passed_and_may_be_repeated() -> None:
    order = ordered(line())
    notice = NotifyLate(at=at("2026-03-12T10:00"), until=date(2026, 3, 29), medium="email")
    _, after = acted(order, lamp(), notice, "2026-03-12T10:00")
    assert why_not(order, after, "2026-03-29T23:59:59") == ("C03", "the extra time of the notice has not passed")
    ended, now = resolved(order, after, "2026-03-30T00:00:00")
    assert (ended.state, owed_minor(ended)) == ("resolved", 5480)
    (due,) = now.dues
    assert (due.regime, due.amount_minor, due.delivery_minor, due.notice_on) == (
        "delivery", 5480, 490, date(2026, 3, 30),
    )  # fmt: skip
    assert now.resolutions[0].due_id == due.id
    assert due.refund_ids == tuple(one.id for one in ended.refunds)


def test_a_notice_without_a_date_gives_a_reasonable_one() -> None:
    _, after = acted(ordered(line()), lamp(), NotifyLate(at=at("2026-03-12T10:00"), medium="web"), "2026-03-12T10:00")
    assert after.late_notices[0].until == date(2026, 3, 26)
    again = done(step(ordered(line()), after, NotifyLate(at=at("2026-03-12T10:00"), medium="web"),
                      setting("2026-03-13T10:00")))  # fmt: skip
    assert (again.after, again.noted, again.letters) == (after, (), ())


@pytest.mark.parametrize(("until", "taken"), [("2027-03-13", True), ("2027-03-14", False), ("9999-12-31", False)])
def test_extra_time_of_more_than_a_year_is_a_mistyped_one(until: str, taken: bool) -> None:  # noqa: FBT001
    notice = NotifyLate(at=at("2026-03-12T10:00"), until=date.fromisoformat(until), medium="email")
    found = step(ordered(line()), lamp(), notice, setting("2026-03-12T10:00"))
    assert isinstance(found, Refusal) != taken
    assert getattr(found, "field", "until") == "until"


def test_delivered_meanwhile_is_not_resolved() -> None:
    order = ordered(line(), parcels=(parcel("p", {"1": 1}),))
    notice = NotifyLate(at=at("2026-03-12T10:00"), until=date(2026, 3, 20), medium="email")
    _, after = acted(order, lamp(), notice, "2026-03-12T10:00")
    there = step_all(order, Deliver(parcel_id="p", received_by="consumer"), at=at("2026-03-21T09:00")).state
    assert why_not(there, after, "2026-03-21T09:00")[1] == "delivered before the resolution was received"
    before, _ = resolved(there, after, "2026-03-21T08:59:59", now="2026-03-22T10:00")
    assert before.lines[0].ended == 1, "the writing was there first, whenever it is put on record"


def test_an_essential_date_resolves_at_once_also_after_a_late_delivery() -> None:
    order, after = ordered(line()), lamp(essential=True)
    assert why_not(order, after, "2026-03-10T23:59:59")[0] == "C04"
    assert resolved(order, after, "2026-03-11T00:00:00")[0].state == "resolved"
    came = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-12T09:00"),), state="delivered")
    ended, now = resolved(came, after, "2026-03-13T10:00")
    assert (ended.lines[0].ended, now.dues[0].goods_minor, now.dues[0].delivery_minor) == (1, 4990, 490)
    in_time = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-10T23:59:59"),), state="delivered")
    assert why_not(in_time, after, "2026-03-13T10:00") == ("C04", "delivered in time")


def test_a_trader_who_refuses_to_deliver_is_not_waited_for() -> None:
    order = ordered(line())
    assert why_not(order, lamp(), "2026-03-05T10:00")[0] == "C03"
    ended, now = resolved(order, lamp(), "2026-03-05T10:00", refused=True)
    assert (ended.state, now.resolutions[0].resolved, now.dues[0].amount_minor) == ("resolved", True, 5480)


def test_a_part_is_resolved_by_line_and_the_way_goes_back_with_the_last_goods() -> None:
    order, after = two()
    ended, now = resolved(order, after, "2026-03-05T10:00", refused=True, units={"2": 1})
    assert (ended.state, ended.lines[1].ended, ended.refunds) == ("confirmed", 1, ())
    assert (now.dues[0].amount_minor, now.dues[0].delivery_minor) == (2000, 0)
    last, all_of_it = resolved(ended, now, "2026-03-06T10:00", refused=True)
    assert last.state == "resolved"
    assert sum(due.amount_minor for due in all_of_it.dues) == 7480 == owed_minor(last)
    assert sum(due.delivery_minor for due in all_of_it.dues) == 490


def test_what_came_is_kept_and_the_rest_is_resolved() -> None:
    order, after = two()
    order = step_all(
        order, Ship(parcel_id="p", units={"1": 1}), Deliver(parcel_id="p", received_by="consumer"),
        at=at("2026-03-09T10:00"),
    ).state  # fmt: skip
    ended, now = resolved(order, after, "2026-03-12T10:00", refused=True)
    assert (ended.state, ended.lines[0].ended, ended.lines[1].ended) == ("delivered", 0, 1)
    assert now.dues[0].units == {"2": 1}


def test_a_writing_on_our_page_is_put_on_record_whatever_it_achieves() -> None:
    act = ResolveLate(received_at=at("2026-03-05T10:00"), medium="web")
    order, after = acted(ordered(line()), lamp(), act, "2026-03-05T10:00")
    assert order.state == "confirmed"
    assert (after.resolutions[0].resolved, after.dues) == (False, ())
    again = done(step(order, after, act, setting("2026-03-05T10:01")))
    assert again.after == after


@pytest.mark.parametrize(
    ("reason", "rule", "article"),
    [
        ("carrier", "C06", "L216-2"),
        ("subcontractor", "C07", "L221-15"),
        ("not_registered_letter", "C03", "L216-6 I 2°"),
    ],
)
def test_excuses_are_refused(reason: str, rule: str, article: str) -> None:
    act = RefuseLiability(reason=reason)  # type: ignore[arg-type]
    found = refused(step(ordered(line()), lamp(), act, setting("2026-03-12T10:00")))
    assert (found.rule, found.article) == (rule, article)


def test_payment_is_suspended_while_delivery_is_late() -> None:
    tender = Tender(means="cheque", kind="offline", amount_minor=5480, state="awaited")
    order = ordered(line(), tenders=(tender,), paid_at=None, awaited_until=at("2026-04-02T10:00"))
    found = refused(step(order, lamp(), Suspend(on=True), setting("2026-03-10T23:59")))
    assert (found.rule, found.article) == ("C02", "L216-6 I 1°")
    outcome = done(step(order, lamp(), Suspend(on=True), setting("2026-03-11T00:00")))
    assert outcome.acts == (HoldPayment(held=True),)
    paid = refused(step(ordered(line()), lamp(), Suspend(on=True), setting("2026-03-11T00:00")))
    assert paid.rule == "C02"


def test_a_loss_is_the_traders_unless_the_carrier_was_the_consumers() -> None:
    order = ordered(line(), parcels=(parcel("p", {"1": 1}),))
    lost = done(step(order, lamp(), ReportIncident(parcel_id="p", kind="lost"), setting("2026-03-12T10:00")))
    assert lost.acts == (MarkParcel(parcel_id="p", incident="lost"),)
    moved = folded(order, lost, at("2026-03-12T10:00"))
    assert (moved.lines[0].shipped, [one.units for one in late(moved, lost.after, date(2026, 3, 12), BOOK)]) == (0, [1])
    act = ReportIncident(parcel_id="p", kind="lost", own_carrier=True)
    his = done(step(order, lamp(), act, setting("2026-03-12T10:00")))
    assert (his.acts, his.after.incidents[0].own_carrier) == ((), True)
    assert late(order, his.after, date(2026, 3, 12), BOOK) == ()
    assert done(step(order, his.after, act, setting("2026-03-13T10:00"))).after == his.after
    missing = ReportIncident(parcel_id="q", kind="lost")
    assert refused(step(order, lamp(), missing, setting("2026-03-12T10:00"))).field == "parcel_id"


def test_a_refused_parcel_is_no_withdrawal_and_its_consumer_is_told_how_to_state_one() -> None:
    order = ordered(line(), parcels=(parcel("p", {"1": 1}),))
    found = done(step(order, lamp(), ReportIncident(parcel_id="p", kind="refused"), setting("2026-03-12T10:00")))
    assert [one.kind for one in found.letters] == ["delivery.answered"]
    moved = folded(order, found, at("2026-03-12T10:00"))
    assert (moved.lines[0].withdrawn, found.after.dues, found.after.statements) == (0, (), ())


def test_what_is_unavailable_is_paid_back_and_nothing_is_sent_for_it() -> None:
    order, after = two()
    act = ReportUnavailable(units={"2": 1}, substitute_url="https://shop.example/lampe")
    found = done(step(order, after, act, setting("2026-03-05T10:00")))
    (letter,) = found.letters
    assert (letter.kind, letter.facts["lines"], letter.facts["substitute_url"]) == (
        "order.unavailable", "Ligne 2", "https://shop.example/lampe",
    )  # fmt: skip
    ended = folded(order, found, at("2026-03-05T10:00"))
    (due,) = found.after.dues
    assert (ended.lines[1].ended, due.regime, due.amount_minor, due.notice_on) == (
        1, "delivery", 2000, date(2026, 3, 5),
    )  # fmt: skip
    rest = done(step(ended, found.after, ReportUnavailable(units={"1": 1}), setting("2026-03-06T10:00")))
    gone = folded(ended, rest, at("2026-03-06T10:00"))
    assert (gone.state, owed_minor(gone), sum(left_minor(gone))) == ("cancelled", 7480, 0)
    assert sum(one.amount_minor for one in rest.after.dues) == 7480
    bad = ReportUnavailable(units={"2": 1}, substitute_url="javascript:alert(1)")
    assert refused(step(order, after, bad, setting("2026-03-05T10:00"))).rule == "C08"
    many = ReportUnavailable(units={"2": 2})
    assert refused(step(order, after, many, setting("2026-03-05T10:00"))).field == "units.2"
    again = ReportUnavailable(units={"1": 1, "2": 1})
    assert refused(step(ended, found.after, again, setting("2026-03-05T10:00"))).field == "units.2"


def test_what_stands_beside_goods_that_cannot_come_ends_with_them() -> None:
    order = ordered(line("1"), line("2", net_minor=900))
    after = cared(sold("1", promised_on=PROMISED), sold("2", kind="service", ancillary_to=("1",)))
    found = done(step(order, after, ReportUnavailable(units={"1": 1}), setting("2026-03-05T10:00")))
    gone = folded(order, found, at("2026-03-05T10:00"))
    assert (gone.state, found.after.dues[0].amount_minor) == ("cancelled", 4990 + 900 + 490)


def test_the_consumer_is_told_once_that_it_is_late() -> None:
    order = ordered(line())
    assert look(order, lamp(), setting("2026-03-10T23:59:59")).letters == ()
    assert next_on(order, lamp(), setting("2026-03-05T10:00")) == date(2026, 3, 11)
    found = look(order, lamp(), setting("2026-03-11T00:00:00"))
    (letter,) = found.letters
    assert (letter.kind, letter.facts["promised_on"]) == ("delivery.late", "2026-03-10")
    again = look(order, found.after, setting("2026-03-12T00:00:00"))
    assert (again.after, again.letters, again.noted) == (found.after, (), ())
    assert next_on(order, found.after, setting("2026-03-12T00:00:00")) is None


def test_each_parcel_is_told_once_when_it_leaves_and_once_when_it_comes() -> None:
    shipped = ordered(line(), parcels=(parcel("p", {"1": 1}, carrier="La Poste"),))
    left = look(shipped, lamp(), setting("2026-03-04T10:00"))
    assert [(one.kind, one.facts.get("carrier")) for one in left.letters] == [("order.shipped", "La Poste")]
    there = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-05T09:00"),), state="delivered")
    came = look(there, left.after, setting("2026-03-05T10:00"))
    assert [one.kind for one in came.letters] == ["order.delivered"]
    assert look(there, came.after, setting("2026-03-05T11:00")).letters == ()
    assert look(there, lamp(), setting("2026-05-05T10:00")).letters == (), "no news any more"


# -- orders of a release before aftercare ------------------------------------------------------------------------------


def test_nobody_hears_of_a_delivery_that_was_late_before_aftercare_was_kept_but_it_is_late() -> None:
    order, upgraded = ordered(line()), "2031-04-01T10:00"
    old = replace(lamp(), since=at(upgraded))
    found = look(order, old, setting(upgraded))
    assert (found.letters, found.noted) == ((), ())
    assert late(order, found.after, date(2031, 4, 1), BOOK), "its shop sees it in the worklist"
    assert look(order, found.after, setting("2031-04-02T10:00")).letters == ()
    assert next_on(order, found.after, setting(upgraded)) is None, "and no day brings it again"


def test_what_becomes_late_since_is_told_as_of_any_other_order() -> None:
    order, old = ordered(line()), replace(lamp(), since=at("2026-03-10T18:00"))
    assert look(order, old, setting("2026-03-10T18:00")).after == old
    assert next_on(order, old, setting("2026-03-10T18:00")) == date(2026, 3, 11)
    assert [one.kind for one in look(order, old, setting("2026-03-11T00:00")).letters] == ["delivery.late"]


def test_a_parcel_that_left_or_came_before_is_no_news_also_of_yesterday() -> None:
    order = ordered(line(), parcels=(parcel("p", {"1": 1}, "2026-03-05T10:00"),))
    for since, told in (
        (None, ["order.shipped", "order.delivered"]), ("2026-03-04T10:00", ["order.delivered"]),
        ("2026-03-05T10:30", []),
    ):  # fmt: skip
        after = replace(lamp(), since=None if since is None else at(since))
        assert [one.kind for one in look(order, after, setting("2026-03-05T11:00")).letters] == told, since
