"""What the forms of the tunnel say, checked field by field: acts of the checkout, or what has to be put right."""

import re
from typing import Final, NamedTuple

from services.checkout.api.pages.bounds import Form
from services.checkout.domain import addresses
from services.checkout.domain.checkouts import ConsentGiven, Contact, GiveContact
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Address, CartLine

__all__ = ["BY_NUMBER", "CartForm", "address_of", "cart_of", "contact_of", "is_email", "mistyped"]

BY_NUMBER: Final = frozenset({"phone", "sms", "whatsapp", "rcs"})  # channels that reach a telephone
QUANTITY_MAX: Final = 9_999
_DOMAIN: Final = re.compile(r"(?:[^.]+\.)+[^.]{2,}")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().\u00a0-]{4,22}[0-9]")
_DOMAINS: Final = (
    "gmail.com", "hotmail.com", "hotmail.fr", "outlook.com", "outlook.fr", "yahoo.com", "yahoo.fr", "orange.fr",
    "wanadoo.fr", "free.fr", "sfr.fr", "laposte.net", "icloud.com", "live.fr", "bbox.fr", "protonmail.com",
)  # fmt: skip


class CartForm(NamedTuple):
    """The cart as it was changed, or what is wrong with it."""

    lines: tuple[CartLine, ...]
    coupons: tuple[str, ...]
    wrong: tuple[Refusal, ...]


def cart_of(form: Form, view: View) -> CartForm:
    """Quantities by place, a line or code removed, a code added."""
    typed, removed, dropped = form.under("quantity."), form.text("remove"), form.text("drop")
    lines: list[CartLine] = []
    wrong: list[Refusal] = []
    for place, line in enumerate(view.record.lines):
        if removed == str(place):
            continue
        text = typed.get(str(place), str(line.quantity))
        if not (text.isascii() and text.isdigit() and int(text) <= QUANTITY_MAX):
            wrong.append(Refusal(f"quantity.{place}", f"from 0 to {QUANTITY_MAX}"))
        elif int(text):
            lines.append(CartLine(line.sku, int(text)))
    coupons = [code for code in view.record.coupons if code != dropped]
    if form.text("act") == "coupon" and (code := form.text("coupon")) and code not in coupons:
        coupons.append(code[:64])
    return CartForm(tuple(lines), tuple(coupons), tuple(wrong))


def contact_of(form: Form, view: View) -> GiveContact | list[Refusal]:
    """Who orders, with every answer to the boxes beside; all that is missing is said at once."""
    email, phone, delivers = form.text("email"), form.text("phone"), view.checkout.needs_delivery
    wrong: list[Refusal] = []
    if not is_email(email):
        wrong.append(Refusal("contact.email", "an address has a name, an @ and a domain"))
    if delivers and not form.text("first_name"):
        wrong.append(Refusal("contact.first_name", "is missing"))
    if delivers and not form.text("last_name"):
        wrong.append(Refusal("contact.last_name", "is missing"))
    if (phone and not _PHONE.fullmatch(phone)) or (view.shop.phone_needed and delivers and not phone):
        wrong.append(Refusal("contact.phone", "is no telephone number"))
    if wrong:
        return wrong
    contact = Contact(
        email=email,
        phone=phone or None,
        first_name=form.text("first_name")[:100] or None,
        last_name=form.text("last_name")[:100] or None,
        locale=view.language,
    )
    asked = bool(view.texts.get("similar_goods"))
    return GiveContact(
        contact=contact,
        consents=_consents(form, view),
        objected=form.ticked("objected") if asked else None,
        objection_text_version=view.shop.similar_goods_version if asked else "",
    )


def _consents(form: Form, view: View) -> tuple[ConsentGiven, ...]:
    given = []
    for place, asked in enumerate(view.shop.consents):
        shown = view.texts.get(f"consent.{asked.channel}.{asked.purpose}")
        if asked.channel in BY_NUMBER and not view.checkout.needs_delivery:
            continue  # no number is asked for, and so nobody is asked whether it may be called
        if shown is not None:
            given.append(
                ConsentGiven(
                    channel=asked.channel,  # type: ignore[arg-type]
                    purpose=asked.purpose,
                    granted=form.ticked(f"consent.{place}"),
                    text_version=asked.version,
                    proof=shown.sha256,
                )
            )
    return tuple(given)


def address_of(form: Form, view: View) -> Address | list[Refusal]:
    """Where to, and to whom; all that is missing is said at once."""
    country = form.text("country").upper() or view.shop.zone.country
    if not re.fullmatch("[A-Z]{2}", country):
        country = view.shop.zone.country
    needed = ("name", "line1", "postcode", "city")
    wrong = [Refusal(f"address.{name}", "is missing") for name in needed if not form.text(name)]
    postcode = form.text("postcode").replace(" ", "").upper() if country == "FR" else form.text("postcode").upper()
    if postcode and country == "FR" and not re.fullmatch("[0-9]{5}", postcode):
        wrong.append(Refusal("address.postcode", "has five digits"))
    if wrong:
        return wrong
    return Address(
        name=form.text("name")[:200], line1=form.text("line1")[:200], line2=form.text("line2")[:200],
        postcode=postcode[:16], city=form.text("city")[:200], country=country,
    )  # fmt: skip


def is_email(text: str) -> bool:
    """Whether a text is an address that mail can be sent to, with a domain as people have them: others are slips."""
    return addresses.is_email(text) and _DOMAIN.fullmatch(text.rpartition("@")[2]) is not None


def mistyped(email: str) -> str:
    """The address that was meant, when its domain is one letter off a very common one; else empty. Never blocking."""
    name, _, domain = email.rpartition("@")
    domain = domain.lower()
    if not name or domain in _DOMAINS:
        return ""
    near = next((known for known in _DOMAINS if _one_off(domain, known)), "")
    return f"{name}@{near}" if near else ""


def _one_off(typed: str, known: str) -> bool:
    """Whether one letter added, left out, changed, or two exchanged, make them the same."""
    if abs(len(typed) - len(known)) > 1:
        return False
    if len(typed) == len(known):
        apart = [place for place, (one, other) in enumerate(zip(typed, known, strict=True)) if one != other]
        if len(apart) == 1:
            return True
        first = apart[0]
        return (
            len(apart) == 2
            and apart[1] == first + 1
            and typed[first] == known[first + 1]
            and (typed[first + 1] == known[first])
        )
    longer, shorter = (typed, known) if len(typed) > len(known) else (known, typed)
    return any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))
