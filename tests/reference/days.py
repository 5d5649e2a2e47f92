"""Paris days, as the texts count them: months, weekends and holidays; and sums, rounded to the cent."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
DAY = timedelta(days=1)
FIXED = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
EASTER = {
    2024: date(2024, 3, 31), 2025: date(2025, 4, 20), 2026: date(2026, 4, 5), 2027: date(2027, 3, 28),
    2028: date(2028, 4, 16), 2029: date(2029, 4, 1), 2030: date(2030, 4, 21),
}  # fmt: skip


def day_of(at: datetime) -> date:
    return at.astimezone(PARIS).date()


def begins(day: date) -> datetime:
    """Its first instant."""
    return datetime(day.year, day.month, day.day, tzinfo=PARIS)


def is_off(day: date) -> bool:
    """A Saturday, a Sunday, or a national holiday: Easter Monday, Ascension, Whit Monday move."""
    moving = {EASTER[day.year] + timedelta(days=count) for count in (1, 39, 50)}
    return day.isoweekday() > 5 or (day.month, day.day) in FIXED or day in moving


def moved(day: date) -> date:
    while is_off(day):
        day += DAY
    return day


def months_on(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    count = day.year * 12 + day.month - 1 + months
    for last in range(day.day, 27, -1):
        try:
            return date(count // 12, count % 12 + 1, last)
        except ValueError:
            continue
    return date(count // 12, count % 12 + 1, day.day)


def whole_months(first: date, last: date) -> int:
    count = 0
    while months_on(first, count + 1) <= last:
        count += 1
    return count


def cents(exact: Fraction) -> int:
    """Rounded, half a cent up."""
    return int((exact * 2 + 1) // 2)
