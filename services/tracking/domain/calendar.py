"""RFC 3339 instants read in compiled code."""

from typing import Final

from numba import njit

from services.tracking.domain.memory import byte_at

__all__ = ["UNSURE_INSTANT", "instant_at"]

UNSURE_INSTANT: Final = -(2**63)


@njit(nogil=True)
def _two_digits(at: int) -> int:
    tens = byte_at(at) - 0x30
    ones = byte_at(at + 1) - 0x30
    if 0 <= tens <= 9 and 0 <= ones <= 9:
        return tens * 10 + ones
    return -1_000_000


@njit(nogil=True)
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar."""
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


@njit(nogil=True)
def _day_exists(year: int, month: int, day: int) -> bool:
    if month < 1 or month > 12 or day < 1:
        return False
    last = 31
    if month == 2:
        last = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    elif month in (4, 6, 9, 11):
        last = 30
    return day <= last


@njit(nogil=True)
def instant_at(start: int, end: int) -> int:
    """Milliseconds of the RFC 3339 instant from `start` to `end`; UNSURE_INSTANT when unsure. Years 1971 to 2261."""
    if end - start < 20 or end - start > 36:
        return UNSURE_INSTANT
    year = _two_digits(start) * 100 + _two_digits(start + 2)
    month = _two_digits(start + 5)
    day = _two_digits(start + 8)
    hour = _two_digits(start + 11)
    minute = _two_digits(start + 14)
    second = _two_digits(start + 17)
    if byte_at(start + 4) != 0x2D or byte_at(start + 7) != 0x2D or byte_at(start + 10) != 0x54:
        return UNSURE_INSTANT
    if byte_at(start + 13) != 0x3A or byte_at(start + 16) != 0x3A or not _day_exists(year, month, day):
        return UNSURE_INSTANT
    if year < 1971 or year > 2261 or not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59:
        return UNSURE_INSTANT
    at = start + 19
    ms = 0
    if byte_at(at) == 0x2E:
        at += 1
        point = at
        nines = 0
        while 0x30 <= byte_at(at) <= 0x39:
            place = at - point
            if place < 3:
                ms = ms * 10 + (byte_at(at) - 0x30)
            elif place < 6 and byte_at(at) == 0x39:
                nines += 1
            at += 1
        digits = at - point
        if digits == 0 or digits > 9 or (digits > 6 and nines == 3):  # a decoder may round up
            return UNSURE_INSTANT
        while digits < 3:
            ms *= 10
            digits += 1
    offset = 0
    if byte_at(at) == 0x5A:
        at += 1
    else:
        hours = _two_digits(at + 1)
        minutes = _two_digits(at + 4)
        if byte_at(at) not in (0x2B, 0x2D) or byte_at(at + 3) != 0x3A or not 0 <= hours <= 23 or not 0 <= minutes <= 59:
            return UNSURE_INSTANT
        offset = hours * 60 + minutes
        if byte_at(at) == 0x2D:
            offset = -offset
        at += 6
    if at != end:
        return UNSURE_INSTANT
    seconds = _days(year, month, day) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second
    return seconds * 1_000 + ms
