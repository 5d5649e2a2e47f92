"""What becomes of goods, services and access after a withdrawal, or before one: from it follow dates and sums."""

from datetime import date, datetime

import msgspec

from relance.rules.law.calendar import paris_date
from services.checkout.domain.aftercare import Aftercare, put_in
from services.checkout.domain.follow_up import Noted, Outcome, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.restitution import source_of

__all__ = [
    "CutAccess", "PerformService", "ProveDispatch", "RecordReturn", "StartService", "cut", "day_of", "dispatched",
    "no_statement", "returned", "service",
]  # fmt: skip

replace = msgspec.structs.replace


class RecordReturn(msgspec.Struct, frozen=True, kw_only=True, tag="record_return"):
    """The goods of a statement are back."""

    statement_id: str
    on: date


class ProveDispatch(msgspec.Struct, frozen=True, kw_only=True, tag="prove_dispatch"):
    """The consumer has shown that he sent the goods of a statement."""

    statement_id: str
    on: date


class StartService(msgspec.Struct, frozen=True, kw_only=True, tag="start_service"):
    """A service has begun."""

    line_id: str
    on: date


class PerformService(msgspec.Struct, frozen=True, kw_only=True, tag="perform_service"):
    """A service is fully performed."""

    line_id: str
    on: date


class CutAccess(msgspec.Struct, frozen=True, kw_only=True, tag="cut_access"):
    """Access to digital content was ended after a withdrawal."""

    line_id: str
    at: datetime


def returned(order: Order, after: Aftercare, act: RecordReturn, setting: Setting) -> Outcome | Refusal:
    """The goods of a statement came back: from then on nothing is waited for. The earliest date counts."""
    return _came_back(order, after, act, setting)


def dispatched(order: Order, after: Aftercare, act: ProveDispatch, setting: Setting) -> Outcome | Refusal:
    """The consumer has proven that he sent them, which counts as much as their coming (L221-24 al. 2)."""
    return _came_back(order, after, act, setting)


def service(
    order: Order, after: Aftercare, act: StartService | PerformService, setting: Setting
) -> Outcome | Refusal:  # fmt: skip
    """When a service began, or was fully performed: use counts from the one, the exception of 1° from the other; when
    digital content was put at the consumer's disposal: it is guaranteed from then. Not before the contract; and a day
    on which a statement was decided stays.
    """
    sold = after.line(act.line_id)
    begun = {"service", "digital"} if isinstance(act, StartService) else {"service"}
    if sold is None or sold.kind not in begun:
        return Refusal("line_id", "this order has no such service", "B25", "L221-25 al. 2")
    if act.on > setting.on:
        return Refusal("on", "not in the future", "B25", "L221-25 al. 2")
    if act.on < paris_date(order.concluded_at or order.placed_at):
        return Refusal("on", "not before the contract", "B25", "L221-25 al. 2")
    name = "started" if isinstance(act, StartService) else "performed"
    known = getattr(sold, f"{name}_on")
    changed = replace(sold, **{f"{name}_on": act.on})
    if changed == sold:
        return Outcome(after)
    decided = any(one.line_id == sold.id for statement in after.statements for one in statement.decisions)
    if known is not None and decided:
        return Refusal("on", f"a statement was decided by {known.isoformat()}", "B25", "L221-25 al. 2")
    facts = {"step": f"service_{name}", "line": sold.id, "on": day_of(act.on)}
    now = replace(after, sold=put_in(after.sold, changed))
    return Outcome(now, noted=(Noted("happened", "withdrawal", ("B25",), facts, "shop"),))


def cut(_order: Order, after: Aftercare, act: CutAccess, setting: Setting) -> Outcome | Refusal:
    """Access to digital content ends only after a withdrawal that was accepted; content of the consumer's own is given
    back when he asks (L221-26-1).
    """
    sold = after.line(act.line_id)
    if sold is None or sold.kind != "digital":
        return Refusal("line_id", "this order has no such digital content", "B26", "L221-26-1")
    decisions = (one for statement in after.statements for one in statement.decisions)
    if not any(one.line_id == act.line_id and one.moved and one.outcome != "excepted" for one in decisions):
        return Refusal("line_id", "access is not cut before a withdrawal is accepted", "B26", "L221-26-1")
    if act.at > setting.at:
        return Refusal("at", "not in the future", "B26", "L221-26-1")
    if sold.digital_cut_at is not None:
        return Outcome(after)
    facts = {"step": "access_cut", "line": sold.id, "at": act.at.isoformat()}
    now = replace(after, sold=put_in(after.sold, replace(sold, digital_cut_at=act.at)))
    return Outcome(now, noted=(Noted("happened", "withdrawal", ("B26",), facts, "shop"),))


def _came_back(
    order: Order, after: Aftercare, act: RecordReturn | ProveDispatch, setting: Setting
) -> Outcome | Refusal:  # fmt: skip
    statement = after.statement(act.statement_id)
    if statement is None:
        return no_statement(act.statement_id)
    if not paris_date(order.placed_at) <= act.on <= setting.on:
        return Refusal("on", "after the order, and not in the future", "B13", "L221-24 al. 2")
    name, field = ("returned_on", "recovered_on") if isinstance(act, RecordReturn) else ("dispatched_on",) * 2
    known = getattr(statement, name)
    if known is not None and known <= act.on:
        return Outcome(after)
    dues = tuple(
        replace(due, **{field: min(act.on, getattr(due, field) or act.on)})
        if due.source == source_of(statement) and due.shipped
        else due
        for due in after.dues
    )
    now = replace(after, statements=put_in(after.statements, replace(statement, **{name: act.on})), dues=dues)
    facts = {"step": name.removesuffix("_on"), "statement": statement.id, "on": day_of(act.on)}
    return Outcome(now, noted=(Noted("happened", "withdrawal", ("B13",), facts, "shop"),))


def no_statement(statement_id: str) -> Refusal:
    """The refusal of an act on a statement that the order does not have."""
    return Refusal("statement_id", f"this order has no statement {statement_id!r}")


def day_of(day: date | None) -> str:
    """A day as evidence writes it; empty for none."""
    return "" if day is None else day.isoformat()
