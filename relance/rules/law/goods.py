"""What is sold: lines with their legal attributes, and paid extras."""

from datetime import date
from typing import Annotated, Literal

import msgspec

from relance.rules.law.shop import Fact, Instant

__all__ = ["Digital", "EarlyStart", "Equipment", "Extra", "Guarantee", "Line", "Price", "Reduction", "Safety",
           "Subscription"]  # fmt: skip


class Price(Fact, frozen=True, kw_only=True):
    """A price from an instant on. `scope`: charged to all, or to one person."""

    since: Instant
    price_minor: int
    scope: Literal["all", "individual"] = "all"
    campaign: str = ""


class Reduction(Fact, frozen=True, kw_only=True):
    """An announced reduction of a price. `prior_minor` and `percent`: as announced; `percent_of`: the price from which
    percent and slogans are computed; `compares`: with the shop's own earlier price, or with other traders'.
    """

    since: Instant
    price_minor: int
    prior_minor: int | None = None
    percent: int | None = None
    percent_of_minor: int | None = None
    campaign: str = ""
    history: tuple[Price, ...] = ()
    compares: Literal["own", "others"] = "own"
    looks_like_own: bool = False


class Guarantee(Fact, frozen=True, kw_only=True):
    """A commercial guarantee. `title`: what the pages call it."""

    title: str
    years: int = 0
    by_producer: bool = False
    durability: bool = False
    label_shown: bool = False
    durable_medium: bool = False
    besides_legal: bool = False
    guarantor: str = ""
    exclusions: str = ""


class Digital(Fact, frozen=True, kw_only=True):
    """Digital content, a digital service, or the digital elements of goods."""

    functionality: str = ""
    compatibility: str = ""
    interoperability: str = ""
    update_period_given: bool = False  # by the producer
    update_period: str = ""
    continuous: bool = False


class EarlyStart(Fact, frozen=True, kw_only=True):
    """Acts of a consumer who wants performance before the end of the period, each with its instant."""

    requested_at: Instant | None = None
    loss_acknowledged_at: Instant | None = None
    confirmed_at: Instant | None = None  # both sent on a durable medium
    supplied_at: Instant | None = None


class Subscription(Fact, frozen=True, kw_only=True):
    """A contract of repeated payments. Totals as the recap shows them. `renews_tacitly`: it is concluded for a time,
    and goes on unless somebody says no. `term_months`: that time, 0 when it has no end; `refusal_days` before its end
    are the last on which renewal can be refused; `notice_days`: after a termination of a contract without end.
    """

    minimum_months: int = 0
    duration: str = ""
    period_total_minor: int | None = None
    monthly_total_minor: int | None = None
    free_trial: bool = False
    renews_tacitly: bool = False
    term_months: Annotated[int, msgspec.Meta(ge=0, le=120)] = 0
    refusal_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0
    trial_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 0
    notice_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0


class Equipment(Fact, frozen=True, kw_only=True):
    """Electrical or electronic equipment, or furniture; `spare_parts` as shown before sale and on the confirmation."""

    type: Literal["television", "washing_machine", "smartphone", "tablet", "listed", "other"] = "other"
    spare_parts: str = ""
    spare_parts_on_confirmation: str = ""
    index: Literal["repairability", "durability", "energy_label", "none"] = "none"
    index_shown: bool = False


class Safety(Fact, frozen=True, kw_only=True):
    """What a non-food offer page shows under the general product safety regulation."""

    manufacturer: str = ""
    address: str = ""
    electronic_address: str = ""
    made_in_eu: bool = True
    responsible_person: str = ""
    picture: bool = False
    identifier: str = ""
    warnings_languages: tuple[str, ...] = ()


class Line(Fact, frozen=True, kw_only=True):
    """One line of the cart."""

    id: str
    name: str
    kind: Literal["goods", "digital", "service"] = "goods"
    quantity: int = 1
    unit_minor: int
    characteristics: str = ""
    scope: Literal["consumer", "gambling", "package_travel", "financial_service", "health"] = "consumer"
    delivery_on: date | None = None
    delivery_days: int | None = None
    essential_date: bool = False
    delivered_separately: bool = False
    several_lots: bool = False
    regular: bool = False
    legal_guarantee: str = ""
    guarantees: tuple[Guarantee, ...] = ()
    digital: Digital | None = None
    exception: int | None = None  # of L221-28, 1 to 13
    exception_shown: bool = False
    early: EarlyStart | None = None
    subscription: Subscription | None = None
    equipment: Equipment | None = None
    safety: Safety | None = None
    food: bool = False
    post_returnable: bool = True
    return_cost_minor: int | None = None
    supply_possible: bool = True
    category: Literal["", "alcohol", "tobacco", "vaping", "nitrous_oxide", "adult"] = ""
    new_book: bool = False
    list_price_minor: int | None = None
    unit_price_due: bool = False
    unit_price: str = ""
    perishable: bool = False
    reduction: Reduction | None = None
    environment_sheet: str = ""
    environment_claims: tuple[str, ...] = ()  # as shown on the product or its pack
    imported: bool = False  # sent from outside the Union
    import_charges: str = ""
    vat_percent: str = "20"
    requested: bool = True  # put in the cart by the consumer
    gift: bool = False
    used: bool = False  # sold as used goods
    service_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0  # how long a service lasts

    @property
    def amount_minor(self) -> int:
        """The line's price before discounts."""
        return self.unit_minor * self.quantity


class Extra(Fact, frozen=True, kw_only=True):
    """A paid option. `selected_by`: the consumer's explicit act, or the page's default."""

    id: str
    name: str
    price_minor: int
    kind: Literal["service", "insurance", "guarantee", "delivery"] = "service"
    selected: bool = False
    selected_by: Literal["act", "default"] = "act"
    required: bool = False  # the order cannot pass without it
    sold_as_own_feature: tuple[str, ...] = ()  # statutory rights that its page presents as its advantage
