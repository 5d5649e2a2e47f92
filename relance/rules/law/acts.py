"""What was done: the order, its payments, deliveries and refunds."""

from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from relance.rules.law.shop import Fact, Instant

__all__ = ["PARIS", "Attempt", "Confirmation", "Contract", "LegalGuarantee", "Order", "Parcel", "Refund", "Statement"]

PARIS = ZoneInfo("Europe/Paris")


class Attempt(Fact, frozen=True, kw_only=True):
    """One attempt to pay. `authentication`: strong, or the exemption claimed."""

    id: str
    amount_minor: int
    payee: str = ""
    initiated_by: Literal["customer", "merchant"] = "customer"
    authentication: Literal["strong", "low_value", "transaction_risk", "trusted", "recurring", "none"] = "strong"
    mandate: str = ""  # reference of the first authenticated payment
    fraud_rate_percent: str = ""  # of the provider, for transaction risk analysis
    soft_declined: bool = False
    resubmitted_with_challenge: int = 0
    counted_as_abandonment: bool = False
    retries_in_30_days: int = 0
    retry_forbidden: bool = False  # the network advised never to try again
    retried: bool = False


class Confirmation(Fact, frozen=True, kw_only=True):
    """The confirmation of the contract. `medium`: e-mail or PDF, or a bare link."""

    sent_at: Instant | None = None
    medium: Literal["email_pdf", "email", "link", "none"] = "none"
    items: tuple[str, ...] = ()
    form_attached: bool = False
    form_filled: bool = False
    phone_ban: bool = False


class Parcel(Fact, frozen=True, kw_only=True):
    """A parcel on its way, or units that are still to leave. `received_by`: a relay's or a locker's deposit is no
    receipt. `offered_on`: the consumer could have had it, and refused it: it was not late after that day.
    """

    lines: tuple[str, ...]
    promised_on: date | None = None
    offered_on: date | None = None
    received_at: Instant | None = None
    received_by: Literal["", "consumer", "designated", "relay", "locker"] = ""
    carrier_chosen_by: Literal["trader", "consumer"] = "trader"
    lost: bool = False
    refused_because_of_carrier: bool = False


class LegalGuarantee(Fact, frozen=True, kw_only=True):
    """The legal guarantee of goods of one line: received last on `received_on`, `until` which day it is said to last;
    `repaired_on`, `replaced_on`: when they were back.
    """

    line: str
    received_on: date
    until: date
    repaired_on: tuple[date, ...] = ()
    replaced_on: tuple[date, ...] = ()


class Statement(Fact, frozen=True, kw_only=True):
    """A statement of withdrawal, and what came of it. `last_day`: of the lines that it is about; of those that were
    refused as late, when some were. `medium`: of its acknowledgement, which `holds_content` and `holds_time` of the
    statement. `refused_for`: why a line of it was refused.
    """

    channel: Literal["web", "letter", "phone", "chat", "email", "shop"] = "web"
    stated_at: Instant
    last_day: date | None = None
    acknowledged_at: Instant | None = None
    medium: Literal["", "email", "email_pdf", "letter", "link", "page"] = ""
    holds_content: bool = False
    holds_time: bool = False
    refused_for: Literal["", "form", "channel", "no_reason", "identity", "late", "exception"] = ""


class Contract(Fact, frozen=True, kw_only=True):
    """A contract that goes on after the order. `refusal_until`: the last day on which renewal can be refused, None when
    it does not renew itself. `left_on`: the consumer ended it because no notice was valid; `advances_minor`: paid by
    him for the time after. `asked_at`: a termination; `confirmed_at`, by `medium`, which `holds_end` and effects.
    """

    line: str
    refusal_until: date | None = None
    renews_on: date | None = None
    notice_on: date | None = None
    leave_refused: bool = False
    left_on: date | None = None
    advances_minor: int = 0
    advances_refunded_on: date | None = None
    asked_at: Instant | None = None
    confirmed_at: Instant | None = None
    medium: Literal["", "email", "email_pdf", "letter", "link", "page"] = ""
    holds_end: bool = False


class Order(Fact, frozen=True, kw_only=True):
    """A placed order. `charged_minor`: all sums taken. `ancillary_kept`: names of contracts that were held on to after
    the withdrawal from what they stand beside; `content_withheld`: the consumer's own, which he asked back.
    `extra_time_lines`: those that the notice of late delivery is about, empty for all. `repaired_on`, `replaced_on`,
    `guarantee_until`: of one thing that was sold; `guarantees`: of each line. `unavailable_refunded`: paid back, or
    still in time to be.
    """

    concluded_at: Instant
    signed_on_durable_medium: bool = False
    acknowledged_at: Instant | None = None
    confirmation: Confirmation = Confirmation()
    charged_minor: int = 0
    supply_started_at: Instant | None = None
    unordered_charged_minor: int = 0
    parcels: tuple[Parcel, ...] = ()
    stated_last_day: date | None = None  # end of the withdrawal period, as told to the consumer
    late_notice_at: Instant | None = None
    extra_time_until: date | None = None
    extra_time_lines: tuple[str, ...] = ()
    resolution_received_at: Instant | None = None
    resolution_refused_for: Literal["", "not_registered_letter", "carrier", "other"] = ""
    payments_suspended: bool = False
    dunning_active: bool = False
    substitute_sent: bool = False
    substitute_accepted: bool = False
    unavailable: bool = False
    unavailable_refunded: bool = False
    repaired_on: date | None = None
    replaced_on: date | None = None
    guarantee_until: date | None = None
    guarantees: tuple[LegalGuarantee, ...] = ()
    archived_until: date | None = None
    archive_access: bool = False
    archive_integrity: bool = False
    invoice: Literal["complete", "incomplete", "none"] = "none"
    liability_refused_for: Literal["", "carrier", "subcontractor", "consumer", "third_party", "force_majeure"] = ""
    statements: tuple[Statement, ...] = ()
    function_hidden: bool = False  # the withdrawal function, because somebody held that there is no right
    ancillary_kept: tuple[str, ...] = ()
    content_withheld: bool = False
    contracts: tuple[Contract, ...] = ()

    @property
    def concluded_on(self) -> date:
        """The Paris date of conclusion."""
        return self.concluded_at.astimezone(PARIS).date()


class Refund(Fact, frozen=True, kw_only=True):
    """A refund made or about to be made. `refunded_on`: when the money was sent; sums in cents. `part_of`: a name that
    the parts of one sum share, which went on several days: each is late by its own, the product's price caps all.
    """

    cause: Literal["withdrawal", "delivery", "guarantee", "extra", "other"]
    notice_on: date
    lines_minor: int = 0
    delivery_paid_minor: int = 0
    amount_minor: int = 0
    surcharge_minor: int = 0
    product_minor: int | None = None
    shipped: bool = True
    recovered_on: date | None = None
    dispatched_on: date | None = None
    collection_offered: bool = False
    refunded_on: date
    part_of: str = ""
    means: str = ""
    original_means: str = ""
    other_means_agreed: bool = False
    original_failed: bool = False
    cost_minor: int = 0
    return_cost_deducted_minor: int = 0
    service_price_minor: int | None = None
    service_days: int | None = None
    service_days_used: int | None = None
    service_request: bool = False
    service_due_minor: int = 0
