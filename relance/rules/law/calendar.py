"""Legal time: Paris dates, national holidays, and periods as Regulation (EEC, Euratom) 1182/71 counts them."""

import calendar
from collections.abc import Collection
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

__all__ = [
    "PARIS", "Holidays", "Instant", "Moment", "after_months", "complete_months", "easter", "first_instant",
    "first_instant_after", "paris_date", "period_end", "rolled",
]  # fmt: skip

PARIS: Final = ZoneInfo("Europe/Paris")

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Moment:
    """A point in time that was given as an RFC 3339 instant or as an ISO date; a date begins at its Paris midnight."""

    __slots__ = ("at", "whole_day")

    def __init__(self, at: datetime, *, whole_day: bool = False) -> None:
        self.at = at
        self.whole_day = whole_day

    @classmethod
    def parse(cls, text: object) -> "Moment":
        """Raises ValueError for anything but a date or an instant with a zone."""
        if not isinstance(text, str):
            raise ValueError("Expected an RFC 3339 instant or an ISO date")  # noqa: TRY004 - reported as the other
        try:
            if len(text) == len("2026-01-01"):
                return cls(first_instant(msgspec.convert(text, date)), whole_day=True)
            return cls(msgspec.convert(text, Instant))
        except msgspec.ValidationError:
            raise ValueError("Expected an RFC 3339 instant with a zone or an ISO date") from None

    @property
    def day(self) -> date:
        """Its Paris date."""
        return paris_date(self.at)


class Holidays(msgspec.Struct, frozen=True):
    """National holidays: `fixed` as MM-DD, `easter` as days after Easter Sunday."""

    fixed: tuple[str, ...]
    easter: tuple[int, ...]

    def days(self, year: int) -> frozenset[date]:
        """The holidays of one year."""
        return _holidays(self.fixed, self.easter, year)


@lru_cache(maxsize=256)
def _holidays(fixed: tuple[str, ...], after_easter: tuple[int, ...], year: int) -> frozenset[date]:
    sunday = easter(year)
    moving = {sunday + timedelta(days=offset) for offset in after_easter}
    return frozenset(moving | {date.fromisoformat(f"{year}-{day}") for day in fixed})


def paris_date(instant: datetime) -> date:
    """The calendar day on which an aware instant falls in Paris."""
    return instant.astimezone(PARIS).date()


def first_instant(day: date) -> datetime:
    """Paris midnight at which `day` begins, with its offset: clocks there never change at midnight."""
    return datetime(day.year, day.month, day.day, tzinfo=PARIS)


def first_instant_after(day: date) -> datetime:
    """The first instant that is no longer in `day`: a period whose last day it is has then ended."""
    return first_instant(day + timedelta(days=1))


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the computus of Meeus, Jones and Butcher)."""
    golden = year % 19
    century, rest = divmod(year, 100)
    leaps, century_rest = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon + 15) % 30
    quads, single = divmod(rest, 4)
    weekday = (32 + 2 * century_rest + 2 * quads - epact - single) % 7
    correction = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * correction + 114, 31)
    return date(year, month, day + 1)


def rolled(day: date, holidays: Holidays) -> date:
    """`day`, or the next one that is neither a Saturday, nor a Sunday, nor a national holiday (Reg. 1182/71, 3(4))."""
    while day.weekday() >= calendar.SATURDAY or _is_holiday(day, holidays):
        day += timedelta(days=1)
    return day


def _is_holiday(day: date, holidays: Holidays) -> bool:
    found: Collection[date] = holidays.days(day.year)
    return day in found


def period_end(day_0: date, days: int, holidays: Holidays) -> date:
    """The last day of a period of `days` days; the day of the event is not counted (Reg. 1182/71, 3(1) and 3(4))."""
    return rolled(day_0 + timedelta(days=days), holidays)


def after_months(day: date, months: int) -> date:
    """The same day `months` later (or earlier); where that month is shorter, its last day (Reg. 1182/71, 3(2)(c))."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def complete_months(start: date, end: date) -> int:
    """How many whole months lie between two dates, 0 when `end` is before `start`."""
    if end < start:
        return 0
    months = (end.year - start.year) * 12 + end.month - start.month
    return months if after_months(start, months) <= end else months - 1
