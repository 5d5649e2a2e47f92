"""One look at a contract that goes on: notices of renewal in their window, renewals, its end, and what is owed then.

Who looks twice finds nothing more to do.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from relance.rules.law.calendar import after_months
from services.checkout.domain.aftercare import Aftercare, Due, new_due
from services.checkout.domain.contracts import (
    Advance,
    Announced,
    Contract,
    Renewal,
    Terminate,
    Termination,
    announced,
    ended_on,
    record_advance,
    refusal_until,
    renewals_after,
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

_DAY: Final = timedelta(days=1)
_AGAIN: Final = timedelta(days=7)
_RENEWALS_AT_ONCE: Final = 1200  # that a look catches up with


class Looked(NamedTuple):
    """A contract after an act, with notices of renewals, evidence, what is owed back, and the termination that its
    consumer is to be told of. `letters`: one for each of the contract's last announcements.
    """

    contract: Contract
    letters: tuple[Letter, ...] = ()
    noted: tuple[Noted, ...] = ()
    due: Due | None = None
    confirmed: Termination | None = None


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
    waiting = [(of, max(day, setting.on + _DAY)) for of, day in _waiting(contract, setting)]  # not the day that is done
    return min([renews, *(day for of, day in waiting if day <= refusal_until(contract, of))])


def ended(contract: Contract, after: Aftercare, act: Terminate, setting: Setting) -> Looked | Refusal:
    """The contract once its consumer has notified its end, and what goes back of what he paid in advance. Notified
    again, it ends no later, and is confirmed again; a renewal that came after the end was none.
    """
    if contract.termination is not None and contract.termination.id == act.id:
        return Looked(contract)
    known = _renewed(contract, setting)
    found = terminate(known.contract, act, setting.law)
    if isinstance(found, Refusal):
        return found
    left = known.contract.termination
    if found == left or found.effects == "ended":
        noted = Noted("declared", "order", ("B20", "B22"), _said_again(contract, act, found), _by(act))
        return Looked(known.contract, (), (*known.noted, noted), None, replace(found, asked_at=act.asked_at))
    noted = Noted("declared", "order", ("B20", "B21", "B22", "B23"), _said(contract, found), _by(act))
    more = found.due_minor - (left.due_minor if left is not None else 0)
    due = _owed(contract, after, more, found.ends_on) if more > 0 else None
    return Looked(_left(known.contract, found), (), (*known.noted, noted), due, found)


def advanced(contract: Contract, after: Aftercare, advance: Advance, setting: Setting) -> Looked | Refusal:
    """The contract once an advance is told. One that is told after the termination adds what goes back of it."""
    found = record_advance(contract, advance, setting.on)
    if isinstance(found, Refusal):
        return found
    if found == contract:
        return Looked(found)
    told = {"step": "advance", "contract": contract.id, "advance": advance.id, "minor": advance.minor,
            "from": advance.from_on.isoformat(), "to": advance.until_on.isoformat()}  # fmt: skip
    noted: tuple[Noted, ...] = (Noted("happened", "order", ("B23",), told, "shop"),)
    left = found.termination
    owed = 0 if left is None else unused_minor(found, left.ends_on)
    if left is None or owed <= left.due_minor:
        return Looked(found, (), noted)
    more = owed - left.due_minor
    due = _owed(contract, after, more, max(left.ends_on, advance.paid_on))
    facts = {"step": "advance_owed", "contract": contract.id, "advance": advance.id, "due_minor": more}
    noted = (*noted, Noted("happened", "order", ("B23",), facts, "shop"))
    return Looked(replace(found, termination=replace(left, due_minor=owed)), (), noted, due)


def untold(contract: Contract, after: Aftercare, message: str, setting: Setting) -> Looked:
    """The contract once a notice of renewal was refused, or could not be sent: it was announced to nobody (L215-1). A
    renewal that it announced was none to him, so that he may leave; who was held to the next term has left already.
    """
    failed = next((one for one in contract.announced if one.message == message and not one.failed), None)
    if failed is None:
        return Looked(contract)
    announced = tuple(replace(one, failed=True) if one is failed else one for one in contract.announced)
    known = replace(contract, announced=announced)
    facts = {"step": "renewal_untold", "contract": contract.id, "renews_on": failed.renews_on.isoformat(),
             "notice_on": failed.on.isoformat()}  # fmt: skip
    renewals = tuple(_renewal(known, one.on, setting) for one in known.renewals)
    known = replace(known, renewals=renewals)
    noted: tuple[Noted, ...] = (Noted("happened", "order", ("B23",), facts),)
    left = known.termination
    if left is None or left.free or known.withdrawn_on is not None:
        return Looked(known, (), noted)
    act = Terminate(
        id=left.id, channel=left.channel, asked_at=left.asked_at, wished_on=left.wished_on, content=left.content
    )  # fmt: skip
    again = ended(replace(known, termination=None, ended_on=None), after, act, setting)
    freed = again.contract.termination if isinstance(again, Looked) else None
    if freed is None or freed.ends_on >= left.ends_on:
        return Looked(known, (), noted)
    freed = replace(freed, acknowledged_at=left.acknowledged_at or setting.at)  # this confirms it if nothing has
    more = freed.due_minor - left.due_minor
    due = _owed(contract, after, more, freed.ends_on) if more > 0 else None
    noted = (*noted, Noted("happened", "order", ("B23",), _said(contract, freed)))
    return Looked(_left(replace(known, ended_on=None), freed), (), noted, due, freed)


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


def _left(contract: Contract, found: Termination) -> Contract:
    """The contract that ends so: from then on it renews itself no more, also where that was counted before."""
    renewals = tuple(one for one in contract.renewals if one.on < found.ends_on)
    return replace(contract, termination=found, renewals=renewals)


def _renewed(contract: Contract, setting: Setting) -> Looked:
    """The terms that began by themselves since it was looked at last."""
    noted: list[Noted] = []
    since = contract.renewals[-1].on if contract.renewals else contract.term_from
    ends_on = contract.withdrawn_on or (contract.termination.ends_on if contract.termination is not None else None)
    for _ in range(_RENEWALS_AT_ONCE):
        day = renews_on(contract, since)
        if day is None or day > setting.on or (ends_on is not None and ends_on <= day):
            break
        renewal, since = _renewal(contract, day, setting), day
        contract = replace(contract, renewals=(*contract.renewals, renewal))
        facts = {
            "step": "renewed", "contract": contract.id, "on": day.isoformat(), "valid": renewal.valid,
            "notice_on": renewal.notice_on.isoformat() if renewal.notice_on is not None else "",
        }  # fmt: skip
        noted.append(Noted("happened", "order", ("B23",), facts))
    return Looked(contract, noted=tuple(noted))


def _renewal(contract: Contract, day: date, setting: Setting) -> Renewal:
    told = valid_notice(contract, day, setting.law_of(day))
    return Renewal(on=day, notice_on=told, valid=announced(contract, day, setting.law_of(day)))


def _told(contract: Contract, setting: Setting) -> Looked:
    """The notice of each renewal, once, from the first day of its window. A late one is sent as long as it helps: it is
    no valid notice, but the consumer knows.
    """
    if contract.termination is not None:
        return Looked(contract)
    found = Looked(contract)
    for renews, day in _waiting(contract, setting):
        if day <= setting.on <= refusal_until(contract, renews):
            found = _announce(found, renews, setting)
    return found


def _waiting(contract: Contract, setting: Setting) -> Iterator[tuple[date, date]]:
    """(renewal, day) of the notices that are still to be sent, to the first whose time has not come: those of later
    renewals wait longer. One that came back may wait beyond it.
    """
    told = {one.renews_on for one in contract.announced}
    for renews in renewals_after(contract, setting.on):
        day = _announced_on(contract, renews, setting)
        if day is not None:
            yield renews, day
            if day > setting.on and renews not in told:
                return


def _announce(found: Looked, renews: date, setting: Setting) -> Looked:
    contract, last = found.contract, refusal_until(found.contract, renews)
    within = window(contract, renews, setting.law)
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
    announced = (*contract.announced, Announced(on=setting.on, renews_on=renews))
    noted = (*found.noted, Noted("happened", "order", ("B23",), facts))
    return Looked(replace(contract, announced=announced), (*found.letters, letter), noted)


def _announced_on(contract: Contract, renews: date, setting: Setting) -> date | None:
    """From when the notice of a renewal is sent: the first day of its window, but not before two terms of a month or
    two ahead of it, so that one notice waits at a time. None once it was, or where the window lies before the contract.

    One that did not arrive is sent again a week later, and on the last day that counts at the latest.
    """
    within = window(contract, renews, setting.law)
    if within.last < contract.started_on:
        return None
    told = [one for one in contract.announced if one.renews_on == renews]
    if any(not one.failed for one in told):
        return None
    if not told:
        two_terms_ahead = after_months(renews, -2 * contract.term_months) if contract.term_months else within.first
        return max(within.first, min(two_terms_ahead, within.last))
    last = told[-1].on
    return min(last + _AGAIN, within.last) if last < within.last else last + _AGAIN


def _said(contract: Contract, found: Termination) -> dict[str, str | int | bool]:
    return {
        "step": "terminated", "contract": contract.id, "termination": found.id, "channel": found.channel,
        "asked_at": found.asked_at.isoformat(), "ends_on": found.ends_on.isoformat(), "effects": found.effects,
        "wished_on": found.wished_on.isoformat() if found.wished_on is not None else "", "free": found.free,
        "due_minor": found.due_minor,
    }  # fmt: skip


def _said_again(contract: Contract, act: Terminate, found: Termination) -> dict[str, str]:
    return {
        "step": "terminated_again", "contract": contract.id, "termination": act.id, "channel": act.channel,
        "asked_at": act.asked_at.isoformat(), "ends_on": found.ends_on.isoformat(),
        "wished_on": act.wished_on.isoformat() if act.wished_on is not None else "",
    }  # fmt: skip


def _owed(contract: Contract, after: Aftercare, minor: int, notice_on: date) -> Due:
    """What was paid in advance, within thirty days of the end; no refund of the order brings it: it was paid later."""
    return new_due(
        after, "renewal", source_of(contract), amount_minor=minor, product_minor=minor, notice_on=notice_on,
        by_hand=True,
    )  # fmt: skip


def _by(act: Terminate) -> Literal["checkout", "shop"]:
    return "checkout" if act.channel == "web" else "shop"
