"""What the pages and the interface are shown: one checkout, or one order, priced and judged at an instant."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from relance.rules.law.totals import Totals
from relance.rules.law.verdict import Verdict
from services.checkout.domain.articles import Article
from services.checkout.domain.cart import Line
from services.checkout.domain.checkouts import Checkout
from services.checkout.domain.delivery import Quote
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.recap import Button, Difference, Recap
from services.checkout.domain.records import Record, TextShown
from services.checkout.domain.shops import OfferedMeans, Place, Shop
from services.checkout.domain.tenders import Tender

__all__ = ["STEPS", "Alert", "Kept", "LineView", "OrderView", "Pressed", "View", "step_of"]

STEPS = ("cart", "contact", "delivery", "payment", "recap")


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its amounts. `prior_minor`: to be shown beside the price when a reduction is announced, with
    `percent` at most; `free`: units that can still be promised, None when nobody counts.
    """

    line: Line
    article: Article | None
    gross_minor: int
    net_minor: int
    prior_minor: int | None = None
    percent: str = ""
    free: int | None = None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A checkout now. `sums` hold the chosen delivery, or the cheapest one before a choice. `refusals`: what keeps the
    order from passing, by field (a sold-out line, a coupon that does not hold); `verdict`: what the law says.

    `recap` and `recap_hash` are set when contact, delivery and payment are known; `differences`: from the recap that
    was shown last. `texts`: by name, to be rendered as they are. `step`: n of m, for the page of the state.
    """

    shop: Shop
    checkout: Checkout
    record: Record
    language: str
    at: datetime
    lines: tuple[LineView, ...]
    sums: Totals
    quotes: tuple[Quote, ...]
    cheapest: Quote | None
    chosen: Quote | None
    places: tuple[Place, ...]
    announced: tuple[OfferedMeans, ...]
    means: tuple[OfferedMeans, ...]
    tenders: tuple[Tender, ...]
    refusals: tuple[Refusal, ...]
    verdict: Verdict
    button: Button
    recap: Recap | None = None
    recap_hash: str = ""
    differences: tuple[Difference, ...] = ()
    texts: dict[str, TextShown] = {}
    step: tuple[int, int] = (1, len(STEPS))
    order_id: UUID | None = None

    @property
    def digital(self) -> bool:
        """Whether the two acts for performance at once are asked."""
        return any(one.line.kind in {"digital", "service"} for one in self.lines)


class Alert(NamedTuple):
    """Something that the order page says: a confirmation that did not arrive, a refund that failed."""

    kind: str
    at: datetime
    detail: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What an order keeps beside its machine: its acknowledgement, documents by name, alerts, and by attempt where at
    the provider the shopper pays.
    """

    id: str
    checkout_id: str
    acknowledged_at: datetime | None = None
    documents: dict[str, str] = {}
    alerts: tuple[Alert, ...] = ()
    pay_urls: dict[str, str] = {}
    messages: int = 0
    version: int = 0


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order now. `pay_url`: where an attempt under way continues at the provider; `links`: by purpose."""

    shop: Shop
    order: Order
    record: Record
    recap: Recap
    language: str
    email: str
    documents: dict[str, str]
    alerts: tuple[Alert, ...]
    means: tuple[OfferedMeans, ...]
    pay_url: str = ""
    evidence_head: str = ""
    links: dict[str, str] = {}
    at: datetime


class Pressed(NamedTuple):
    """What a click made. `redirect_url`: the provider's page, None when nothing is to be paid there; `again`: the same
    button had been pressed before.
    """

    order_id: UUID
    redirect_url: str | None
    again: bool


def step_of(checkout: Checkout) -> tuple[int, int]:
    """The step that comes next, of all that this cart has; carts without goods have no delivery."""
    steps = [name for name in STEPS if name != "delivery" or checkout.needs_delivery]
    state = {"open": "cart", "contacted": "delivery", "delivering": "payment", "paying": "recap"}
    name = state.get(checkout.state, "recap")
    if name == "delivery" and not checkout.needs_delivery:
        name = "payment"
    return steps.index(name) + 1, len(steps)
