"""Delivery: the latest date (C01, L216-1), and when a late one ends the contract (C03, C04, L216-6; C05, L216-7)."""

from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import Moment, first_instant_after, paris_date
from relance.rules.law.terms import Unanswerable, parameters

__all__ = ["Notice", "Resolution", "latest_on", "resolve"]


class _Days(msgspec.Struct, frozen=True):
    days: int


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The consumer's formal notice: given `at`, with extra time `until` (a date is included whole)."""

    at: Moment
    until: Moment


class Resolution(NamedTuple):
    """Whether the contract is resolved. `unsettled`: the answer rests on a reading of ours."""

    resolved: bool
    refund_due_on: date | None
    rule: Literal["C03", "C04"]
    reason: str
    unsettled: bool = False


def latest_on(concluded_at: datetime, promised_on: date | None, law: tuple[Book, date]) -> date:
    """The last day on which delivery is in time: the promised one, else conclusion + 30 days, weekend or not."""
    book, day = law
    return promised_on or paris_date(concluded_at) + timedelta(days=parameters(book, "C01", day, _Days).days)


def resolve(  # noqa: PLR0913 - what decides it, each by its name
    promised_on: date,
    *,
    notice: Notice | None,
    essential: bool,
    delivered_at: datetime | None,
    resolution_received_at: datetime,
    law: tuple[Book, date],
    refused: bool = False,
) -> Resolution:
    """What the consumer's resolution achieves at the instant at which the trader receives it. `refused`: the trader
    refuses to deliver, or it is manifest that he will not; then no date is waited for (L216-6 II 1°).

    Raises Unanswerable when the extra time ends before the notice.
    """
    book, day = law
    rule: Literal["C03", "C04"] = "C04" if essential else "C03"
    if refused and (delivered_at is None or delivered_at > resolution_received_at):
        due = paris_date(resolution_received_at) + timedelta(days=parameters(book, "C05", day, _Days).days)
        return Resolution(True, due, "C04", "the trader refuses to deliver, or will manifestly not")  # noqa: FBT003
    late_from = first_instant_after(promised_on)
    if delivered_at is not None and delivered_at <= resolution_received_at:
        if delivered_at < late_from:
            return Resolution(False, None, rule, "delivered in time")  # noqa: FBT003 - the field says what it is
        if not essential:
            return Resolution(False, None, rule, "delivered before the resolution was received")  # noqa: FBT003
    if resolution_received_at < late_from:
        return Resolution(False, None, rule, f"delivery is not late before the end of {promised_on}")  # noqa: FBT003
    after_delivery = essential and delivered_at is not None and delivered_at <= resolution_received_at
    why_not, unsettled = ("", after_delivery) if essential else _notice(notice, late_from, resolution_received_at)
    if why_not:
        return Resolution(False, None, rule, why_not, unsettled)  # noqa: FBT003
    refund_due = paris_date(resolution_received_at) + timedelta(days=parameters(book, "C05", day, _Days).days)
    why = "the date was essential and has passed" if essential else "the extra time of the notice has passed"
    return Resolution(True, refund_due, rule, why, unsettled)  # noqa: FBT003


def _notice(notice: Notice | None, late_from: datetime, received_at: datetime) -> tuple[str, bool]:
    """(why the notice does not carry a resolution, or ""; whether that is a reading of ours)."""
    if notice is None:
        return "no notice with extra time was given", False
    ends_at = first_instant_after(notice.until.day) if notice.until.whole_day else notice.until.at
    if ends_at <= notice.at.at:
        raise Unanswerable("notice.until", "the extra time ends before the notice was given")
    if notice.at.at < late_from:
        return "the notice was given before delivery was late", True
    if received_at < ends_at:
        return "the extra time of the notice has not passed", False
    return "", False
