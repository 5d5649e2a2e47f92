"""The prior price of an announced reduction: rules D01 to D05, article L112-1-1."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

import msgspec

from relance.rules.law.calendar import PARIS, Moment

__all__ = ["Prior", "PriorTerms", "Reduction", "Step", "prior_price"]

Minor = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class PriorTerms(msgspec.Struct, frozen=True):
    """How many calendar days before a reduction are looked at."""

    days: int


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price from an instant on, until the next one to all. An individual price is charged to one person only."""

    start: Moment = msgspec.field(name="from")
    price_minor: Minor
    scope: Literal["all", "individual"] = "all"
    campaign: str | None = None


class Reduction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reduced price that is announced."""

    start: Moment = msgspec.field(name="from")
    price_minor: Minor
    campaign: str | None = None


class Prior(NamedTuple):
    """`prior_minor` None: no price is known in the window. `percent` is cut to two decimals, never rounded up.

    `whole_window`: the history reaches back to the window's start.
    """

    prior_minor: int | None
    percent: Decimal
    allowed: bool
    window_from: datetime
    window_until: datetime
    in_campaign: bool
    whole_window: bool


def prior_price(
    prices: Sequence[Step], reduction: Reduction, announced_percent: Decimal | None, law: PriorTerms
) -> Prior:
    """The lowest price charged to all in the days before the (first) reduction, and whether it may be announced.

    The window is [start - days, start) of Paris calendar days. `start` is that of the reduction, or of the first
    step of its campaign when no other price lies between and no step is dearer than the one before.
    """
    history = _history(prices, reduction)
    first = _first_of_campaign(history, reduction)
    until = reduction.start.at if first is None else history[first].start.at
    since = _days_before(until, law.days)
    before = history if first is None else history[:first]
    ends = [*(step.start.at for step in before), until][1:]
    charged = [step.price_minor for step, end in zip(before, ends, strict=True) if end > since]
    prior = min(charged, default=None)
    whole = bool(before) and before[0].start.at <= since
    percent = _percent(prior, reduction.price_minor)
    allowed = percent > 0 and (announced_percent is None or Fraction(announced_percent) <= percent)
    cut = Decimal(percent.numerator * 100 // percent.denominator) / 100
    return Prior(prior, cut, allowed, since, until, first is not None, whole)


def _history(prices: Sequence[Step], reduction: Reduction) -> list[Step]:
    """Prices to all before the reduction, by time; of two at one instant the later in the list holds."""
    at: dict[datetime, Step] = {}
    for step in prices:
        instant = step.start.at.astimezone(UTC)
        if step.scope == "all" and step.start.at < reduction.start.at:
            at[instant] = step
    return [at[instant] for instant in sorted(at)]


def _first_of_campaign(history: Sequence[Step], reduction: Reduction) -> int | None:
    """The place of the first step of the reduction's uninterrupted campaign; None when it is the first itself."""
    first = None
    price_minor = reduction.price_minor
    for place in range(len(history) - 1, -1, -1):
        step = history[place]
        if reduction.campaign is None or step.campaign != reduction.campaign or step.price_minor < price_minor:
            break
        first, price_minor = place, step.price_minor
    return first


def _days_before(instant: datetime, days: int) -> datetime:
    """The same Paris wall clock `days` calendar days before; a clock change between moves no calendar day."""
    return instant.astimezone(PARIS) - timedelta(days=days)


def _percent(prior_minor: int | None, price_minor: int) -> Fraction:
    if not prior_minor or price_minor >= prior_minor:
        return Fraction(0)
    return Fraction(100 * (prior_minor - price_minor), prior_minor)
