"""What a shop's backend sends, as the use cases take it. Each function raises Refused that names the field."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

import msgspec

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rules.law.asks import convert
from relance.rules.law.terms import Unanswerable
from services.checkout.api.refusals import invalid
from services.checkout.domain import checkouts, offers, orders
from services.checkout.domain.attested import ACTS, Attested
from services.checkout.domain.records import Address, CartLine, NewCart
from services.checkout.domain.tenders import Purse

__all__ = [
    "CHANNELS", "RECEIVERS", "read_address", "read_cart", "read_codes", "read_contact", "read_id", "read_instant",
    "read_json", "read_lines", "read_placing", "read_price", "read_purse", "read_units", "required",
]  # fmt: skip

T = TypeVar("T", bound=msgspec.Struct)
Receiver = Literal["consumer", "designated", "relay", "locker", "pick_up_shop"]
Spoken = Literal["web", "phone_outbound", "phone_inbound"]

CHANNELS: Final[dict[int, Spoken]] = {
    pb.CHANNEL_WEB: "web",
    pb.CHANNEL_PHONE_OUTBOUND: "phone_outbound",
    pb.CHANNEL_PHONE_INBOUND: "phone_inbound",
}
RECEIVERS: Final[dict[int, Receiver]] = {
    pb.RECEIVED_BY_CONSUMER: "consumer",
    pb.RECEIVED_BY_DESIGNATED: "designated",
    pb.RECEIVED_BY_RELAY: "relay",
    pb.RECEIVED_BY_LOCKER: "locker",
    pb.RECEIVED_BY_PICK_UP_SHOP: "pick_up_shop",
}
_KINDS: Final = {number: name.removeprefix("ACT_KIND_").lower() for name, number in pb.ActKind.items() if number}
_TEXT_MAX: Final = 512
_LINES_MAX: Final = 500
_CODES_MAX: Final = 10


def required(text: str, field: str, letters_max: int = 128) -> str:
    """A text that must be there. Plain letters: no line breaks, no controls."""
    if not text:
        raise invalid(field, "is missing")
    if len(text) > letters_max or not text.isprintable():
        raise invalid(field, f"at most {letters_max} letters in one line")
    return text


def read_id(text: str, field: str) -> UUID:
    """A UUID in its usual form."""
    try:
        found = UUID(text)
    except ValueError:
        raise invalid(field, "is no id") from None
    if str(found) != text.lower():
        raise invalid(field, "is no id")
    return found


def read_instant(text: str, field: str) -> datetime:
    """A time with its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(field, "is no RFC 3339 time") from None
    if found.tzinfo is None or found.utcoffset() is None:
        raise invalid(field, "a time without its zone")
    if not 1970 <= found.year < 2200 or abs(found.utcoffset() or timedelta()) > timedelta(hours=14):
        raise invalid(field, "a time of the years 1970 to 2199")
    return found


def read_json(data: bytes, kind: type[T], field: str) -> T:
    """A struct of its JSON. The dotted path, from `field` on, of what is wrong is named."""
    try:
        plain: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(field, f"not JSON: {error}") from None
    try:
        convert(plain, kind, field)
        return msgspec.convert(plain, kind)  # in types that are stored as they are
    except Unanswerable as told:
        raise invalid(told.field, told.reason) from None


def read_lines(lines: Sequence[pb.CartLine], field: str) -> tuple[CartLine, ...]:
    """The lines of a cart."""
    if len(lines) > _LINES_MAX:
        raise invalid(field, f"at most {_LINES_MAX}")
    return tuple(
        _struct(CartLine, {"sku": line.sku, "quantity": line.quantity}, f"{field}.{place}")
        for place, line in enumerate(lines)
    )


def read_codes(codes: Sequence[str], field: str) -> tuple[str, ...]:
    """Codes of coupons, or numbers of gift cards and vouchers."""
    if len(codes) > _CODES_MAX:
        raise invalid(field, f"at most {_CODES_MAX}")
    return tuple(required(code, f"{field}.{place}") for place, code in enumerate(codes))


def read_cart(request: pb.CreateCheckoutRequest) -> NewCart:
    """A cart as it comes to the checkout."""
    cart = request.cart
    lines = read_lines(cart.lines, "cart.lines")
    fields: dict[str, Any] = {
        "cart_id": cart.cart_id, "lines": lines, "visitor_id": cart.visitor_id, "person_id": cart.person_id,
        "device": cart.device, "consent": dict(cart.consent), "recovery_link_id": cart.recovery_link_id,
        "coupons": tuple(cart.coupons), "locale": request.locale, "return_url": request.return_url,
    }  # fmt: skip
    return _struct(NewCart, fields, "cart")


def read_contact(contact: pb.Contact) -> checkouts.GiveContact:
    """The contact, with what was agreed to beside it."""
    given = {
        "email": required(contact.email, "contact.email", 254),
        "phone": required(contact.phone, "contact.phone", 32) if contact.phone else None,
        "first_name": required(contact.first_name, "contact.first_name", 100) if contact.first_name else None,
        "last_name": required(contact.last_name, "contact.last_name", 100) if contact.last_name else None,
    }
    consents = tuple(
        _struct(
            checkouts.ConsentGiven,
            {name: getattr(one, name) for name in checkouts.ConsentGiven.__struct_fields__},
            f"contact.consents.{place}",
        )
        for place, one in enumerate(contact.consents)
    )
    return checkouts.GiveContact(
        contact=_struct(checkouts.Contact, given, "contact"),
        consents=consents,
        objected=contact.objected if contact.HasField("objected") else None,
        objection_text_version=contact.objection_text_version,
    )


def read_address(address: pb.Address, field: str) -> Address:
    """Where something goes."""
    fields = {name: getattr(address, name) for name in Address.__struct_fields__}
    return _struct(Address, fields | {"country": address.country or "FR"}, field)


def read_price(price: pb.Price, field: str) -> offers.Price:
    """A price from an instant on."""
    return offers.Price(
        id=required(price.id, f"{field}.id"),
        since=read_instant(price.since, f"{field}.since"),
        price_minor=price.price_minor,
        scope="individual" if price.person else "all",
        person=price.person,
        until=read_instant(price.until, f"{field}.until") if price.until else None,
        automated=price.automated,
        campaign=price.campaign,
    )


def read_purse(purse: pb.Purse, field: str) -> Purse:
    """A gift card or voucher with what is on it."""
    if purse.balance_minor < 0:
        raise invalid(f"{field}.balance_minor", "is negative")
    ref, means = required(purse.ref, f"{field}.ref"), required(purse.means, f"{field}.means")
    return Purse(ref=ref, means=means, balance_minor=purse.balance_minor)


def read_units(units: Mapping[str, int], order: orders.Order) -> dict[str, int]:
    """Units by line; all that is left when none are named."""
    left = {line.id: line.quantity - line.shipped - line.withdrawn - line.ended for line in order.lines}
    return dict(units) if units else {line: count for line, count in left.items() if count > 0}


def read_placing(request: pb.PlaceRequest) -> tuple[Attested, Spoken]:
    """What the shop attests of a click on its own page, and how the order was given."""
    channel = CHANNELS.get(request.channel)
    if channel is None:
        raise invalid("channel", "says how the order was given")
    acts: dict[str, datetime] = {}
    for place, act in enumerate(request.acts):
        kind = _KINDS.get(act.kind)
        if kind is None or kind not in ACTS:
            raise invalid(f"acts.{place}.kind", "is no act that a shopper can do")
        if kind in acts:
            raise invalid(f"acts.{place}.kind", f"{kind} is told twice")
        acts[kind] = read_instant(act.at, f"acts.{place}.at")
    attested = Attested(
        set_id=required(request.set_id, "set_id"),
        rendered=dict(request.rendered),
        button_text=required(request.button_text, "button_text", 200),
        acts=acts,
        locale=required(request.locale, "locale", 35),
        user_agent=required(request.user_agent, "user_agent", _TEXT_MAX),
    )
    return attested, channel


def _struct(kind: type[T], fields: dict[str, Any], field: str) -> T:
    plain = {name: value for name, value in fields.items() if value is not None}
    try:
        return msgspec.convert(plain, kind)
    except (msgspec.ValidationError, ValueError) as error:
        said = str(error)
        reason, _, path = said.partition(" - at `$.")
        raise invalid(f"{field}.{path.rstrip('`')}" if path else field, reason) from None
