"""How far shoppers came: counted from checkouts and orders, and numbers only, of which none is about anybody."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from fractions import Fraction
from typing import Final
from uuid import UUID

import msgspec

from relance.rules.law.calendar import paris_date

__all__ = ["STEPS", "Begun", "Funnel", "Placed", "Tally"]

STEPS: Final = ("cart", "contact", "delivery", "payment", "recap", "ordered")


class _Given(msgspec.Struct, frozen=True):
    """Something that a step gave; what it was matters to nobody here."""


class _Who(msgspec.Struct, frozen=True, kw_only=True):
    cart_id: str
    visitor_id: str = ""
    person_id: str = ""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted of a checkout."""

    id: UUID
    context: _Who
    state: str
    started_at: datetime
    contact: _Given | None = None
    delivery: _Given | None = None
    means: _Given | None = None
    recap_hash: str = ""


class _Attempt(msgspec.Struct, frozen=True, kw_only=True):
    state: str
    category: str | None = None


class _Refund(msgspec.Struct, frozen=True, kw_only=True):
    state: str
    amount_minor: int


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted of an order."""

    checkout_id: str
    context: _Who
    total_minor: int
    attempts: tuple[_Attempt, ...] = ()
    refunds: tuple[_Refund, ...] = ()
    paid_at: datetime | None = None


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """Of the checkouts that were begun from `first` to `last`, both Paris dates and both in.

    `visitors`: distinct visitors of the shop's pages who came to the checkout; `carts`: distinct carts; `steps`: carts
    that came so far, each also having passed those before; `failures`: attempts to pay that failed, by why. `orders`
    were placed, `completed` of them paid; `buyers`: distinct persons or visitors who paid. `revenue_minor`: of orders
    that were paid, less what went back. `conversion` = buyers / visitors and `abandonment` = 1 - carts that were
    ordered / carts; None without data.
    """

    first: date
    last: date
    visitors: int
    carts: int
    steps: dict[str, int]
    failures: dict[str, int]
    orders: int
    completed: int
    buyers: int
    revenue_minor: int
    conversion: Fraction | None
    abandonment: Fraction | None


class Tally:
    """Counts what it is given, and forgets who it was: some checkouts, then the orders that they made, and so on."""

    def __init__(self, first: date, last: date) -> None:
        self._first, self._last = first, last
        self._carts: dict[str, int] = {}
        self._visitors: set[str] = set()
        self._checkouts: set[str] = set()
        self._buyers: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._orders = self._completed = self._revenue_minor = 0

    def checkouts(self, some: Iterable[Begun]) -> None:
        """Checkouts of one cart, one of which took the other's place, are one."""
        for one in some:
            if not self._first <= paris_date(one.started_at) <= self._last:
                continue
            self._checkouts.add(str(one.id))
            cart = one.context.cart_id
            self._carts[cart] = max(self._carts.get(cart, 0), _came(one))
            if who := one.context.visitor_id or one.context.person_id:
                self._visitors.add(who)

    def orders(self, some: Iterable[Placed]) -> None:
        """Orders of the checkouts that were counted."""
        for one in some:
            if one.checkout_id not in self._checkouts:
                continue
            self._orders += 1
            self._failures.update(try_.category or "unknown" for try_ in one.attempts if try_.state == "failed")
            if one.paid_at is not None:
                self._completed += 1
                gone = sum(refund.amount_minor for refund in one.refunds if refund.state == "succeeded")
                self._revenue_minor += one.total_minor - gone
                self._buyers.add(one.context.visitor_id or one.context.person_id or one.context.cart_id)

    def funnel(self) -> Funnel:
        """The numbers."""
        carts, visitors = len(self._carts), len(self._visitors)
        reached = Counter(self._carts.values())
        steps = {
            name: sum(count for came, count in reached.items() if came >= place) for place, name in enumerate(STEPS)
        }  # fmt: skip
        return Funnel(
            first=self._first, last=self._last, visitors=visitors, carts=carts, steps=steps,
            failures=dict(sorted(self._failures.items())), orders=self._orders, completed=self._completed,
            buyers=len(self._buyers), revenue_minor=self._revenue_minor,
            conversion=Fraction(len(self._buyers), visitors) if visitors else None,
            abandonment=1 - Fraction(steps["ordered"], carts) if carts else None,
        )  # fmt: skip


def _came(checkout: Begun) -> int:
    """The last step that a checkout came to, as its place in STEPS: what it holds tells it."""
    if checkout.state == "ordered":
        return STEPS.index("ordered")
    if checkout.recap_hash or checkout.state == "recap":
        return STEPS.index("recap")
    if checkout.means is not None:
        return STEPS.index("payment")
    if checkout.delivery is not None:
        return STEPS.index("delivery")
    return STEPS.index("contact") if checkout.contact is not None else 0
