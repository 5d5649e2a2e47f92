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
    "Advance", "Contract", "Effects", "Renewal", "Terminate", "Termination", "begun", "due_later_minor", "ended_on",
    "free_to_leave", "record_advance", "refusal_until", "renews_on", "term_ends", "terminate", "unused_minor",
    "valid_notice", "window",
]  # fmt: skip

replace = msgspec.structs.replace

_DAY: Final = timedelta(days=1)
_TERMS_MAX: Final = 1200  # of a contract: a century of months

Effects = Literal["trial", "no_notice", "term_end", "next_term", "notice_days", "at_once"]


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """Paid in advance for the days from `from_on` to `until_on`, both in."""

    id: str
    paid_on: date
    minor: int
    from_on: date
    until_on: date


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """A term that began by itself. `valid`: the consumer was told in time; else he may leave whenever he wants."""

    on: date
    notice_on: date | None
    valid: bool


class Termination(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification that a contract is to end. `ends_on`: the day on which it ends; `effects`: why that day; `free`:
    at any time, at no cost, because no notice of renewal was valid; `due_minor`: what was paid in advance goes back.
    `content`: hash of the words.
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
    end; `refusal_days`, `notice_days`: of its subscription. `notices`: the days on which a renewal was announced;
    `sent`: them by their message; `undelivered`: those on which a notice was sent that did not arrive, and is none.
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
    notices: tuple[date, ...] = ()
    sent: dict[str, date] = {}
    undelivered: tuple[date, ...] = ()
    advances: tuple[Advance, ...] = ()
    termination: Termination | None = None
    withdrawn_on: date | None = None
    ended_on: date | None = None
    version: int = 0

    @property
    def number(self) -> str:
        """How the shop names it to the consumer."""
        return self.id[:8]


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


def begun(order: Order, line: OrderLine, subscription: goods.Subscription | None) -> Contract | None:
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
        tacit=subscription.renews_tacitly and subscription.term_months > 0,
        refusal_days=subscription.refusal_days,
        notice_days=subscription.notice_days,
        minimum_until=after_months(term_from, minimum) if minimum else None,
        trial_until=trial,
        period_minor=per_period,
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


def renews_on(contract: Contract, on: date) -> date | None:
    """The next day after `on` on which it renews itself; None when it does not."""
    return term_ends(contract, on) if contract.tacit else None


def refusal_until(contract: Contract, renews: date) -> date:
    """The last day on which a renewal can be refused."""
    return renews - timedelta(days=max(1, contract.refusal_days))


def window(contract: Contract, renews: date, law: tuple[Book, date]) -> NoticeWindow:
    """When the notice of a renewal goes: three months to one month before the end of the refusal (L215-1)."""
    return notice_window(refusal_until(contract, renews), None, parameters(law[0], "B23", law[1], NoticeTerms))


def valid_notice(contract: Contract, renews: date, law: tuple[Book, date]) -> date | None:
    """The notice of a renewal that was sent within its window."""
    within = window(contract, renews, law)
    return next((day for day in contract.notices if within.first <= day <= within.last), None)


def free_to_leave(contract: Contract) -> bool:
    """Whether the term that runs began without a valid notice."""
    return bool(contract.renewals) and not contract.renewals[-1].valid


def ended_on(contract: Contract, on: date) -> date | None:
    """When it ended, by `on`: by withdrawal, by termination, or with a term that does not renew itself."""
    if contract.withdrawn_on is not None:
        return contract.withdrawn_on
    if contract.termination is not None and contract.termination.ends_on <= on:
        return contract.termination.ends_on
    first = next(_ends(contract), None)
    return first if first is not None and not contract.tacit and first <= on else None


# -- its end ----------------------------------------------------------------------------------------------------------


def terminate(contract: Contract, act: Terminate, law: tuple[Book, date]) -> Termination | Refusal:
    """When a contract ends that its consumer ends now; the day of the law is that of his notification.

    Without a valid notice of the last renewal he leaves whenever he wants, and what he paid in advance since then goes
    back by the day (L215-1 al. 2, 3). Else a term is served: the one that runs while its renewal can still be refused,
    and the next one after that.
    """
    asked_on = paris_date(act.asked_at)
    if contract.termination is not None:
        return contract.termination
    if (over := ended_on(contract, asked_on)) is not None:
        return Refusal("contract_id", f"this contract ended on {over}", "B20", "L215-1-1")
    if act.wished_on is not None and act.wished_on < asked_on:
        return Refusal("wished_on", "a contract is not ended for the time that has passed", "B21", "D215-2")
    leaving = _leaving(contract, asked_on, act.wished_on or asked_on, law)
    return Termination(
        id=act.id, channel=act.channel, asked_at=act.asked_at, wished_on=act.wished_on, ends_on=leaving.ends_on,
        effects=leaving.effects, free=leaving.free, content=act.content,
        due_minor=unused_minor(contract, leaving.ends_on, free=leaving.free),
    )  # fmt: skip


def unused_minor(contract: Contract, ends_on: date, *, free: bool) -> int:
    """What was paid in advance and goes back: all that was paid for days after the end only, whenever it was paid and
    whyever it ends; beyond that, of who leaves freely, the days after the end of what he paid since the last renewal.
    """
    return sum(_unused_minor(contract, one, ends_on, free=free) for one in contract.advances)


def record_advance(contract: Contract, advance: Advance, on: date) -> Contract | Refusal:
    """What the consumer paid in advance. The same again changes nothing."""
    if any(one.id == advance.id for one in contract.advances):
        return contract
    if advance.minor < 1 or not contract.started_on <= advance.paid_on <= on or advance.until_on < advance.from_on:
        return Refusal("advance", "a sum that was paid since the contract began, for days in their order")
    return replace(contract, advances=(*contract.advances, advance))


def _leaving(contract: Contract, asked_on: date, wished_on: date, law: tuple[Book, date]) -> _Leaving:
    trial = contract.trial_until
    if trial is not None and asked_on <= trial:
        return _Leaving(min(wished_on, trial), "trial", free=True)
    if free_to_leave(contract):
        return _Leaving(wished_on, "no_notice", free=True)
    least = max(wished_on, contract.minimum_until or wished_on)
    if not contract.term_months:
        told = asked_on + timedelta(days=contract.notice_days)
        return _Leaving(max(least, told), "notice_days" if contract.notice_days else "at_once")
    if not contract.tacit:
        return _Leaving(next(_ends(contract)), "term_end")
    return _by_term(contract, asked_on, wished_on, law)


def _by_term(contract: Contract, asked_on: date, wished_on: date, law: tuple[Book, date]) -> _Leaving:
    ahead = [day for day in _ends(contract) if day > asked_on]
    first = ahead[0]
    if asked_on > refusal_until(contract, first):
        if valid_notice(contract, first, law) is None:
            return _Leaving(max(first, wished_on), "no_notice", free=True)
        ahead = ahead[1:]
    least = max(wished_on, contract.minimum_until or wished_on)
    day = next((day for day in ahead if day >= least), ahead[-1])
    return _Leaving(day, "term_end" if day == first else "next_term")


def _ends(contract: Contract) -> Iterator[date]:
    """The first days after its terms: each counted from the first, so that months that are shorter shift none."""
    if contract.term_months:
        for count in range(1, _TERMS_MAX // contract.term_months + 1):
            yield after_months(contract.term_from, count * contract.term_months)


def _unused_minor(contract: Contract, advance: Advance, ends_on: date, *, free: bool) -> int:
    """Of what was paid since the last renewal the days from the end on, pro rata by the day."""
    if ends_on <= advance.from_on:
        return advance.minor
    since = contract.renewals[-1].on if contract.renewals else None
    if not free or since is None or advance.paid_on < since:
        return 0
    days = (advance.until_on - advance.from_on).days + 1
    used = min(max(0, (ends_on - advance.from_on).days), days)
    return advance.minor - half_up(Fraction(advance.minor * used, days))
