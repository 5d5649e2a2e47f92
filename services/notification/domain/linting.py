"""What no message about an order may hold (law.md E08, E20): a promotion, or anything that tells who opened or clicked.

Structure (images from elsewhere, trackers, active content) is refused in templates and in every body before it leaves.
Wording is refused in templates; the price reduction of the legal guarantee is none. In a body that checkout made it is
only told: a product may be called "Soldes", and a discount that was granted must stand in the confirmation; not to send
that would break the law in a worse way.
"""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

__all__ = ["Finding", "lint_structure", "lint_wording"]

_ACTIVE: Final = frozenset(
    {"script", "iframe", "frame", "object", "embed", "applet", "form", "input", "button", "video", "audio", "source",
     "track", "link", "base", "image", "picture", "portal"}
)  # fmt: skip
_LOADING: Final = frozenset({"src", "srcset", "background", "poster", "data", "lowsrc", "dynsrc", "xlink:href"})
_TRACKING: Final = re.compile(
    r"(utm|mc|pk|mtm|piwik|matomo|hsa|oly|vero|_hs|ml|bsft|elq|wt|at|xtor|sc)_\w+|_?ga|gclid|dclid|gbraid|wbraid"
    r"|fbclid|msclkid|yclid|twclid|ttclid|igshid|mkt_tok|s_cid|trk|trackid|tracking(_?id)?|campaign(_?id)?|xtor|eml"
    r"|open(_?id)?|pixel|cid|spm|ref_src|affiliate(_?id)?|coupon|promo(code)?|voucher|discount",
    re.IGNORECASE,
)
_REMOTE: Final = re.compile(r"url\s*\(|@import|\b(?:src|background|srcset)\s*=", re.IGNORECASE)
_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_PROMOTIONAL: Final = re.compile(
    r"\b(?:promo\w*|soldes|en solde|remises?|rabais|ristournes?|r[ée]ductions?(?!\sd[eu]\sprix)|coupons?|bons? plans?"
    r"|bons? d['\u2019]achats?|offres?"
    r"|offerte?s?|cadeaux?|gratuite?s?|profitez\w*|d[ée]p[êe]chez\w*|vite|derni[èe]re chance|plus que \d+"
    r"|stocks? limit[ée]s?|vous aimerez|recommand\w+ pour vous|d[ée]couvrez|nouveaut[ée]s?|parrain\w*|newsletter"
    r"|fid[ée]lit[ée]|avantages?|ventes? priv[ée]es?|black friday|abonnez\w*"
    r"|discounts?|sales?|deals?|offers?|vouchers?|gifts?|free|hurry|last chance|limited|you may also like"
    r"|recommended for you|discover|new arrivals?|refer a friend|loyalty|subscribe|save \d+|cheaper|bargains?)\b"
    r"|(?:-|\u2212|\bde )\s*\d{1,2}\s?%|\d{1,2}\s?% (?:off|de)\b",
    re.IGNORECASE,
)


class Finding(NamedTuple):
    """What is wrong, under a short name, and the words that show it."""

    rule: str
    shown: str


def lint_wording(text: str) -> list[Finding]:
    """Words that sell, urge or reward, in French or English. What a template fills in is not looked at."""
    plain = _TEMPLATE.sub(" ", text)
    return [Finding("promotion", found[0]) for found in _PROMOTIONAL.finditer(plain)]


def lint_structure(html: str, hosts: Sequence[str] | None) -> list[Finding]:
    """What loads from elsewhere, tracks, or acts. `hosts`: where links may lead (and what is under them), None for
    anywhere. A link that is filled in by a template is looked at once it is filled.
    """
    reader = _Reader(hosts)
    reader.feed(html)
    reader.close()
    return reader.findings


class _Reader(HTMLParser):
    def __init__(self, hosts: Sequence[str] | None) -> None:
        super().__init__(convert_charrefs=True)
        self.findings: list[Finding] = []
        self._hosts = hosts
        self._in_style = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        if tag in _ACTIVE or (tag == "meta" and given.get("http-equiv", "").lower() == "refresh"):
            self._say("active", f"<{tag}>")
        for name, value in given.items():
            if name.startswith("on"):
                self._say("active", name)
            elif name in _LOADING and not value.startswith("cid:"):
                self._say("remote", f"{name}={value[:80]}")
            elif name == "style" and _REMOTE.search(value):
                self._say("remote", value[:80])
        if tag == "img" and (given.get("width") in {"0", "1"} or given.get("height") in {"0", "1"}):
            self._say("pixel", given.get("src", "")[:80])
        if "href" in given:
            self._link(given["href"])

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._in_style = False

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    @override
    def handle_data(self, data: str) -> None:
        if self._in_style and _REMOTE.search(data):
            self._say("remote", data.strip()[:80])

    @override
    def handle_comment(self, data: str) -> None:
        if _REMOTE.search(data):  # Outlook reads what stands in its conditional comments
            self._say("remote", data[:80])

    def _link(self, target: str) -> None:
        if "{{" in target or target.startswith(("mailto:", "tel:", "#")):
            return
        try:
            parts = urlsplit(target)
            host = parts.hostname or ""
        except ValueError:
            self._say("link", target[:80])
            return
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
            self._say("link", target[:80])
        if parts.username is not None or not host:
            self._say("link", target[:80])
        if self._hosts is not None and not any(host == own or host.endswith(f".{own}") for own in self._hosts):
            self._say("host", host)
        for name, value in parse_qsl(parts.query, keep_blank_values=True) + parse_qsl(parts.fragment):
            if _TRACKING.fullmatch(name):
                self._say("tracking", name)
            elif "://" in value:
                self._say("redirect", name)

    def _say(self, rule: str, shown: str) -> None:
        self.findings.append(Finding(rule, shown))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
