"""The questions of `relance law ask` as they come in: one struct each, nothing unknown is let through.

Times are RFC 3339 with a zone, dates ISO, money euro cents. Meaning of the answers: docs/law.md.
"""

import codecs
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Final, Union, get_args

import msgspec

from relance.rules.law.calendar import Instant, Moment
from relance.rules.law.consents import Said
from relance.rules.law.delivery import Notice
from relance.rules.law.faults import place_and_words, spoilt
from relance.rules.law.prices import Reduction, Step
from relance.rules.law.refunds import Mode, Regime, ServiceUse
from relance.rules.law.terms import Unanswerable
from relance.rules.law.totals import CartLine, Coupon, Delivery, Percent
from relance.rules.law.withdrawal import Line

__all__ = [
    "KINDS", "ArchiveUntil", "Asked", "ButtonCheck", "CheckoutCheck", "ConsentDerive", "DeliveryLatest",
    "DeliveryResolution", "InformedAt", "PricePrior", "RefundAmount", "RefundDue", "RefundSurcharge", "RenewalWindow",
    "TotalsOf", "WithdrawalDeadline", "WithdrawalDecision", "convert", "read",
]  # fmt: skip

YEARS: Final = range(1900, 2200)  # beyond them no period of the law can be counted in a calendar's years

Minor = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Text = Annotated[str, msgspec.Meta(max_length=1000)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="ask"):
    """What every question may carry: the date of the law asked for, and an id that the answer repeats."""

    on: date | None = None
    id: str | int | None = None


class InformedAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The information on the right of withdrawal came late: on this day."""

    at: Moment


class WithdrawalDeadline(Asked, frozen=True, kw_only=True, tag="withdrawal.deadline"):
    """Until when each line can be withdrawn from."""

    concluded_at: Instant
    lines: Annotated[tuple[Line, ...], msgspec.Meta(min_length=1, max_length=1000)]
    informed: bool | InformedAt


class WithdrawalDecision(WithdrawalDeadline, frozen=True, kw_only=True, tag="withdrawal.decision"):
    """What a statement achieves."""

    stated_at: Instant


class RefundAmount(Asked, frozen=True, kw_only=True, tag="refund.amount"):
    """How much is given back; `lines_minor`: what was paid for the lines given back, each or in all."""

    lines_minor: Annotated[tuple[Minor, ...], msgspec.Meta(max_length=1000)] | Minor
    delivery_paid_minor: Minor
    modes: Annotated[tuple[Mode, ...], msgspec.Meta(max_length=1000)]
    service: ServiceUse | None = None


class RefundDue(Asked, frozen=True, kw_only=True, tag="refund.due"):
    """Until when a refund is in time."""

    notice_on: date
    recovered_on: date | None = None
    dispatched_on: date | None = None
    shipped: bool
    collection_offered: bool


class RefundSurcharge(Asked, frozen=True, kw_only=True, tag="refund.surcharge"):
    """What a late refund costs."""

    regime: Regime
    sum_minor: Minor
    product_minor: Minor | None = None
    due_on: date
    refunded_on: date


class DeliveryLatest(Asked, frozen=True, kw_only=True, tag="delivery.latest"):
    """Until when delivery is in time."""

    concluded_at: Instant
    promised_on: date | None = None


class DeliveryResolution(Asked, frozen=True, kw_only=True, tag="delivery.resolution"):
    """Whether a late delivery has ended the contract."""

    promised_on: date
    notice: Notice | None = None
    essential: bool = False
    refused: bool = False
    delivered_at: Instant | None = None
    resolution_received_at: Instant


class PricePrior(Asked, frozen=True, kw_only=True, tag="price.prior"):
    """What prior price a reduction announces."""

    prices: Annotated[tuple[Step, ...], msgspec.Meta(max_length=10_000)]
    reduction: Reduction
    announced_percent: Percent | None = None


class Dues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the order costs, today and ever after."""

    due_now_minor: Minor
    due_later_minor: Minor


class ButtonCheck(Asked, frozen=True, kw_only=True, tag="button.check"):
    """Whether the order button may be called so."""

    accessible_name: Text
    language: Text
    order: Dues


class CheckoutCheck(Asked, frozen=True, kw_only=True, tag="checkout.check"):
    """Whether a checkout may become an order."""

    checkout: dict[str, Any]


class ConsentDerive(Asked, frozen=True, kw_only=True, tag="consent.derive"):
    """Whether a person may be contacted, and on what basis."""

    contact_history: Annotated[tuple[Said, ...], msgspec.Meta(max_length=10_000)]
    channel: Text
    purpose: Text
    at: Instant


class ArchiveUntil(Asked, frozen=True, kw_only=True, tag="archive.until"):
    """Until when a contract is kept."""

    total_minor: Minor
    concluded_on: date
    deliveries: Annotated[tuple[date, ...], msgspec.Meta(max_length=10_000)]


class RenewalWindow(Asked, frozen=True, kw_only=True, tag="renewal.window"):
    """When the notice of a tacit renewal is sent."""

    refusal_until: date
    renews_on: date
    notice_sent_on: date | None = None


class TotalsOf(Asked, frozen=True, kw_only=True, tag="totals"):
    """What a cart costs. A bare number as coupon is an amount off, as delivery its fee."""

    lines: Annotated[tuple[CartLine, ...], msgspec.Meta(min_length=1, max_length=1000)]
    coupon: Coupon | Minor | None = None
    delivery: Delivery | Minor | None = None


_Any = Union[  # noqa: UP007 - an alias at run time
    WithdrawalDeadline, WithdrawalDecision, RefundAmount, RefundDue, RefundSurcharge, DeliveryLatest,
    DeliveryResolution, PricePrior, ButtonCheck, CheckoutCheck, ConsentDerive, ArchiveUntil, RenewalWindow, TotalsOf,
]  # fmt: skip
KINDS: Final[tuple[str, ...]] = tuple(str(kind.__struct_config__.tag) for kind in get_args(_Any))  # what `ask` may be
_ALIASES: Final = ("contact history", "history")  # how the table of questions words contact_history


def read(line: bytes) -> Asked:
    """The question of one line of JSON. Raises Unanswerable with the dotted path of the field that is wrong."""
    line = line.removeprefix(codecs.BOM_UTF8)
    if not line.strip():
        raise Unanswerable("", "an empty line is no question")
    if fault := spoilt(line):
        raise Unanswerable(*fault)
    try:
        plain = msgspec.json.decode(line)
    except RecursionError:
        raise Unanswerable("", "not JSON that can be read: nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unanswerable("", f"not JSON: {error}") from None
    if not isinstance(plain, dict):
        raise Unanswerable("", "a question is a JSON object")
    if plain.get("ask") == "checkout.check" and "checkout" not in plain:  # the document as the question itself
        own = Asked.__struct_fields__
        document = {key: value for key, value in plain.items() if key not in {"ask", *own}}
        plain = {key: value for key, value in plain.items() if key not in document} | {"checkout": document}
    for alias in _ALIASES:
        if alias in plain and "contact_history" not in plain:
            plain["contact_history"] = plain.pop(alias)
    named = plain.get("ask")
    if isinstance(named, str) and named not in KINDS:
        raise Unanswerable("ask", f"there is no question {f'{named:.60}'!r}; known: {', '.join(KINDS)}")
    asked = convert(plain, _Any)
    assert isinstance(asked, Asked)
    return asked


def convert(plain: Any, kind: Any, path: str = "") -> Any:
    """`plain` values as `kind`, found at `path` of a question. Raises Unanswerable with the dotted path of a fault."""
    try:
        value = msgspec.convert(plain, kind, dec_hook=_own_type)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), path) from None
    except (OverflowError, ValueError, RecursionError) as error:
        raise Unanswerable(path, f"cannot be read: {error}") from None
    for field, day in _instants(value, path):
        if day.year not in YEARS:
            raise Unanswerable(field, f"a date lies in the years {YEARS[0]} to {YEARS[-1]}")
    return value


def _own_type(kind: type, value: object) -> object:
    if kind is Moment:
        return Moment.parse(value)
    if kind is Percent:
        return Percent.parse(value)
    raise NotImplementedError(kind)


def _refusal(message: str, root: str) -> Unanswerable:
    """The text of msgspec in plain words, with the path taken out of it."""
    path, words = place_and_words(message)
    return Unanswerable(".".join(part for part in (root, path) if part), words)


def _instants(value: Any, path: str) -> Iterator[tuple[str, date]]:
    """Every date and instant in a question, with its path."""
    if isinstance(value, date):  # a datetime is one
        yield path, value
    elif isinstance(value, Moment):
        yield path, value.at
    elif isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _instants(item, f"{path}[{place}]")
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            name = f"{path}.{field.encode_name}" if path else field.encode_name
            yield from _instants(getattr(value, field.name), name)
