"""What letters about a delivery say, by case: facts alone, so that the words stand in templates of each language."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from relance.rules.law.delivery import Resolution
from services.checkout.domain.aftercare import Aftercare, LateNotice, Resolved
from services.checkout.domain.dues import due_on
from services.checkout.domain.follow_up import Letter, Setting
from services.checkout.domain.lateness import latest
from services.checkout.domain.orders import Order, Parcel
from services.checkout.domain.rights import decide

__all__ = ["came", "names_of", "noticed", "refused", "resolution_answered", "unavailable"]

_NAMES_MAX: Final = 500
_REASONS: Final = {
    "delivered in time": "in_time",
    "delivered before the resolution was received": "came_before",
    "no notice with extra time was given": "no_notice",
    "the notice was given before delivery was late": "early_notice",
    "the extra time of the notice has not passed": "extra_time",
}
_DAYS: Final = ("withdrawal_until", "withdrawal_lines"), ("later_until", "later_lines")
_NOT_LATE: Final = "delivery is not late before"


def refused(order: Order, after: Aftercare, parcel_id: str, setting: Setting) -> Letter:
    """The consumer would not take a parcel: that is no withdrawal, and he is told how to state one while he may."""
    parcel = next((one for one in order.parcels if one.id == parcel_id), None)
    facts: dict[str, str | int] = {"link": "", "case": "parcel_refused", "withdrawal": "none"}
    if parcel is not None:
        days = _rights(order, after, parcel, setting)
        if None in days:
            facts["withdrawal"] = "not_begun"
        elif days:
            facts |= {"withdrawal": "runs", "withdrawal_until": max(filter(None, days)).isoformat()}
    return Letter("delivery.answered", facts)


def noticed(order: Order, after: Aftercare, notice: LateNotice, setting: Setting, *, is_late: bool) -> Letter:
    """A notice is on record: until when the trader has to deliver, or that he is not late yet."""
    days = [
        day
        for line_id, day in latest(order, after, setting.book).items()
        if not notice.units or line_id in notice.units
    ]
    facts: dict[str, str | int] = {
        "link": "", "case": "notice" if is_late else "notice_early", "until": notice.until.isoformat(),
    }  # fmt: skip
    return Letter("delivery.answered", facts | ({"latest_on": max(days).isoformat()} if days else {}))


def resolution_answered(
    order: Order, after: Aftercare, resolved: Resolved, found: Resolution, setting: Setting
) -> Letter:
    """What a resolution achieves: for which articles the contract ends and until when their money is back; or why it
    does not end, with the date that this hangs on. `after` holds what is owed for it.
    """
    facts: dict[str, str | int] = {"link": "", "case": _case(resolved, found)}
    if resolved.resolved:
        facts["lines"] = names_of(order, resolved.units)
        due = after.due(resolved.due_id)
        paid_back_on = None if due is None or not due.amount_minor else due_on(due, setting.book)
        return Letter("delivery.answered", facts | ({"refund_until": paid_back_on.isoformat()} if paid_back_on else {}))
    days = latest(order, after, setting.book).values()
    if days:
        facts["latest_on"] = max(days).isoformat()
    if after.late_notices:
        facts["until"] = after.late_notices[-1].until.isoformat()
    return Letter("delivery.answered", facts)


def came(order: Order, after: Aftercare, parcel: Parcel, setting: Setting) -> Letter:
    """A parcel was received: until when one may withdraw from what it holds. Goods of one order wait for the last of
    them, those of regular deliveries do not, so that there may be two days; articles without the right are in neither.
    """
    facts: dict[str, str | int] = {"link": ""}
    groups = _rights(order, after, parcel, setting)
    dated = sorted((day, ids) for day, ids in groups.items() if day is not None)
    named = len(groups) > 1 or {line_id for ids in groups.values() for line_id in ids} != set(parcel.units)
    for (until, lines), (day, ids) in zip(_DAYS, dated, strict=False):  # goods have two days at most
        facts |= {until: day.isoformat()} | ({lines: names_of(order, ids)} if named else {})
    if None in groups:
        facts |= {"waiting": "yes"} | ({"waiting_lines": names_of(order, groups[None])} if named else {})
    return Letter("order.delivered", facts)


def unavailable(
    order: Order, after: Aftercare, units: Mapping[str, int], substitute_url: str, setting: Setting
) -> Letter:
    """What can no longer be supplied, and until when its money is back. `after` holds what is owed for it."""
    facts: dict[str, str | int] = {
        "link": "", "lines": names_of(order, (line_id for line_id, count in units.items() if count)),
        "substitute_url": substitute_url,
    }  # fmt: skip
    due = after.dues[-1] if after.dues and after.dues[-1].source.startswith("unavailable/") else None
    back_on = None if due is None or not due.amount_minor or order.paid_at is None else due_on(due, setting.book)
    return Letter("order.unavailable", facts | ({"refund_until": back_on.isoformat()} if back_on else {}))


def _rights(order: Order, after: Aftercare, parcel: Parcel, setting: Setting) -> Mapping[date | None, list[str]]:
    """The last day of withdrawal (None: the time has not begun), and the lines of a parcel that have it today."""
    found: dict[date | None, list[str]] = {}
    for one in decide(order, after, setting.at, parcel.units, setting):
        if one.outcome == "accepted" and one.units and one.line_id in parcel.units:
            found.setdefault(one.last_day, []).append(one.line_id)
    return found


def _case(resolved: Resolved, found: Resolution) -> str:
    if resolved.resolved:
        return "resolved"
    if found.resolved:
        return "nothing_left"
    return "not_late" if found.reason.startswith(_NOT_LATE) else _REASONS.get(found.reason, "other")


def names_of(order: Order, ids: Iterable[str]) -> str:
    """The names of lines, in their order; cut where a letter would be too long."""
    wanted = set(ids)
    listed = ", ".join(line.name for line in order.lines if line.id in wanted)
    return listed if len(listed) <= _NAMES_MAX else f"{listed[:_NAMES_MAX]}…"
