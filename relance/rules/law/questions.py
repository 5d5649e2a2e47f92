"""`relance law ask`: one question in, one answer out. Shapes: docs/law.md; nothing is computed here.

An answer is `{"result", "rule", "article", "reading", "facts"}`, a refusal `{"error", "field"}`; both repeat the
question's `id` when it has one.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from relance.rules.law import asks, consents, delivery, refunds, verdict, withdrawal
from relance.rules.law.archive import ArchiveTerms, archive_until
from relance.rules.law.asks import KINDS
from relance.rules.law.book import Book, NotInForce, Rule
from relance.rules.law.buttons import ButtonLists, check_button
from relance.rules.law.calendar import Holidays, paris_date, rolled
from relance.rules.law.document import Document
from relance.rules.law.prices import PriorTerms, prior_price
from relance.rules.law.renewal import NoticeTerms, notice_window
from relance.rules.law.terms import Unanswerable, parameters
from relance.rules.law.totals import Coupon, Delivery, totals

__all__ = ["KINDS", "answer", "answer_line"]

_ARTICLE: Final = re.compile(r"[LRD]\d[\d-]*\b")
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_TARIFF_ARTICLE: Final = {"withdrawal": "L242-4", "delivery": "L241-4", "guarantee": "L241-6"}


class _Answer(NamedTuple):
    """`article` None: the rule's own; `unsettled`: the answer rests on a reading of ours, whatever the rule says.

    `of`: the version that answers where it is not that of the day.
    """

    result: Any
    rule: str
    facts: dict[str, Any]
    article: str | None = None
    unsettled: bool = False
    of: Rule | None = None


def answer_line(line: bytes, book: Book, today: date) -> bytes:
    """The answer to one line of JSON as one line of JSON, without its end. Never raises for what came in."""
    return _ENCODER.encode(answer(line, book, today))


def answer(line: bytes, book: Book, today: date) -> dict[str, Any]:
    """The answer to one line of JSON. `today` is the date of the law where neither the question nor its act has one."""
    head: dict[str, Any] = {}
    try:
        asked = asks.read(line)
        if asked.id is not None:
            head["id"] = asked.id
        day, respond = _plan(asked, today)
        found = respond(asked, book, day)
        rule = found.of or book.rule(found.rule, day)
    except Unanswerable as error:
        return head | {"error": error.reason, "field": error.field}
    except NotInForce as error:
        return head | {"error": str(error), "field": "on"}
    return head | {
        "result": found.result,
        "rule": found.rule,
        "article": _cited(found.article or rule.article),
        "reading": "U" if found.unsettled else rule.reading,
        "facts": {"law_on": day, "version": rule.version} | found.facts,
    }


def _cited(article: str) -> str:
    """An article of a code without its paragraph, L221-24 of "L221-24 al. 1, 4"; anything else as it is cited."""
    found = _ARTICLE.match(article)
    return found[0] if found else article


def _plan(asked: asks.Asked, today: date) -> tuple[date, Callable[[Any, Book, date], _Answer]]:
    """(date of the law, who answers): the date that was asked for, else the act's own, else today."""
    own, respond = _ASKED[type(asked)]
    act = getattr(asked, own, None) if own else None
    if act is None and isinstance(asked, asks.PricePrior):
        act = asked.reduction.start.day
    day = today if act is None else paris_date(act) if hasattr(act, "hour") else act
    return asked.on or day, respond


def _informed(asked: asks.WithdrawalDeadline) -> withdrawal.Informed:
    if isinstance(asked.informed, asks.InformedAt):
        day = asked.informed.at.day
        return withdrawal.Informed(in_time=day <= paris_date(asked.concluded_at), on=day)
    return withdrawal.Informed(in_time=asked.informed)


def _lines(asked: asks.WithdrawalDeadline) -> tuple[str, ...]:
    names = tuple(str(line.id) for line in asked.lines)
    for place, name in enumerate(names):
        if name in names[:place]:
            raise Unanswerable(f"lines[{place}].id", f"two lines have the id {name!r}")
    return names


def _of_period(period: withdrawal.Period) -> dict[str, Any]:
    if period.last_day is None:
        return {"open": True}
    return {"last_day": period.last_day, "ends_at": period.ends_at}


def _facts_of(period: withdrawal.Period) -> dict[str, Any]:
    return {"runs_from": period.from_day, "initial_last_day": period.initial_last_day, "article": period.article}


def _deadline(asked: asks.WithdrawalDeadline, book: Book, day: date) -> _Answer:
    names, law = _lines(asked), withdrawal.terms(book, day)
    found = withdrawal.periods(asked.concluded_at, asked.lines, _informed(asked), law)
    rule = _period_rule(found)
    facts = {"lines": {name: _facts_of(period) for name, period in zip(names, found, strict=True)}}
    result = {"lines": {name: _of_period(period) for name, period in zip(names, found, strict=True)}}
    return _Answer(result, rule, facts, unsettled=_mixes_regular(asked))


def _period_rule(found: tuple[withdrawal.Period, ...]) -> str:
    if any(period.article == "L221-20" for period in found):
        return "B03"
    return "B02" if all(period.last_day is None for period in found) else "B01"


def _mixes_regular(asked: asks.WithdrawalDeadline) -> bool:
    """Goods in regular deliveries beside other goods in one order: no article says whether they run together."""
    return len({line.regular for line in asked.lines if line.kind == "goods"}) == 2


def _decision(asked: asks.WithdrawalDecision, book: Book, day: date) -> _Answer:
    names, law = _lines(asked), withdrawal.terms(book, day)
    found = withdrawal.decide(asked.concluded_at, asked.lines, _informed(asked), asked.stated_at, law)
    excepted = any(decision.outcome == "excepted" for decision in found)
    rule = "B17" if excepted else _period_rule(tuple(decision.period for decision in found))
    facts = {
        name: {"reason": decision.reason} | _of_period(decision.period) | _facts_of(decision.period)
        for name, decision in zip(names, found, strict=True)
    }
    outcomes = {name: decision.outcome for name, decision in zip(names, found, strict=True)}
    result = {"lines": outcomes, "acknowledge": True}
    return _Answer(result, rule, {"lines": facts}, unsettled=_mixes_regular(asked))


def _refund_amount(asked: asks.RefundAmount, book: Book, day: date) -> _Answer:
    service = asked.service
    lines = (asked.lines_minor,) if isinstance(asked.lines_minor, int) else asked.lines_minor
    found = refunds.amount(lines, asked.delivery_paid_minor, asked.modes, service, (book, day))
    only_service = service is not None and not sum(lines)
    return _Answer({"refund_minor": found.refund_minor}, "B25" if only_service else "B12", found._asdict())


def _refund_due(asked: asks.RefundDue, book: Book, day: date) -> _Answer:
    due = refunds.due_on(
        asked.notice_on,
        recovered_on=asked.recovered_on,
        dispatched_on=asked.dispatched_on,
        shipped=asked.shipped,
        collection_offered=asked.collection_offered,
        law=(book, day),
    )
    waits = asked.shipped and not asked.collection_offered
    facts = {"may_wait_for_goods": waits, "rolled": False}
    return _Answer({"not_yet": True} if due is None else {"due_on": due}, "B13" if waits else "B12", facts)


def _surcharge(asked: asks.RefundSurcharge, book: Book, day: date) -> _Answer:
    found = refunds.late(
        asked.regime, asked.sum_minor, asked.product_minor, asked.due_on, asked.refunded_on, (book, day)
    )
    facts = found._asdict() | {"percent": "legal rate by day" if found.percent is None else _number(found.percent)}
    result = {"surcharge_minor": found.minor, "total_minor": asked.sum_minor + found.minor}
    return _Answer(result, refunds.TARIFF_RULE[asked.regime], facts, _TARIFF_ARTICLE[asked.regime])


def _number(value: Any) -> int | float:
    return int(value) if value == int(value) else float(value)


def _latest(asked: asks.DeliveryLatest, book: Book, day: date) -> _Answer:
    latest = delivery.latest_on(asked.concluded_at, asked.promised_on, (book, day))
    promised = asked.promised_on is not None
    # Whether thirty days that end on a day off are moved is open; that they are not is our reading.
    unsettled = not promised and rolled(latest, parameters(book, "B01", day, Holidays)) != latest
    return _Answer({"latest_on": latest}, "C01", {"promised": promised, "rolled": False}, unsettled=unsettled)


def _resolution(asked: asks.DeliveryResolution, book: Book, day: date) -> _Answer:
    found = delivery.resolve(
        asked.promised_on,
        notice=asked.notice,
        essential=asked.essential,
        delivered_at=asked.delivered_at,
        resolution_received_at=asked.resolution_received_at,
        law=(book, day),
        refused=asked.refused,
    )
    result: dict[str, Any] = {"resolved": found.resolved}
    if found.refund_due_on is not None:
        result["refund_due_on"] = found.refund_due_on
    return _Answer(result, found.rule, {"reason": found.reason}, unsettled=found.unsettled)


def _prior(asked: asks.PricePrior, book: Book, day: date) -> _Answer:
    found = prior_price(
        asked.prices, asked.reduction, asked.announced_percent, parameters(book, "D01", day, PriorTerms)
    )
    result = {"prior_minor": found.prior_minor, "percent": _number(found.percent), "allowed": found.allowed}
    facts = {
        "window_from": found.window_from,
        "window_until": found.window_until,
        "in_campaign": found.in_campaign,
        "whole_window_known": found.whole_window,
    }
    return _Answer(result, "D03" if found.in_campaign else "D01", facts, unsettled=not found.whole_window)


def _button(asked: asks.ButtonCheck, book: Book, day: date) -> _Answer:
    now, later = asked.order.due_now_minor, asked.order.due_later_minor
    lists = parameters(book, "A04", day, ButtonLists)
    found = check_button(asked.accessible_name, asked.language, due_now_minor=now, due_later_minor=later, lists=lists)
    rule = "A05" if now == 0 and later > 0 and "A05" in book.on(day) else "A04"
    return _Answer("allowed" if found.allowed else "refused", rule, {"status": found.status}, unsettled=found.unsettled)


def _checkout(asked: asks.CheckoutCheck, book: Book, _day: date) -> _Answer:
    document = asks.convert(asked.checkout, Document, "checkout")
    found = verdict.check(document, book, asked.on)
    result = {
        "allowed": found.allowed,
        "blockers": [_of_finding(finding) for finding in found.blockers],
        "warnings": [_of_finding(finding) for finding in found.warnings],
    }
    held = asked.on or paris_date(document.at)
    if not found.blockers:
        return _Answer(result, "A01", {"law_on": held}, of=book.rule("A01", held))
    first = found.blockers[0]
    broken = next(rule for rule in book.versions(first.rule) if rule.version == first.version)
    return _Answer(result, first.rule, {"law_on": held}, first.article, of=broken)


def _of_finding(finding: verdict.Finding) -> dict[str, str]:
    return {"rule": finding.rule, "article": finding.article, "field": finding.field, "reason": finding.reason}


def _consent(asked: asks.ConsentDerive, book: Book, day: date) -> _Answer:
    found = consents.derive(asked.contact_history, asked.channel, asked.purpose, asked.at, (book, day))
    result = {"allowed": found.allowed, "basis": found.basis, "rule": found.rule}
    facts: dict[str, Any] = {"reason": found.reason, "since": found.since}
    if asked.channel.lower().startswith(("phone", "call")):
        holidays = parameters(book, "B01", day, Holidays)
        facts["within_call_hours"] = consents.call_hours(asked.at, holidays, (book, day))
    return _Answer(result, found.rule, facts, "L34-5" if found.rule == "E03" else None, unsettled=found.unsettled)


def _archive(asked: asks.ArchiveUntil, book: Book, day: date) -> _Answer:
    until = archive_until(
        asked.total_minor, asked.concluded_on, asked.deliveries, parameters(book, "G09", day, ArchiveTerms)
    )
    unsettled = until is not None and not asked.deliveries
    facts = {"counted_from": max([asked.concluded_on, *asked.deliveries])} if until is not None else {}
    return _Answer(until, "G09", facts, unsettled=unsettled)


def _renewal(asked: asks.RenewalWindow, book: Book, day: date) -> _Answer:
    if asked.refusal_until > asked.renews_on:
        raise Unanswerable("refusal_until", "renewal may be refused until it happens at the latest")
    found = notice_window(asked.refusal_until, asked.notice_sent_on, parameters(book, "B23", day, NoticeTerms))
    result: dict[str, Any] = {"from": found.first, "to": found.last}
    facts: dict[str, Any] = {}
    if found.valid is not None:
        result["valid"] = found.valid
        if not found.valid:
            facts["consumer_may_leave_from"] = asked.renews_on
    return _Answer(result, "B23", facts)


def _totals(asked: asks.TotalsOf, _book: Book, _day: date) -> _Answer:
    coupon = Coupon(amount_minor=asked.coupon) if isinstance(asked.coupon, int) else asked.coupon
    ship = Delivery(fee_minor=asked.delivery) if isinstance(asked.delivery, int) else asked.delivery
    found = totals(asked.lines, coupon, ship)
    lines = [
        ({} if line.id is None else {"id": line.id}) | {"net_minor": net}
        for line, net in zip(asked.lines, found.net_minor, strict=True)
    ]
    vat = {_rate(rate): amount for rate, amount in found.vat_minor.items()}
    result = {"lines": lines, "vat": vat, "total_minor": found.total_minor}
    facts = {
        "gross_minor": found.gross_minor,
        "discount_minor": found.discount_minor,
        "delivery_minor": found.delivery_minor,
        "taxed_minor": {_rate(rate): amount for rate, amount in found.taxed_minor.items()},
    }
    return _Answer(result, "A13", facts)


def _rate(rate: Decimal) -> str:
    """20, 5.5, 2.1: as a rate is written, however it was given."""
    return format(rate.normalize(), "f")


# Each question: the field whose date is the act's own, and who answers it.
_ASKED: Final[Mapping[type[asks.Asked], tuple[str | None, Callable[[Any, Book, date], _Answer]]]] = {
    asks.WithdrawalDeadline: ("concluded_at", _deadline),
    asks.WithdrawalDecision: ("concluded_at", _decision),
    asks.RefundAmount: (None, _refund_amount),
    asks.RefundDue: ("notice_on", _refund_due),
    asks.RefundSurcharge: ("due_on", _surcharge),
    asks.DeliveryLatest: ("concluded_at", _latest),
    asks.DeliveryResolution: ("resolution_received_at", _resolution),
    asks.PricePrior: (None, _prior),
    asks.ButtonCheck: (None, _button),
    asks.CheckoutCheck: (None, _checkout),
    asks.ConsentDerive: ("at", _consent),
    asks.ArchiveUntil: ("concluded_on", _archive),
    asks.RenewalWindow: ("refusal_until", _renewal),
    asks.TotalsOf: (None, _totals),
}
assert {kind.__struct_config__.tag for kind in _ASKED} == set(KINDS), "each question has one who answers it"
