from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.rules.law.book import default_book
from relance.rules.law.calendar import (
    Holidays,
    Moment,
    after_months,
    complete_months,
    easter,
    first_instant,
    first_instant_after,
    paris_date,
    period_end,
    rolled,
)
from relance.rules.law.terms import parameters

HOLIDAYS = parameters(default_book(), "B01", date(2026, 1, 1), Holidays)
DAYS = st.dates(date(2000, 1, 1), date(2100, 12, 31))


# Published dates of Easter Sunday; 2038 is the latest there can be, 2285 the earliest.
@pytest.mark.parametrize(
    "sunday", ["2019-04-21", "2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2038-04-25", "2285-03-22"]
)
def test_easter(sunday: str) -> None:
    day = date.fromisoformat(sunday)
    assert easter(day.year) == day


def test_the_eleven_national_holidays_of_2026() -> None:
    # Easter is 5 April: Monday 6 April, Ascension on the 39th day after (14 May), Whit Monday on the 50th (25 May).
    days = "01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25"
    assert HOLIDAYS.days(2026) == {date.fromisoformat(f"2026-{day}") for day in days.split()}


@pytest.mark.parametrize(
    ("day", "moved"),
    [
        ("2026-05-01", "2026-05-04"),  # Friday 1 May: Saturday and Sunday are no working days either, so Monday
        ("2026-04-30", "2026-04-30"),  # the Thursday before stays
        ("2026-05-02", "2026-05-04"),  # Saturday
        ("2026-05-03", "2026-05-04"),  # Sunday
        ("2026-04-04", "2026-04-07"),  # Saturday, Easter Sunday, Easter Monday
        ("2026-05-14", "2026-05-15"),  # Ascension
        ("2026-05-23", "2026-05-26"),  # Saturday, Whit Sunday, Whit Monday
        ("2027-12-25", "2027-12-27"),  # a holiday on a Saturday
        ("2027-12-31", "2027-12-31"),  # Friday; the next day is a holiday
        ("2028-01-01", "2028-01-03"),  # New Year on a Saturday, into the next week
    ],
)
def test_a_period_ends_on_a_working_day(day: str, moved: str) -> None:
    assert rolled(date.fromisoformat(day), HOLIDAYS) == date.fromisoformat(moved)


@given(DAYS)
def test_a_moved_day_is_the_first_working_day(day: date) -> None:
    moved = rolled(day, HOLIDAYS)
    between = [day + timedelta(days=n) for n in range((moved - day).days)]
    off = {between_day for between_day in between if between_day.weekday() < 5}
    assert moved >= day
    assert moved.weekday() < 5
    assert moved not in HOLIDAYS.days(moved.year)
    assert all(holiday in HOLIDAYS.days(holiday.year) for holiday in off)


@given(DAYS, st.integers(1, 60))
def test_day_0_is_not_counted(day_0: date, days: int) -> None:
    assert period_end(day_0, days, HOLIDAYS) >= day_0 + timedelta(days=days)


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-01-15T22:59:59+00:00", "2026-01-15"),  # winter: Paris is an hour ahead
        ("2026-01-15T23:00:00+00:00", "2026-01-16"),
        ("2026-07-15T21:59:59+00:00", "2026-07-15"),  # summer: two hours
        ("2026-07-15T22:00:00+00:00", "2026-07-16"),
    ],
)
def test_days_are_paris_days(instant: str, day: str) -> None:
    assert paris_date(datetime.fromisoformat(instant)) == date.fromisoformat(day)


def test_days_with_a_clock_change_begin_and_end_at_paris_midnight() -> None:
    # 29 March 2026 has 23 hours, 25 October 2026 has 25.
    for day, hours in ((date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)):
        start, end = first_instant(day).astimezone(UTC), first_instant_after(day).astimezone(UTC)
        assert end - start == timedelta(hours=hours)
    assert first_instant_after(date(2026, 3, 28)).isoformat() == "2026-03-29T00:00:00+01:00"
    assert first_instant_after(date(2026, 3, 29)).isoformat() == "2026-03-30T00:00:00+02:00"


@given(DAYS)
def test_every_instant_of_a_day_is_in_it(day: date) -> None:
    assert paris_date(first_instant(day)) == day
    assert paris_date(first_instant_after(day) - timedelta(microseconds=1)) == day
    assert paris_date(first_instant_after(day)) == day + timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "months", "found"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-05-31", -3, "2026-02-28"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2026-12-15", 1, "2027-01-15"),
    ],
)
def test_months_end_with_their_last_day_where_they_are_shorter(day: str, months: int, found: str) -> None:
    assert after_months(date.fromisoformat(day), months) == date.fromisoformat(found)


@given(DAYS, st.integers(0, 60))
def test_complete_months_count_what_was_added(day: date, months: int) -> None:
    later = after_months(day, months)
    assert complete_months(day, later) == months
    assert complete_months(day, later - timedelta(days=1)) == max(0, months - 1)


@pytest.mark.parametrize("text", ["2026-13-01", "2026-01-01T10:00:00", "tomorrow", "", 5, None, "2026-01-01T25:00:00Z"])
def test_a_moment_is_a_date_or_an_instant_with_a_zone(text: object) -> None:
    with pytest.raises(ValueError, match="Expected an RFC 3339 instant"):
        Moment.parse(text)


def test_a_date_begins_at_its_paris_midnight() -> None:
    moment = Moment.parse("2026-07-01")
    assert (moment.at.astimezone(UTC), moment.whole_day) == (datetime(2026, 6, 30, 22, tzinfo=UTC), True)
    assert not Moment.parse("2026-07-01T00:00:00Z").whole_day
