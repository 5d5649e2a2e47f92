"""What follows an order: all that Aftercare holds, plain data. What is done with it stands with the acts' own modules.

`Due` is what the law owes; the order's `Refund` is money that moves. One discharges the other, and is not the other.
"""

from datetime import date, datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID, uuid5

import msgspec

from relance.rules.law.calendar import first_instant
from services.checkout.domain.delivery import OfferedFee

__all__ = [
    "Aftercare", "Channel", "Claim", "Due", "Incident", "LateNotice", "LineDecision", "PaperRef", "Payout", "Regime",
    "Resolved", "SoldLine", "Statement", "Stray", "Voucher", "bounded", "new_due", "put_in",
]  # fmt: skip

replace = msgspec.structs.replace

Channel = Literal["web", "letter", "phone", "chat", "email", "shop"]
Regime = Literal["withdrawal", "delivery", "guarantee", "renewal", "none"]


class SoldLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line as it was sold, and what has become of its rights since. `exception`: of L221-28. `requested_at`,
    `loss_at`: the consumer's two acts for performance at once. `service_days`: how long a service lasts, from
    `started_on`. `subscribed`: it runs on from its conclusion. `ancillary_to`: ids of the lines whose withdrawal ends
    this one. `return_cost_minor`: of one return, where goods cannot go by post. `digital_cut_at`: access ended after a
    withdrawal.
    """

    id: str
    name: str
    kind: Literal["goods", "digital", "service"]
    vat_percent: str
    regular: bool = False
    used: bool = False
    extra: bool = False
    exception: int | None = None
    exception_shown: bool = False
    requested_at: datetime | None = None
    loss_at: datetime | None = None
    promised_on: date | None = None
    essential: bool = False
    service_days: int = 0
    subscribed: bool = False
    started_on: date | None = None
    performed_on: date | None = None
    unsealed_on: date | None = None
    ancillary_to: tuple[str, ...] = ()
    return_cost_minor: int | None = None
    digital_cut_at: datetime | None = None


# -- statements of withdrawal ------------------------------------------------------------------------------------------


class LineDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a statement achieves for one line. `units`: those stated, as far as they were left. `moved`: the order
    counts them as withdrawn; also after the trader proved an exception later, when nothing is owed for them any more.
    """

    line_id: str
    units: int
    outcome: Literal["accepted", "late", "excepted", "ancillary"]
    reason: str
    rule: str
    article: str
    last_day: date | None = None
    exception: int | None = None
    moved: bool = False


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A statement of withdrawal. `stated_at`: sent, which decides; `received_at`: known to the trader, from which his
    time to pay runs. `units` by line. `content`: hash of the words, kept encrypted. `anyway_at`: the shop took what it
    need not take. `by_post`: no mail acknowledges it, for it came back.
    """

    id: str
    channel: Channel
    stated_at: datetime
    received_at: datetime
    recorded_at: datetime
    units: dict[str, int]
    decisions: tuple[LineDecision, ...] = ()
    acknowledged_at: datetime | None = None
    returned_on: date | None = None
    dispatched_on: date | None = None
    content: str = ""
    anyway_at: datetime | None = None
    by_post: bool = False


class Stray(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A statement that matched no order. `subject`: under whose key its words are kept; `candidate`: the order whose
    number it named. `about`: what it states; a termination, for the day `wished_on`, is ended by the contract's own
    act. `by_post`: no mail acknowledges it, for it came back, or no address was given for it.
    """

    id: str
    shop: str
    stated_at: datetime
    recorded_at: datetime
    content: str
    subject: str
    candidate: str = ""
    state: Literal["open", "matched", "closed"] = "open"
    acknowledged_at: datetime | None = None
    order_id: str = ""
    about: Literal["withdrawal", "termination"] = "withdrawal"
    wished_on: date | None = None
    by_post: bool = False
    version: int = 0


# -- what is owed ------------------------------------------------------------------------------------------------------


class Payout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money that the shop paid by itself. `for_`: the sum that was due, or what its lateness costs."""

    id: str
    minor: int
    paid_on: date
    for_: Literal["principal", "surcharge"]
    means: str


class Voucher(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another way, which the consumer expressly chose. `words`: SHA-256 of what he said."""

    means: str
    agreed_at: datetime
    purse: str = ""
    words: str = ""


class Due(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the law owes the consumer. `source`: what made it, such as `statement/ID`. `goods_minor`: for `units`, of
    services what is given back of them, after `service_kept_minor`; `lines_minor`: of it, by line; `amount_minor` =
    `goods_minor` + `delivery_minor`, 0 when an exception was proven after all.
    `product_minor`: the price of the units, by which the tariff is capped. `notice_on`: the day from which the time
    to pay runs. `shipped`: its units left, so that it may wait for the goods. `by_hand`: what no refund can bring.
    """

    id: str
    regime: Regime
    source: str
    units: dict[str, int] = {}
    lines_minor: dict[str, int] = {}
    goods_minor: int = 0
    delivery_minor: int = 0
    service_kept_minor: int = 0
    amount_minor: int
    product_minor: int
    notice_on: date
    shipped: bool = False
    collection_offered: bool = False
    recovered_on: date | None = None
    dispatched_on: date | None = None
    refund_ids: tuple[str, ...] = ()
    payouts: tuple[Payout, ...] = ()
    by_hand: bool = False
    voucher: Voucher | None = None


# -- delivery ----------------------------------------------------------------------------------------------------------


class LateNotice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The consumer's notice that delivery is late, with extra time to the end of `until`. `units`: empty for all."""

    id: str
    at: datetime
    until: date
    medium: str
    units: dict[str, int] = {}


class Resolved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A resolution for want of delivery, in any writing, and what it achieves."""

    id: str
    received_at: datetime
    medium: str
    units: dict[str, int]
    resolved: bool
    rule: str
    reason: str
    due_id: str = ""


class Incident(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What befell a parcel. `own_carrier`: the consumer chose who carries it, so that its risk had passed."""

    id: str
    parcel_id: str
    kind: Literal["lost", "damaged", "refused", "returned"]
    at: datetime
    own_carrier: bool = False


# -- guarantees --------------------------------------------------------------------------------------------------------


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A claim under the legal guarantee. `content`: hash of the words. `appeared_on`: when the fault did; None for the
    day of the claim. `out_from`, `back_on`: away for repair. `gone`: its goods went back in another way.
    """

    id: str
    line_id: str
    units: int
    asked: Literal["repair", "replacement", "reduction", "resolution"]
    opened_at: datetime
    content: str = ""
    state: Literal["opened", "taken", "repaired", "replaced", "reduced", "resolved", "refused", "gone"] = "opened"
    taken_on: date | None = None
    postage_minor: int = 0
    out_from: date | None = None
    back_on: date | None = None
    refused_for: str = ""
    appeared_on: date | None = None


# -- documents ---------------------------------------------------------------------------------------------------------


class PaperRef(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice or a credit note of the order. `cause`: `order`, a refund's key, or what it was asked for and when.
    `taxed_minor`: of the total, by rate; `vat_minor`: the tax within, none where the seller charges none.
    """

    number: str
    kind: Literal["invoice", "credit_note"]
    cause: str
    total_minor: int
    vat_minor: dict[str, int]
    issued_on: date
    sha256: str = ""
    taxed_minor: dict[str, int] = {}


class Aftercare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of one order, by its id. `sold`: frozen when it is opened. `return_cost_borne_by`: who pays returns, as the
    contract says; empty where it was made before that was kept, and the shop's word holds. `confirmed_at`: the
    confirmation was sent, on a durable medium. `informed`: of the right of withdrawal, in time; else on `informed_on`,
    or never. `told`: what was said once. `since`: of an order that a release before aftercare confirmed; letters and
    invoices before that are none of ours.
    """

    id: str
    checkout_id: str
    opened_at: datetime
    sold: tuple[SoldLine, ...]
    offered: tuple[OfferedFee, ...] = ()
    return_cost_borne_by: Literal["", "trader", "consumer"] = ""
    confirmed_at: datetime | None = None
    informed: bool = True
    informed_on: date | None = None
    statements: tuple[Statement, ...] = ()
    dues: tuple[Due, ...] = ()
    late_notices: tuple[LateNotice, ...] = ()
    resolutions: tuple[Resolved, ...] = ()
    incidents: tuple[Incident, ...] = ()
    claims: tuple[Claim, ...] = ()
    papers: tuple[PaperRef, ...] = ()
    told: tuple[str, ...] = ()
    since: datetime | None = None
    version: int = 0

    def line(self, line_id: str) -> SoldLine | None:
        """A line as it was sold."""
        return next((one for one in self.sold if one.id == line_id), None)

    def statement(self, statement_id: str) -> Statement | None:
        """One of its statements."""
        return next((one for one in self.statements if one.id == statement_id), None)

    def due(self, due_id: str) -> Due | None:
        """One of its dues."""
        return next((one for one in self.dues if one.id == due_id), None)


def bounded(after: Aftercare, since: date | None) -> Aftercare:
    """The aftercare with its shop's own word on since when it is kept here, where one was given: it is heard of orders
    of before only. What was sold since has its invoice and its letters whatever the shop says.
    """
    if since is None or after.since is None or after.since == first_instant(since):
        return after
    return replace(after, since=first_instant(since))


class _Named(Protocol):
    @property
    def id(self) -> str: ...


Held = TypeVar("Held", bound=_Named)


def put_in(held: tuple[Held, ...], one: Held) -> tuple[Held, ...]:
    """`held` with `one` in the place of what has its id, or after all of them."""
    place = next((place for place, other in enumerate(held) if other.id == one.id), len(held))
    return (*held[:place], one, *held[place + 1 :])


def new_due(after: Aftercare, regime: Regime, source: str, **facts: Any) -> Due:
    """The next due of an order; `facts` are its other fields. Its id follows from its place."""
    return Due(id=str(uuid5(UUID(after.id), f"due/{len(after.dues)}")), regime=regime, source=source, **facts)
