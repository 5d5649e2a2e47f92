"""The notice of a tacit renewal: its window (B23, B24; article L215-1)."""

from datetime import date
from typing import Literal, NamedTuple

import msgspec

from relance.rules.law.calendar import after_months

__all__ = ["NoticeTerms", "NoticeWindow", "notice_window"]


class NoticeTerms(msgspec.Struct, frozen=True):
    """Months before the end of the refusal period: the notice goes `from` at the earliest, `to` at the latest."""

    months_before: dict[Literal["from", "to"], int]


class NoticeWindow(NamedTuple):
    """Both days included; `valid` None when no notice was sent."""

    first: date
    last: date
    valid: bool | None


def notice_window(refusal_until: date, notice_sent_on: date | None, law: NoticeTerms) -> NoticeWindow:
    """The window, counted back from the end of the period in which renewal may be refused, not from the renewal."""
    first = after_months(refusal_until, -law.months_before["from"])
    last = after_months(refusal_until, -law.months_before["to"])
    return NoticeWindow(first, last, None if notice_sent_on is None else first <= notice_sent_on <= last)
