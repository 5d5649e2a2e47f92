"""Bytes to events and back: one strict decoder, and all faults of what it refuses."""

import re
from itertools import islice
from typing import Final, Union, get_args

import msgspec

from relance.events import browsing, cart, checkout, order, payment, person, stock
from relance.events.catalog import CODE
from relance.events.envelope import Data, Envelope, Instant, shop_of
from relance.events.faults import Problem, struct_problems
from relance.events.guard import guard, guard_depth
from relance.kernel.errors import InputError

__all__ = ["STRUCTS", "Event", "EventError", "check", "data_type", "decode", "encode", "problems", "problems_of"]

_MAX_PROBLEMS: Final = 50

Event = Union[  # noqa: UP007 - a list of 45 reads better than 45 bars
    browsing.PageViewed, browsing.ProductListViewed, browsing.ProductsSearched, browsing.PromotionViewed,
    browsing.PromotionClicked, browsing.ProductViewed, browsing.ProductClicked,
    browsing.WishlistProductAdded, browsing.WishlistProductRemoved,
    cart.CartProductAdded, cart.CartProductRemoved, cart.CartViewed, cart.CartUpdated,
    cart.CouponEntered, cart.CouponApplied, cart.CouponDenied, cart.CouponRemoved,
    checkout.CheckoutStarted, checkout.CheckoutStepViewed, checkout.CheckoutStepCompleted,
    checkout.CheckoutContactCaptured,
    payment.PaymentInfoEntered, payment.PaymentAttempted, payment.PaymentActionRequired, payment.PaymentFailed,
    payment.PaymentSucceeded,
    order.OrderCompleted, order.OrderPlaced, order.OrderPaid, order.OrderUpdated, order.OrderCancelled,
    order.OrderRefunded,
    order.OrderExpired, order.OrderShipped, order.OrderDelivered, payment.RefundSucceeded, order.WithdrawalRequested,
    person.ConsentChanged, person.IdentityLinked, stock.ProductStockChanged, stock.ProductPriceChanged,
    browsing.ExitIntent, browsing.PageEngaged, browsing.PageLeft, browsing.SupportRequested,
]  # fmt: skip

STRUCTS: Final[dict[str, type[Envelope]]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Event)}
if STRUCTS.keys() != CODE.keys():
    raise AssertionError(STRUCTS.keys() ^ CODE.keys())

_DECODER: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_ENCODER: Final = msgspec.json.Encoder()

# What msgspec rounds up over the border of a millisecond has these digits in its time, plain or as JSON's escapes.
_ROUNDED: Final = re.compile(rb"\.\d{3}999[5-9]|\\u00[23]")
_TOO_FINE: Final = re.compile(r"(\.\d{6})\d+")


class _Times(msgspec.Struct):
    time: str
    senttime: str | None = None


_TIMES: Final = msgspec.json.Decoder(_Times)


class EventError(InputError):
    """An event cannot be taken; `problems` names every fault."""

    def __init__(self, found: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.path or 'event'}: {problem.reason}" for problem in found))
        self.problems = found


def check(event: Event) -> str:
    """Check what the types cannot say cheaply (forms of `source` and `currency`, alternatives); the event's shop.

    Raises ValueError.
    """
    event.data.check()
    return shop_of(event.source)


def decode(raw: bytes) -> Event:
    """The event, wholly validated; of its times, digits finer than microseconds are cut off, not rounded.

    Raises EventError with every fault.
    """
    try:
        guard(raw)
        guard_depth(raw)
        event = _DECODER.decode(raw)
        check(event)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise EventError(problems(raw) or (Problem("", str(error)),)) from None
    return _cut_off(event, raw) if _ROUNDED.search(raw) else event


def _cut_off(event: Event, raw: bytes) -> Event:
    """The event with its times as they were written, down to the microsecond."""
    times = {
        name: msgspec.convert(_TOO_FINE.sub(r"\1", text), Instant)
        for name, text in msgspec.structs.asdict(_TIMES.decode(raw)).items()
        if text is not None
    }
    return msgspec.structs.replace(event, **times)


def encode(event: Event) -> bytes:
    """JSON of an event; absent fields are left out."""
    return _ENCODER.encode(event)


def data_type(type_name: str) -> type[Data]:
    """The Struct of `data` for an event type. Raises KeyError for a type that is not in the catalog."""
    kind: type[Data] = next(field.type for field in msgspec.structs.fields(STRUCTS[type_name]) if field.name == "data")
    return kind


def problems(raw: bytes) -> tuple[Problem, ...]:
    """Every fault of an event, the first 50; none means that `decode` takes it."""
    try:
        guard(raw)
        guard_depth(raw)
        value = msgspec.json.decode(raw)
    except RecursionError:
        return (Problem("", "is nested too deep"),)
    except (ValueError, msgspec.MsgspecError) as error:
        return (Problem("", str(error)),)
    return problems_of(value)


def problems_of(value: object) -> tuple[Problem, ...]:
    """As `problems`, of an event that is already parsed into plain dicts, lists and scalars."""
    if not isinstance(value, dict):
        return (Problem("", "must be a JSON object"),)
    name = value.get("type")
    kind = STRUCTS.get(name) if isinstance(name, str) else None
    if kind is not None:
        return tuple(islice(struct_problems(kind, value, ""), _MAX_PROBLEMS))
    reason = f"{str(name)[:100]!r} is no type of the catalog" if "type" in value else "is required"
    return (Problem("type", reason), *struct_problems(Envelope, value, ""))[:_MAX_PROBLEMS]
