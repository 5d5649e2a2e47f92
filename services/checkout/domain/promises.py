"""Delivery as it was promised: until when, what is late, what the consumer may do then, and what befalls parcels.

Until he has the goods in hand their loss is the trader's; what cannot come is ended and paid back, and nothing is ever
sent in its place without a new order.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid5

import msgspec

from relance.rules.law.calendar import first_instant_after, paris_date
from relance.rules.law.delivery import Resolution
from services.checkout.domain import delivery_letters, lifecycle
from services.checkout.domain.aftercare import Aftercare, Incident, LateNotice, Resolved
from services.checkout.domain.follow_up import Letter, Noted, Outcome, Setting, folded, once
from services.checkout.domain.lateness import Late, awaited, late, latest, resolution, resolvable
from services.checkout.domain.orders import (
    ENDED,
    Cancel,
    End,
    HoldPayment,
    MarkParcel,
    Order,
    Parcel,
    Resolve,
)  # fmt: skip
from services.checkout.domain.orders import Incident as IncidentKind
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.restitution import paid_by_hand
from services.checkout.domain.shipping import refused_units, still_sold
from services.checkout.domain.unsupplied import given_back, with_those_beside

__all__ = [
    "DeliveryAct", "Late", "NotifyLate", "RefuseLiability", "ReportIncident", "ReportUnavailable", "ResolveLate",
    "Suspend", "late", "latest", "look", "next_on", "notify_late", "refuse_liability", "report_incident",
    "report_unavailable", "resolve_late", "step", "suspend",
]  # fmt: skip

replace = msgspec.structs.replace

_DAY: Final = timedelta(days=1)
_LONGEST: Final = timedelta(days=366)  # of extra time: a mistyped year would lock the consumer in
_NEWS: Final = timedelta(days=7)  # what is older is no news of a parcel
_ON_OUR_PAGE: Final = "web"
_LETTERS: Final = "order.shipped", "order.delivered"
_EXCUSES: Final = {
    "carrier": ("C06", "L216-2", "until the consumer has the goods in hand their loss is the trader's"),
    "subcontractor": ("C07", "L221-15", "the trader answers for those by whom he performs the contract"),
    "not_registered_letter": ("C03", "L216-6 I 2°", "any writing ends the contract: no registered letter is asked for"),
}  # fmt: skip


class NotifyLate(msgspec.Struct, frozen=True, kw_only=True, tag="notify_late"):
    """The consumer's notice that delivery is late. `until`: the end of the extra time he gives, a reasonable one when
    he names none; `units` by line, empty for all. `click`: of a page; the same one of a day is one notice.
    """

    at: datetime
    until: date | None = None
    medium: str
    units: dict[str, int] = {}
    click: str = ""


class ResolveLate(msgspec.Struct, frozen=True, kw_only=True, tag="resolve_late"):
    """The consumer ends the contract, by any writing, as the trader received it. `refused`: the trader refuses to
    deliver, or it is manifest that he will not. `click`: of a page; the same one of a day is one writing.
    """

    received_at: datetime
    medium: str
    units: dict[str, int] = {}
    refused: bool = False
    click: str = ""


class Suspend(msgspec.Struct, frozen=True, kw_only=True, tag="suspend"):
    """The consumer suspends payment until the goods come, or goes on with it."""

    on: bool


class ReportIncident(msgspec.Struct, frozen=True, kw_only=True, tag="report_incident"):
    """What befell a parcel. `own_carrier`: the consumer entrusted it to a carrier that the trader did not offer."""

    parcel_id: str
    kind: IncidentKind
    own_carrier: bool = False


class ReportUnavailable(msgspec.Struct, frozen=True, kw_only=True, tag="report_unavailable"):
    """Units by line that can no longer be supplied. `substitute_url`: where something else may be ordered anew.
    `report`: whose report it is, so that the same one again ends no more units.
    """

    units: dict[str, int]
    substitute_url: str = ""
    report: str = ""


class RefuseLiability(msgspec.Struct, frozen=True, kw_only=True, tag="refuse_liability"):
    """The trader would not answer for a delivery, for a reason that the law does not know."""

    reason: Literal["carrier", "subcontractor", "not_registered_letter"]


DeliveryAct = NotifyLate | ResolveLate | Suspend | ReportIncident | ReportUnavailable | RefuseLiability


def step(order: Order, after: Aftercare, act: DeliveryAct, setting: Setting) -> Outcome | Refusal:
    """What an act gives."""
    match act:
        case NotifyLate():
            return notify_late(order, after, act, setting)
        case ResolveLate():
            return resolve_late(order, after, act, setting)
        case Suspend():
            return suspend(order, after, act, setting)
        case ReportIncident():
            return report_incident(order, after, act, setting)
        case ReportUnavailable():
            return report_unavailable(order, after, act, setting)
        case RefuseLiability():
            return refuse_liability(act)


# -- the consumer's acts ----------------------------------------------------------------------------------------------


def notify_late(order: Order, after: Aftercare, act: NotifyLate, setting: Setting) -> Outcome | Refusal:
    """A notice is put on record whenever it is given; given before delivery is late it carries no resolution."""
    on = paris_date(act.at)
    if act.at > setting.at:
        return Refusal("at", "no notice is given in the future", "C03", "L216-6 I 2°")
    until = act.until or on + timedelta(days=setting.terms.reasonable_days)
    if until < on:
        return Refusal("until", "the extra time ends before the notice was given", "C03", "L216-6 I 2°")
    if until > on + _LONGEST:
        return Refusal("until", "extra time is a reasonable one, and ends within a year", "C03", "L216-6 I 2°")
    if refused := _unknown(order, act.units):
        return refused
    clicked = f"{on}/{until}/{act.click}" if act.click else len(after.late_notices)
    fresh = LateNotice(
        id=_id(order, f"notice/{clicked}"), at=act.at, until=until, medium=act.medium, units=act.units
    )  # fmt: skip
    if any(one.id == fresh.id or replace(one, id=fresh.id) == fresh for one in after.late_notices):
        return Outcome(after)
    named = act.units or {one.line_id: one.units for one in late(order, after, on, setting.book)}
    is_late = bool(late(order, after, on, setting.book)) and all(
        act.at >= first_instant_after(day)
        for line_id, day in latest(order, after, setting.book).items() if line_id in named
    )  # fmt: skip
    facts = {
        "step": "notice", "notice": fresh.id, "at": act.at.isoformat(), "until": until.isoformat(),
        "medium": act.medium, "units": act.units, "late": is_late,
    }  # fmt: skip
    noted = Noted("declared", "delivery", ("C01", "C03"), facts, _by(act.medium))
    now = replace(after, late_notices=(*after.late_notices, fresh))
    return Outcome(
        now, noted=(noted,), letters=(delivery_letters.noticed(order, now, fresh, setting, is_late=is_late),)
    )


def suspend(order: Order, after: Aftercare, act: Suspend, setting: Setting) -> Outcome | Refusal:
    """Payment that is still to come may be held back while delivery is late."""
    if act.on and order.held_at is None and not late(order, after, setting.on, setting.book):
        return Refusal("on", "payment is suspended while delivery is late, and it is not", "C02", "L216-6 I 1°")
    hold = HoldPayment(held=act.on)
    moved = lifecycle.step(order, hold, setting.at)
    if isinstance(moved, Refusal):
        return moved
    if not moved.transition:
        return Outcome(after)
    facts = {"step": "suspended" if act.on else "resumed", "on": setting.on.isoformat()}
    return Outcome(after, acts=(hold,), noted=(Noted("declared", "delivery", ("C02",), facts),))


def resolve_late(order: Order, after: Aftercare, act: ResolveLate, setting: Setting) -> Outcome | Refusal:
    """What a resolution achieves for each line, by what the law says of it. One that was made on our page is put on
    record whatever it achieves; a shop that reports one which achieves nothing is told why.
    """
    if act.received_at > setting.at:
        return Refusal("received_at", "nobody receives a writing in the future", "C03", "L216-6 I 2°")
    if refused := _unknown(order, act.units):
        return refused
    clicked = f"{paris_date(act.received_at)}/{act.click}" if act.click else len(after.resolutions)
    id_, sent = _id(order, f"resolution/{clicked}"), (act.received_at, act.medium)
    known = {one.id for one in after.resolutions}
    if id_ in known or (not act.click and any((one.received_at, one.medium) == sent for one in after.resolutions)):
        return Outcome(after)
    if order.state in ENDED:
        return Refusal("order.state", f"the order is {order.state}: there is nothing to resolve")
    found = {
        line.id: resolution(order, after, line, act.received_at, setting, refused=act.refused)
        for line in order.lines
        if line.id in latest(order, after, setting.book) and (not act.units or act.units.get(line.id))
    }
    most = {
        line.id: min(resolvable(order, after, line, act.received_at, setting), act.units.get(line.id, line.quantity))
        for line in order.lines
        if line.id in found and found[line.id].resolved
    }
    gone = {line_id: count for line_id, count in most.items() if count}
    why = next((found[line_id] for line_id in gone), None) or next(iter(found.values()), None)
    if why is None:
        return Refusal("units", "nothing of this order is to be delivered", "C01", "L216-1")
    if not gone and act.medium != _ON_OUR_PAGE:
        reason = why.reason if not why.resolved else "nothing of it is still to come"
        return Refusal("resolution", reason, why.rule, _article(why.rule))
    resolved = Resolved(
        id=id_, received_at=act.received_at, medium=act.medium, units=gone, resolved=bool(gone), rule=why.rule,
        reason=why.reason,
    )  # fmt: skip
    return _resolved(order, after, resolved, why, setting)


# -- what befalls goods -----------------------------------------------------------------------------------------------


def report_incident(order: Order, after: Aftercare, act: ReportIncident, setting: Setting) -> Outcome | Refusal:
    """Lost, damaged before receipt or returned: its units are shipped anew. With a carrier of the consumer's own the
    risk had passed. What he refused is no withdrawal by itself: he is told how to state one.
    """
    mark = MarkParcel(parcel_id=act.parcel_id, incident=act.kind)
    moved = lifecycle.step(order, mark, setting.at)
    if isinstance(moved, Refusal):
        return moved
    if any((one.parcel_id, one.kind) == (act.parcel_id, act.kind) for one in after.incidents):
        return Outcome(after)
    passed = act.own_carrier and act.kind in {"lost", "damaged"}
    incident = Incident(
        id=_id(order, f"incident/{len(after.incidents)}"), parcel_id=act.parcel_id, kind=act.kind, at=setting.at,
        own_carrier=passed,
    )  # fmt: skip
    facts = {"step": act.kind, "parcel": act.parcel_id, "own_carrier": passed}
    noted = Noted("happened", "delivery", ("C06", "C07"), facts, "shop")
    acts = (mark,) if moved.transition and not passed else ()
    letters = (delivery_letters.refused(order, after, act.parcel_id, setting),) if act.kind == "refused" else ()
    return Outcome(replace(after, incidents=(*after.incidents, incident)), acts, (noted,), letters)


def report_unavailable(order: Order, after: Aftercare, act: ReportUnavailable, setting: Setting) -> Outcome | Refusal:
    """What can no longer be supplied is ended and paid back, whole; nothing takes its place without a new order."""
    told = once(after, f"unavailable/{act.report}") if act.report else after
    if told is None:
        return Outcome(after)
    if act.substitute_url and not act.substitute_url.startswith("https://"):
        reason = "a substitute is ordered anew, on a page of its own"
        return Refusal("substitute_url", reason, "C08", "L121-4 5°, 6°")
    if refused := _unknown(order, act.units):
        return refused
    if not any(act.units.values()):
        return Refusal("units", "no unit is named", "C08", "L121-4 5°, 6°")
    if refused := refused_units(order, act.units, lambda line: max(0, still_sold(line) - line.shipped)):
        return refused
    ended = with_those_beside(order, after, act.units)
    whole = all(still_sold(line) <= ended.get(line.id, 0) for line in order.lines)
    whole = whole and not order.parcels and not paid_by_hand(after)
    end = Cancel(reason="unavailable") if whole else End(units=ended, cause="unavailable")
    moved = lifecycle.step(order, end, setting.at)
    if isinstance(moved, Refusal):
        return moved
    if not moved.transition:
        return Outcome(after)
    now = given_back(order, moved.state, told, ended, source=f"unavailable/{len(after.dues)}", on=setting.on)
    facts = {"step": "unavailable", "units": act.units, "on": setting.on.isoformat()}
    letter = delivery_letters.unavailable(order, now, act.units, act.substitute_url, setting)
    return Outcome(now, (end,), (Noted("happened", "delivery", ("C08", "C05"), facts, "shop"),), (letter,))


def refuse_liability(act: RefuseLiability) -> Refusal:
    """No trader is rid of a delivery by these reasons: nothing is changed, and the article is named."""
    rule, article, reason = _EXCUSES[act.reason]
    return Refusal("reason", reason, rule, article)


# -- each day ---------------------------------------------------------------------------------------------------------


def look(order: Order, after: Aftercare, setting: Setting) -> Outcome:
    """The consumer is told once of each parcel that left or came, and of each line that is late; of nothing that was so
    before aftercare was kept here.
    """
    letters: list[Letter] = []
    noted: list[Noted] = []
    for parcel in order.parcels:
        for kind, at in zip(_LETTERS, (parcel.shipped_at, parcel.received_at), strict=True):
            told = once(after, f"{kind}/{parcel.id}") if at is not None else None
            if told is None or at is None:
                continue
            after = told
            if setting.at - at < _NEWS and (after.since is None or at >= after.since):
                letters.append(_news(order, after, kind, parcel, setting))
    fresh = [one for one in late(order, after, setting.on, setting.book) if f"late/{one.line_id}" not in after.told]
    for one in fresh:
        after = once(after, f"late/{one.line_id}") or after
    since = None if after.since is None else paris_date(after.since)
    fresh = [one for one in fresh if since is None or one.latest_on >= since]  # else its shop knew, and told him or not
    if fresh:
        promised = min(one.latest_on for one in fresh).isoformat()
        missing = delivery_letters.names_of(order, (one.line_id for one in fresh))
        letters.append(Letter("delivery.late", {"link": "", "promised_on": promised, "lines": missing}))
        lines = {one.line_id: {"units": one.units, "latest_on": one.latest_on.isoformat()} for one in fresh}
        noted.append(Noted("happened", "delivery", ("C01",), {"step": "late", "lines": lines}))
    return Outcome(after, noted=tuple(noted), letters=tuple(letters))


def next_on(order: Order, after: Aftercare, setting: Setting) -> date | None:
    """The day on which a line becomes late that was not before."""
    if order.state in ENDED or order.confirmed_at is None:
        return None
    lines = {line.id: line for line in order.lines}
    days = [
        max(day + _DAY, setting.on + _DAY)
        for line_id, day in latest(order, after, setting.book).items()
        if f"late/{line_id}" not in after.told and awaited(order, after, lines[line_id])
    ]
    return min(days, default=None)


# -- within -----------------------------------------------------------------------------------------------------------


def _resolved(
    order: Order, after: Aftercare, resolved: Resolved, found: Resolution, setting: Setting
) -> Outcome:  # fmt: skip
    """The resolution on record, the units that it ends, and what is owed for them."""
    facts: dict[str, Any] = {
        "step": "resolution", "resolution": resolved.id, "received_at": resolved.received_at.isoformat(),
        "medium": resolved.medium, "units": resolved.units, "resolved": resolved.resolved, "reason": resolved.reason,
    }  # fmt: skip
    rules = ("C01", resolved.rule, "C05") if resolved.resolved else ("C01", resolved.rule)
    noted = Noted("declared", "delivery", rules, facts, _by(resolved.medium))
    if not resolved.resolved:
        now = replace(after, resolutions=(*after.resolutions, resolved))
        letter = delivery_letters.resolution_answered(order, now, resolved, found, setting)
        return Outcome(now, noted=(noted,), letters=(letter,))
    ended = with_those_beside(order, after, resolved.units)
    whole = all(still_sold(line) <= ended.get(line.id, 0) for line in order.lines)
    nothing_came = not any(line.received for line in order.lines)
    at_once = whole and nothing_came and not paid_by_hand(after)
    act = Resolve(found=found) if at_once else End(units=ended, cause="resolved")
    moved = folded(order, Outcome(after, (act,)), setting.at)
    source = f"resolution/{resolved.id}"
    now = given_back(order, moved, after, ended, source=source, on=paris_date(resolved.received_at))
    due_id = next((due.id for due in now.dues if due.source == source), "")
    resolved = replace(resolved, due_id=due_id)
    now = replace(now, resolutions=(*now.resolutions, resolved))
    letter = delivery_letters.resolution_answered(order, now, resolved, found, setting)
    return Outcome(now, (act,), (noted,), (letter,))


def _news(order: Order, after: Aftercare, kind: str, parcel: Parcel, setting: Setting) -> Letter:
    if kind == "order.delivered":
        return delivery_letters.came(order, after, parcel, setting)
    return Letter(kind, {"link": "", "carrier": parcel.carrier, "parcel_url": parcel.tracking_url})


def _unknown(order: Order, units: Mapping[str, int]) -> Refusal | None:
    known = {line.id for line in order.lines}
    wrong = next((line_id for line_id, count in units.items() if line_id not in known or count < 0), None)
    return None if wrong is None else Refusal(f"units.{wrong}", "this order has no such line")


def _by(medium: str) -> Literal["checkout", "shop"]:
    return "checkout" if medium == _ON_OUR_PAGE else "shop"


def _article(rule: str) -> str:
    return "L216-6 II" if rule == "C04" else "L216-6 I 2°"


def _id(order: Order, name: str) -> str:
    return str(uuid5(order.id, name))
