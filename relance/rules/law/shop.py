"""Facts of the shop: who trades, and what its legal pages hold."""

from datetime import date, datetime
from functools import cache
from typing import Any, Final, Literal, get_args

import msgspec

from relance.rules.law.calendar import Instant

__all__ = ["Box", "Channel", "Fact", "Host", "Instant", "Legal", "Mediator", "Trader"]

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2200


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The root of all parts of a document: an unknown field is refused, and a date beyond the calendars in use."""

    def __post_init__(self) -> None:
        """Raise ValueError for a date from which no period can be counted."""
        for name in _dated(type(self)):
            value = getattr(self, name)
            if isinstance(value, date) and not FIRST_YEAR <= value.year <= LAST_YEAR:
                raise ValueError(f"{name} lies outside the years {FIRST_YEAR} to {LAST_YEAR}")


@cache
def _dated(kind: type[Fact]) -> tuple[str, ...]:
    """The fields in which a date can be: a document is made of hundreds of facts, and few of them have one."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if _holds_date(field.type))


def _holds_date(kind: Any) -> bool:
    return kind in {date, datetime, Any} or any(_holds_date(part) for part in get_args(kind))


class Host(Fact, frozen=True, kw_only=True):
    """Who hosts the site."""

    name: str = ""
    address: str = ""
    phone: str = ""


class Mediator(Fact, frozen=True, kw_only=True):
    """The consumer mediator of the trader."""

    name: str = ""
    address: str = ""
    website: str = ""


class Channel(Fact, frozen=True, kw_only=True):
    """Another online channel; `keeps_record`: the consumer can keep written exchanges with date and time."""

    name: str
    keeps_record: bool = False


class Trader(Fact, frozen=True, kw_only=True):
    """Who sells. Sums in euro cents; None: unknown."""

    name: str = ""
    address: str = ""
    phone: str = ""
    email: str = ""
    registration: str = ""
    form: Literal["company", "individual"] = "company"
    capital: str = ""  # a company's
    vat_number: str = ""
    vat_franchise: bool = False  # has no tax number because it charges no tax
    publication_director: str = ""
    complaints: str = ""
    host: Host = Host()
    mediator: Mediator = Mediator()
    channels: tuple[Channel, ...] = ()
    size: Literal["micro", "small", "mid", "large"] = "small"
    staff: int | None = None
    turnover_minor: int | None = None
    balance_minor: int | None = None
    environment_duty: bool = False  # producer or importer above the thresholds of C. env. R541-220 ff
    epr_identifiers: tuple[str, ...] = ()
    producer: bool = False
    eu_sales_minor: int = 0  # distance sales to other member states this year
    oss: bool = False
    e_reporting_platform: str = ""
    marketplace: bool = False
    traces_sellers: bool = False  # a marketplace: identity of each seller checked and shown
    ranking_page: str = ""
    marks_paid_ranking: bool = False


class Box(Fact, frozen=True, kw_only=True):
    """A prescribed text as it was rendered: the SHA-256 of its UTF-8 bytes."""

    sha256: str
    framed: bool = False


class Legal(Fact, frozen=True, kw_only=True):
    """What the legal pages and the terms hold. `texts`: page -> its plain text, for the phrases that are forbidden.

    Of the functions that end a contract None is what nothing was said of; what is said is judged. `withdrawal_fields`,
    `termination_fields`: what they ask; `withdrawal_between`: what stands between the two controls.
    """

    terms_version: str = ""
    terms_sha256: str = ""
    terms_downloadable: bool = False
    languages: tuple[str, ...] = ()
    sells: tuple[Literal["goods", "digital", "continuous", "service"], ...] = ("goods",)
    steps: bool = False
    correction: bool = False
    archiving: str = ""
    codes_of_conduct: str = ""
    boxes: dict[str, Box] = {}  # "goods", "digital", "continuous"; counsel's texts under the name of their slot
    counsel_texts: dict[str, str] = {}  # slot -> SHA-256 of the text or artwork that the shop's counsel supplied
    shown_artwork: dict[str, str] = {}  # slot -> SHA-256 of what the pages show
    withdrawal_days: int | None = None
    withdrawal_variants: tuple[str, ...] = ()  # of annex R221-3 (1): a to e
    withdrawal_form_sha256: str = ""
    withdrawal_function_url: str = ""
    withdrawal_function_label: str = ""
    withdrawal_function_guests: bool = False
    withdrawal_function_sentence_in: tuple[str, ...] = ()  # "information", "terms", "confirmation"
    withdrawal_fields: tuple[str, ...] | None = None  # "name", "contract", "electronic_means"; "lines" by choice
    withdrawal_confirm_label: str | None = None
    withdrawal_between: tuple[str, ...] = ()  # such as "offer", "survey", "countdown"
    termination_url: str | None = None
    termination_label: str | None = None
    termination_account_required: bool = False  # beyond one that the consumer has
    termination_fields: tuple[str, ...] | None = None  # "name", "address", "reference", "date"; "reason" and so on
    termination_recap: bool | None = None  # a page to verify and modify comes before the notification
    termination_confirm_label: str | None = None
    return_cost_borne_by: Literal["trader", "consumer", ""] = ""
    phone_ban_in_contract: bool = False
    guarantee_words: tuple[str, ...] = ()  # the names that the pages give to guarantees
    accessible: bool = False
    accessibility_statement: str = ""
    texts: dict[str, str] = {}
    checkbox_labels: tuple[str, ...] = ()
