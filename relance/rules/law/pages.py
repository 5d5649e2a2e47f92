"""What the pages of the tunnel show and ask."""

from datetime import date
from typing import Literal

import msgspec

from relance.rules.law.shop import Fact, Instant

__all__ = ["Button", "Claim", "Consent", "Contact", "Countdown", "Coupon", "Delivery", "Display", "Means", "Mode",
           "Payment", "PhoneField", "Recap", "Reviews"]  # fmt: skip


class Coupon(Fact, frozen=True, kw_only=True):
    """A discount. `scope`: one person, single use; or anybody who has the code."""

    code: str
    scope: Literal["individual", "public"] = "public"
    amount_minor: int = 0
    single_use: bool = False
    person_bound: bool = False
    announced_as_reduction: bool = False
    prior_shown: bool = False  # beside the code: the prior price of what it reduces
    scored: bool = False  # drawn by automated decision for this visitor
    free_delivery: bool = False


class Mode(Fact, frozen=True, kw_only=True):
    """A delivery mode as offered. `standard`: counts for the cap of refunds; pick-up does not."""

    id: str
    fee_minor: int
    standard: bool = True
    pick_up: bool = False
    expected_on: date | None = None
    green: bool = False
    stated_green: bool = False


class Delivery(Fact, frozen=True, kw_only=True):
    """Delivery: modes offered, the one chosen, and what the first page says of it."""

    modes: tuple[Mode, ...] = ()
    chosen: str = ""
    countries: tuple[str, ...] = ()
    restrictions_shown_at: Literal["cart", "later", "never"] = "never"
    cost_shown_before_order: bool = False
    reservations_note: bool = False  # the consumer will be told in writing that reservations may be made


class Means(Fact, frozen=True, kw_only=True):
    """A payment means as offered. `surcharge_minor`: what choosing it adds; `credit`: who defers the payment."""

    id: str
    kind: Literal["card", "wallet", "gift_card", "loyalty", "offline", "deferred", "instalments"] = "card"
    surcharge_minor: int = 0
    discount_announced: bool = True
    discount_minor: int = 0
    lender: Literal["", "supplier", "third_party"] = ""
    interest: bool = False
    paid_within_days: int | None = None  # of supply
    lender_hosted: bool = False
    refused_card_countries: tuple[str, ...] = ()


class Payment(Fact, frozen=True, kw_only=True):
    """Payment: the set announced at the start, the set offered, and how card data are taken."""

    announced: tuple[str, ...] = ()
    announced_at: Literal["cart", "later", "never"] = "never"
    express_before_recap: bool = False  # a wallet's button that orders before the recap
    means: tuple[Means, ...] = ()
    chosen: str = ""
    card_fields: Literal["psp_redirect", "psp_iframe", "own_page", "none"] = "psp_redirect"
    script_attacks_excluded: bool = False  # an iframe merchant's confirmation
    card_stored: bool = False
    card_storage_consent: Literal["separate_unticked", "ticked", "terms", "none"] = "none"
    security_code_kept: bool = False


class Consent(Fact, frozen=True, kw_only=True):
    """One purpose asked for. `proof`: text version and instant are stored."""

    purpose: str
    granted: bool = False
    preticked: bool = False
    separate: bool = True
    text_version: str = ""
    at: Instant | None = None


class PhoneField(Fact, frozen=True, kw_only=True):
    """A field for a phone number: the text beside it."""

    required: bool = False
    carrier_needs_it: bool = False
    notice: str = ""


class Contact(Fact, frozen=True, kw_only=True):
    """Where the e-mail address is collected."""

    email_notice: bool = False
    email_kept_only_on_submit: bool = True
    similar_goods_objection: Literal["unticked", "ticked", "none"] = "none"
    consents: tuple[Consent, ...] = ()
    consent_required: tuple[str, ...] = ()  # purposes without which the order does not pass
    phone: PhoneField | None = None
    guest: bool = True
    account_preselected: bool = False
    age_declared: bool = False
    blocked_by_ip: bool = False
    redirected_without_consent: bool = False


class Button(Fact, frozen=True, kw_only=True):
    """The control that submits the order: its accessible name is judged, and nothing around it."""

    text: str
    language: str = "fr"


class Recap(Fact, frozen=True, kw_only=True):
    """The page that carries the order button. `rendered`: items of L221-5 on the page; `linked`: reachable from it;
    `near_button`: what stands beside the button; `modify`: blocks whose control works and keeps what was entered.
    `nets_minor`: what lines cost after discounts, by id; lines that are not in it share the discount in proportion.
    """

    button: Button | None = None
    rendered: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    near_button: tuple[str, ...] = ()
    pages_before_button: int = 0
    blocks: tuple[str, ...] = ()
    modify: tuple[str, ...] = ()
    total_minor: int | None = None
    delivery_minor: int | None = None
    discount_minor: int = 0
    nets_minor: dict[str, int] = msgspec.field(default_factory=dict)
    due_now_minor: int | None = None
    due_later_minor: int = 0
    prices_with_tax: bool = True
    personalised_price: bool = False
    personalised_notice: str = ""
    terms_ticked_by: Literal["consumer", "default", ""] = ""
    terms_version: str = ""
    hash: str = ""


class Claim(Fact, frozen=True, kw_only=True):
    """A claim that the pages make about goods."""

    text: str
    kind: Literal["free", "environment", "legal_right_as_feature", "sales_period", "neutral_by_offset", "label"]
    conditions_adjacent: bool = False
    charged_minor: int = 0
    proof: str = ""


class Countdown(Fact, frozen=True, kw_only=True):
    """A time limit on the page: what ends, when, and whether the server holds it."""

    ends_at: Instant
    server_side: bool = False
    resets_on_reload: bool = False
    offered_again: bool = False


class LiveFigure(Fact, frozen=True, kw_only=True):
    """A figure such as `only 3 left` or `5 are looking`."""

    text: str
    source: str = ""
    read_at: Instant | None = None


class Reviews(Fact, frozen=True, kw_only=True):
    """Reviews shown on the pages."""

    checked_stated: bool = False
    dates: bool = False
    ranking_criteria: bool = False
    verified_only_with_order: bool = True


class Contest(Fact, frozen=True, kw_only=True):
    """A contest or lottery shown on the pages."""

    rules: str = ""
    payment_to_claim: bool = False
    prizes_awarded: bool = True


class Display(Fact, frozen=True, kw_only=True):
    """What else the pages show."""

    claims: tuple[Claim, ...] = ()
    countdowns: tuple[Countdown, ...] = ()
    figures: tuple[LiveFigure, ...] = ()
    reviews: Reviews | None = None
    contest: Contest | None = None
    sales_word: bool = False  # the word "soldes"
    sales_from: date | None = None
    sales_to: date | None = None
    clicks_to_accept: int = 0
    clicks_to_refuse: int = 0
    shaming: bool = False
    alcohol_banner: bool = False
    french: bool = True
