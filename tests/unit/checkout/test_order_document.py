"""An order against the book: what kept the law is not blocked, what broke it is, line by line and cent by cent."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from relance.rules.law.acts import Parcel, Refund
from relance.rules.law.acts import Statement as Told
from relance.rules.law.document import Document
from relance.rules.law.goods import Line
from relance.rules.law.verdict import check
from services.checkout.domain.aftercare import (
    Aftercare,
    Claim,
    Incident,
    LateNotice,
    LineDecision,
    Payout,
    Resolved,
    Statement,
)
from services.checkout.domain.deliveries import parcels
from services.checkout.domain.dues import standing
from services.checkout.domain.order_document import Beside, order_document
from services.checkout.domain.orders import Order
from services.checkout.domain.records import CartLine, Record
from tests.unit.checkout.documents.lumen import SHOP
from tests.unit.checkout.owed import brought, only, owing, paid
from tests.unit.checkout.sold import BOOK, PLACED, at, cared, line, ordered, parcel, setting, sold

replace = msgspec.structs.replace

WHOLE = Beside(PLACED, intact=True)


def held(order: Order, after: Aftercare, now: str, beside: Beside = WHOLE) -> tuple[dict[str, str], dict[str, str]]:
    """Reasons by rule: of what blocks, of what warns."""
    found = check(lawful(order, after, now, beside), BOOK)
    return {one.rule: one.reason for one in found.blockers}, {one.rule: one.reason for one in found.warnings}


def lawful(order: Order, after: Aftercare, now: str, beside: Beside = WHOLE) -> Document:
    lines = tuple(
        Line(id=one.id, name=one.name, kind=one.kind, quantity=1, unit_minor=4990, regular=one.regular,
             essential_date=one.essential, delivery_on=one.promised_on)
        for one in after.sold
    )  # fmt: skip
    record = Record(id=order.checkout_id, shop=SHOP.id, lines=(CartLine("S1", 1),), law_lines=lines)
    return order_document(order, after, record, SHOP, setting(now), beside)


def blocked(order: Order, after: Aftercare, now: str, beside: Beside = WHOLE) -> set[str]:
    return set(held(order, after, now, beside)[0])


# -- guarantees -------------------------------------------------------------------------------------------------------


def mended(line_id: str, state: Any = "repaired", on: date = date(2026, 5, 1)) -> Claim:
    return Claim(
        id=f"c{line_id}", line_id=line_id, units=1, asked="repair", opened_at=at(f"{on} 08:00"), state=state, back_on=on
    )  # fmt: skip


def test_a_repair_of_one_line_does_not_lengthen_the_guarantee_of_another() -> None:
    came = (parcel("a", {"1": 1}, "2026-03-04T09:00"), parcel("b", {"2": 1}, "2026-06-01T09:00"))
    order = ordered(line("1"), line("2"), parcels=came)
    after = cared(sold("1"), sold("2", promised_on=date(2026, 6, 1)), claims=(mended("1"),))
    assert "C10" not in blocked(order, after, "2026-07-01T09:00")


def test_a_repair_of_digital_content_adds_no_six_months_to_goods() -> None:
    order = ordered(line("1"), line("2"), parcels=(parcel("a", {"1": 1}, "2026-03-04T09:00"),))
    after = cared(sold("1"), sold("2", kind="digital"), claims=(mended("2"),))
    assert "C10" not in blocked(order, after, "2026-07-01T09:00")


def test_several_repairs_and_replacements_of_one_line_are_counted_as_the_service_counts_them() -> None:
    order = ordered(line("1", quantity=2), parcels=(parcel("a", {"1": 2}, "2026-03-04T09:00"),))
    days = [
        ("1", "repaired", date(2026, 5, 1)),
        ("1", "replaced", date(2026, 6, 1)),
        ("1", "repaired", date(2027, 6, 1)),
    ]
    after = cared(sold("1"), claims=tuple(replace(mended(*one), id=f"c{place}") for place, one in enumerate(days)))
    assert "C10" not in blocked(order, after, "2027-07-01T09:00")


# -- delivery ---------------------------------------------------------------------------------------------------------


def test_an_order_that_never_left_is_late_and_its_resolution_after_the_extra_time_stands() -> None:
    order, after = ordered(line()), cared(sold())
    assert "C01" in blocked(order, after, "2026-06-10T09:00")
    assert "C01" not in blocked(order, after, "2026-04-01T09:00"), "the thirtieth day is in time"
    refused = Resolved(
        id="r", received_at=at("2026-05-10T09:00"), medium="web", units={}, resolved=False, rule="C03", reason="no"
    )  # fmt: skip
    notice = LateNotice(id="n", at=at("2026-04-10T09:00"), until=date(2026, 4, 25), medium="email")
    denied = replace(after, late_notices=(notice,), resolutions=(refused,))
    assert "C03" in blocked(order, denied, "2026-06-10T09:00")


def test_a_notice_before_delivery_was_late_carries_a_resolution_only_as_we_read_it() -> None:
    refused = Resolved(
        id="r", received_at=at("2026-05-10T09:00"), medium="web", units={}, resolved=False, rule="C03", reason="no"
    )  # fmt: skip
    notice = LateNotice(id="n", at=at("2026-03-20T09:00"), until=date(2026, 4, 5), medium="email")
    blocks, warns = held(ordered(line()), cared(late_notices=(notice,), resolutions=(refused,)), "2026-06-10T09:00")
    assert ("C03" in blocks, "C03" in warns) == (False, True)


def test_a_notice_about_another_line_carries_nothing() -> None:
    """The first came after its notice; the second is late, and nobody gave notice of it."""
    order = ordered(line("1"), line("2"), parcels=(parcel("a", {"1": 1}, "2026-04-20T09:00"),))
    notice = LateNotice(id="n", at=at("2026-04-10T09:00"), until=date(2026, 4, 25), medium="email", units={"1": 1})
    refused = Resolved(
        id="r", received_at=at("2026-05-10T09:00"), medium="web", units={}, resolved=False, rule="C03", reason="no"
    )  # fmt: skip
    after = cared(sold("1"), sold("2"), late_notices=(notice,), resolutions=(refused,))
    assert "C03" not in blocked(order, after, "2026-06-10T09:00")
    meant = replace(after, late_notices=(replace(notice, units={"2": 1}),))
    assert "C03" in blocked(order, meant, "2026-06-10T09:00")


def test_a_date_that_was_essential_for_one_line_is_not_for_the_others() -> None:
    order = ordered(line("1"), line("2"), parcels=(parcel("a", {"1": 1}, "2026-03-05T09:00"),))
    refused = Resolved(
        id="r", received_at=at("2026-05-10T09:00"), medium="web", units={}, resolved=False, rule="C03", reason="no"
    )  # fmt: skip
    after = cared(sold("1", essential=True, promised_on=date(2026, 3, 6)), sold("2"), resolutions=(refused,))
    assert "C04" not in blocked(order, after, "2026-06-10T09:00")
    late = replace(after, sold=(sold("1"), sold("2", essential=True, promised_on=date(2026, 3, 6))))
    assert "C04" in blocked(order, late, "2026-06-10T09:00")


@pytest.mark.parametrize("incident", ["lost", "damaged", "returned"])
def test_what_was_sent_anew_in_time_is_in_time(incident: Any) -> None:
    vain = parcel("a", {"1": 1}, incident=incident, incident_at=at("2026-03-08T09:00"))
    order = ordered(line(), parcels=(vain, parcel("b", {"1": 1}, "2026-03-20T09:00")))
    assert "C01" not in blocked(order, cared(), "2026-07-01T09:00")
    too_late = ordered(line(), parcels=(vain, parcel("b", {"1": 1}, "2026-04-20T09:00")))
    assert "C01" in blocked(too_late, cared(), "2026-07-01T09:00")
    assert "C01" in blocked(ordered(line(), parcels=(vain,)), cared(), "2026-07-01T09:00"), "and never sent anew"


def test_what_the_consumer_refused_at_the_door_in_time_was_not_late() -> None:
    refused = parcel("a", {"1": 1}, incident="refused", incident_at=at("2026-03-08T09:00"))
    assert "C01" not in blocked(ordered(line(), parcels=(refused,)), cared(), "2026-07-01T09:00")
    back = Incident(id="i", parcel_id="a", kind="refused", at=at("2026-03-08T09:00"))
    returned = replace(refused, incident="returned", incident_at=at("2026-03-15T09:00"))
    after = cared(incidents=(back,))
    assert "C01" not in blocked(ordered(line(), parcels=(returned,)), after, "2026-07-01T09:00")
    again = ordered(line(), parcels=(returned, parcel("b", {"1": 1}, "2026-05-01T09:00")))
    assert "C01" not in blocked(again, after, "2026-07-01T09:00")
    late = replace(refused, incident_at=at("2026-05-08T09:00"))
    assert "C01" in blocked(ordered(line(), parcels=(late,)), cared(), "2026-07-01T09:00")


def test_of_two_units_one_that_was_refused_in_time_excuses_no_other() -> None:
    refused = parcel("a", {"1": 1}, incident="refused", incident_at=at("2026-03-08T09:00"))
    found = parcels(ordered(line(quantity=2), parcels=(refused,)), cared(), setting("2026-07-01T09:00"))
    assert [one.offered_on for one in found] == [date(2026, 3, 8), None]


def test_nothing_is_awaited_of_what_was_withdrawn_from_or_has_ended() -> None:
    gone = replace(ordered(line()), lines=(line(withdrawn=1),))
    assert "C01" not in blocked(gone, cared(), "2026-07-01T09:00")
    for state in ("cancelled", "resolved", "lapsed"):
        assert "C01" not in blocked(ordered(line(), state=state), cared(), "2026-07-01T09:00")
    left = LineDecision(line_id="1", units=1, outcome="accepted", reason="", rule="B01", article="", moved=True)
    when = at("2026-03-10T09:00")
    stated = Statement(id="s", channel="letter", stated_at=when, received_at=when, recorded_at=when, units={"1": 1},
                       decisions=(left,))  # fmt: skip
    came = ordered(line(withdrawn=1), parcels=(parcel("a", {"1": 1}, "2026-04-20T09:00"),))
    assert "C01" not in blocked(came, cared(statements=(stated,)), "2026-07-01T09:00"), "it came after he had left"
    after_it = replace(stated, stated_at=at("2026-04-21T09:00"))
    assert "C01" in blocked(came, cared(statements=(after_it,)), "2026-07-01T09:00"), "it was late before he left"


def test_a_service_is_awaited_as_goods_are() -> None:
    order, after = ordered(line(), delivery_minor=0), cared(sold(kind="service", promised_on=date(2026, 3, 10)))
    assert "C01" in blocked(order, after, "2026-03-11T09:00")
    performed = cared(sold(kind="service", promised_on=date(2026, 3, 10), performed_on=date(2026, 3, 10)))
    assert "C01" not in blocked(order, performed, "2026-07-01T09:00")


# -- withdrawal -------------------------------------------------------------------------------------------------------


def decided(line_id: str, outcome: Any, last_day: date | None) -> LineDecision:
    return LineDecision(
        line_id=line_id, units=1, outcome=outcome, reason="", rule="B01", article="", last_day=last_day,
        moved=outcome == "accepted",
    )  # fmt: skip


def stating(*decisions: LineDecision) -> Aftercare:
    when, units = at("2026-07-15T09:00"), {"1": 1, "2": 1}
    one = Statement(id="s", channel="letter", stated_at=when, received_at=when, recorded_at=when, units=units,
                    decisions=decisions)  # fmt: skip
    return cared(sold("1"), sold("2"), statements=(one,))


def test_the_last_day_of_what_was_late_decides_whether_it_was() -> None:
    order = ordered(line("1"), line("2"), placed=at("2026-07-01T09:00"))
    tenth, twentieth = date(2026, 7, 10), date(2026, 7, 20)
    rightly = stating(decided("1", "late", tenth), decided("2", "excepted", twentieth))
    assert "B09" not in blocked(order, rightly, "2026-07-25T09:00")
    for other in ("excepted", "accepted"):
        wrongly = stating(decided("1", "late", twentieth), decided("2", other, twentieth))
        assert "B09" in blocked(order, wrongly, "2026-07-25T09:00")


def test_the_period_of_regular_deliveries_runs_from_the_first_of_each_line() -> None:
    """Two boxes, a month apart: from the first on; of two lines the later first one is the last day that is told."""
    boxes = (parcel("a", {"1": 1}, "2026-03-10T09:00"), parcel("b", {"1": 1}, "2026-04-01T09:00"))
    order = ordered(line("1", quantity=2), parcels=boxes)
    assert "B01" not in blocked(order, cared(sold("1", regular=True)), "2026-05-01T09:00")
    once = cared(sold("1"))
    assert "B01" not in blocked(order, once, "2026-05-01T09:00"), "goods that come once run from the last"


# -- money ------------------------------------------------------------------------------------------------------------


def late_cent() -> tuple[Order, Aftercare]:
    """49.89 of 49.90 went in time, the last cent did not."""
    after = owing({})
    return paid(brought(only(after), 4989, date(2026, 3, 10))), after


def test_a_cent_that_is_open_costs_what_a_cent_costs() -> None:
    order, after = late_cent()
    now = "2026-06-05T09:00"
    blocks, warns = held(order, after, now)
    owed = standing(order, after, only(after), date(2026, 6, 5), BOOK).surcharge_minor
    assert owed == 1
    assert " 1 cents are owed" in blocks["B15"]
    assert "B13" in warns


@pytest.mark.parametrize("short", [0, 1])
@pytest.mark.parametrize("days", [15, 45, 200, 900])
def test_what_was_paid_for_lateness_is_enough_exactly_when_the_worklist_says_so(days: int, short: int) -> None:
    """Two parts, each late by its own days; also where the price of the product caps them together."""
    after = owing({})
    due = only(after)
    first, last = date(2026, 3, 19) + timedelta(days=12), date(2026, 3, 19) + timedelta(days=days)
    order = paid(brought(due, 1000, first), brought(due, 3990, last, "r1"))
    now = last + timedelta(days=1)
    owed = standing(order, after, due, now, BOOK).surcharge_minor
    assert owed
    payout = Payout(id="p", minor=owed - short, paid_on=now, for_="surcharge", means="transfer")
    told = replace(after, dues=(replace(due, payouts=(payout,)),))
    assert ("B15" in blocked(order, told, f"{now}T09:00")) == bool(short)


def test_an_unpaid_refund_of_what_is_unavailable_breaks_the_law_once_it_is_late() -> None:
    after = owing({"regime": "delivery", "source": "unavailable/0"})
    assert "C08" not in blocked(paid(), after, "2026-03-19T09:00")
    assert "C08" in blocked(paid(), after, "2026-05-20T09:00")
    assert "C08" not in blocked(paid(brought(only(after), 4990, date(2026, 3, 10))), after, "2026-05-20T09:00")


def test_the_days_to_pay_back_run_from_the_payment_when_it_came_later() -> None:
    order, after = paid(paid_at=at("2026-03-12T09:00")), owing({})
    assert "B13" not in held(order, after, "2026-03-26T09:00")[1]
    assert "B13" in held(order, after, "2026-03-28T09:00")[1]


# -- what is looked at beside -----------------------------------------------------------------------------------------


def test_the_acknowledgement_is_that_of_the_order_and_evidence_is_whole_or_not() -> None:
    order, bounced = ordered(line()), cared(confirmed_at=None)
    assert "A08" not in blocked(order, bounced, "2026-03-03T09:00"), "it left in time, and came back"
    assert "A08" in blocked(order, bounced, "2026-03-03T09:00", Beside(None, intact=True))
    for intact in (True, False):
        acts = lawful(order, cared(), "2026-03-03T09:00", Beside(PLACED, intact=intact)).order
        assert acts is not None
        assert acts.archive_integrity == intact


def test_the_kinds_of_acts_that_older_documents_do_not_name_have_defaults() -> None:
    assert msgspec.json.decode(b'{"lines":["1"]}', type=Parcel).offered_on is None
    old = b'{"cause":"withdrawal","notice_on":"2026-03-05","refunded_on":"2026-03-06"}'
    assert msgspec.json.decode(old, type=Refund).part_of == ""
    assert msgspec.json.decode(b'{"stated_at":"2026-03-05T09:00:00Z"}', type=Told).last_day is None
