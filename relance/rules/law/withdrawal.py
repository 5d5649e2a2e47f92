"""Withdrawal: until when each line of an order can be withdrawn from, and what a statement achieves.

Rules B01 (period), B02 (its start), B03 (missing information), B17 (exceptions); articles L221-18 to L221-28.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import (
    Holidays,
    Instant,
    after_months,
    first_instant_after,
    paris_date,
    period_end,
    rolled,
)
from relance.rules.law.terms import Unanswerable, parameters

__all__ = ["Decision", "Exclusion", "Informed", "Line", "Period", "Terms", "decide", "periods", "terms"]

Kind = Literal["goods", "digital", "service"]
ExceptionNumber = (
    Annotated[int, msgspec.Meta(ge=1, le=13)] | Annotated[str, msgspec.Meta(pattern="^(L221-28 )?(1[0-3]|[1-9])°?$")]
)
Need = Literal["early_start", "unsealed_proof", "receipt", "single_copy"]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of an order. `regular`: goods in regular deliveries, `received_at` is the first of them.

    `early_start`: the consumer's express request to start within the period, with the acknowledgements that the law
    wants and, for digital content, their confirmation, are all on record. `exception`: a number of L221-28 that the
    trader invokes; `exception_shown`: it was shown before the order; `unsealed_proof`: the trader proves unsealing.
    """

    id: str | int
    kind: Kind
    received_at: Instant | None = None
    received_by: str | None = None
    regular: bool = False
    early_start: bool = False
    exception: ExceptionNumber | None = None
    exception_shown: bool = False
    unsealed_proof: bool = False


class Informed(msgspec.Struct, frozen=True):
    """When the information on the right of withdrawal reached the consumer; `on` None: never, or before the order."""

    in_time: bool
    on: date | None = None


class Exclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One number of L221-28: the kinds of line that it can touch, and what must be on record besides."""

    kinds: tuple[Kind, ...]
    needs: tuple[Need, ...] = ()


class _Period(msgspec.Struct, frozen=True):
    days: int
    fixed: tuple[str, ...]
    easter: tuple[int, ...]

    @property
    def holidays(self) -> Holidays:
        return Holidays(self.fixed, self.easter)


class _Start(msgspec.Struct, frozen=True):
    receipts: frozenset[str]
    deposits: frozenset[str]


class _Extension(msgspec.Struct, frozen=True):
    extension_months: int
    late_days: int


class _Exceptions(msgspec.Struct, frozen=True):
    conditions: dict[int, Exclusion]


class Terms(NamedTuple):
    """The law of withdrawal on one day."""

    period: _Period
    start: _Start
    extension: _Extension
    exceptions: Mapping[int, Exclusion]


class Period(NamedTuple):
    """The period of one line; all None while it is open: it has not begun, so it has no end yet."""

    from_day: date | None
    last_day: date | None
    ends_at: datetime | None
    initial_last_day: date | None
    article: str


class Decision(NamedTuple):
    """What a statement achieves for one line, and why."""

    outcome: Literal["accepted", "late", "excepted"]
    reason: str
    period: Period


def terms(book: Book, day: date) -> Terms:
    """The law in force on the day on which the contract was concluded. Raises NotInForce."""
    return Terms(
        parameters(book, "B01", day, _Period),
        parameters(book, "B02", day, _Start),
        parameters(book, "B03", day, _Extension),
        parameters(book, "B17", day, _Exceptions).conditions,
    )


def periods(concluded_at: datetime, lines: Sequence[Line], informed: Informed, law: Terms) -> tuple[Period, ...]:
    """The period of each line, in order.

    All goods of an order run together from the last receipt (goods in regular deliveries each from their first);
    digital content and services run from the conclusion of the contract. Raises Unanswerable for a line that does
    not say who received it in words that the law of the day knows.
    """
    concluded_on = paris_date(concluded_at)
    received = [_received_on(place, line, concluded_on, law.start) for place, line in enumerate(lines)]
    together = [day for line, day in zip(lines, received, strict=True) if line.kind == "goods" and not line.regular]
    known = [day for day in together if day is not None]
    last_receipt = max(known) if known and len(known) == len(together) else None
    found = []
    for line, day in zip(lines, received, strict=True):
        if line.kind != "goods":
            start: date | None = concluded_on
        else:
            start = day if line.regular else last_receipt
        found.append(_period(start, informed, law))
    return tuple(found)


def _received_on(place: int, line: Line, concluded_on: date, start: _Start) -> date | None:
    """The Paris day of receipt by the consumer or his designee; a deposit at a relay or locker is none."""
    by = "consumer" if line.received_by is None else "_".join(line.received_by.lower().replace("-", " ").split())
    if by not in start.receipts and by not in start.deposits:
        known = ", ".join(sorted(start.receipts | start.deposits))
        given = f"{line.received_by:.60}"
        raise Unanswerable(f"lines[{place}].received_by", f"unknown receiver {given!r}; known: {known}")
    if line.received_at is None or by in start.deposits:
        return None
    return max(paris_date(line.received_at), concluded_on)


def _period(start: date | None, informed: Informed, law: Terms) -> Period:
    if start is None:
        return Period(None, None, None, None, "L221-18")
    holidays = law.period.holidays
    initial = period_end(start, law.period.days, holidays)
    last, article = initial, "L221-18"
    if not informed.in_time:
        # The extension is counted from the expiry of the initial period as L221-19 moves it, and is itself moved.
        last, article = rolled(after_months(initial, law.extension.extension_months), holidays), "L221-20"
        if informed.on is not None and informed.on <= last:
            cut = period_end(informed.on, law.extension.late_days, holidays)
            last = max(initial, cut)
    return Period(start, last, first_instant_after(last), initial, article)


def decide(
    concluded_at: datetime, lines: Sequence[Line], informed: Informed, stated_at: datetime, law: Terms
) -> tuple[Decision, ...]:
    """What a statement that was sent at `stated_at` achieves for each line, in order.

    An exception is looked at first: where it holds there is no right, in time or not. The statement is in time
    before the first instant that is out of time, and as long as the period has not begun. Raises Unanswerable.
    """
    found = []
    for place, (line, period) in enumerate(zip(lines, periods(concluded_at, lines, informed, law), strict=True)):
        there = _received_on(place, line, paris_date(concluded_at), law.start) is not None
        exception = _exception(line, law.exceptions, there=there)
        if exception is not None and not exception[1]:
            found.append(Decision("excepted", exception[0], period))
        elif period.ends_at is not None and stated_at >= period.ends_at:
            found.append(Decision("late", f"stated after {period.last_day}", period))
        else:
            why = "in time" if period.last_day is not None else "in time: the period has not begun"
            if exception is not None:
                why += f"; {exception[0]} does not hold: {exception[1]}"
            found.append(Decision("accepted", why, period))
    return tuple(found)


def _exception(line: Line, exceptions: Mapping[int, Exclusion], *, there: bool) -> tuple[str, str] | None:
    """(name of the exception, why it does not hold or ""); None when the line invokes none. `there`: it is received."""
    number = _number(line.exception)
    if number is None and line.kind == "digital" and line.early_start and line.exception_shown:
        number = 13  # what the record describes is this exception, named or not
    if number is None:
        return None
    name = f"L221-28 {number}°"
    exception = exceptions.get(number)
    if exception is None or line.kind not in exception.kinds:
        return name, f"it does not touch {line.kind}"
    if not line.exception_shown:
        return name, "it was not shown before the order (L221-5)"
    missing = {
        "early_start": not line.early_start,
        "unsealed_proof": not line.unsealed_proof,
        "receipt": not there,
        "single_copy": line.regular,
    }
    for need in exception.needs:
        if missing[need]:
            return name, _MISSING[need]
    return name, ""


def _number(given: int | str | None) -> int | None:
    """3 of 3, "3", "3°" and "L221-28 3°"."""
    return int(given.removeprefix("L221-28 ").rstrip("°")) if isinstance(given, str) else given


_MISSING: Mapping[Need, str] = {
    "early_start": "request, acknowledgement and confirmation of the early start are not on record (L221-25, L221-26)",
    "unsealed_proof": "the trader does not prove that the consumer unsealed the goods",
    "receipt": "the goods have not been received",
    "single_copy": "subscriptions can be withdrawn from",
}
