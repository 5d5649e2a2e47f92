"""The last day of each line's period, and both sides of its end."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.checkout.domain.orders import OrderTerms
from services.checkout.domain.statements import deadlines, decide
from tests.unit.checkout.sold import BOOK, PARIS, at, cared, line, ordered, parcel, setting, sold


def outcome(order: object, after: object, when: datetime, line_id: str = "1") -> str:
    found = decide(order, after, when, {}, setting("2028-12-31T12:00"))  # type: ignore[arg-type]
    return next(one.outcome for one in found if one.line_id == line_id)


BOUNDARIES = [
    ("2026-03-03T18:00", "2026-03-17"),  # an ordinary one
    ("2026-03-13T09:00", "2026-03-27"),
    ("2026-03-15T00:00", "2026-03-30"),  # ends on the Sunday of the change to summer time, 23 hours: Monday
    ("2026-03-15T23:59", "2026-03-30"),
    ("2026-03-14T10:00", "2026-03-30"),  # a Saturday
    ("2026-10-11T10:00", "2026-10-26"),  # the Sunday with 25 hours
    ("2026-04-17T10:00", "2026-05-04"),  # 1 May, a Friday, to Monday
    ("2026-03-23T10:00", "2026-04-07"),  # Easter Monday
    ("2026-04-30T10:00", "2026-05-15"),  # Ascension Day, a Thursday
    ("2026-05-11T10:00", "2026-05-26"),  # Whit Monday
    ("2026-06-30T10:00", "2026-07-15"),  # 14 July
    ("2026-12-11T10:00", "2026-12-28"),  # Christmas, a Friday
    ("2026-12-18T10:00", "2027-01-04"),  # 1 January, a Friday
    ("2028-02-15T10:00", "2028-02-29"),  # a leap day is a day
    ("2027-02-15T10:00", "2027-03-01"),
    ("2026-03-03T00:00", "2026-03-17"),  # the first instant of a day is of that day
    ("2026-03-02T23:59:59", "2026-03-16"),
]


@pytest.mark.parametrize(("received", "last"), BOUNDARIES)
def test_the_last_instant_is_in_time_and_the_next_is_late(received: str, last: str) -> None:
    order, after = ordered(line(), parcels=(parcel("a", {"1": 1}, received),)), cared()
    period = deadlines(order, after, BOOK)["1"]
    assert period.last_day == date.fromisoformat(last)
    ends = datetime.fromisoformat(last).replace(tzinfo=PARIS) + timedelta(days=1)
    assert period.ends_at == ends
    assert outcome(order, after, ends.astimezone(UTC) - timedelta(microseconds=1)) == "accepted"
    assert outcome(order, after, ends.astimezone(UTC)) == "late"


def test_a_day_with_a_clock_change_is_counted_as_a_day() -> None:
    order = ordered(line(), parcels=(parcel("a", {"1": 1}, "2026-10-23T10:00"),))
    ends = deadlines(order, cared(), BOOK)["1"].ends_at
    assert ends is not None
    assert ends.astimezone(UTC) == datetime(2026, 11, 6, 23, tzinfo=UTC)  # winter time by then
    spring = deadlines(ordered(line(), parcels=(parcel("a", {"1": 1}, "2026-03-20T10:00"),)), cared(), BOOK)[
        "1"
    ].ends_at
    assert spring is not None
    assert spring.astimezone(UTC) == datetime(2026, 4, 3, 22, tzinfo=UTC)


def test_nothing_is_late_before_the_goods_are_there_or_the_contract_is_concluded() -> None:
    way = parcel("a", {"1": 1}, None, deposited_at=at("2026-03-04T09:00"))  # a relay is no receipt
    order = ordered(line(), parcels=(way,))
    assert deadlines(order, cared(), BOOK)["1"].last_day is None
    assert outcome(order, cared(), at("2028-03-01T10:00")) == "accepted"
    offer = ordered(
        line(), terms=OrderTerms(concluded="payment_secured"), confirmed_at=None, paid_at=None, state="placed"
    )
    found = decide(offer, cared(), at("2026-03-02T11:00"), {}, setting("2026-03-02T11:00"))
    assert (found[0].outcome, found[0].rule, found[0].article) == ("accepted", "B04", "L221-27")
    assert deadlines(offer, cared(), BOOK)["1"].last_day is None


def test_all_goods_run_from_the_last_receipt_and_a_line_on_its_way_holds_up_all() -> None:
    first, second = parcel("a", {"1": 1}, "2026-03-03T10:00"), parcel("b", {"2": 1}, "2026-03-09T10:00")
    after = cared(sold("1"), sold("2"))
    both = deadlines(ordered(line("1"), line("2"), parcels=(first, second)), after, BOOK)
    assert [both[one].last_day for one in "12"] == [date(2026, 3, 23)] * 2
    waiting = deadlines(ordered(line("1"), line("2"), parcels=(first,)), after, BOOK)
    assert [waiting[one].last_day for one in "12"] == [None, None]
    part = deadlines(ordered(line("1", quantity=2), parcels=(first,)), cared(), BOOK)
    assert part["1"].last_day is None


def test_what_will_never_come_holds_up_nothing() -> None:
    first = parcel("a", {"1": 1}, "2026-03-03T10:00")
    after = cared(sold("1"), sold("2"))
    for gone in ({"withdrawn": 1}, {"ended": 1}):
        found = deadlines(ordered(line("1"), line("2", **gone), parcels=(first,)), after, BOOK)
        assert found["1"].last_day == date(2026, 3, 17)
        assert "2" not in found
    lost = parcel("b", {"2": 1}, incident="lost", incident_at=at("2026-03-05T10:00"))
    resolved = ordered(line("1"), line("2", ended=1), parcels=(first, lost))
    assert deadlines(resolved, after, BOOK)["1"].last_day == date(2026, 3, 17)
    again = ordered(line("1"), line("2"), parcels=(first, lost))  # to be sent anew
    assert deadlines(again, after, BOOK)["1"].last_day is None
    late = (first, lost, parcel("c", {"2": 1}, "2026-03-20T10:00"))
    assert deadlines(ordered(line("1"), line("2"), parcels=late), after, BOOK)["1"].last_day == date(2026, 4, 3)


def test_regular_deliveries_run_from_their_first_and_hold_up_no_other() -> None:
    after = cared(sold("1", regular=True), sold("2"))
    parcels = (parcel("a", {"1": 1, "2": 1}, "2026-03-03T10:00"), parcel("b", {"1": 1}, None))
    found = deadlines(ordered(line("1", quantity=3), line("2"), parcels=parcels), after, BOOK)
    assert [found[one].last_day for one in "12"] == [date(2026, 3, 17)] * 2


def test_digital_content_and_services_run_from_conclusion() -> None:
    after = cared(sold("1", "digital"), sold("2", "service"), sold("3"))
    found = deadlines(ordered(line("1"), line("2"), line("3")), after, BOOK)
    assert [found[one].last_day for one in "123"] == [date(2026, 3, 16), date(2026, 3, 16), None]


@pytest.mark.parametrize(
    ("received", "informed_on", "last"),
    [
        ("2026-03-03T10:00", None, "2027-03-17"),  # twelve months more
        ("2026-02-14T10:00", None, "2027-03-02"),  # counted from the end as it was moved, Monday 2 March
        ("2026-03-03T10:00", date(2026, 3, 10), "2026-03-24"),  # informed within the initial period
        ("2026-03-03T10:00", date(2026, 3, 3), "2026-03-17"),
        ("2026-03-03T10:00", date(2026, 9, 1), "2026-09-15"),
        ("2026-03-03T10:00", date(2027, 3, 17), "2027-03-31"),  # on the last day: fourteen days more
        ("2026-03-03T10:00", date(2027, 3, 18), "2027-03-17"),  # a day later it opens nothing
        ("2028-02-15T10:00", None, "2029-02-28"),  # twelve months after a leap day
    ],
)
def test_missing_information_makes_the_period_longer(received: str, informed_on: date | None, last: str) -> None:
    order = ordered(line(), parcels=(parcel("a", {"1": 1}, received),), placed=at("2026-02-12T10:00"))
    after = cared(informed=False, informed_on=informed_on)
    period = deadlines(order, after, BOOK)["1"]
    assert period.last_day == date.fromisoformat(last)
    assert period.article == "L221-20"
    ends = period.ends_at
    assert ends is not None
    assert outcome(order, after, ends - timedelta(seconds=1)) == "accepted"
    assert outcome(order, after, ends) == "late"
