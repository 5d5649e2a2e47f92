"""An order and what can be done to it: plain data, and the sums that follow from it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from relance.events.envelope import Item
from relance.rules.law.delivery import Resolution
from services.checkout.domain.attempts import SECURED, Attempt, News, Patience
from services.checkout.domain.events import Aggregate
from services.checkout.domain.refunds import Cause, Redirect, Refund, RefundNews, Retry, Settle
from services.checkout.domain.tenders import BY_PROVIDER, Means, Tender

__all__ = [
    "ENDED",
    "Act",
    "Cancel",
    "CancelAttempt",
    "ClockMoved",
    "Close",
    "Deliver",
    "End",
    "GiveBack",
    "HoldPayment",
    "Incident",
    "MarkParcel",
    "Order",
    "OrderLine",
    "OrderTerms",
    "Parcel",
    "Prepare",
    "Received",
    "Resolve",
    "Ship",
    "StartAttempt",
    "State", "SwitchMeans",
    "Withdraw",
    "items",
    "kept_minor",
    "left_minor",
    "on_its_way",
    "owed_minor",
    "started",
    "still_to_ship",
]  # fmt: skip

State = Literal[
    "placed", "confirmed", "preparing", "shipped", "delivered", "closed", "lapsed", "cancelled", "resolved",
]  # fmt: skip
ENDED: Final = frozenset({"lapsed", "cancelled", "resolved"})
Incident = Literal["lost", "damaged", "refused", "returned"]


class OrderTerms(msgspec.Struct, frozen=True):
    """What the shop's printed terms say of time. `concluded`: by the click, or by the payment."""

    lapse_hours: int = 24
    patience: Patience = Patience()
    attempts_max: int = 10
    concluded: Literal["order_placed", "payment_secured"] = "order_placed"


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """`net_minor`: the whole line after discounts. `shipped`, `received`, `withdrawn`: units; `ended`: those that will
    never come, because they are unavailable or their delivery was resolved.
    """

    id: str
    product_id: str
    name: str
    sku: str = ""  # empty for what has no stock
    quantity: int
    unit_minor: int
    net_minor: int
    shipped: int = 0
    received: int = 0
    withdrawn: int = 0
    ended: int = 0


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """Units by line. A deposit at a relay or in a locker is no receipt. `incident`: what befell it on its way; unless
    it was refused, its units are to be shipped anew.
    """

    id: str
    units: dict[str, int]
    shipped_at: datetime
    carrier: str = ""
    tracking_url: str = ""
    deposited_at: datetime | None = None
    received_at: datetime | None = None
    received_by: str = ""
    incident: Literal["", Incident] = ""
    incident_at: datetime | None = None


class Order(Aggregate, frozen=True, kw_only=True):
    """`deadline`: when it lapses unless payment is secured; `lapsing`: the provider was told to let go.

    `awaited_until`: when an accepted offline means must have been paid, unless the consumer has suspended payment
    since `held_at`. Always: lines + delivery = total = tenders.
    """

    checkout_id: str
    recap_hash: str
    state: State = "placed"
    terms: OrderTerms = OrderTerms()
    currency: str = "EUR"
    total_minor: int
    delivery_minor: int
    discount_minor: int = 0
    lines: tuple[OrderLine, ...]
    tenders: tuple[Tender, ...]
    attempts: tuple[Attempt, ...] = ()
    refunds: tuple[Refund, ...] = ()
    parcels: tuple[Parcel, ...] = ()
    placed_at: datetime
    deadline: datetime
    awaited_until: datetime | None = None
    held_at: datetime | None = None
    confirmed_at: datetime | None = None
    paid_at: datetime | None = None
    completed: bool = False
    lapsing: bool = False

    @property
    def concluded_at(self) -> datetime | None:
        """When the contract was concluded, as the printed terms say; None before."""
        return self.placed_at if self.terms.concluded == "order_placed" else self.confirmed_at

    @property
    def due(self) -> int | None:
        """The place of the tender that is still to be paid, None when nothing is."""
        return next((place for place, tender in enumerate(self.tenders) if tender.state == "due"), None)

    @property
    def live(self) -> Attempt | None:
        """The one attempt that is under way."""
        return next((attempt for attempt in self.attempts if attempt.live), None)


class StartAttempt(msgspec.Struct, frozen=True, kw_only=True, tag="start_attempt"):
    """Ask the provider for what is due. `means` may be another one of the provider's than at the click;
    `methods` and `patience_days` are that means'.
    """

    means: str
    psp: str
    methods: tuple[str, ...] = ()
    patience_days: int = 0


def started(means: Means, psp: str) -> StartAttempt:
    """The act that asks the provider for what is due, by a means as the shop has it now."""
    return StartAttempt(means=means.id, psp=psp, methods=means.methods, patience_days=means.patience_days)


class SwitchMeans(msgspec.Struct, frozen=True, kw_only=True, tag="switch_means"):
    """Pay what is due by another means, of those offered to this order: nothing was bound to the one of the recap but
    the amount. An offline means is then awaited.
    """

    means: Means


class CancelAttempt(msgspec.Struct, frozen=True, kw_only=True, tag="cancel_attempt"):
    """Give up an attempt for another means: it ends when the provider has proven it."""

    attempt_id: str


class ClockMoved(msgspec.Struct, frozen=True, kw_only=True, tag="pass_time"):
    """Look at the clock: pages left open, deadlines."""


class Received(msgspec.Struct, frozen=True, kw_only=True, tag="received"):
    """Money of an offline means has arrived."""

    amount_minor: int
    received_at: datetime


class GiveBack(msgspec.Struct, frozen=True, kw_only=True, tag="give_back"):
    """Refund a sum, over the tenders. `key`: the request's own, so that a repeated one does nothing. `means`, `purse`:
    another way than back where it came from, which the consumer expressly chose at `agreed_at` (L221-24 al. 3).
    """

    key: str
    amount_minor: int
    cause: Cause
    means: str = ""
    purse: str = ""
    agreed_at: datetime | None = None


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag="prepare"):
    """The goods are being made ready."""


class Ship(msgspec.Struct, frozen=True, kw_only=True, tag="ship"):
    """A parcel leaves."""

    parcel_id: str
    units: dict[str, int]
    carrier: str = ""
    tracking_url: str = ""


class Deliver(msgspec.Struct, frozen=True, kw_only=True, tag="deliver"):
    """A parcel arrives: with the consumer or whom he designated, or is deposited for him."""

    parcel_id: str
    received_by: Literal["consumer", "designated", "relay", "locker", "pick_up_shop"]


class MarkParcel(msgspec.Struct, frozen=True, kw_only=True, tag="mark_parcel"):
    """Something befell a parcel before it was received. What is lost, damaged or came back is to be shipped anew: the
    risk is the trader's (L216-2).
    """

    parcel_id: str
    incident: Incident


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    """Units by line that will never come: they are unavailable, or the contract over them was resolved; or that came
    and go back because they are not as they should be.
    """

    units: dict[str, int]
    cause: Literal["unavailable", "resolved", "nonconforming"]


class HoldPayment(msgspec.Struct, frozen=True, kw_only=True, tag="hold_payment"):
    """The consumer suspends payment because delivery is late (L216-6 I 1°), or goes on with it."""

    held: bool


class Close(msgspec.Struct, frozen=True, kw_only=True, tag="close"):
    """Nothing more is expected of a delivered order."""


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Cancel before anything was shipped."""

    reason: str


class Resolve(msgspec.Struct, frozen=True, kw_only=True, tag="resolve"):
    """The consumer ended the contract for want of delivery; what the law says of it comes with the act."""

    found: Resolution


class Withdraw(msgspec.Struct, frozen=True, kw_only=True, tag="withdraw"):
    """A statement of withdrawal, in any form. `units` by line; empty means all. `accepted`: what the law gives of it,
    with contracts that end beside; None: all of `units`, and none of them: the statement is said and moves nothing.
    `told`: it was said before, and the law gives more of it now. `earned`: a service that was used has to be paid, or
    the shop paid a part back by hand, so that not all goes back even when all is withdrawn.
    """

    stated_at: datetime
    medium: str
    units: dict[str, int] = {}
    accepted: dict[str, int] | None = None
    told: bool = False
    earned: bool = False


Act = (
    StartAttempt | SwitchMeans | CancelAttempt | News | ClockMoved | Received | GiveBack | RefundNews | Redirect | Retry
    | Settle | Prepare | Ship | Deliver | MarkParcel | End | HoldPayment | Close | Cancel | Resolve | Withdraw
)  # fmt: skip


def kept_minor(order: Order) -> int:
    """Money that is with the shop or its provider for this order: what came in less what went back."""
    by_provider = sum(attempt.received_minor for attempt in order.attempts if attempt.state in SECURED)
    others = sum(
        tender.amount_minor for tender in order.tenders if tender.kind not in BY_PROVIDER and tender.state == "taken"
    )
    return by_provider + others - sum(refund.amount_minor for refund in order.refunds if refund.state == "succeeded")


def owed_minor(order: Order) -> int:
    """Refunds that were asked for and have not succeeded yet."""
    return sum(refund.amount_minor for refund in order.refunds if refund.state != "succeeded")


def left_minor(order: Order) -> tuple[int, ...]:
    """What can still be given back of each tender: taken, and not refunded by a request of any state."""
    return tuple(
        tender.amount_minor - _asked(order, place) if tender.state == "taken" else 0
        for place, tender in enumerate(order.tenders)
    )


def on_its_way(parcel: Parcel) -> bool:
    """Whether a parcel counts as shipped: neither lost, nor damaged, nor back."""
    return parcel.received_at is not None or parcel.incident in {"", "refused"}


def still_to_ship(order: Order) -> dict[str, int]:
    """Units by sku that an order goes on to ship: none once it has ended."""
    still: dict[str, int] = {}
    for line in () if order.state in ENDED else order.lines:
        if line.sku:
            left = max(0, line.quantity - line.shipped - line.withdrawn - line.ended)
            still[line.sku] = still.get(line.sku, 0) + left
    return still


def _asked(order: Order, place: int) -> int:
    return sum(refund.amount_minor for refund in order.refunds if refund.tender == place and refund.cause != "surplus")


def items(lines: Iterable[OrderLine], units: dict[str, int] | None = None) -> tuple[Item, ...]:
    """Lines as events tell them: the units given, or all. A line's price is that of the unit before discounts."""
    chosen = ((line, line.quantity if units is None else units.get(line.id, 0)) for line in lines)
    return tuple(
        Item(product_id=line.product_id, name=line.name, quantity=count, price_minor=line.unit_minor)
        for line, count in chosen
        if count
    )
