"""What follows orders, in words for a shop's owner: each date with its reason, each cost with its article.

Pure text out of the messages of AftercareService; a line that goes on from another is indented.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from relance.rules.law.book import Rule

__all__ = [
    "acknowledged", "claim_lines", "delivery_lines", "due_lines", "instant", "late_lines", "money", "readings",
    "withdrawal_lines",
]  # fmt: skip

_STEPS: Final = 4  # of a tariff that is not owed yet; it goes on
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_AFTER: Final = "   "


def due_lines(due: Any, order: Any, on: str) -> Iterator[str]:
    """A sum that is not late. `due`: aftercare_pb2.Due; `order`: checkout_pb2.Order; `on`: the day of the list."""
    when = f"due on {_day(due.due_on)}, {_ahead(on, due.due_on)}" if due.due_on else "wait, and have no date yet"
    yield f"{money(due.open_minor)} {when} ({due.regime})"
    yield f"{_AFTER}order {due.order_id}, due {due.due_id}"
    yield from _made_of(due, order)
    yield from _refund_lines(due, order.refunds)
    steps = [f"from {_day(step.from_on)} {_rate(step.percent)}, {_costs(step)}" for step in due.forecast[:_STEPS]]
    if steps:
        more = "; …" if len(due.forecast) > _STEPS else ""
        yield f"{_AFTER}late, it would cost on top: {'; '.join(steps)}{more} ({_cited(due)})"


def late_lines(due: Any, order: Any, on: str) -> Iterator[str]:
    """A sum that is late: the bracket of the day with its article, the cap, the next bracket, its refunds."""
    ago = f"was due on {_day(due.due_on)}, {_count((_read(on) - _read(due.due_on)).days, 'day')} ago"
    owed = money(due.open_minor) if due.open_minor else f"{money(due.amount_minor)}, paid late,"
    yield f"{owed} {ago} ({due.regime})"
    yield f"{_AFTER}order {due.order_id}, due {due.due_id}"
    yield from _made_of(due, order)
    yield f"{_AFTER}today: {_today(due, on)} ({_cited(due)})"
    if due.cap_minor:
        reached = ", which is reached" if due.surcharge_known and due.surcharge_minor >= due.cap_minor else ""
        yield f"{_AFTER}at most: {money(due.cap_minor)} on top, {_cap(due, reached)}"
    following = next((step for step in due.forecast if step.from_on > on), None)
    if following is not None:
        begins = f"from {_day(following.from_on)} (day {(_read(following.from_on) - _read(due.due_on)).days})"
        yield f"{_AFTER}next: {begins} {_rate(following.percent)}, {_costs(following)}"
    yield from _refund_lines(due, order.refunds)


def delivery_lines(late: Any, order: Any, law: "Mapping[str, Rule]", on: str) -> Iterator[str]:
    """An order of which something should have come. `late`: aftercare_pb2.LateDelivery; `law`: rules of the day."""
    first = min(one.latest_on for one in late.lines)
    days = max(one.days for one in late.lines)
    yield f"delivery was due on {_day(first)}, {_count(days, 'day')} ago"
    yield f"{_AFTER}order {late.order_id}"
    names = _names(order)
    for one in late.lines:
        essential = "; its date is essential" if one.essential else ""
        yield (
            f"{_AFTER}{one.units} x {names.get(one.line_id, one.line_id)} by {_day(one.latest_on)}, "
            f"{_count(one.days, 'day')} late{essential} ({_rule(law, 'C01')})"
        )
    for incident in late.incidents:
        yield f"{_AFTER}parcel {incident.parcel_id}: {incident.kind} on {_day(paris_day(incident.at))}"
    for notice in late.notices:
        over = "is over" if notice.until < on else "runs"
        noticed = f"notice of {_day(paris_day(notice.at))} by {notice.medium}"
        yield f"{_AFTER}{noticed}: extra time until {_day(notice.until)} {over}"
    yield f"{_AFTER}the consumer {_may(late, law, on)}"
    back = law["C05"].parameters["days"]
    yield f"{_AFTER}once he ends it, all he paid for it is due within {back} days ({_rule(law, 'C05')})"


def claim_lines(entry: Any, order: Any, law: "Mapping[str, Rule]") -> Iterator[str]:
    """A claim under the legal guarantee that was not put right in time. `entry`: aftercare_pb2.ClaimEntry."""
    claim, names = entry.claim, _names(order)
    yield f"{claim.asked} under guarantee was due on {_day(entry.right_until)}, {_count(entry.late_days, 'day')} ago"
    yield f"{_AFTER}order {entry.order_id}, claim {claim.claim_id}"
    name = names.get(claim.line_id, claim.line_id)
    yield f"{_AFTER}{claim.units} x {name}: claimed on {_day(paris_day(claim.opened_at))}, {claim.state}"
    cited = f"{law['C10'].parameter_articles['right_days']}, C10"
    yield f"{_AFTER}the consumer may now ask for a lower price or the end of the sale ({cited})"


def withdrawal_lines(one: Any, order: Any = None) -> Iterator[str]:
    """A statement with what it achieves. `one`: aftercare_pb2.Withdrawal."""
    statement, names = one.statement, _names(order) if order is not None else {}
    waits = "; goods are waited for" if one.awaits_goods else ""
    yield f"withdrawal of {instant(statement.stated_at)} by {statement.channel}; {acknowledged(statement)}{waits}"
    yield f"{_AFTER}order {one.order_id}, statement {statement.statement_id}"
    if statement.received_at != statement.stated_at:
        yield f"{_AFTER}it came on {instant(statement.received_at)}: sending decides, receipt begins the time to pay"
    for decision in statement.decisions:
        article = f" ({', '.join(filter(None, (decision.article, decision.rule)))})" if decision.article else ""
        last = f", last day {_day(decision.last_day)}" if decision.last_day else ""
        name = names.get(decision.line_id, f"line {decision.line_id}")
        yield f"{_AFTER}{decision.units} x {name}: {decision.outcome}{last}: {decision.reason}{article}"
    for name, on in (("goods back", statement.returned_on), ("dispatch proven", statement.dispatched_on)):
        if on:
            yield f"{_AFTER}{name} on {_day(on)}"


def readings(dues: Iterable[Any]) -> set[str]:
    """The rules whose text leaves something open, which we read in one way."""
    return {one.rule for one in dues if one.reading == "U" and one.rule}


def acknowledged(statement: Any) -> str:
    """Whether a statement is acknowledged, and when."""
    at = statement.acknowledged_at
    if at:
        return f"acknowledged {instant(at)}"
    return "NOT ACKNOWLEDGED: no mail reaches it, send a letter" if statement.by_post else "NOT ACKNOWLEDGED YET"


def instant(text: str) -> str:
    """An instant as people in Paris read it, to the minute."""
    return f"{_paris(text):%Y-%m-%d %H:%M}"


def paris_day(text: str) -> str:
    """The Paris date of an instant."""
    return _paris(text).date().isoformat()


def money(minor: int) -> str:
    """A sum as people write it."""
    return f"{_plain(minor)} EUR"


def _made_of(due: Any, order: Any) -> Iterator[str]:
    names = _names(order)
    units = ", ".join(f"{count} x {names.get(line, line)}" for line, count in sorted(due.units.items()))
    parts = f"goods {_plain(due.goods_minor)}, delivery {_plain(due.delivery_minor)}"
    if due.service_kept_minor:
        parts += f", {_plain(due.service_kept_minor)} kept for service used"
    if due.by_hand:
        parts += ", paid by hand: no refund brings it"
    yield f"{_AFTER}for {units}: {parts}" if units else f"{_AFTER}{parts}"
    yield f"{_AFTER}why then: {due.why}"


def _today(due: Any, on: str) -> str:
    """Which day of lateness, which bracket, and what that costs."""
    day = f"day {due.late_days} of lateness"
    if not due.surcharge_known:
        return f"{day}, surcharge unknown: {due.missing}"
    if not due.open_minor:
        return f"went on {day}; {money(due.surcharge_minor)} on top are still to be paid"
    rate = _rate(due.percent)
    exact = due.percent.isdigit() and due.surcharge_minor == (due.open_minor * int(due.percent) + 50) // 100
    of = f" of {money(due.open_minor)}" if exact else ""
    return f"{day}; {_bracket(due, on)}{rate}{of}, {money(due.surcharge_minor)} on top"


def _cap(due: Any, reached: str) -> str:
    """What the cap is: the price of the goods by the article; where none was paid, the sum itself by our reading."""
    is_sum = not due.goods_minor and not due.service_kept_minor and due.cap_minor == due.amount_minor
    if is_sum:
        return f"the sum itself, as nothing was paid for the goods{reached} (our reading of {due.article})"
    return f"the price of the goods{reached} ({due.article})"


def _bracket(due: Any, on: str) -> str:
    """The days that cost the same rate, as the tariff's steps bound them."""
    begun = [step for step in due.forecast if step.from_on <= on]
    if not begun:
        return ""
    first = (_read(begun[-1].from_on) - _read(due.due_on)).days
    following = next((step for step in due.forecast if step.from_on > on), None)
    if following is None:
        return f"from day {first} on: "
    return f"days {first} to {(_read(following.from_on) - _read(due.due_on)).days - 1}: "


def _refund_lines(due: Any, refunds: Iterable[Any]) -> Iterator[str]:
    for number, one in enumerate((one for one in refunds if one.id in due.refund_ids), start=1):
        if one.state == "failed":
            why = one.reason or "no reason given"
            way = "agree on another way: `relance checkout refunds redirect` (L221-24 al. 3)"
            yield f"{_AFTER}refund {number} failed on {_day(paris_day(one.failed_at))} ({why}): {way}"
        elif one.by_hand and one.state != "succeeded":
            yield f"{_AFTER}refund {number} goes by hand: send it, then `relance checkout refunds settle`"
        else:
            yield f"{_AFTER}refund {number} of {money(one.amount_minor)}: {one.state}"
    if not due.refund_ids and due.open_minor:
        yet = "" if due.due_on else " yet, and need not be"
        yield f"{_AFTER}no refund was asked for{yet}: PayDue asks for it, or records what was paid by hand"


def _may(late: Any, law: "Mapping[str, Rule]", on: str) -> str:
    holds = f"may hold back payment ({_rule(law, 'C02')})"
    if any(one.essential for one in late.lines):
        return f"may end the contract at once: the date was essential ({_rule(law, 'C04')})"
    if any(notice.until < on for notice in late.notices):
        return f"may end the contract by any writing: his extra time is over ({_rule(law, 'C03')})"
    if late.notices:
        return f"{holds}, and end the contract once his extra time is over ({_rule(law, 'C03')})"
    return f"{holds}, or give notice with extra time ({_rule(law, 'C03')})"


def _rule(law: "Mapping[str, Rule]", id_: str) -> str:
    return f"{law[id_].article}, {id_}"


def _cited(due: Any) -> str:
    reading = f"reading {due.reading}" if due.reading == "U" else ""
    return ", ".join(filter(None, (due.article, due.rule, reading)))


def _rate(percent: str) -> str:
    return "the legal rate by the day" if percent == "legal" else f"{percent} %"


def _costs(step: Any) -> str:
    return f"{money(step.surcharge_minor)} on top" if step.surcharge_known else "its rate is not entered"


def _names(order: Any) -> dict[str, str]:
    return {line.id: line.name for line in order.lines}


def _ahead(on: str, due_on: str) -> str:
    days = (_read(due_on) - _read(on)).days
    if days < 0:
        return f"{_count(-days, 'day')} ago"
    return "today" if not days else "tomorrow" if days == 1 else f"in {days} days"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _day(text: str) -> str:
    return f"{_DAYS[_read(text).weekday()]} {text}"


def _paris(text: str) -> datetime:
    from relance.rules.law.calendar import PARIS

    return datetime.fromisoformat(text).astimezone(PARIS)


def _read(text: str) -> date:
    return date.fromisoformat(text)


def _plain(minor: int) -> str:
    return f"{minor / 100:.2f}"
