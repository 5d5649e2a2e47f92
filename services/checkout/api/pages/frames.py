"""Pages as bytes: templates compiled once, one frame for all of them, and the headers that guard them."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from starlette.responses import Response

from services.checkout.api.pages.facts import legal_url
from services.checkout.api.pages.folding import FoldedEnvironment
from services.checkout.api.pages.labels import label_of
from services.checkout.api.pages.themes import inline_hash, style_of
from services.checkout.api.pages.tongues import Tongue
from services.checkout.api.pages.wording import Problem
from services.checkout.domain.shops import Shop, speak

__all__ = [
    "Frame", "Help", "LegalLink", "Notice", "Painter", "Step", "Sums", "Thing", "guard", "home_of", "policy",
    "shop_frame",
]  # fmt: skip

T = TypeVar("T")

_HERE: Final = Path(__file__).parent
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?|https://\*\.[A-Za-z0-9.-]+")
LEGAL: Final = ("imprint", "terms", "withdrawal", "guarantees", "privacy", "accessibility")


class Step(NamedTuple):
    """A step of the order; `state`: done, here, or empty."""

    label: str
    state: str


class Notice(NamedTuple):
    """A line above the page; `kind`: good, warn or bad."""

    kind: str
    text: str


class LegalLink(NamedTuple):
    """A link and its words."""

    url: str
    label: str


class Help(NamedTuple):
    """Who helps a shopper who is stuck, and what he should tell."""

    phone: str
    dial: str
    hours: str
    email: str
    chat_url: str
    callback_url: str
    reference: str


class Thing(NamedTuple):
    """A line of the summary."""

    name: str
    quantity: int
    gross_minor: int
    net_minor: int
    image_url: str
    initial: str


class Sums(NamedTuple):
    """The sums of a cart or an order, in cents. `lines` are empty where the page itself shows them."""

    goods_minor: int
    discount_minor: int
    delivers: bool
    delivery_minor: int
    total_minor: int
    vat: tuple[tuple[str, int], ...]
    mode: str = ""
    estimated: bool = False
    expected_on: date | None = None
    lines: tuple[Thing, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What is around every page."""

    language: str
    title: str
    shop_name: str
    home_url: str = ""
    logo_url: str = ""
    style: str = ""
    steps: Sequence[Step] = ()
    step: tuple[int, int] = (1, 1)
    summary: Sums | None = None
    errors: Sequence[Problem] = ()
    notices: Sequence[Notice] = ()
    help: Help | None = None
    trader: str = ""
    legal: Sequence[LegalLink] = ()
    csrf: str = ""
    guards: Mapping[str, str] = field(default_factory=dict)

    def wrong(self, name: str) -> bool:
        """Whether a field has something to put right."""
        return any(error.anchor == name for error in self.errors)


class Assets(NamedTuple):
    """The addresses of our own files, which change with their content."""

    css: str
    js: str


class _Page(Response):
    """A page whose headers are ready."""

    def __init__(self, body: bytes, status: int, guards: Mapping[str, str]) -> None:
        self.body, self.status_code, self.background = body, status, None
        ready = _headers(tuple(guards.items()))
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *ready]


@lru_cache(maxsize=1024)
def _headers(guards: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    named = ((name.encode("latin-1"), value.encode("latin-1")) for name, value in guards)
    return (*named, (b"content-type", b"text/html; charset=utf-8"))


class Painter:
    """Templates by language, compiled when it is made; and the files that the pages load."""

    def __init__(self, tongues: Mapping[str, Tongue]) -> None:
        self.tongues = tongues
        self.files = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir())}
        self.digests = {name: hashlib.sha256(data).hexdigest()[:16] for name, data in self.files.items()}
        self._assets = Assets(self._url("checkout.css"), self._url("checkout.js"))
        self._templates: dict[tuple[str, str], Template] = {}
        for language, tongue in tongues.items():
            environment = _environment(tongue, self._assets)
            for name in environment.list_templates():
                self._templates[language, name] = environment.get_template(name)

    def tongue(self, language: str) -> Tongue:
        """The language, or French."""
        return self.tongues.get(language) or self.tongues["fr"]

    def paint(self, name: str, page: Frame, **values: Any) -> bytes:
        """A page of a template."""
        return self._templates[page.language, f"{name}.html"].render(page=page, **values).encode()

    def respond(self, body: bytes, page: Frame, status: int = 200) -> Response:
        """A painted page with its guards."""
        return _Page(body, status, page.guards)

    def _url(self, name: str) -> str:
        return f"/static/{self.digests[name]}/{name}"


def _environment(tongue: Tongue, assets: Assets) -> Environment:
    environment = FoldedEnvironment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        extensions=["jinja2.ext.i18n"],
    )
    environment.catalogue = tongue.catalogue
    environment.install_gettext_translations(tongue.catalogue, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(money=tongue.money, day=tongue.day, moment=tongue.moment, date=tongue.date)
    environment.globals.update(assets=assets, colon="\u00a0: " if tongue.language == "fr" else ": ")
    return environment


def guard(shop: Shop | None, payment_origins: Sequence[str] = ()) -> Mapping[str, str]:
    """The headers of a page. `payment_origins`: where a form may lead besides ourselves."""
    if shop is None:
        return policy("", (), (), tuple(payment_origins))
    return policy(*kept_of(shop, "guards", _guarding), tuple(payment_origins))


def _guarding(shop: Shop) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    shown = tuple(dict.fromkeys(_origin(url) for url in (shop.base_url, shop.logo_url, *shop.return_urls) if url))
    return style_of(shop.theme), shop.frame_ancestors, shown


@lru_cache(maxsize=1024)
def policy(
    style: str, ancestors: tuple[str, ...], pictures: tuple[str, ...], payment_origins: tuple[str, ...]
) -> Mapping[str, str]:
    """Headers that allow our own files, the shop's pictures, one inline style by its hash, and nothing else."""
    framing = [one for one in ancestors if _ORIGIN.fullmatch(one)]
    sources = {
        "default-src": ["'none'"],
        "style-src": ["'self'", *([inline_hash(style)] if style else [])],
        "script-src": ["'self'"],
        "img-src": ["'self'", "data:", *(one for one in pictures if _ORIGIN.fullmatch(one))],
        "form-action": ["'self'", *(one for one in payment_origins if _ORIGIN.fullmatch(one))],
        "frame-ancestors": framing or ["'none'"],
        "base-uri": ["'none'"],
    }
    headers = {
        "content-security-policy": "; ".join(f"{name} {' '.join(values)}" for name, values in sources.items()),
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "x-robots-tag": "noindex, nofollow",
    }
    return headers if framing else headers | {"x-frame-options": "DENY"}


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.scheme in {"http", "https"} and parts.hostname else ""


def home_of(shop: Shop, language: str) -> dict[str, Any]:
    """The part of a frame that a shop's version has in common with all its pages."""
    return kept_of(shop, f"home {language}", lambda shop: _home(shop, language))


def _home(shop: Shop, language: str) -> dict[str, Any]:
    trader = shop.trader
    return {
        "language": language,
        "shop_name": shop.name,
        "home_url": shop.base_url if _origin(shop.base_url) else "",
        "logo_url": shop.logo_url,
        "style": style_of(shop.theme),
        "trader": ", ".join(part for part in (trader.name, trader.address, trader.phone, trader.email) if part),
    }


_KEPT: dict[tuple[str, int, int, str], tuple[Shop, Any]] = {}


def kept_of(shop: Shop, what: str, make: Callable[[Shop], T]) -> T:
    """What a shop's version always gives, made once: of another version, or another shop, it is made anew."""
    key = (shop.id, shop.version, id(shop), what)
    found = _KEPT.get(key)
    if found is None:
        if len(_KEPT) >= 4096:
            _KEPT.clear()
        found = _KEPT[key] = (shop, make(shop))  # the shop is kept, so that its id stays its own
    made: T = found[1]
    return made


def help_of(shop: Shop, language: str, reference: str) -> Help | None:
    """The shop's help, with what to tell it."""
    given = shop.help
    phone, email = given.phone or shop.trader.phone, given.email or shop.trader.email
    if not (phone or email or given.chat_url or given.callback_url):
        return None
    dial = re.sub(r"[^0-9+]", "", phone)
    hooks = [_hook(url, reference) for url in (given.chat_url, given.callback_url)]
    return Help(phone, dial, speak(given.hours, language), email, hooks[0], hooks[1], reference)


def _hook(url: str, reference: str) -> str:
    """The shop's own hook, told where the shopper is stuck; empty when it is no address."""
    return f"{url}{'&' if '?' in url else '?'}reference={quote(reference)}" if _origin(url) else ""


def legal_links(shop: Shop, tongue: Tongue) -> tuple[LegalLink, ...]:
    """The legal pages, by their names."""
    return kept_of(shop, f"legal {tongue.language}", lambda shop: _legal_links(shop, tongue))


def _legal_links(shop: Shop, tongue: Tongue) -> tuple[LegalLink, ...]:
    names = {
        "imprint": tongue.say("Legal notice"),
        "terms": tongue.say("Terms of sale"),
        "withdrawal": tongue.say("Withdrawal"),
        "guarantees": tongue.say("Guarantees"),
        "privacy": tongue.say("Personal data"),
        "accessibility": tongue.say("Accessibility"),
    }
    links = [LegalLink(legal_url(shop, name, tongue.language), label) for name, label in names.items()]
    lang = f"{shop.id}?lang={tongue.language}"
    functions = [LegalLink(f"/withdraw/{lang}", label_of("withdraw", tongue.language).text)]
    if {"continuous", "service"} & set(shop.legal.sells):
        own = shop.aftercare.terminate_url
        url = own if _origin(own) else f"/terminate/{lang}"
        functions.append(LegalLink(url, label_of("terminate", tongue.language).text))
    return (*functions, LegalLink(f"/find/{lang}", tongue.say("Find an order")), *links)


def shop_frame(
    shop: Shop, tongue: Tongue, title: str, *, secret: str = "", reference: str = "",
    said: tuple[Sequence[Problem], Sequence[Notice]] = ((), ()),
) -> Frame:  # fmt: skip
    """What is around a page that is no step of an order. `secret`: the token of its form; `said`: what is to be put
    right, and what stands above the page.
    """
    return Frame(
        **home_of(shop, tongue.language), title=title, errors=said[0], notices=said[1],
        help=help_of(shop, tongue.language, reference), legal=legal_links(shop, tongue), csrf=secret,
        guards=guard(shop),
    )  # fmt: skip
