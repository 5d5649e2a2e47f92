"""Refunds: how much is given back, until when, and what a late one costs. Rules B12, B13, B15, B25, C05, C09."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.tariffs import Rates, Surcharge, Tariff, surcharge
from relance.rules.law.terms import Unanswerable, parameters
from relance.rules.law.totals import half_up

__all__ = ["TARIFF_RULE", "Amount", "Mode", "Regime", "ServiceUse", "amount", "due_on", "late", "legal_rates"]

Minor = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Days = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Regime = Literal["withdrawal", "delivery", "guarantee"]
TARIFF_RULE: dict[Regime, str] = {"withdrawal": "B15", "delivery": "C05", "guarantee": "C09"}


class Mode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A delivery mode that was offered to this consumer. Collecting at the shop is no delivery."""

    id: str
    fee_minor: Minor
    standard: bool


class ServiceUse(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A service of `days` days for `price_minor`, used for `used_days` when the withdrawal was stated."""

    price_minor: Minor
    days: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    used_days: Days
    express_request: bool


class Amount(NamedTuple):
    """The refund and its parts; `cheapest_standard_minor` None: no standard mode was offered, so nothing caps."""

    refund_minor: int
    lines_minor: int
    delivery_minor: int
    service_minor: int
    service_due_minor: int
    cheapest_standard_minor: int | None


class _Terms(msgspec.Struct, frozen=True):
    days: int
    not_delivery: frozenset[str]


def amount(
    lines_minor: Sequence[int],
    delivery_paid_minor: int,
    modes: Sequence[Mode],
    service: ServiceUse | None,
    law: tuple[Book, date],
) -> Amount:
    """All sums paid, the delivery up to the cheapest standard mode; of a service what its use has not consumed.

    Without express request nothing is owed for the use. Raises Unanswerable for a service used longer than it lasts.
    """
    not_delivery = parameters(*_rule(law, "B12"), _Terms).not_delivery
    fees = [mode.fee_minor for mode in modes if mode.standard and _word(mode.id) not in not_delivery]
    cap = min(fees, default=None)
    delivery = delivery_paid_minor if cap is None else min(delivery_paid_minor, cap)
    owed = kept = 0
    if service is not None:
        if service.used_days > service.days:
            raise Unanswerable("service.used_days", f"a service of {service.days} days cannot be used for more")
        if service.express_request:
            owed = half_up(Fraction(service.price_minor * service.used_days, service.days))
        kept = service.price_minor - owed
    return Amount(sum(lines_minor) + delivery + kept, sum(lines_minor), delivery, kept, owed, cap)


def due_on(
    notice_on: date,
    *,
    recovered_on: date | None,
    dispatched_on: date | None,
    shipped: bool,
    collection_offered: bool,
    law: tuple[Book, date],
) -> date | None:
    """The last day on which the refund is in time; None while the trader may still wait for the goods.

    Never moved to a working day: a consumer does not wait longer because of a weekend.
    """
    from_notice = notice_on + timedelta(days=parameters(*_rule(law, "B12"), _Terms).days)
    if not shipped or collection_offered:
        return from_notice
    events = [day for day in (recovered_on, dispatched_on) if day is not None]
    return max(from_notice, min(events)) if events else None


def late(
    regime: Regime,
    sum_minor: int,
    product_minor: int | None,
    due: date,
    refunded: date,
    law: tuple[Book, date],
) -> Surcharge:
    """What is owed on top of a sum that was due on `due`. The product's price is the sum when it is not given, and when
    nothing was paid for the product: then the sum is its delivery, and a cap of nothing would make delay free.

    Raises Unanswerable when a half-year's legal rate is missing, NotInForce.
    """
    book, day = law
    tariff = parameters(book, TARIFF_RULE[regime], day, Tariff)
    rates = legal_rates(book) if regime == "withdrawal" else Rates()
    cap = (product_minor or sum_minor) if regime == "withdrawal" else None
    return surcharge(sum_minor, cap, due, refunded, tariff=tariff, rates=rates)


def legal_rates(book: Book) -> Rates:
    """Every half-year of every version of B27: each has its own days, whatever the date of the law."""
    versions = book.versions("B27")
    return Rates(tuple(half for rule in versions for half in msgspec.convert(rule.parameters, Rates).half_years))


def _rule(law: tuple[Book, date], id: str) -> tuple[Book, str, date]:  # noqa: A002 - the word of the domain
    return law[0], id, law[1]


def _word(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
