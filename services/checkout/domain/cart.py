"""What a cart costs: lines with their legal limits, one discount, delivery; all sums by the law's own arithmetic."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from relance.rules.law.totals import CartLine, Coupon, Delivery, Percent, Totals, totals
from services.checkout.domain.outcomes import Refusal

__all__ = ["Basket", "Line", "check_lines", "cost", "goods_minor"]

QUANTITY_MAX = 10_000


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it is sold. `discount_ceiling_percent`: the most that may ever come off `list_price_minor` (new books:
    5; goods that may not be promoted: 0). `requested`: by an act of the shopper, never by default.
    """

    id: str
    product_id: str
    sku: str
    name: str
    quantity: int
    unit_minor: int
    vat_percent: Decimal
    kind: Literal["goods", "digital", "service"] = "goods"
    scope: Literal["consumer", "gambling", "package_travel", "financial_service", "health"] = "consumer"
    offer_id: str = ""
    list_price_minor: int | None = None
    discount_ceiling_percent: int | None = None
    free_delivery_allowed: bool = True
    new_book: bool = False
    extra: bool = False
    requested: bool = True
    gift: bool = False
    personalised: bool = False

    @property
    def may_travel_free(self) -> bool:
        """Whether a cart that holds it may be delivered for nothing: never one with new books (D20)."""
        return self.free_delivery_allowed and not self.new_book


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """Lines with what was granted on them: at most one discount, and delivery free or not."""

    lines: tuple[Line, ...]
    discount: Coupon | None = None
    free_delivery: bool = False


def goods_minor(lines: Sequence[Line]) -> int:
    """The lines' prices before discounts."""
    return sum(line.unit_minor * line.quantity for line in lines)


def check_lines(lines: Sequence[Line]) -> Refusal | None:
    """The first line that cannot be ordered here."""
    if not lines:
        return Refusal("lines", "the cart is empty")
    for place, line in enumerate(lines):
        field = f"lines.{place}"
        if line.scope != "consumer":
            return Refusal(f"{field}.scope", f"{line.name} is not sold under these rules", "A32", "L221-2")
        if not 1 <= line.quantity <= QUANTITY_MAX:
            return Refusal(f"{field}.quantity", f"from 1 to {QUANTITY_MAX} units")
        if line.unit_minor < 0:
            return Refusal(f"{field}.unit_minor", "a price is not negative")
        if line.extra and not line.requested:
            return Refusal(f"{field}.requested", f"{line.name} is an option that nobody chose", "A15", "L121-17")
        if not line.requested and line.unit_minor:
            return Refusal(f"{field}.unit_minor", f"{line.name} was not ordered: it costs nothing", "A16", "L121-12")
    return None


def cost(basket: Basket, fee_minor: int) -> Totals:
    """The basket's amounts with delivery at `fee_minor`. Lines + delivery - discounts = total.

    A line whose ceiling the discount would break takes no part in it. Delivery is free only when each line allows it.
    """
    lines = basket.lines
    free = basket.free_delivery and all(line.may_travel_free for line in lines)
    delivery = Delivery(fee_minor=0 if free else fee_minor)
    gross = totals([_law(line) for line in lines], None, delivery)
    found = gross if basket.discount is None else _discounted(basket.lines, basket.discount, delivery)
    return found._replace(discount_minor=found.discount_minor + fee_minor) if free else found


def _discounted(lines: Sequence[Line], coupon: Coupon, delivery: Delivery) -> Totals:
    """The discount over the lines that may take it, until no ceiling is broken."""
    sharing = list(range(len(lines)))
    reached: dict[int, int] = {}
    while sharing:
        part = totals([_law(lines[place]) for place in sharing], coupon, None)
        reached = dict(zip(sharing, part.net_minor, strict=True))
        within = [place for place, net in reached.items() if _within(lines[place], net)]
        if len(within) == len(sharing):
            break
        sharing, reached = within, {}
    if len(sharing) == len(lines):
        return totals([_law(line) for line in lines], coupon, delivery)
    gross = tuple(line.unit_minor * line.quantity for line in lines)
    nets = [reached.get(place, amount) for place, amount in enumerate(gross)]
    reduced = [
        CartLine(unit_minor=net, quantity=1, vat_percent=Percent(line.vat_percent))
        for net, line in zip(nets, lines, strict=True)
    ]
    found = totals(reduced, None, delivery)
    return found._replace(gross_minor=gross, discount_minor=sum(gross) - sum(nets))


def _within(line: Line, net_minor: int) -> bool:
    if line.discount_ceiling_percent is None:
        return True
    whole = (line.list_price_minor or line.unit_minor) * line.quantity
    return net_minor * 100 >= whole * (100 - line.discount_ceiling_percent)


def _law(line: Line) -> CartLine:
    percent = Percent(line.vat_percent)
    return CartLine(id=line.id, unit_minor=line.unit_minor, quantity=line.quantity, vat_percent=percent)
