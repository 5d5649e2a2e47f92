"""What a checkout keeps beside its machine: the cart as entered, the address, and the recap that was shown."""

from datetime import date, datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from relance.rules.law import goods
from services.checkout.domain.delivery import Destination, OfferedFee
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.recap import Recap
from services.checkout.domain.shops import Place

__all__ = [
    "Address", "CartIndex", "CartLine", "NewCart", "PressActs", "Record", "SignedIn", "TextShown", "address_hash",
    "check_address",
]  # fmt: skip

Text = Annotated[str, msgspec.Meta(max_length=200)]
_PLAIN_MAX = 200


class CartLine(msgspec.Struct, frozen=True):
    """So many units of an article."""

    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class NewCart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart that comes to the checkout. `consent`: channel to whether it was granted, as the shop knows it."""

    cart_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    lines: Annotated[tuple[CartLine, ...], msgspec.Meta(max_length=500)]
    visitor_id: Text = ""
    person_id: Text = ""
    device: Literal["", "desktop", "mobile", "tablet"] = ""
    consent: dict[str, bool] = {}
    recovery_link_id: Text = ""
    coupons: Annotated[tuple[str, ...], msgspec.Meta(max_length=10)] = ()
    locale: Annotated[str, msgspec.Meta(max_length=35)] = ""
    return_url: Annotated[str, msgspec.Meta(max_length=2048)] = ""


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where and to whom."""

    name: Text
    line1: Text
    line2: Text = ""
    postcode: Annotated[str, msgspec.Meta(max_length=16)]
    city: Text
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] = "FR"


class SignedIn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who has proved who he is, in this checkout, and what is filled in for him. `how`: by the shop's signed word, or
    by a link that was sent to `email`; `id`: his account's.
    """

    how: Literal["shop", "email"]
    id: str
    at: datetime
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    address: Address | None = None


class TextShown(msgspec.Struct, frozen=True, kw_only=True):
    """A text that the law asks for, as it was shown: with the rule and the version that ask for it."""

    text: str
    sha256: str
    rule: str
    version: int
    article: str


class PressActs(msgspec.Struct, frozen=True, kw_only=True):
    """What else the form of the order button carried. `early_start`, `loss_acknowledged`: the two acts for digital
    content and services that begin at once; `network_address` is never kept, only counted by its hash.
    """

    button_text: str = ""
    early_start: bool = False
    loss_acknowledged: bool = False
    adult: bool = False
    network_address: str = ""
    attested_by_shop: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Of one checkout; the rest is in the machine of the same id. `recap`: the last one that was shown, `recap_page`
    what evidence calls its rendered bytes; `fingerprint`: of the cart that it was created with;
    `law_lines`: what the click ordered, as the law sees it, `offered` the modes it could choose, `return_cost_borne_by`
    who pays returns by this contract; `ordered_before`: the order that the same cart became earlier, which the page
    says.
    """

    id: str
    shop: str
    lines: tuple[CartLine, ...]
    coupons: tuple[str, ...] = ()
    locale: str = "fr"
    return_url: str = ""
    address: Address | None = None
    billing: Address | None = None
    place: str = ""
    recap: Recap | None = None
    recap_page: str = ""
    recap_shown_at: datetime | None = None
    texts: dict[str, TextShown] = {}
    promised_on: date | None = None
    order_id: str = ""
    ordered_before: str = ""
    law_lines: tuple[goods.Line, ...] = ()
    offered: tuple[OfferedFee, ...] = ()
    return_cost_borne_by: Literal["", "trader", "consumer"] = ""
    adult: bool = False
    early_at: datetime | None = None
    loss_at: datetime | None = None
    fingerprint: str = ""
    attested_by_shop: bool = False
    account: SignedIn | None = None
    version: int = 0

    def destination(self, zone: Destination, places: tuple[Place, ...]) -> Destination:
        """Where it goes: the place or the address chosen, else the shop's default zone."""
        chosen = next((one for one in places if one.id == self.place), None)
        if chosen is not None:
            return Destination(country=chosen.country, postcode=chosen.postcode)
        if self.address is not None:
            return Destination(country=self.address.country, postcode=self.address.postcode)
        return zone


class CartIndex(msgspec.Struct, frozen=True, kw_only=True):
    """Which checkout a cart has now, and the order that it became."""

    id: str
    checkout_id: str
    order_id: str = ""
    version: int = 0


def address_hash(address: Address | None, place: str) -> str:
    """What binds a recap to an address or place without holding it."""
    bound = place.encode() if address is None else place.encode() + b"\0" + msgspec.json.encode(address)
    return sha256(bound).hexdigest()


def check_address(address: Address, countries: tuple[str, ...]) -> Refusal | None:
    """Whether a carrier can read it."""
    for name, words in (("name", "a name"), ("line1", "a street"), ("postcode", "a postcode"), ("city", "a city")):
        value = getattr(address, name)
        if not value.strip():
            return Refusal(f"address.{name}", f"the address needs {words}")
    for name in Address.__struct_fields__:
        value = getattr(address, name)
        if len(value) > _PLAIN_MAX or any(ord(letter) < 32 for letter in value):
            return Refusal(f"address.{name}", "one line of at most 200 letters")
    if address.country not in countries:
        return Refusal("address.country", f"we do not deliver to {address.country}", "A06", "L221-14 al. 3")
    if address.country == "FR" and not (len(address.postcode) == 5 and address.postcode.isdigit()):
        return Refusal("address.postcode", "a French postcode has five digits")
    return None
