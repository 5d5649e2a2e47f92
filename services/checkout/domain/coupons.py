"""Coupons: what they grant, to whom, and how often; uses are reserved at the click and released at the lapse.

A coupon for one person is single use and bound to him (D05); one that anybody may use is an announced reduction.
Stacked in this order: negotiated prices, gift lines, one discount, free delivery. Thresholds are those of the goods
before any.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from relance.rules.law import totals as law
from relance.rules.law.totals import Percent
from services.checkout.domain.cart import Basket, Line, goods_minor
from services.checkout.domain.outcomes import Refusal

__all__ = [
    "Coupon", "OwnUses", "Taken", "Uses", "apply", "check_coupon", "folded_code", "own_uses", "release", "reserve",
]  # fmt: skip

replace = msgspec.structs.replace
DISCOUNTS = frozenset({"percent", "amount"})
Kind = Literal["percent", "amount", "free_delivery", "gift_line", "negotiated"]


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """`starts_at` included, `ends_at` not. `uses_max` None: without end. `exclusive`: with no other coupon.

    gift_line: `gift`, whose price is 0; negotiated: `unit_minor` for `sku`, never below `floor_minor`.
    """

    code: str
    kind: Kind
    percent: Decimal | None = None
    amount_minor: int | None = None
    gift: Line | None = None
    sku: str = ""
    unit_minor: int | None = None
    floor_minor: int = 0
    person: str = ""
    uses_max: int | None = None
    uses_per_person: int | None = None
    starts_at: datetime
    ends_at: datetime
    threshold_minor: int = 0
    exclusive: bool = False
    automated: bool = False  # granted to this visitor by an automated decision (D06)

    @property
    def individual(self) -> bool:
        """For one person only."""
        return bool(self.person)


class Uses(msgspec.Struct, frozen=True, kw_only=True):
    """How often a coupon is used, where that is bounded. `version` is compared when it is stored: of two that race for
    the last use, one is told to look again, and finds none.
    """

    code: str
    taken: int = 0
    version: int = 0


class OwnUses(msgspec.Struct, frozen=True, kw_only=True):
    """The orders with which one person uses a coupon: a row each, so that none grows with the shop."""

    id: str
    orders: tuple[str, ...] = ()
    version: int = 0


class Taken(NamedTuple):
    """The uses of all and of one person."""

    uses: Uses
    own: OwnUses


def folded_code(text: str) -> str:
    """A code as it is compared: without spaces around it, in capitals, however it was typed."""
    return unicodedata.normalize("NFKC", text).strip().upper()


def check_coupon(coupon: Coupon) -> Refusal | None:
    """Whether a coupon is well-formed and lawful before anybody can enter it."""
    given = {
        "percent": coupon.percent is not None,
        "amount": coupon.amount_minor is not None,
        "gift_line": coupon.gift is not None,
        "negotiated": coupon.unit_minor is not None,
    }
    if any(says != (kind == coupon.kind) for kind, says in given.items()):
        return Refusal("coupon.kind", f"a coupon of kind {coupon.kind} says what it grants, and nothing else")
    if coupon.percent is not None and not 0 < coupon.percent <= 100:
        return Refusal("coupon.percent", "more than 0, at most 100")
    if coupon.starts_at >= coupon.ends_at:
        return Refusal("coupon.ends_at", "it would end before it starts")
    if coupon.individual and coupon.uses_max != 1:
        return Refusal("coupon.uses_max", "a coupon for one person is for one use", "D05", "L112-1-1 I")
    if coupon.kind == "negotiated" and not coupon.individual:
        return Refusal("coupon.person", "a negotiated price is one person's", "D05", "L112-1-1 I")
    if coupon.unit_minor is not None and coupon.unit_minor < coupon.floor_minor:
        return Refusal("coupon.unit_minor", f"below the floor of {coupon.floor_minor} cents")
    if coupon.gift is not None and (coupon.gift.unit_minor or not coupon.gift.gift):
        return Refusal("coupon.gift", "a gift costs nothing", "D14", "L121-4 19°")
    return None


def apply(lines: Sequence[Line], coupons: Sequence[Coupon], person: str, at: datetime) -> Basket | Refusal:
    """The lines with what the coupons grant. Refused, whole, at the first coupon that does not hold now for this person
    and cart; uses are looked at by `reserve`.
    """
    goods = goods_minor(lines)
    for place, coupon in enumerate(coupons):
        if refused := _holds(f"coupons.{place}", coupon, person, goods, at):
            return refused
    if refused := _stacked(coupons):
        return refused
    priced = tuple(lines)
    for coupon in coupons:
        if coupon.kind == "negotiated":
            if coupon.sku not in {line.sku for line in priced}:
                return Refusal("coupons", f"{coupon.code} is for an article that is not in the cart")
            priced = tuple(_negotiated(line, coupon) for line in priced)
    gifts = tuple(coupon.gift for coupon in coupons if coupon.gift is not None)
    discount = next((one for one in coupons if one.kind in DISCOUNTS), None)
    granted = None if discount is None else _discount(discount)
    free = any(coupon.kind == "free_delivery" for coupon in coupons)
    return Basket(lines=(*priced, *gifts), discount=granted, free_delivery=free)


def own_uses(code: str, person: str) -> str:
    """The id of a person's uses of a coupon."""
    return f"{code}/{person}"


def reserve(coupon: Coupon, taken: Taken, order_id: str) -> Taken | Refusal:
    """The uses with this order's; the same when it has its use already, or when they are not bounded: then nobody
    counts them, and orders with one code for all do not wait for each other. To be stored only over their versions.
    """
    uses, own = taken
    if order_id in own.orders or (coupon.uses_max is None and coupon.uses_per_person is None):
        return taken
    if coupon.uses_max is not None and uses.taken >= coupon.uses_max:
        return Refusal("coupon.code", f"{coupon.code} has been used up")
    if coupon.uses_per_person is not None and len(own.orders) >= coupon.uses_per_person:
        return Refusal("coupon.code", f"{coupon.code} was used by you before")
    if coupon.uses_max is not None:
        uses = replace(uses, taken=uses.taken + 1, version=uses.version + 1)
    return Taken(uses, replace(own, orders=(*own.orders, order_id), version=own.version + 1))


def release(taken: Taken, order_id: str) -> Taken:
    """The uses without this order's: it lapsed, or was cancelled."""
    uses, own = taken
    if order_id not in own.orders:
        return taken
    if uses.taken:
        uses = replace(uses, taken=uses.taken - 1, version=uses.version + 1)
    rest = tuple(one for one in own.orders if one != order_id)
    return Taken(uses, replace(own, orders=rest, version=own.version + 1))


def _holds(field: str, coupon: Coupon, person: str, goods: int, at: datetime) -> Refusal | None:
    if coupon.individual and coupon.person != person:
        return Refusal(field, f"{coupon.code} is unknown")  # whose it is, is nobody else's business
    if at < coupon.starts_at:
        return Refusal(field, f"{coupon.code} holds from {coupon.starts_at.isoformat()}")
    if at >= coupon.ends_at:
        return Refusal(field, f"{coupon.code} has ended", "D07", "L121-4 7°")
    if goods < coupon.threshold_minor:
        return Refusal(field, f"{coupon.code} holds from goods of {coupon.threshold_minor} cents")
    return None


def _discount(coupon: Coupon) -> law.Coupon:
    percent = None if coupon.percent is None else Percent(coupon.percent)
    return law.Coupon(percent=percent, amount_minor=coupon.amount_minor)


def _stacked(coupons: Sequence[Coupon]) -> Refusal | None:
    if len({folded_code(coupon.code) for coupon in coupons}) < len(coupons):
        return Refusal("coupons", "the same code is entered twice")
    if len(coupons) > 1 and any(coupon.exclusive for coupon in coupons):
        return Refusal("coupons", "one of these codes holds alone")
    if sum(coupon.kind in DISCOUNTS for coupon in coupons) > 1:
        return Refusal("coupons", "only one discount holds at a time")
    return None


def _negotiated(line: Line, coupon: Coupon) -> Line:
    """The line at the negotiated price, when that is lower."""
    if line.sku != coupon.sku or coupon.unit_minor is None or coupon.unit_minor >= line.unit_minor:
        return line
    return replace(line, unit_minor=max(coupon.unit_minor, coupon.floor_minor), personalised=coupon.automated)
