"""Statements of withdrawal and what they bring about: recorded as they come, decided after, never refused for a form.

Whoever states it, by whatever channel, one act: what is accepted moves units and makes dues; what is late or excepted
moves nothing. The shop may always be kinder (`AcceptAnyway`).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from relance.rules.law.calendar import first_instant_after, paris_date
from services.checkout.domain.aftercare import Aftercare, Channel, LineDecision, Statement, put_in
from services.checkout.domain.follow_up import Letter, Noted, Outcome, Setting, folded, joined
from services.checkout.domain.orders import ENDED, Order, Withdraw
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.restitution import Granted, no_longer_owing, owing, paid_by_hand
from services.checkout.domain.returns import (
    CutAccess,
    PerformService,
    ProveDispatch,
    RecordReturn,
    StartService,
    cut,
    day_of,
    dispatched,
    no_statement,
    returned,
    service,
)  # fmt: skip
from services.checkout.domain.rights import (
    Amounts,
    amounts,
    ancillary,
    deadlines,
    decide,
    law_lines,
    left_units,
    stated_units,
)  # fmt: skip

__all__ = [
    "AcceptAnyway", "AcknowledgeByPost", "Amounts", "CutAccess", "Inform", "PerformService", "ProveDispatch",
    "ProveUnsealed", "RecordReturn", "StartService", "StateWithdrawal", "WithdrawalAct", "accept_anyway",
    "acknowledge_by_post", "acknowledged", "amounts", "check", "cut", "deadlines", "decide", "dispatched", "inform",
    "law_lines", "left_units", "returned", "service", "state", "stated_units", "step", "unacknowledged", "unknown_line",
    "unsealed",
]  # fmt: skip

replace = msgspec.structs.replace

_SEALED: Final = frozenset({5, 9})


class StateWithdrawal(msgspec.Struct, frozen=True, kw_only=True, tag="state_withdrawal"):
    """A statement. `units` by line, empty for the whole contract. `content`: hash of its words."""

    id: str
    channel: Channel
    stated_at: datetime
    received_at: datetime
    units: dict[str, int] = {}
    content: str = ""


class Inform(msgspec.Struct, frozen=True, kw_only=True, tag="inform"):
    """The information on the right of withdrawal was missing; `on`: it came then, None: never."""

    on: date | None = None


class ProveUnsealed(msgspec.Struct, frozen=True, kw_only=True, tag="prove_unsealed"):
    """The trader proves that the consumer unsealed goods of a line (L221-28 5° and 9°)."""

    line_id: str
    on: date


class AcceptAnyway(msgspec.Struct, frozen=True, kw_only=True, tag="accept_anyway"):
    """The shop takes what it need not take."""

    statement_id: str


class AcknowledgeByPost(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledge_by_post"):
    """The shop acknowledged a statement by letter, where no mail reaches the consumer."""

    statement_id: str
    on: date


WithdrawalAct = (
    StateWithdrawal | Inform | ProveUnsealed | RecordReturn | ProveDispatch | StartService | PerformService | CutAccess
    | AcceptAnyway | AcknowledgeByPost
)  # fmt: skip


def check(act: StateWithdrawal, at: datetime) -> Refusal | None:
    """Whether somebody who records a statement for a consumer says when it was made. Its form is never looked at."""
    if act.stated_at > at:
        return Refusal("stated_at", "a statement is not made in the future", "B04", "L221-21 al. 1")
    if act.received_at < act.stated_at:
        return Refusal("received_at", "nobody receives a statement before it is made", "B04", "L221-21 al. 1")
    if act.received_at > at:
        return Refusal("received_at", "a statement is recorded once it is known", "B04", "L221-21 al. 1")
    return None


def unknown_line(order: Order, units: dict[str, int]) -> Refusal | None:
    """The first line that the order does not have, for callers that name lines themselves."""
    known = {line.id for line in order.lines}
    wrong = next((line_id for line_id, count in units.items() if line_id not in known or count < 1), None)
    return None if wrong is None else Refusal(f"units.{wrong}", "this order has no such line, or no unit is named")


def step(order: Order, after: Aftercare, act: WithdrawalAct, setting: Setting) -> Outcome | Refusal:
    """What an act gives."""
    match act:
        case StateWithdrawal():
            return state(order, after, act, setting)
        case Inform():
            return inform(order, after, act, setting)
        case ProveUnsealed():
            return unsealed(order, after, act, setting)
        case RecordReturn():
            return returned(order, after, act, setting)
        case ProveDispatch():
            return dispatched(order, after, act, setting)
        case StartService() | PerformService():
            return service(order, after, act, setting)
        case CutAccess():
            return cut(order, after, act, setting)
        case AcceptAnyway():
            return accept_anyway(order, after, act, setting)
        case AcknowledgeByPost():
            return acknowledge_by_post(after, act, setting)


# -- statements -------------------------------------------------------------------------------------------------------


def state(order: Order, after: Aftercare, act: StateWithdrawal, setting: Setting) -> Outcome | Refusal:
    """A statement is recorded and acknowledged, then decided. The same one again changes nothing."""
    if after.statement(act.id) is not None:
        return Outcome(after)
    if refused := check(act, setting.at):
        return refused
    units = stated_units(order, {line_id: count for line_id, count in act.units.items() if count > 0})
    statement = Statement(
        id=act.id, channel=act.channel, stated_at=act.stated_at, received_at=act.received_at, recorded_at=setting.at,
        units=units, content=act.content or setting.content,
    )  # fmt: skip
    statement = replace(statement, decisions=decide(order, after, act.stated_at, units, setting))
    return joined(_recorded(after, statement), _moved(order, after, statement, paris_date(act.received_at), setting))


def accept_anyway(order: Order, after: Aftercare, act: AcceptAnyway, setting: Setting) -> Outcome | Refusal:
    """What was late or excepted is accepted all the same; the time to pay runs from now."""
    statement = after.statement(act.statement_id)
    if statement is None:
        return no_statement(act.statement_id)
    left = left_units(order)
    kinder = [
        _kinder(one, left.get(one.line_id, 0))
        for one in statement.decisions
        if one.outcome not in {"accepted", "ancillary"}
    ]
    if not kinder:
        return Outcome(after)
    beside = ancillary(order, after, {one.line_id: one.units for one in kinder})
    decided = replace(statement, decisions=_over(statement.decisions, [*kinder, *beside]), anyway_at=setting.at)
    return _moved(order, after, decided, setting.on, setting, before=statement)


def inform(order: Order, after: Aftercare, act: Inform, setting: Setting) -> Outcome | Refusal:
    """Information came late, or never: periods are longer (L221-20), and what was late before may now be in time."""
    if act.on is not None and act.on > setting.on:
        return Refusal("on", "nobody is informed in the future", "B03", "L221-20")
    if (after.informed, after.informed_on) == (False, act.on):
        return Outcome(after)
    now = replace(after, informed=False, informed_on=act.on)
    noted = Noted("happened", "withdrawal", ("B03",), {"step": "informed", "on": day_of(act.on)}, "shop")
    outcome = Outcome(now, noted=(noted,))
    for statement in now.statements:
        late = {one.line_id: one.units for one in statement.decisions if one.outcome == "late" and one.units}
        if not late:
            continue
        moved_order = folded(order, outcome, setting.at)
        again = decide(moved_order, outcome.after, statement.stated_at, late, setting)
        fresh = [one for one in again if one.moved]
        if not fresh:
            continue
        decided = replace(statement, decisions=_over(statement.decisions, fresh))
        notice_on = paris_date(statement.received_at)
        outcome = joined(outcome, _moved(moved_order, outcome.after, decided, notice_on, setting, before=statement))
    return outcome


def unsealed(order: Order, after: Aftercare, act: ProveUnsealed, setting: Setting) -> Outcome | Refusal:
    """The seal of a line is proven broken. What was accepted of it and not yet paid back is excepted from then on; the
    order goes on counting its units as withdrawn, because they came back.
    """
    sold = after.line(act.line_id)
    if sold is None or sold.exception not in _SEALED or not sold.exception_shown:
        reason = "no exception of sealed goods was shown for this line before the order"
        return Refusal("line_id", reason, "B17", "L221-28")
    if act.on > setting.on:
        return Refusal("on", "a seal is not proven broken in the future", "B17", "L221-28")
    if sold.unsealed_on is not None:
        return Outcome(after)
    now = replace(after, sold=put_in(after.sold, replace(sold, unsealed_on=act.on)))
    facts = {"step": "unsealed", "line": act.line_id, "on": day_of(act.on)}
    outcome = Outcome(now, noted=(Noted("happened", "withdrawal", ("B17",), facts, "shop"),))
    for statement in after.statements:
        held = [one for one in statement.decisions if one.line_id == act.line_id and one.outcome == "accepted"]
        if not held or not held[0].moved or statement.anyway_at is not None:
            continue
        rest = no_longer_owing(order, outcome.after, statement, act.line_id)
        if isinstance(rest, Refusal):
            return rest
        name = f"L221-28 {sold.exception}°"
        excepted = replace(held[0], outcome="excepted", reason=name, rule="B17", article=name, exception=sold.exception)
        decisions = tuple(excepted if one is held[0] else one for one in statement.decisions)
        decided = replace(statement, decisions=decisions)
        rest = replace(rest, statements=put_in(rest.statements, decided))
        letter = Letter("withdrawal.decided", ref=statement.id)
        outcome = joined(outcome, Outcome(rest, noted=(_decided(decided, setting),), letters=(letter,)))
    return outcome


def acknowledged(after: Aftercare, statement_id: str, at: datetime) -> Aftercare:
    """The aftercare once a statement's acknowledgement is on its way."""
    statement = after.statement(statement_id)
    if statement is None or statement.acknowledged_at is not None:
        return after
    told = replace(statement, acknowledged_at=at, by_post=False)
    return replace(after, statements=put_in(after.statements, told))


def unacknowledged(after: Aftercare, statement_id: str) -> Aftercare:
    """The aftercare once it is known that a statement's acknowledgement did not arrive: no other mail is sent."""
    statement = after.statement(statement_id)
    if statement is None or statement.acknowledged_at is None:
        return after
    untold = replace(statement, acknowledged_at=None, by_post=True)
    return replace(after, statements=put_in(after.statements, untold))


def acknowledge_by_post(after: Aftercare, act: AcknowledgeByPost, setting: Setting) -> Outcome | Refusal:
    """The shop has sent the acknowledgement as a letter, which is a durable medium too. It counts from the end of that
    day; where it was acknowledged before, nothing changes.
    """
    statement = after.statement(act.statement_id)
    if statement is None:
        return no_statement(act.statement_id)
    if not paris_date(statement.received_at) <= act.on <= setting.on:
        return Refusal("on", "since the statement came, and not in the future", "B08", "D221-5")
    if statement.acknowledged_at is not None:
        return Outcome(after)
    told = replace(statement, acknowledged_at=min(setting.at, first_instant_after(act.on)))
    facts = {"step": "acknowledged_by_post", "statement": statement.id, "on": day_of(act.on)}
    noted = Noted("happened", "withdrawal", ("B08",), facts, "shop")
    return Outcome(replace(after, statements=put_in(after.statements, told)), noted=(noted,))


def _kinder(one: LineDecision, left: int) -> LineDecision:
    units = one.units if one.moved else min(one.units, left)
    return replace(
        one, outcome="accepted", reason="the shop accepts it all the same", rule="", article="", units=units,
        moved=units > 0,
    )  # fmt: skip


def _over(decisions: tuple[LineDecision, ...], later: Sequence[LineDecision]) -> tuple[LineDecision, ...]:
    """The decisions with later ones in the place of those of the same line, or after all."""
    by_line = {one.line_id: one for one in later}
    known = {one.line_id for one in decisions}
    rest = tuple(one for one in later if one.line_id not in known)
    return (*(by_line.get(one.line_id, one) for one in decisions), *rest)


# -- within -----------------------------------------------------------------------------------------------------------


def _recorded(after: Aftercare, statement: Statement) -> Outcome:
    """The statement as it came; its acknowledgement leaves before anything is decided."""
    facts = {
        "statement": statement.id, "channel": statement.channel, "stated_at": statement.stated_at.isoformat(),
        "received_at": statement.received_at.isoformat(), "units": statement.units,
    }  # fmt: skip
    web = statement.channel == "web"
    noted = Noted(
        "declared", "withdrawal", ("B04", "B06", "B09") if web else ("B04", "B09"), facts, "checkout" if web else "shop"
    )
    letter = Letter("withdrawal.acknowledged", ref=statement.id)
    return Outcome(after, noted=(noted,), letters=(letter,))


def _moved(
    order: Order, after: Aftercare, statement: Statement, notice_on: date, setting: Setting,
    *, before: Statement | None = None,
) -> Outcome:  # fmt: skip
    """The statement with its decisions, the units that these move, and what is owed for them. `before`: it was decided
    otherwise.
    """
    known = {one.line_id for one in before.decisions if one.outcome in {"accepted", "ancillary"}} if before else set()
    fresh = [one for one in statement.decisions if one.moved and one.line_id not in known and one.units]
    counted = {one.line_id for one in before.decisions if one.moved} if before else set()
    taken = {one.line_id: one.units for one in fresh if one.line_id not in counted}
    granted = Granted(statement, tuple(fresh), notice_on)
    found = granted.amounts(order, after, setting)
    told = before is not None
    earned = found.service_kept_minor > 0 or paid_by_hand(after)
    acts = _acts(order, statement, taken, told=told, earned=earned)
    moved = folded(order, Outcome(after, acts), setting.at)
    now = owing(order, moved, after, granted, found, setting)
    now = replace(now, statements=put_in(now.statements, statement))
    letter = Letter("withdrawal.decided", ref=statement.id)
    return Outcome(now, acts=acts, noted=(_decided(statement, setting),), letters=(letter,))


def _acts(
    order: Order, statement: Statement, taken: dict[str, int], *, told: bool, earned: bool
) -> tuple[Withdraw, ...]:  # fmt: skip
    if order.state in ENDED or (told and not taken) or not any(statement.units.values()):
        return ()
    units = {line_id: count for line_id, count in statement.units.items() if count}
    medium = statement.channel
    act = Withdraw(
        stated_at=statement.stated_at, medium=medium, units=units, accepted=taken, told=told, earned=earned
    )  # fmt: skip
    return (act,)


def _decided(statement: Statement, setting: Setting) -> Noted:
    rules = {"B01", "B02"} | {one.rule for one in statement.decisions if one.rule}
    lines = {
        one.line_id: {
            "outcome": one.outcome, "units": one.units, "last_day": day_of(one.last_day), "reason": one.reason,
            "article": one.article, "exception": one.exception or 0,
        }
        for one in statement.decisions
    }  # fmt: skip
    facts = {"step": "decided", "statement": statement.id, "on": day_of(setting.on), "lines": lines}
    return Noted("happened", "withdrawal", tuple(sorted(rules)), facts)
