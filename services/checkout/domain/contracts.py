"""Contracts that go on after their order: their terms, the notice before renewal, how they end (L215-1 to L215-1-1).

Nothing here bills: what the consumer pays in advance is told by the shop, and matters when he leaves.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, Literal, NamedTuple
from uuid import UUID, uuid5

import msgspec

from relance.rules.law import goods
from relance.rules.law.book import Book
from relance.rules.law.calendar import after_months, paris_date
from relance.rules.law.renewal import NoticeTerms, NoticeWindow, notice_window
from relance.rules.law.terms import parameters
from relance.rules.law.totals import half_up
from services.checkout.domain.aftercare import Channel
from services.checkout.domain.orders import Order, OrderLine
from services.checkout.domain.outcomes import Refusal

__all__ = [
    "Advance", "Announced", "Contract", "Effects", "Renewal", "Terminate", "Termination", "announced", "begun",
    "due_later_minor", "ended_on", "free_to_leave", "record_advance", "refusal_until", "renewals_after", "renews_on",
    "term_ends", "terminate", "unused_minor", "valid_notice", "window",
]  # fmt: skip

replace = msgspec.structs.replace

_DAY: Final = timedelta(days=1)
_TERMS_MAX: Final = 1200  # of a contract: a century of months

Effects = Literal["trial", "no_notice", "term_end", "next_term", "notice_days", "at_once", "ended"]


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """Paid in advance for the days from `from_on` to `until_on`, both in."""

    id: str
    paid_on: date
    minor: int
    from_on: date
    until_on: date


class Announced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The notice of a renewal, by the day on which it left and the message that brought it. `failed`: it did not
    arrive, and is none.
    """

    on: date
    renews_on: date
    message: str = ""
    failed: bool = False


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """A term that began by itself. `valid`: the consumer was told in time, or nobody here knows; else he may leave
    whenever he wants.
    """

    on: date
    notice_on: date | None
    valid: bool


class Termination(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification that a contract is to end. `ends_on`: the day on which it ends; `effects`: why that day; `free`:
    at any time, at no cost, because no notice of renewal was valid; `due_minor`: what was paid in advance goes back.
    `content`: hash of the words. Effects `ended`: it was over before.
    """

    id: str
    channel: Channel
    asked_at: datetime
    wished_on: date | None = None
    ends_on: date
    effects: Effects
    free: bool = False
    due_minor: int = 0
    content: str = ""
    acknowledged_at: datetime | None = None


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of an order that goes on. `term_from`: when its first term begins, after a trial; `term_months`: 0 without
    end; `refusal_days`, `notice_days`: of its subscription. `tacit`: unless somebody says no, a term is followed by
    another; without terms, its minimum by time without end. `announced`: each notice of a renewal. `known_from`: of an
    order of before aftercare was kept here; renewals before that day, and what was told of them, are not known.
    """

    id: str
    shop: str
    order_id: str
    line_id: str
    name: str
    started_on: date
    term_from: date
    term_months: int = 0
    tacit: bool = False
    refusal_days: int = 0
    notice_days: int = 0
    minimum_until: date | None = None
    trial_until: date | None = None
    period_minor: int = 0
    renewals: tuple[Renewal, ...] = ()
    announced: tuple[Announced, ...] = ()
    advances: tuple[Advance, ...] = ()
    termination: Termination | None = None
    withdrawn_on: date | None = None
    ended_on: date | None = None
    known_from: date | None = None
    version: int = 0

    @property
    def number(self) -> str:
        """How the shop names it to the consumer."""
        return self.id[:8]

    @property
    def notices(self) -> tuple[date, ...]:
        """The days on which a renewal was announced, but for notices that did not arrive."""
        return tuple(one.on for one in self.announced if not one.failed)


class Terminate(msgspec.Struct, frozen=True, kw_only=True, tag="terminate"):
    """The consumer ends a contract. `wished_on`: the day that he wishes; the law and the contract may give a later."""

    id: str
    channel: Channel = "web"
    asked_at: datetime
    wished_on: date | None = None
    content: str = ""


class _Leaving(NamedTuple):
    ends_on: date
    effects: Effects
    free: bool = False


def begun(
    order: Order, line: OrderLine, subscription: goods.Subscription | None, known_from: date | None = None
) -> Contract | None:  # fmt: skip
    """The contract that a line of an order begins; None for a line that is over once it is delivered."""
    concluded = order.concluded_at
    if subscription is None or concluded is None:
        return None
    started = paris_date(concluded)
    trial = started + timedelta(days=subscription.trial_days - 1) if subscription.trial_days else None
    term_from = started + timedelta(days=subscription.trial_days)
    minimum = subscription.minimum_months
    per_period = subscription.monthly_total_minor or subscription.period_total_minor or 0
    return Contract(
        id=str(uuid5(UUID(str(order.id)), f"contract/{line.id}")),
        shop=order.context.shop,
        order_id=str(order.id),
        line_id=line.id,
        name=line.name,
        started_on=started,
        term_from=term_from,
        term_months=subscription.term_months,
        tacit=subscription.renews_tacitly and (subscription.term_months > 0 or minimum > 0),
        refusal_days=subscription.refusal_days,
        notice_days=subscription.notice_days,
        minimum_until=after_months(term_from, minimum) if minimum else None,
        trial_until=trial,
        period_minor=per_period,
        known_from=known_from,
    )


def due_later_minor(line: goods.Line) -> int:
    """What a line obliges to pay after today: its commitment less what is paid now; of a trial, or where nothing is
    paid now, at least the price of a period. What is owed only if it goes on is not counted.
    """
    term = line.subscription
    if term is None:
        return 0
    price = term.monthly_total_minor or term.period_total_minor or 0
    begins_free = term.free_trial or term.trial_days > 0 or not line.unit_minor
    months = max(term.minimum_months, 1 if begins_free else 0)
    return max(0, months * price - line.unit_minor) * line.quantity


# -- terms ------------------------------------------------------------------------------------------------------------


def term_ends(contract: Contract, on: date) -> date | None:
    """The first day after the term that runs on `on`, by whose shorter months no day is lost; None without end."""
    return next((day for day in _ends(contract) if day > on), None)


def renewals_after(contract: Contract, on: date) -> Iterator[date]:
    """The days after `on` on which it renews itself, the next one first; none when it does not. Those that are not
    known are left out.
    """
    first = contract.known_from or contract.started_on
    return (day for day in _ends(contract) if contract.tacit and day > on and day >= first)


def renews_on(contract: Contract, on: date) -> date | None:
    """The next of these days."""
    return next(renewals_after(contract, on), None)


def refusal_until(contract: Contract, renews: date) -> date:
    """The last day on which a renewal can be refused."""
    return renews - timedelta(days=max(1, contract.refusal_days))


def window(contract: Contract, renews: date, law: tuple[Book, date]) -> NoticeWindow:
    """When the notice of a renewal goes: three months to one month before the end of the refusal (L215-1)."""
    return notice_window(refusal_until(contract, renews), None, parameters(law[0], "B23", law[1], NoticeTerms))


def valid_notice(contract: Contract, renews: date, law: tuple[Book, date]) -> date | None:
    """When the notice of that renewal was sent, if it was within its window; that of another renewal is none."""
    within = window(contract, renews, law)
    days = (one.on for one in contract.announced if one.renews_on == renews and not one.failed)
    return next((day for day in days if within.first <= day <= within.last), None)


def announced(contract: Contract, renews: date, law: tuple[Book, date]) -> bool:
    """Whether nobody may leave because that renewal was not announced: it was, or its window had closed before it was
    known here who tells of it.
    """
    if contract.known_from is not None and window(contract, renews, law).last < contract.known_from:
        return True
    return valid_notice(contract, renews, law) is not None


def free_to_leave(contract: Contract, on: date) -> bool:
    """Whether the term that ran on `on` began without a valid notice."""
    begun_by = [one for one in contract.renewals if one.on <= on]
    return bool(begun_by) and not begun_by[-1].valid


def ended_on(contract: Contract, on: date) -> date | None:
    """When it ended, by `on`: by withdrawal, by termination, or with a term that does not renew itself."""
    if contract.withdrawn_on is not None:
        return contract.withdrawn_on
    if contract.termination is not None and contract.termination.ends_on <= on:
        return contract.termination.ends_on
    first = next(_ends(contract), None)
    return first if first is not None and contract.term_months and not contract.tacit and first <= on else None


# -- its end ----------------------------------------------------------------------------------------------------------


def terminate(contract: Contract, act: Terminate, law: tuple[Book, date]) -> Termination | Refusal:
    """When a contract ends that its consumer ends now; the day of the law is that of his notification. One that was to
    end before ends then.

    Without a valid notice of the last renewal he leaves whenever he wants (L215-1 al. 2). Else a term is served: the
    one that runs while its renewal can still be refused, and the next one after that.
    """
    asked_on = paris_date(act.asked_at)
    if asked_on < contract.started_on:
        return Refusal("asked_at", f"the contract began on {contract.started_on}", "B21", "D215-2")
    if act.wished_on is not None and act.wished_on < asked_on:
        return Refusal("wished_on", "a contract is not ended for the time that has passed", "B21", "D215-2")
    before = contract.termination
    contract = replace(contract, termination=None)
    over = ended_on(contract, asked_on)
    leaving = _leaving(contract, asked_on, act.wished_on or asked_on, law) if over is None else _Leaving(over, "ended")
    if before is not None and before.ends_on <= leaving.ends_on:
        return before
    return Termination(
        id=act.id, channel=act.channel, asked_at=act.asked_at, wished_on=act.wished_on, ends_on=leaving.ends_on,
        effects=leaving.effects, free=leaving.free, content=act.content,
        due_minor=unused_minor(contract, leaving.ends_on),
    )  # fmt: skip


def unused_minor(contract: Contract, ends_on: date) -> int:
    """What was paid in advance for days from the end on: it goes back by the day, whenever it was paid and whyever the
    contract ends, for nothing is performed on them.
    """
    return sum(_unused_minor(one, ends_on) for one in contract.advances)


def record_advance(contract: Contract, advance: Advance, on: date) -> Contract | Refusal:
    """What the consumer paid in advance. The same again changes nothing."""
    if any(one.id == advance.id for one in contract.advances):
        return contract
    if advance.minor < 1:
        return Refusal("minor", "a sum that was paid", "B23", "L215-1 al. 3")
    if not contract.started_on <= advance.paid_on <= on:
        return Refusal("paid_on", "since the contract began, and not in the future", "B23", "L215-1 al. 3")
    if advance.from_on < contract.started_on:
        return Refusal("from_on", "for days of the contract", "B23", "L215-1 al. 3")
    if advance.until_on < advance.from_on:
        return Refusal("until_on", "its last day comes before its first", "B23", "L215-1 al. 3")
    return replace(contract, advances=(*contract.advances, advance))


def _leaving(contract: Contract, asked_on: date, wished_on: date, law: tuple[Book, date]) -> _Leaving:
    trial = contract.trial_until
    if trial is not None and asked_on <= trial:
        return _Leaving(min(wished_on, contract.term_from), "trial", free=True)
    if free_to_leave(contract, asked_on):
        return _Leaving(wished_on, "no_notice", free=True)
    ahead = term_ends(contract, asked_on)
    if contract.tacit and ahead is not None:
        return _by_term(contract, asked_on, wished_on, law)
    if contract.term_months:
        return _Leaving(next(_ends(contract)), "term_end")
    return _without_end(contract, asked_on, wished_on)


def _without_end(contract: Contract, asked_on: date, wished_on: date) -> _Leaving:
    least = max(wished_on, contract.minimum_until or wished_on)
    told = asked_on + timedelta(days=contract.notice_days)
    if max(least, told) == wished_on:
        return _Leaving(wished_on, "at_once")
    return _Leaving(max(least, told), "notice_days")


def _by_term(contract: Contract, asked_on: date, wished_on: date, law: tuple[Book, date]) -> _Leaving:
    ahead = [day for day in _ends(contract) if day > asked_on]
    first = ahead[0]
    if asked_on > refusal_until(contract, first):
        if not announced(contract, first, law):
            return _Leaving(max(first, wished_on), "no_notice", free=True)
        ahead = ahead[1:]
    if not ahead:  # it goes on without end
        return _without_end(contract, asked_on, max(wished_on, first))
    least = max(wished_on, contract.minimum_until or wished_on)
    day = next((day for day in ahead if day >= least), ahead[-1])
    if not contract.term_months and least > day:
        return _without_end(contract, asked_on, least)
    return _Leaving(day, "term_end" if day == first else "next_term")


def _ends(contract: Contract) -> Iterator[date]:
    """The first days after its terms: each counted from the first, so that months that are shorter shift none; of a
    contract whose minimum is followed by time without end, the first day after that minimum.
    """
    if contract.term_months:
        for count in range(1, _TERMS_MAX // contract.term_months + 1):
            yield after_months(contract.term_from, count * contract.term_months)
    elif contract.tacit and contract.minimum_until is not None:
        yield contract.minimum_until


def _unused_minor(advance: Advance, ends_on: date) -> int:
    """Of the days that it was paid for, both in, those before the end are performed (L215-1 al. 3)."""
    days = (advance.until_on - advance.from_on).days + 1
    used = min(max(0, (ends_on - advance.from_on).days), days)
    return advance.minor - half_up(Fraction(advance.minor * used, days))
