"""The law of what follows an order, reckoned a second time from the articles alone, for questions of `relance law ask`.

Nothing of relance is used, nor the calendar of Python: days are numbers (1 is the first of January of the year 1, a
Monday), instants are seconds. It is written for short questions with sound facts; what is refused is not reckoned.
"""

import re
from fractions import Fraction
from typing import Any

Question = dict[str, Any]

_HOLIDAYS = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}  # C. trav. L3133-1
_AFTER_EASTER = (1, 39, 50)  # its Monday, Ascension, the Monday of Pentecost
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))")
_RATES = {(2025, 2): Fraction(665, 10_000), (2026, 1): Fraction(667, 10_000)}  # CMF L313-2
_TOUCHES = {
    "goods": {2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
    "service": {1, 2, 8, 11, 12},
    "digital": {10, 11, 13},
}  # fmt: skip - L221-28


class RateMissingError(Exception):
    """The legal rate of a half-year that nobody entered is needed."""


def _length(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTHS[month - 1] + (month == 2 and leap)


def number(year: int, month: int, day: int) -> int:
    """The number of a day."""
    past = year - 1
    whole = 365 * past + past // 4 - past // 100 + past // 400
    return whole + sum(_length(year, earlier) for earlier in range(1, month)) + day


def parts(day: int) -> tuple[int, int, int]:
    """(year, month, day of the month) of a number."""
    year = day // 366 + 1
    while number(year + 1, 1, 1) <= day:
        year += 1
    month = 1
    while number(year, month, 1) + _length(year, month) <= day:
        month += 1
    return year, month, day - number(year, month, 1) + 1


def read(text: str) -> int:
    """The number of an ISO date."""
    year, month, day = text.split("-")
    return number(int(year), int(month), int(day))


def written(day: int) -> str:
    """The ISO date of a number."""
    year, month, of_month = parts(day)
    return f"{year:04}-{month:02}-{of_month:02}"


def easter(year: int) -> int:
    """Easter Sunday by the rule of Gauss, with its two exceptions."""
    century = year // 100
    moon = (15 - (13 + 8 * century) // 25 + century - century // 4) % 30
    full = (19 * (year % 19) + moon) % 30
    week = (2 * (year % 4) + 4 * (year % 7) + 6 * full + (4 + century - century // 4) % 7) % 7
    if full == 29 and week == 6:
        return number(year, 4, 19)
    if full == 28 and week == 6 and (11 * moon + 11) % 30 < 19:
        return number(year, 4, 18)
    return number(year, 3, 22) + full + week


def works(day: int) -> bool:
    """Neither Saturday nor Sunday nor national holiday (Reg. 1182/71, 2(2))."""
    year, month, of_month = parts(day)
    free = (month, of_month) in _HOLIDAYS or day - easter(year) in _AFTER_EASTER
    return (day - 1) % 7 < 5 and not free


def rolled(day: int) -> int:
    """The day, or the next on which people work (L221-19, 3°)."""
    while not works(day):
        day += 1
    return day


def later(day: int, months: int) -> int:
    """The same day of another month, or its last (Reg. 1182/71, 3(2)(c))."""
    year, month, of_month = parts(day)
    year, month = divmod(year * 12 + month - 1 + months, 12)
    return number(year, month + 1, min(of_month, _length(year, month + 1)))


def _summer(instant: Fraction) -> bool:
    """From the last Sunday of March to that of October, each at 01:00 of Greenwich (dir. 2000/84)."""
    year = parts(int(instant // 86_400))[0]
    march, october = number(year, 3, 31), number(year, 10, 31)
    return (march - march % 7) * 86_400 + 3600 <= instant < (october - october % 7) * 86_400 + 3600


def second(text: str) -> Fraction:
    """The instant of a time with its zone."""
    found = _INSTANT.fullmatch(text)
    assert found is not None, text
    day, hour, minute, seconds, rest, sign, ahead_hours, ahead_minutes = found.groups()
    at = Fraction(read(day) * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(seconds))
    ahead = int(ahead_hours) * 3600 + int(ahead_minutes) * 60 if sign else 0
    return at + Fraction(int(rest or 0), 10 ** len(rest or "")) - (ahead if sign == "+" else -ahead)


def paris_day(text: str) -> int:
    """The day on which an instant falls in Paris."""
    instant = second(text)
    return int((instant + (7200 if _summer(instant) else 3600)) // 86_400)


def midnight(day: int) -> Fraction:
    """The instant at which a day begins in Paris; no clock changes at midnight."""
    before = Fraction(day * 86_400 - 3600)
    return before - 3600 if _summer(before - 3600) else before


def half_up(exact: Fraction) -> int:
    """To the cent."""
    return (exact + Fraction(1, 2)).__floor__()


def _receipt(line: Question, concluded_on: int) -> int | None:
    held_by_others = {"relay", "locker", "carrier", "neighbour", "shop"}
    if line.get("received_at") is None or line.get("received_by") in held_by_others:
        return None
    return max(paris_day(line["received_at"]), concluded_on)


def _last_day(day_0: int, informed: Any, concluded_on: int) -> int:
    """L221-18 to L221-20."""
    first = rolled(day_0 + 14)
    at = read(informed["at"]) if isinstance(informed, dict) else None
    if informed is True or (at is not None and at <= concluded_on):
        return first
    prolonged = rolled(later(first, 12))
    return prolonged if at is None or at > prolonged else max(first, rolled(at + 14))


def deadlines(question: Question) -> dict[str, int | None]:
    """The last day of each line; None while its period is open."""
    concluded_on = paris_day(question["concluded_at"])
    receipts = {line["id"]: _receipt(line, concluded_on) for line in question["lines"]}
    together = [
        receipts[line["id"]] for line in question["lines"] if line["kind"] == "goods" and not line.get("regular")
    ]
    known = [day for day in together if day is not None]
    found: dict[str, int | None] = {}
    for line in question["lines"]:
        start: int | None = concluded_on
        if line["kind"] == "goods":
            whole = max(known) if known and len(known) == len(together) else None
            start = receipts[line["id"]] if line.get("regular") else whole
        found[line["id"]] = None if start is None else _last_day(start, question["informed"], concluded_on)
    return found


def _excepted(line: Question, concluded_on: int) -> bool:
    """L221-28, where it was shown (L221-5, 10°), and what it asks for is on record."""
    exception, kind = line.get("exception"), line["kind"]
    if exception is None and kind == "digital" and line.get("early_start"):
        exception = 13
    if not line.get("exception_shown") or exception not in _TOUCHES[kind]:
        return False
    on_record = {
        1: bool(line.get("early_start")), 13: bool(line.get("early_start")), 5: bool(line.get("unsealed_proof")),
        9: bool(line.get("unsealed_proof")), 6: _receipt(line, concluded_on) is not None, 10: not line.get("regular"),
    }  # fmt: skip
    return on_record.get(exception, True)


def decisions(question: Question) -> dict[str, str]:
    """What a statement achieves for each line."""
    stated, last = second(question["stated_at"]), deadlines(question)
    found = {}
    for line in question["lines"]:
        day = last[line["id"]]
        late = day is not None and stated >= midnight(day + 1)
        excepted = _excepted(line, paris_day(question["concluded_at"]))
        found[line["id"]] = "excepted" if excepted else "late" if late else "accepted"
    return found


def amount(question: Question) -> int:
    """L221-24, L221-25: the delivery up to the cheapest standard mode, a service less what was used on request."""
    fees = [mode["fee_minor"] for mode in question["modes"] if mode["standard"] and mode["id"] != "pickup"]
    total: int = sum(question["lines_minor"]) + min([question["delivery_paid_minor"], *([min(fees)] if fees else [])])
    service = question.get("service")
    if service is None:
        return total
    owed = half_up(Fraction(service["price_minor"] * service["used_days"], service["days"]))
    return total + int(service["price_minor"]) - (owed if service["express_request"] else 0)


def due(question: Question) -> int | None:
    """L221-24 al. 1 and 2."""
    told = read(question["notice_on"]) + 14
    if not question["shipped"] or question["collection_offered"]:
        return told
    seen: list[int] = [read(question[name]) for name in ("recovered_on", "dispatched_on") if name in question]
    return max(told, min(seen)) if seen else None


def surcharge(question: Question) -> int:
    """L242-4, L241-4, L241-6. Raises RateMissingError."""
    owed: int = question["sum_minor"]
    cap: int = question.get("product_minor") or owed  # of goods that were free only their delivery is owed
    start, end = read(question["due_on"]), read(question["refunded_on"])
    late = end - start
    if late <= 0:
        return 0
    if question["regime"] != "withdrawal":
        return half_up(Fraction(owed * (10 if late <= 14 else 20 if late <= 30 else 50), 100))
    return min(half_up(owed * _part(start, end)), cap)


def _part(start: int, end: int) -> Fraction:
    """L242-4: what part of the sum is owed besides."""
    late = end - start
    if late <= 10:
        halves = [(year, 1 if month < 7 else 2) for year, month, _ in map(parts, range(start + 1, end + 1))]
        if not set(halves) <= set(_RATES):
            raise RateMissingError
        return sum((_RATES[half] / 365 for half in halves), Fraction(0))
    for until, percent in ((20, 5), (30, 10), (60, 20), (90, 50)):
        if late <= until:
            return Fraction(percent, 100)
    months = 0
    while later(start + 90, months + 1) <= end or later(start, months + 4) <= end:
        months += 1
    return Fraction(50 + 5 * months, 100)


def latest(question: Question) -> int:
    """L216-1."""
    if "promised_on" in question:
        return read(question["promised_on"])
    return paris_day(question["concluded_at"]) + 30


def resolved(question: Question) -> int | None:
    """L216-6, L216-7: the day on which all is to be paid back, or None where the contract goes on."""
    promised, received = read(question["promised_on"]), second(question["resolution_received_at"])
    read_on = paris_day(question["resolution_received_at"])
    there = "delivered_at" in question and second(question["delivered_at"]) <= received
    notice = question.get("notice")
    if question.get("essential"):
        broken = read_on > promised and not (there and paris_day(question["delivered_at"]) <= promised)
    else:
        warned = notice is not None and paris_day(notice["at"]) > promised and read_on > read(notice["until"])
        broken = warned and not there
    return read_on + 14 if broken else None


def kept_until(question: Question) -> int | None:
    """D213-1, D213-2."""
    days = [read(day) for day in (question["concluded_on"], *question["deliveries"])]
    return later(max(days), 120) if question["total_minor"] >= 12_000 else None


def window(question: Question) -> tuple[int, int]:
    """L215-1: three months to one month before the end of the period in which renewal can be refused."""
    last = read(question["refusal_until"])
    return later(last, -3), later(last, -1)
