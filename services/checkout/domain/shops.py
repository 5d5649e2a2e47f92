"""A shop as it wrote itself down: who trades, what its pages say, and how it delivers and is paid."""

import re
from collections.abc import Collection, Mapping
from datetime import date
from hashlib import sha256
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from relance.rules.law.shop import FIRST_YEAR, LAST_YEAR, Legal, Trader
from services.checkout.domain.delivery import Destination, Mode
from services.checkout.domain.methods import check_methods
from services.checkout.domain.orders import OrderTerms
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.tenders import BY_PROVIDER, Means

__all__ = [
    "SHOP_ID", "AftercareTerms", "Artwork", "AssertionKey", "ConsentAsked", "Help", "OfferedMeans", "OfferedMode",
    "Place", "Shop", "Words", "allowed_return", "check_shop", "named_means", "speak",
]  # fmt: skip

SHOP_ID: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

ARTWORK_BYTES_MAX: Final = 400_000
_SLOT: Final = re.compile(r"(?P<rule>[A-G]\d\d)\.[a-z_]+\.(?P<language>[a-z]{2})\Z")

Words = dict[str, str]  # language -> text
_BY_HAND: Final[dict[str, Words]] = {
    "bank_transfer": {"fr": "virement bancaire", "en": "bank transfer"},
    "cheque": {"fr": "chèque", "en": "cheque"},
}


class Help(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a shopper who is stuck finds somebody. `chat_url`, `callback_url`: hooks of the shop's own."""

    phone: str = ""
    hours: Words = {}
    email: str = ""
    chat_url: str = ""
    callback_url: str = ""


class OfferedMode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A delivery mode with its name on the pages. `green`: said to be environmentally friendly (A28)."""

    mode: Mode
    label: Words
    note: Words = {}
    green: bool = False


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A relay point, or a shop where goods are collected. `modes`: ids of the modes that lead to it."""

    id: str
    modes: tuple[str, ...]
    name: str
    line1: str
    postcode: str
    city: str
    country: str = "FR"
    hours: Words = {}


class OfferedMeans(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A means of payment with its name and its conditions on the pages."""

    means: Means
    label: Words
    note: Words = {}


class ConsentAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A separate, unticked box. `version` is kept as the proof of what was asked."""

    channel: str
    purpose: str
    text: Words
    version: str


class Artwork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An official picture that may only be shown as it is published (A22): the shop's file, pinned by its hash. `data`:
    the file, base64 in JSON; it is kept apart by its hash, so it need not come again. `alt`: what it says, by language.
    """

    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    media_type: Literal["image/png", "image/jpeg", "image/webp", "image/svg+xml"] = "image/png"
    alt: Words = {}
    data: bytes = b""


class AssertionKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key with which the shop signs who its customer is: `public_key`, a PEM of Ed25519 or P-256, or `secret`, which
    both sides know. `issuer` is the `iss` that it signs for.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    issuer: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    public_key: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    secret: Annotated[str, msgspec.Meta(max_length=512)] = ""


class AftercareTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the shop answers for its orders. `automatic_refunds`: asked for as soon as the law's wait is over, at the
    latest `ahead_days` before the due date. `collects_returns`: it fetches goods, and so waits for none.
    `reasonable_days`: the extra time of a late notice that names none. `terminate_url`: its own termination page.
    `accounts_close_in`: the month with whose last day its accounting year closes. `since`: the day from which aftercare
    of orders of an earlier release is left to Relance; none: when each was first looked after.
    """

    automatic_refunds: bool = True
    ahead_days: Annotated[int, msgspec.Meta(ge=0, le=13)] = 3
    collects_returns: bool = False
    reasonable_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 14
    return_address: Annotated[str, msgspec.Meta(max_length=500)] = ""
    terminate_url: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    accounts_close_in: Annotated[int, msgspec.Meta(ge=1, le=12)] = 12
    since: date | None = None


class Shop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a shop says of itself. `return_urls`: prefixes where a shopper may be sent back to, nowhere else.

    `texts`: name to language to text: `terms`, `privacy`, `accessibility`, `confirmation` and others of the legal
    pages, and counsel's texts under the name of their slot (`A20.continuous`). `button`: the accessible name of the
    order button by language. `theme`: CSS custom properties by name. `similar_goods`: beside the objection to mail on
    similar goods. `psp`: the provider asked for cards and wallets. `countries`: where it sells. `assertions`: what
    the shop's word on its customers is checked by. `artwork`: official pictures by slot (`A22.notice.fr`).
    """

    id: Annotated[str, msgspec.Meta(pattern=SHOP_ID)]
    name: str
    trader: Trader
    legal: Legal
    base_url: str
    return_urls: tuple[str, ...] = ()
    frame_ancestors: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("fr",)
    theme: dict[str, str] = {}
    logo_url: str = ""
    help: Help = Help()
    modes: tuple[OfferedMode, ...]
    places: tuple[Place, ...] = ()
    means: tuple[OfferedMeans, ...]
    zone: Destination = Destination()
    countries: tuple[str, ...] = ("FR",)
    terms: OrderTerms = OrderTerms()
    lasts_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7
    button: Words
    similar_goods: Words = {}
    similar_goods_version: str = ""
    consents: tuple[ConsentAsked, ...] = ()
    psp: str = "simulator"
    phone_needed: bool = False
    texts: dict[str, Words] = {}
    artwork: dict[str, Artwork] = {}
    assertions: Annotated[tuple[AssertionKey, ...], msgspec.Meta(max_length=8)] = ()
    aftercare: AftercareTerms = AftercareTerms()
    version: int = 0

    @property
    def all_modes(self) -> tuple[Mode, ...]:
        """The modes without their words."""
        return tuple(offered.mode for offered in self.modes)

    @property
    def all_means(self) -> tuple[Means, ...]:
        """The means without their words."""
        return tuple(offered.means for offered in self.means)

    def language(self, locale: str) -> str:
        """The language of the shop that answers a locale best; its first one otherwise."""
        spoken = locale.replace("_", "-").split("-")[0].lower()
        return spoken if spoken in self.languages else self.languages[0]


def speak(words: Mapping[str, str], language: str) -> str:
    """The text in a language, else in French, else in whatever there is; empty when there is none."""
    return words.get(language) or words.get("fr") or next(iter(words.values()), "")


def named_means(shop: Shop, means: str, language: str) -> str:
    """What a means is called, of the shop's own or a way back that any shop has; its id when it has no name."""
    label = next((one.label for one in shop.means if one.means.id == means), _BY_HAND.get(means, {}))
    return speak(label, language) or means


def allowed_return(shop: Shop, url: str) -> bool:
    """Whether a shopper may be sent to `url`: same origin as a prefix on the list, and below its path."""
    if not url:
        return True
    if any(ord(letter) < 33 or letter == "\\" for letter in url):
        return False
    try:
        asked = urlsplit(url)
        port = asked.port
    except ValueError:
        return False
    if asked.scheme not in {"https", "http"} or asked.username is not None or ".." in asked.path.split("/"):
        return False
    for prefix in shop.return_urls:
        given = urlsplit(prefix)
        if (given.scheme, given.hostname, given.port) == (asked.scheme, asked.hostname, port):
            root = given.path.rstrip("/")
            if asked.path == root or asked.path.startswith(f"{root}/") or not root:
                return True
    return False


def check_shop(shop: Shop, providers: Collection[str] = ()) -> Refusal | None:
    """Whether the pages can work with it; what the law demands of it is another question. `providers`: those that take
    payments here; where there are none at all, no shop is asked for one of them.
    """
    if not shop.languages or not all(len(one) == 2 for one in shop.languages):
        return Refusal("languages", "two-letter languages, at least one")
    for language in shop.languages:
        if not shop.button.get(language):
            return Refusal(f"button.{language}", "the order button has no words", "A04", "L221-14 al. 2")
    for field, ids in (("modes", [one.id for one in shop.all_modes]), ("means", [one.id for one in shop.all_means])):
        if not ids or len(set(ids)) < len(ids):
            return Refusal(field, "at least one, and each once")
    if refused := check_methods(shop.all_means):
        return refused
    if shop.aftercare.since is not None and not FIRST_YEAR <= shop.aftercare.since.year <= LAST_YEAR:
        return Refusal("aftercare.since", f"a day of the years {FIRST_YEAR} to {LAST_YEAR}")
    known = {one.id for one in shop.all_modes}
    for place in shop.places:
        if not set(place.modes) <= known:
            return Refusal(f"places.{place.id}.modes", "names a mode that the shop does not have")
    for mode in shop.all_modes:
        if mode.kind in {"relay", "collect"} and not any(mode.id in place.modes for place in shop.places):
            return Refusal(f"modes.{mode.id}", "leads to no place")
    if not any(one.kind in BY_PROVIDER or one.kind == "offline" for one in shop.all_means):
        return Refusal("means", "nothing pays what gift cards leave")
    for slot, picture in shop.artwork.items():
        if refused := _check_artwork(slot, picture):
            return refused
    if providers and shop.psp not in providers and any(one.on and one.kind in BY_PROVIDER for one in shop.all_means):
        return Refusal("psp", f"{shop.psp} takes no payments here: one of {', '.join(sorted(providers))} does")
    return None


def _check_artwork(slot: str, picture: Artwork) -> Refusal | None:
    """Whether a picture fills a slot of the law, and is the file whose hash is pinned."""
    found = _SLOT.match(slot)
    if found is None:
        return Refusal(f"artwork.{slot}", "a slot is a rule, its wording and a language, such as A22.notice.fr")
    if not picture.alt.get(found["language"]):
        return Refusal(f"artwork.{slot}.alt.{found['language']}", "what the picture says is missing", found["rule"])
    if len(picture.data) > ARTWORK_BYTES_MAX:
        return Refusal(f"artwork.{slot}.data", f"has more than {ARTWORK_BYTES_MAX} bytes", found["rule"])
    if picture.data and sha256(picture.data).hexdigest() != picture.sha256:
        return Refusal(f"artwork.{slot}.sha256", "the file is not the one whose hash is pinned", found["rule"])
    return None
