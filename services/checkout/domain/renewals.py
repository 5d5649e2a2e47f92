"""One look at a contract that goes on: notices of renewal in their window, renewals, its end, and what is owed then.

Who looks twice finds nothing more to do.
"""

from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law.renewal import NoticeWindow
from services.checkout.domain.aftercare import Aftercare, Due, new_due
from services.checkout.domain.contracts import (
    Advance,
    Contract,
    Renewal,
    Terminate,
    Termination,
    ended_on,
    record_advance,
    refusal_until,
    renews_on,
    term_ends,
    terminate,
    unused_minor,
    valid_notice,
    window,
)
from services.checkout.domain.follow_up import Letter, Noted, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal

__all__ = ["Looked", "advanced", "ended", "look", "next_on", "source_of", "untold"]

replace = msgspec.structs.replace

_AGAIN: Final = timedelta(days=7)
_RENEWALS_AT_ONCE: Final = 1200  # that a look catches up with


class Looked(NamedTuple):
    """A contract after an act, with letters, evidence, and what is owed back."""

    contract: Contract
    letters: tuple[Letter, ...] = ()
    noted: tuple[Noted, ...] = ()
    due: Due | None = None


def source_of(contract: Contract) -> str:
    """What its due names as its source."""
    return f"contract/{contract.id}"


def look(contract: Contract, order: Order, setting: Setting) -> Looked:
    """What is to be done today: end it when its line was withdrawn from or its time is over, count its renewals, tell
    the consumer that the next one is ahead.
    """
    if contract.ended_on is not None:
        return Looked(contract)
    found = _ended(_withdrawn(contract, order, setting), setting)
    if found.contract.ended_on is not None:
        return found
    found = _renewed(contract, setting)
    told = _told(found.contract, setting)
    return Looked(told.contract, told.letters, found.noted + told.noted)


def next_on(contract: Contract, setting: Setting) -> date | None:
    """The next day on which something of it changes by itself; None once it has ended."""
    if contract.ended_on is not None:
        return None
    if contract.termination is not None:
        return max(contract.termination.ends_on, setting.on)
    renews = renews_on(contract, setting.on)
    if renews is None:
        return term_ends(contract, setting.on)
    within = window(contract, renews, setting.law)
    days = [renews, within.first, *_again_on(contract, within)]
    return min(day for day in days if day > setting.on)


def ended(contract: Contract, after: Aftercare, act: Terminate, setting: Setting) -> Looked | Refusal:
    """The contract once its consumer has notified its end, and what goes back of what he paid in advance."""
    if contract.termination is not None and contract.termination.id == act.id:
        return Looked(contract)
    found = terminate(contract, act, setting.law)
    if isinstance(found, Refusal):
        return found
    if found is contract.termination:
        return Looked(contract)
    noted = Noted("declared", "order", ("B20", "B21", "B22", "B23"), _said(contract, found), _by(act))
    due = _owed(contract, after, found.due_minor, found.ends_on) if found.due_minor else None
    return Looked(replace(contract, termination=found), (), (noted,), due)


def advanced(contract: Contract, after: Aftercare, advance: Advance, setting: Setting) -> Looked | Refusal:
    """The contract once an advance is told. One that is told after the termination adds what goes back of it."""
    found = record_advance(contract, advance, setting.on)
    if isinstance(found, Refusal):
        return found
    left = found.termination
    if found == contract or left is None:
        return Looked(found)
    owed = unused_minor(found, left.ends_on, free=left.free)
    more = owed - left.due_minor
    if more <= 0:
        return Looked(found)
    due = _owed(contract, after, more, max(left.ends_on, advance.paid_on))
    facts = {"step": "advance_owed", "contract": contract.id, "advance": advance.id, "due_minor": more}
    noted = Noted("happened", "order", ("B23",), facts, "shop")
    return Looked(replace(found, termination=replace(left, due_minor=owed)), (), (noted,), due)


def untold(contract: Contract, message: str) -> Contract:
    """The contract once a notice of renewal was refused, or could not be sent: it was announced to nobody (L215-1)."""
    day = contract.sent.get(message)
    if day is None:
        return contract
    left = tuple(one for one in contract.notices if one != day)
    sent = {id_: one for id_, one in contract.sent.items() if id_ != message}
    return replace(contract, notices=left, sent=sent, undelivered=(*contract.undelivered, day))


# -- within -----------------------------------------------------------------------------------------------------------


def _withdrawn(contract: Contract, order: Order, setting: Setting) -> Contract:
    line = next((one for one in order.lines if one.id == contract.line_id), None)
    gone = line is None or line.withdrawn + line.ended >= line.quantity
    lapsed = order.state in {"lapsed", "cancelled", "resolved"}
    if contract.withdrawn_on is None and (gone or lapsed):
        return replace(contract, withdrawn_on=setting.on)
    return contract


def _ended(contract: Contract, setting: Setting) -> Looked:
    day = ended_on(contract, setting.on)
    if day is None:
        return Looked(contract)
    by = "withdrawal" if contract.withdrawn_on is not None else "termination" if contract.termination else "term"
    facts = {"step": "contract_ended", "contract": contract.id, "on": day.isoformat(), "by": by}
    return Looked(replace(contract, ended_on=day), noted=(Noted("happened", "order", ("B20",), facts),))


def _renewed(contract: Contract, setting: Setting) -> Looked:
    """The terms that began by themselves since it was looked at last."""
    noted: list[Noted] = []
    since = contract.renewals[-1].on if contract.renewals else contract.term_from
    for _ in range(_RENEWALS_AT_ONCE):
        day = renews_on(contract, since)
        if day is None or day > setting.on:
            break
        told = valid_notice(contract, day, setting.law_of(day))
        renewal = Renewal(on=day, notice_on=told, valid=told is not None)
        contract, since = replace(contract, renewals=(*contract.renewals, renewal)), day
        facts = {
            "step": "renewed", "contract": contract.id, "on": day.isoformat(), "valid": renewal.valid,
            "notice_on": told.isoformat() if told is not None else "",
        }  # fmt: skip
        noted.append(Noted("happened", "order", ("B23",), facts))
    return Looked(contract, noted=tuple(noted))


def _told(contract: Contract, setting: Setting) -> Looked:
    """The notice, once for each renewal, from the first day of its window. A late one is sent as long as it helps: it
    is no valid notice, but the consumer knows.
    """
    renews = renews_on(contract, setting.on)
    if renews is None or contract.termination is not None:
        return Looked(contract)
    within, last = window(contract, renews, setting.law), refusal_until(contract, renews)
    if not within.first <= setting.on <= last or _was_told(contract, within):
        return Looked(contract)
    if any(setting.on < day for day in _again_on(contract, within)):
        return Looked(contract)
    if within.last < contract.started_on:  # a term so short that its notice would come before the contract
        return Looked(contract)
    facts = {
        "step": "renewal_notice", "contract": contract.id, "renews_on": renews.isoformat(),
        "refusal_until": last.isoformat(), "from": within.first.isoformat(), "to": within.last.isoformat(),
        "in_time": setting.on <= within.last,
    }  # fmt: skip
    letter = Letter(
        "renewal.notice",
        {"contract": f"{contract.name} ({contract.number})", "refusal_until": last.isoformat(),
         "renews_on": renews.isoformat(), "link": ""},
    )  # fmt: skip
    noted = Noted("happened", "order", ("B23",), facts)
    return Looked(replace(contract, notices=(*contract.notices, setting.on)), (letter,), (noted,))


def _again_on(contract: Contract, within: NoticeWindow) -> tuple[date, ...]:
    """When a notice that did not arrive is sent again: a week later, and on the last day that counts at the latest."""
    if not contract.undelivered:
        return ()
    last = contract.undelivered[-1]
    again = last + _AGAIN
    return (min(again, within.last) if last < within.last else again,)


def _was_told(contract: Contract, within: NoticeWindow) -> bool:
    return any(day >= within.first for day in contract.notices)


def _said(contract: Contract, found: Termination) -> dict[str, str | int | bool]:
    return {
        "step": "terminated", "contract": contract.id, "termination": found.id, "channel": found.channel,
        "asked_at": found.asked_at.isoformat(), "ends_on": found.ends_on.isoformat(), "effects": found.effects,
        "wished_on": found.wished_on.isoformat() if found.wished_on is not None else "", "free": found.free,
        "due_minor": found.due_minor,
    }  # fmt: skip


def _owed(contract: Contract, after: Aftercare, minor: int, notice_on: date) -> Due:
    """What was paid in advance, within thirty days of the end; no refund of the order brings it: it was paid later."""
    return new_due(
        after, "renewal", source_of(contract), amount_minor=minor, product_minor=minor, notice_on=notice_on,
        by_hand=True,
    )  # fmt: skip


def _by(act: Terminate) -> Literal["checkout", "shop"]:
    return "checkout" if act.channel == "web" else "shop"
