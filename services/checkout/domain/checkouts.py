"""The checkout machine: what is known of the shopper's order so far, up to the click.

A step that is submitted again with the same content says nothing twice; with another one it says so, and the recap must
be seen anew. Nothing is asked that the order does not need: consents may all be refused (A17).
"""

from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from relance.events.checkout import Channel
from relance.events.envelope import Item
from services.checkout.domain.addresses import is_email
from services.checkout.domain.events import Aggregate, Context, Saying, moved
from services.checkout.domain.outcomes import Moved, Refusal, unchanged

__all__ = [
    "Act", "ChangeCart", "Checkout", "ChooseDelivery", "ChooseMeans", "ConsentGiven", "Contact", "Expire",
    "GiveContact", "Identify", "Press", "ShowRecap", "State", "Supersede", "begin", "checkout_of", "order_id", "step",
]  # fmt: skip

State = Literal["open", "contacted", "delivering", "paying", "recap", "ordered", "expired", "superseded"]
ENDED: Final = frozenset({"ordered", "expired", "superseded"})

replace = msgspec.structs.replace


class Contact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who orders. The phone is asked only where the carrier needs it."""

    email: str
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None


class ConsentGiven(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a separate, unticked box. `proof`: the hash of what was shown; `marketing` is the word for all
    advertising of the shop, and what the consent snapshot of events tells.
    """

    channel: Channel
    purpose: str
    granted: bool
    text_version: str
    proof: str = ""


class GiveContact(msgspec.Struct, frozen=True, kw_only=True, tag="give_contact"):
    """`objected`: to mail on similar goods, at the e-mail field; None where that was not offered."""

    contact: Contact
    consents: tuple[ConsentGiven, ...] = ()
    objected: bool | None = None
    objection_text_version: str = ""


class ChooseDelivery(msgspec.Struct, frozen=True, kw_only=True, tag="choose_delivery"):
    """`address_hash` binds the address, or the relay point or shop, without holding personal data."""

    mode: str
    address_hash: str = ""


class ChooseMeans(msgspec.Struct, frozen=True, kw_only=True, tag="choose_means"):
    """`means` pays what the purses leave; it may be empty."""

    means: str
    purses: tuple[str, ...] = ()


class ChangeCart(msgspec.Struct, frozen=True, kw_only=True, tag="change_cart"):
    """The cart, whole."""

    items: tuple[Item, ...]
    total_minor: int
    needs_delivery: bool


class ShowRecap(msgspec.Struct, frozen=True, kw_only=True, tag="show_recap"):
    """The recap of this hash is on the shopper's screen."""

    recap_hash: str


class Press(msgspec.Struct, frozen=True, kw_only=True, tag="press"):
    """The order button, with the hash that its form carried."""

    recap_hash: str
    terms_accepted: bool
    channel: Literal["web", "phone_outbound", "phone_inbound"] = "web"


class Expire(msgspec.Struct, frozen=True, kw_only=True, tag="expire"):
    """Look at the clock."""


class Supersede(msgspec.Struct, frozen=True, kw_only=True, tag="supersede"):
    """Another checkout of the same cart takes its place."""

    by: str


class Identify(msgspec.Struct, frozen=True, kw_only=True, tag="identify"):
    """Whoever shops has proved who he is. `method`: `shop` or `email`."""

    person_id: str
    method: str


Act = Identify | GiveContact | ChooseDelivery | ChooseMeans | ChangeCart | ShowRecap | Press | Expire | Supersede


class Checkout(Aggregate, frozen=True, kw_only=True):
    """`recap_hash` is empty unless the recap that was shown still holds."""

    state: State = "open"
    items: tuple[Item, ...]
    total_minor: int
    needs_delivery: bool
    started_at: datetime
    expires_at: datetime
    contact: GiveContact | None = None
    delivery: ChooseDelivery | None = None
    means: ChooseMeans | None = None
    recap_hash: str = ""
    superseded_by: str = ""


def checkout_of(shop: str, key: str) -> UUID:
    """The checkout that a shop's key makes."""
    return uuid5(uuid5(NAMESPACE_URL, f"/shops/{shop}/checkouts"), key)


def order_id(checkout: UUID, recap_hash: str) -> UUID:
    """The order that a click on this recap makes: fifty tabs make one."""
    return uuid5(checkout, f"order/{recap_hash}")


def begin(
    checkout_id: UUID, context: Context, cart: ChangeCart, at: datetime, lasts: timedelta = timedelta(days=7)
) -> Moved[Checkout]:
    """A checkout of a cart. `lasts`: how long it can be taken up again."""
    checkout = Checkout(
        id=checkout_id,
        context=context,
        items=cart.items,
        total_minor=cart.total_minor,
        needs_delivery=cart.needs_delivery,
        started_at=at,
        expires_at=at + lasts,
    )
    return moved(checkout, "started", [Saying("checkout.started", at, _cart(checkout))])


def step(checkout: Checkout, act: Act, at: datetime) -> Moved[Checkout] | Refusal:
    """The checkout after an act."""
    if isinstance(act, Press):
        return _press(checkout, act, at)
    if isinstance(act, Expire):
        if checkout.state in ENDED or at < checkout.expires_at:
            return unchanged(checkout)
        return moved(replace(checkout, state="expired", recap_hash=""), "expired")
    if isinstance(act, Supersede) and (checkout.state == "superseded" and checkout.superseded_by == act.by):
        return unchanged(checkout)
    if refused := _ended(checkout, at):
        return refused
    match act:
        case Supersede():
            return moved(replace(checkout, state="superseded", superseded_by=act.by, recap_hash=""), "superseded")
        case ChangeCart():
            return _change(checkout, act, at)
        case Identify():
            return _identify(checkout, act, at)
        case GiveContact():
            return _contact(checkout, act, at)
        case ChooseDelivery():
            return _delivery(checkout, act, at)
        case ChooseMeans():
            return _means(checkout, act, at)
    return _recap(checkout, act)


def _ended(checkout: Checkout, at: datetime) -> Refusal | None:
    if checkout.state == "ordered":
        return Refusal("checkout.state", "this cart is already ordered")
    if checkout.state in ENDED:
        return Refusal("checkout.state", f"this checkout is {checkout.state}")
    if at >= checkout.expires_at:
        return Refusal("checkout.expires_at", "this checkout has expired")
    return None


def _change(checkout: Checkout, act: ChangeCart, at: datetime) -> Moved[Checkout] | Refusal:
    if not act.items:
        return Refusal("lines", "the cart is empty")
    after = replace(checkout, items=act.items, total_minor=act.total_minor, needs_delivery=act.needs_delivery)
    if after == checkout:
        return unchanged(checkout)
    after = _anew(replace(after, delivery=after.delivery if act.needs_delivery else None))
    fields = _cart(after)
    del fields["checkout_id"]
    return moved(after, "cart_changed", [Saying("cart.updated", at, fields)])


def _identify(checkout: Checkout, act: Identify, at: datetime) -> Moved[Checkout]:
    """Prices and codes may be his own from here on: the recap is to be shown again."""
    if act.person_id == checkout.context.person_id:
        return unchanged(checkout)
    context = replace(checkout.context, person_id=act.person_id)
    linked = [Saying("identity.linked", at, {"method": act.method})] if context.visitor_id else []
    return moved(_anew(replace(checkout, context=context)), "identified", linked)


def _contact(checkout: Checkout, act: GiveContact, at: datetime) -> Moved[Checkout] | Refusal:
    if not is_email(act.contact.email):
        return Refusal("contact.email", "an address has a name, an @ and a domain")
    if act == checkout.contact:
        return unchanged(checkout)
    before = checkout.contact.consents if checkout.contact is not None else ()
    told = [consent for consent in act.consents if consent not in before]
    snapshot = {one.channel: one.granted for one in act.consents if one.purpose == "marketing"}
    context = replace(checkout.context, consent=checkout.context.consent | snapshot)
    after = _anew(replace(checkout, contact=act, context=context))
    channels: list[Channel] = ["email", "phone"] if act.contact.phone else ["email"]
    captured = [
        Saying(
            "checkout.contact_captured",
            at,
            {"checkout_id": str(checkout.id), "channel": channel, "contact": msgspec.to_builtins(act.contact)},
        )
        for channel in channels
    ]
    sayings = [_completed(after, "contact", at), *captured, *(_consent(one, at) for one in told)]
    if act.objected and (checkout.contact is None or not checkout.contact.objected):
        refusal = ConsentGiven(
            channel="email", purpose="similar_goods", granted=False, text_version=act.objection_text_version
        )
        sayings.append(_consent(refusal, at))
    return moved(after, "contacted", sayings)


def _delivery(checkout: Checkout, act: ChooseDelivery, at: datetime) -> Moved[Checkout] | Refusal:
    if checkout.contact is None:
        return Refusal("contact", "the contact comes first")
    if not checkout.needs_delivery:
        return Refusal("delivery", "nothing in this cart is delivered")
    if act == checkout.delivery:
        return unchanged(checkout)
    after = _anew(replace(checkout, delivery=act))
    return moved(after, "delivering", [_completed(after, "delivery", at, shipping_method=act.mode)])


def _means(checkout: Checkout, act: ChooseMeans, at: datetime) -> Moved[Checkout] | Refusal:
    if checkout.contact is None:
        return Refusal("contact", "the contact comes first")
    if checkout.needs_delivery and checkout.delivery is None:
        return Refusal("delivery", "the delivery comes first")
    if act == checkout.means:
        return unchanged(checkout)
    after = _anew(replace(checkout, means=act))
    return moved(after, "paying", [_completed(after, "payment", at, payment_method=act.means or None)])


def _recap(checkout: Checkout, act: ShowRecap) -> Moved[Checkout] | Refusal:
    if checkout.state not in {"paying", "recap"}:
        return Refusal("checkout.state", "contact, delivery and payment come before the recap")
    if act.recap_hash == checkout.recap_hash:
        return unchanged(checkout)
    return moved(replace(checkout, state="recap", recap_hash=act.recap_hash), "recap")


def _press(checkout: Checkout, act: Press, at: datetime) -> Moved[Checkout] | Refusal:
    if checkout.state == "ordered" and act.recap_hash == checkout.recap_hash:
        return unchanged(checkout)
    if refused := _ended(checkout, at):
        return refused
    if act.channel == "phone_outbound":
        reason = "after a call of the trader the consumer orders himself, in writing"
        return Refusal("channel", reason, "E13", "L221-16 al. 2-3")
    if checkout.state != "recap" or act.recap_hash != checkout.recap_hash:
        reason = "the order is no longer what was shown: look at the recap again"
        return Refusal("recap.hash", reason, "A07", "Code civil, 1127-2 al. 1")
    if not act.terms_accepted:
        return Refusal("recap.terms", "the terms are not accepted", "A09", "Code civil, 1127-1")
    return moved(replace(checkout, state="ordered"), "ordered", [_completed(checkout, "recap", at)])


def _anew(checkout: Checkout) -> Checkout:
    """The furthest state that what is known allows; the recap is to be shown again."""
    state: State = "open"
    if checkout.contact is not None:
        state = "contacted"
        if checkout.delivery is not None:
            state = "delivering"
        if checkout.means is not None and (checkout.delivery is not None or not checkout.needs_delivery):
            state = "paying"
    return replace(checkout, state=state, recap_hash="")


def _cart(checkout: Checkout) -> dict[str, Any]:
    return {
        "checkout_id": str(checkout.id),
        "currency": "EUR",
        "total_minor": checkout.total_minor,
        "items": checkout.items,
    }


def _completed(checkout: Checkout, name: str, at: datetime, **chosen: str | None) -> Saying:
    return Saying("checkout.step_completed", at, {"checkout_id": str(checkout.id), "step": name, **chosen})


def _consent(given: ConsentGiven, at: datetime) -> Saying:
    fields = {
        "channel": given.channel,
        "status": "granted" if given.granted else "denied",
        "purpose": given.purpose,
        "text_version": given.text_version,
        "proof": given.proof or None,
    }
    return Saying("consent.changed", at, fields)
