"""Money of a cart: discounts spread by largest remainder, VAT out of the net sums, units refunded cumulatively.

All amounts are euro cents with tax, integers; nothing is ever lost or gained by rounding.
"""

import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Literal, NamedTuple

import msgspec

from relance.rules.law.terms import Unanswerable

__all__ = ["CartLine", "Coupon", "Delivery", "Percent", "Totals", "half_up", "spread", "totals", "unit_refund"]

Minor = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Percent(Decimal):
    """From 0 to 100, exactly as it was written."""

    @classmethod
    def parse(cls, value: object) -> "Percent":
        """Of a JSON number, or of text that writes one. Raises ValueError for anything else."""
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            with contextlib.suppress(InvalidOperation):  # to compare what is no number is one too
                percent = cls(str(value))
                if 0 <= percent <= 100:
                    return percent
        raise ValueError("Expected a percentage from 0 to 100")


class CartLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`quantity` units at `unit_minor` each, tax included."""

    id: str | int | None = None
    unit_minor: Minor
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    vat_percent: Percent


class Coupon(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A discount on the goods (`percent` or `amount_minor`) or free delivery; `kind` follows from what is given."""

    kind: Literal["percent", "amount", "free_delivery"] | None = None
    percent: Percent | None = None
    amount_minor: Minor | None = None
    free_delivery: bool = False


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What delivery costs, tax included, before any coupon."""

    id: str | None = None
    fee_minor: Minor


class Totals(NamedTuple):
    """`net_minor` has one amount a line; `vat_minor` and `taxed_minor` (net and delivery) one a rate."""

    gross_minor: tuple[int, ...]
    net_minor: tuple[int, ...]
    delivery_minor: int
    discount_minor: int
    taxed_minor: dict[Decimal, int]
    vat_minor: dict[Decimal, int]
    total_minor: int


def half_up(amount: Fraction) -> int:
    """The nearest integer of an amount that is not negative; a half goes up."""
    return (2 * amount.numerator + amount.denominator) // (2 * amount.denominator)


def spread(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`amount` over places by weight, by largest remainder, ties in order. The sum is `amount`.

    At least one weight is positive. With `amount` at most their sum no place gets more than its weight.
    """
    whole = sum(weights)
    shares = [amount * weight // whole for weight in weights]
    left = amount - sum(shares)
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % whole), place))
    for place in by_remainder[:left]:
        shares[place] += 1
    return tuple(shares)


def unit_refund(line_minor: int, quantity: int, returned_before: int, returned_now: int) -> int:
    """What the next `returned_now` units of a line give back: round(total x k / n) less what was given back before.

    All units together give back the line, whatever the steps.
    """
    before = half_up(Fraction(line_minor * returned_before, quantity))
    after = half_up(Fraction(line_minor * (returned_before + returned_now), quantity))
    return after - before


def totals(lines: Sequence[CartLine], coupon: Coupon | None, delivery: Delivery | None) -> Totals:
    """The cart's amounts. Lines + delivery - discounts = total.

    Raises Unanswerable for a coupon that says two things, or none.
    """
    gross = tuple(line.unit_minor * line.quantity for line in lines)
    fee = 0 if delivery is None else delivery.fee_minor
    goods_off, delivery_off = _discounts(coupon, sum(gross), fee)
    off = spread(goods_off, gross) if goods_off else (0,) * len(gross)
    net = tuple(amount - less for amount, less in zip(gross, off, strict=True))
    fee -= delivery_off
    taxed = _by_rate(lines, net)
    for rate, share in _delivery_shares(lines, net, gross, fee).items():
        taxed[rate] += share
    vat = {rate: _vat_in(amount, rate) for rate, amount in taxed.items()}
    return Totals(gross, net, fee, goods_off + delivery_off, taxed, vat, sum(net) + fee)


def _vat_in(amount: int, rate: Decimal) -> int:
    """The tax within an amount, half up: `amount` x rate / (100 + rate), in whole numbers."""
    above, below = rate.as_integer_ratio()
    part = 100 * below + above
    return (2 * amount * above + part) // (2 * part)


def _discounts(coupon: Coupon | None, goods_minor: int, fee_minor: int) -> tuple[int, int]:
    """(off the goods, off the delivery)."""
    if coupon is None:
        return 0, 0
    free = coupon.free_delivery or coupon.kind == "free_delivery"
    given = {
        "percent": coupon.percent is not None,
        "amount": coupon.amount_minor is not None,
        "free_delivery": free,
    }
    kinds = [kind for kind, says in given.items() if says]
    if len(kinds) != 1 or coupon.kind not in {None, kinds[0]}:
        raise Unanswerable("coupon", "a coupon has one of percent, amount_minor and free_delivery, as its kind says")
    if coupon.percent is not None:
        return half_up(Fraction(goods_minor) * Fraction(coupon.percent) / 100), 0
    if coupon.amount_minor is not None:
        return min(coupon.amount_minor, goods_minor), 0
    return 0, fee_minor


def _by_rate(lines: Sequence[CartLine], amounts: Sequence[int]) -> dict[Decimal, int]:
    sums: dict[Decimal, int] = {}
    for line, amount in zip(lines, amounts, strict=True):
        sums[line.vat_percent] = sums.get(line.vat_percent, 0) + amount
    return sums


def _delivery_shares(
    lines: Sequence[CartLine], net: Sequence[int], gross: Sequence[int], fee_minor: int
) -> Mapping[Decimal, int]:
    """Delivery takes the goods' rate, pro rata of the net sums when they are mixed; of the gross when all is free."""
    for amounts in (net, gross, [line.quantity for line in lines]):
        weights = _by_rate(lines, amounts)
        if any(weights.values()):
            return dict(zip(weights, spread(fee_minor, tuple(weights.values())), strict=True))
    return {}
