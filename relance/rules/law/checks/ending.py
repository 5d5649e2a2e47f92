"""Part B, the functions by which a consumer ends a contract, and what follows a statement of his."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import msgspec

from relance.rules.law.acts import Contract, Statement
from relance.rules.law.book import Rule
from relance.rules.law.calendar import paris_date
from relance.rules.law.checks.items import withdrawable
from relance.rules.law.checks.registry import Fault, meaning
from relance.rules.law.document import Document
from relance.rules.law.renewal import NoticeTerms, NoticeWindow, notice_window

__all__: list[str] = []


def _statements(document: Document) -> Iterator[tuple[str, Statement]]:
    for place, statement in enumerate(document.order.statements if document.order is not None else ()):
        yield f"order.statements.{place}", statement


def _contracts(document: Document) -> Iterator[tuple[str, Contract]]:
    for place, contract in enumerate(document.order.contracts if document.order is not None else ()):
        yield f"order.contracts.{place}", contract


def _asked(rule: Rule, field: str, asked: tuple[str, ...] | None) -> Iterator[Fault]:
    """What a function has to ask, and what it may."""
    if asked is None:
        return
    wanted = rule.parameters["fields"]
    for name in wanted:
        if name not in asked:
            yield Fault(field, f"the function does not ask for the {name.replace('_', ' ')}")
    for name in asked:
        if name not in (*wanted, *rule.parameters["by_choice"]):
            yield Fault(field, f"the function asks for the {name.replace('_', ' ')}, which it may not")


def _named(rule: Rule, field: str, label: str | None) -> Iterator[Fault]:
    """The name of a control."""
    if label is not None and label.strip().casefold().replace("\u2019", "'") not in rule.parameters["labels"]:
        yield Fault(field, f"the control is called {label!r}, not as the law names it")


@meaning("B04", "order")
def any_statement(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """No statement is refused for how it was made."""
    for path, statement in _statements(document):
        if statement.refused_for in rule.parameters["no_grounds"]:
            reason = f"a withdrawal is not refused for its {statement.refused_for.replace('_', ' ')}: any words do"
            yield Fault(f"{path}.refused_for", reason)


@meaning("B06", "shop")
def withdrawal_fields(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Name, contract, electronic means; nothing else."""
    if withdrawable(document):
        yield from _asked(rule, "legal.withdrawal_fields", document.legal.withdrawal_fields)


@meaning("B07", "shop")
def second_control(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The confirming control under its name, and nothing before it."""
    if not withdrawable(document):
        return
    yield from _named(rule, "legal.withdrawal_confirm_label", document.legal.withdrawal_confirm_label)
    for what in document.legal.withdrawal_between:
        reason = f"between the two controls stands what may hold the consumer back: {what.replace('_', ' ')}"
        yield Fault("legal.withdrawal_between", reason)


@meaning("B08", "order")
def acknowledgement(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """What was stated online is acknowledged, on a durable medium, with its content, date and time."""
    within = timedelta(hours=rule.parameters["within_hours"])
    for path, statement in _statements(document):
        if statement.channel != "web":
            continue
        if (statement.acknowledged_at or now) - statement.stated_at > within:
            yield Fault(f"{path}.acknowledged_at", "the statement was not acknowledged without undue delay")
        if statement.acknowledged_at is None:
            continue
        if statement.medium not in rule.parameters["media"]:
            yield Fault(f"{path}.medium", "the acknowledgement is on no durable medium")
        if not statement.holds_content:
            yield Fault(f"{path}.holds_content", "the acknowledgement lacks the content of the statement")
        if not statement.holds_time:
            yield Fault(f"{path}.holds_time", "the acknowledgement lacks the date and time of the statement")


@meaning("B09", "order")
def in_time(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The instant of the statement decides, and nobody hides the function beforehand."""
    for path, statement in _statements(document):
        last = statement.last_day
        if statement.refused_for == "late" and last is not None and paris_date(statement.stated_at) <= last:
            yield Fault(f"{path}.refused_for", f"it was stated by {last}: when it arrives does not matter")
    if document.order is not None and document.order.function_hidden:
        yield Fault("order.function_hidden", "the right is looked at after the statement, not by hiding the function")


@meaning("B18", "order")
def ancillary(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Contracts beside what was withdrawn from have ended."""
    for name in document.order.ancillary_kept if document.order is not None else ():
        yield Fault("order.ancillary_kept", f"{name} ended with the contract beside which it stands, at no cost")


@meaning("B26", "order")
def own_content(_rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The consumer's own content goes back to him."""
    if document.order is not None and document.order.content_withheld:
        yield Fault("order.content_withheld", "content that the consumer made is given back when he asks")


@meaning("B20", "shop")
def termination(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """The function is there, under its name, without a new account."""
    legal = document.legal
    if legal.termination_url is not None and not legal.termination_url.strip():
        yield Fault("legal.termination_url", "there is no online termination function")
    yield from _named(rule, "legal.termination_label", legal.termination_label)
    if legal.termination_account_required:
        yield Fault("legal.termination_account_required", "nobody creates an account to end a contract")


@meaning("B21", "shop")
def termination_fields(rule: Rule, document: Document, _now: datetime) -> Iterator[Fault]:
    """Name, address, reference and date; a reason where the end depends on it."""
    yield from _asked(rule, "legal.termination_fields", document.legal.termination_fields)


@meaning("B22", "shop")
def notification(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """A recap, the notifying control, and a confirmation that says when and how the contract ends."""
    if document.legal.termination_recap is False:
        yield Fault("legal.termination_recap", "no page to verify and modify comes before the notification")
    yield from _named(rule, "legal.termination_confirm_label", document.legal.termination_confirm_label)
    within = timedelta(hours=rule.parameters["within_hours"])
    for path, contract in _contracts(document):
        if contract.asked_at is None:
            continue
        if (contract.confirmed_at or now) - contract.asked_at > within:
            yield Fault(f"{path}.confirmed_at", "the termination was not confirmed in reasonable time", "L215-1-1")
        if contract.confirmed_at is None:
            continue
        if contract.medium not in rule.parameters["media"]:
            yield Fault(f"{path}.medium", "the confirmation is on no durable medium", "L215-1-1")
        if not contract.holds_end:
            reason = "the confirmation lacks the date on which the contract ends, or the effects"
            yield Fault(f"{path}.holds_end", reason, "L215-1-1")


@meaning("B23", "order")
def renewal_notice(rule: Rule, document: Document, now: datetime) -> Iterator[Fault]:
    """Told in time; else free to leave, with what was paid in advance back within its days."""
    today, terms = paris_date(now), msgspec.convert(rule.parameters, NoticeTerms)
    days = timedelta(days=rule.parameters["refund_days"])
    for path, contract in _contracts(document):
        if contract.refusal_until is None:
            continue
        window = notice_window(contract.refusal_until, contract.notice_on, terms)
        yield from _told(path, contract, window, today)
        if contract.leave_refused and not window.valid:
            yield Fault(f"{path}.leave_refused", "without a notice in time the consumer may leave at any time")
        if contract.left_on is not None and contract.advances_minor:
            due = contract.left_on + days
            if (contract.advances_refunded_on or today) > due:
                reason = f"what was paid in advance was due back on {due}"
                yield Fault(f"{path}.advances_refunded_on", reason, "L215-1 al. 3")


def _told(path: str, contract: Contract, window: NoticeWindow, today: date) -> Iterator[Fault]:
    if contract.notice_on is None and today > window.last:
        yield Fault(f"{path}.notice_on", f"nobody was told by {window.last} that the contract renews itself")
    elif window.valid is False:
        yield Fault(f"{path}.notice_on", f"the notice is sent from {window.first} to {window.last}")
