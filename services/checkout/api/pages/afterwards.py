"""What followed an order, in words: statements and what they achieved; what is owed, until when, what lateness adds."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from services.checkout.api.pages.labels import label_of
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import N_
from services.checkout.application.aftercaring import AfterView
from services.checkout.domain import letters
from services.checkout.domain.aftercare import Due, LineDecision, Statement
from services.checkout.domain.dues import Standing, Step, due_on
from services.checkout.domain.guarantees import guarantee_until
from services.checkout.domain.restitution import source_of

__all__ = ["DueFace", "StatementFace", "channel_of", "contract_faces", "due_faces", "last_days", "statement_faces"]

_CHANNELS: Final = {
    "web": N_("on our pages"),
    "letter": N_("by letter"),
    "phone": N_("by telephone"),
    "chat": N_("by chat"),
    "email": N_("by e-mail"),
    "shop": N_("in the shop"),
}
_REGIMES: Final = {
    "withdrawal": N_("Refund after withdrawal"),
    "delivery": N_("Refund for want of delivery"),
    "guarantee": N_("Costs of a guarantee claim"),
    "renewal": N_("Refund after the end of a subscription"),
    "none": N_("Refund"),
}
_WAITING: Final = (  # for the payment, or for the goods
    N_("%(sum)s are given back once your payment has arrived."),
    N_("%(sum)s are given back once the articles are back, or you have shown that you sent them."),
)
_WHY: Final = {  # how a date comes about: days after a day
    "withdrawal": N_("%(days)s days from your statement of %(day)s (L221-24)"),
    "delivery": N_("%(days)s days from the end of the contract on %(day)s (L216-7)"),
    "guarantee": N_("%(days)s days from %(day)s, when the claim was accepted (L241-6)"),
    "renewal": N_("%(days)s days from the end of the contract on %(day)s (L215-1)"),
    "none": N_("agreed on %(day)s"),
}


class StatementFace(NamedTuple):
    """A statement of withdrawal. `lines`: article, what the statement achieves for it, and the article of law; `back`:
    what is to be done with the goods, empty when they are back or on their way.
    """

    headline: str
    lines: tuple[tuple[str, str, str], ...]
    back: str = ""


class DueFace(NamedTuple):
    """A sum that is owed or was paid. `parts`: what it is made of; `steps`: what lateness would add, from when."""

    title: str
    headline: str
    parts: tuple[tuple[str, int], ...]
    why: str
    steps: tuple[str, ...]
    late: bool


def channel_of(channel: str, tongue: Tongue) -> str:
    """By which way something came."""
    return tongue.say(_CHANNELS.get(channel, channel))


def statement_faces(view: AfterView, tongue: Tongue) -> tuple[StatementFace, ...]:
    """The statements of an order, newest first."""
    names = {line.id: line.name for line in view.order_view.order.lines}
    return tuple(
        _statement(one, names, tongue)._replace(back=_sent_back(view, one, tongue))
        for one in reversed(view.after.statements)
    )


def _statement(statement: Statement, names: Mapping[str, str], tongue: Tongue) -> StatementFace:
    headline = tongue.say(
        "Withdrawal of %(when)s, %(way)s",
        when=tongue.dated(statement.stated_at), way=channel_of(statement.channel, tongue),
    )  # fmt: skip
    lines = []
    for one in statement.decisions:
        name = names.get(one.line_id, "")
        name = f"{name} ({one.units})" if one.units > 1 else name
        lines.append((name, _outcome(one, tongue), one.article))
    return StatementFace(headline, tuple(lines))


def _sent_back(view: AfterView, statement: Statement, tongue: Tongue) -> str:
    """By when and whither its goods are to be sent, and who pays that (L221-23)."""
    order, after = view.order_view.order, view.after
    told = letters.decided(order, after, statement, view.order_view.shop, view.setting.book)
    sent = any(due.dispatched_on is not None for due in after.dues if due.source == source_of(statement))
    if told.return_by is None or sent:
        return ""
    if told.collected:
        return tongue.say("We collect the articles from you: there is nothing to send.")
    day = tongue.date(told.return_by)
    text = tongue.say(
        "Send the articles back by %(day)s at the latest (L221-23), to: %(address)s.", day=day, address=told.return_to
    )
    who = tongue.say("You pay for the return.") if told.borne_by == "consumer" else tongue.say("We pay for the return.")
    return f"{text} {who}"


def _outcome(one: LineDecision, tongue: Tongue) -> str:
    if one.outcome == "late":
        if one.last_day is None:
            return tongue.say("the period had ended")
        return tongue.say("the period had ended: its last day was %(day)s", day=tongue.date(one.last_day))
    if one.outcome == "excepted":
        return tongue.say("there is no right of withdrawal for it (L221-28, %(number)s°)", number=one.exception or 0)
    if one.outcome == "ancillary":
        return tongue.say("ends with it, at no cost")
    return tongue.say("withdrawn") if one.units else tongue.say("nothing of it was left to withdraw from")


def due_faces(view: AfterView, tongue: Tongue) -> tuple[DueFace, ...]:
    """The dues of an order as they stand."""
    found = []
    for due in view.after.dues:
        standing = view.standings.get(due.id)
        if standing is not None and due.amount_minor:
            found.append(_due(view, due, standing, tongue))
    return tuple(found)


def _due(view: AfterView, due: Due, standing: Standing, tongue: Tongue) -> DueFace:
    parts = (
        (tongue.say("Articles"), due.goods_minor), (tongue.say("Delivery"), due.delivery_minor),
        (tongue.say("Kept for the service until then"), -due.service_kept_minor),
    )  # fmt: skip
    is_open = standing.state not in {"settled", "paid"}
    return DueFace(
        title=tongue.say(_REGIMES[due.regime]),
        headline=_headline(view, due, standing, tongue),
        parts=tuple(one for one in parts if one[1]),
        why=_why(view, due, standing, tongue) if standing.due_on is not None and is_open else "",
        steps=tuple(_steps(view.forecasts.get(due.id, ()), tongue)) if is_open else (),
        late=standing.state == "late",
    )


def _headline(view: AfterView, due: Due, standing: Standing, tongue: Tongue) -> str:
    amount, rest = tongue.money(due.amount_minor), tongue.money(standing.open_minor)
    if standing.state == "settled":
        return tongue.say("%(sum)s were given back.", sum=amount)
    if standing.state == "paid":
        more = tongue.money(standing.surcharge_minor or 0)
        return tongue.say("%(sum)s were given back late; %(more)s are owed on top.", sum=amount, more=more)
    if standing.due_on is None:
        return tongue.say(_WAITING[view.order_view.order.paid_at is not None], sum=rest)
    day = tongue.date(standing.due_on)
    if standing.state != "late":
        return tongue.say("%(sum)s are given back by %(day)s at the latest.", sum=rest, day=day)
    if standing.surcharge_minor is None:
        return tongue.say("%(sum)s were to be given back by %(day)s; interest is owed on top.", sum=rest, day=day)
    more = tongue.money(standing.surcharge_minor)
    return tongue.say(
        "%(sum)s were to be given back by %(day)s; today %(more)s are owed on top.", sum=rest, day=day, more=more
    )


def _why(view: AfterView, due: Due, standing: Standing, tongue: Tongue) -> str:
    """How the date comes about: days after the notice, or the day on which the wait for the goods ended."""
    if due.shipped and standing.due_on in {due.recovered_on, due.dispatched_on} and standing.due_on is not None:
        day = tongue.date(standing.due_on)
        return tongue.say("the articles came back on %(day)s, or you showed that you sent them then (L221-24)", day=day)
    waited = due_on(due, view.setting.book)
    days = (waited - due.notice_on).days if waited is not None else 0
    return tongue.say(_WHY[due.regime], days=days, day=tongue.date(due.notice_on))


def _steps(steps: tuple[Step, ...], tongue: Tongue) -> Iterator[str]:
    for step in steps:
        day = tongue.date(step.from_on)
        if step.surcharge_minor is None:
            yield tongue.say("from %(day)s: interest at the legal rate, not known yet", day=day)
            continue
        more = tongue.money(step.surcharge_minor)
        if step.percent == "legal":
            yield tongue.say("from %(day)s: interest at the legal rate, %(more)s on that day", day=day, more=more)
        else:
            percent = step.percent.replace(".", ",") if tongue.language == "fr" else step.percent
            yield tongue.say("from %(day)s: %(percent)s %%, %(more)s more", day=day, percent=percent, more=more)


def contract_faces(view: AfterView, here: str, tongue: Tongue) -> list[dict[str, str]]:
    """The contracts that go on, with the way to end them; those that end, with their day. `here`: empty for whom
    may not see all of the order, and ends a contract as one who has no link.
    """
    found = []
    label = label_of("terminate", tongue.language)
    for one in view.contracts:
        ends_on = one.termination.ends_on if one.termination is not None else one.ended_on or one.withdrawn_on
        if ends_on is not None:
            day = tongue.date(ends_on)
            found.append({"text": tongue.say("%(name)s ends on %(day)s", name=one.name, day=day), "url": ""})
        else:
            url = f"{here}/terminate/{one.id}" if here.startswith("/o/") else f"/terminate/{one.shop}"
            found.append({"text": one.name, "url": url, "label": label.text, "language": label.language})
    return found


def last_days(view: AfterView, tongue: Tongue) -> tuple[str, str]:
    """Until when one can withdraw, and until when the legal guarantee lasts, in a sentence each; empty while the day is
    not known.
    """
    after, order = view.after, view.order_view.order
    free = {one.id for one in after.sold if one.exception is None}
    ends = {period.last_day for id_, period in view.deadlines.items() if id_ in free}
    known = sorted(day for day in ends if day is not None) if None not in ends else []
    withdrawal = ", ".join(tongue.date(day) for day in known)
    days = [guarantee_until(line.id, order, after, view.setting.book) for line in order.lines]
    guarantee = ", ".join(tongue.date(day) for day in sorted({day for day in days if day is not None}))
    return (
        tongue.say("Last day: %(days)s.", days=withdrawal) if withdrawal else "",
        tongue.say("Last day: %(days)s.", days=guarantee) if guarantee else "",
    )
