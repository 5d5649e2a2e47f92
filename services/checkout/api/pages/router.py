"""The routes of the pages."""

import asyncio
import re
import secrets
from collections.abc import Callable
from datetime import date
from typing import Any, Final, Protocol

from fastapi import APIRouter
from starlette.responses import Response

from relance.rules.law.calendar import paris_date
from services.checkout.api.pages.beginning import Beginning
from services.checkout.api.pages.choosing import Choosing
from services.checkout.api.pages.claiming import Claiming
from services.checkout.api.pages.finding import Finding
from services.checkout.api.pages.frames import Painter
from services.checkout.api.pages.links import Links
from services.checkout.api.pages.purchase import Purchase
from services.checkout.api.pages.reaching import Reach
from services.checkout.api.pages.recap import Recap
from services.checkout.api.pages.sessions import Keys
from services.checkout.api.pages.signing import Signing
from services.checkout.api.pages.terminating import Terminating
from services.checkout.api.pages.themes import inline_hash
from services.checkout.api.pages.tongues import load_tongues
from services.checkout.api.pages.tracking import Tracking
from services.checkout.api.pages.visits import Message, PageSettings, Parts, Visit
from services.checkout.api.pages.withdrawing import Withdrawing
from services.checkout.application.desk import Desk
from services.checkout.domain.legal_pages import LEGAL_PAGES
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop

__all__ = ["LegalPages", "make_pages", "redacted"]

_PAPERS: Final = frozenset({*LEGAL_PAGES, "terms.pdf"})
_FOREVER: Final = "public, max-age=31536000, immutable"
_SECRET: Final = re.compile(r"(/(?:enter|a|r|p|v|w)/)[^/?\s\"']+")
_STYLE: Final = re.compile(rb"<style[^>]*>(.*?)</style>", re.DOTALL)


class LegalPages(Protocol):
    """Who writes the legal pages of a shop."""

    def terms(self, shop: Shop, language: str) -> bytes | Refusal:
        """The terms of sale as PDF."""
        ...

    def page(self, shop: Shop, name: str, language: str) -> bytes | Refusal:
        """A legal page as HTML; a missing fact refuses with its rule."""
        ...


def redacted(text: str) -> str:
    """A path, or a line of a log, without the tokens of its links."""
    return _SECRET.sub(r"\1…", text)


def make_pages(desk: Desk, settings: PageSettings, legal: LegalPages) -> APIRouter:
    """All pages of the checkout. Templates and catalogues are compiled here, once."""
    keys = Keys(settings.secrets, lambda: secrets.token_urlsafe(24))
    parts = Parts(desk, settings, Painter(load_tongues()), keys)
    begin, choose, recap, purchase = Beginning(parts), Choosing(parts), Recap(parts), Purchase(parts)
    links, papers = Links(parts, purchase), _Papers(parts, legal)
    signing = Signing(parts, begin, links)
    router = APIRouter()

    def add(path: str, show: Callable[[Visit], Any] | None, act: Callable[[Visit], Any] | None = None) -> None:
        for method, handler in (("GET", show), ("POST", act)):
            if handler is not None:
                router.add_route(path, parts.serve(handler), methods=[method], include_in_schema=False)

    add("/c/{checkout_id}", begin.show_cart)
    add("/c/{checkout_id}/cart", begin.show_cart, begin.change_cart)
    add("/c/{checkout_id}/contact", begin.show_contact, begin.give_contact)
    add("/c/{checkout_id}/delivery", choose.show_delivery, choose.choose_delivery)
    add("/c/{checkout_id}/payment", choose.show_payment, choose.choose_means)
    add("/c/{checkout_id}/recap", recap.show)
    add("/c/{checkout_id}/order", recap.show, recap.press)
    add("/o/{order_id}", purchase.show)
    add("/o/{order_id}/thanks", purchase.thanks)
    add("/o/{order_id}/pay", purchase.show, purchase.pay)
    add("/o/{order_id}/link", purchase.show, purchase.send_link)
    add("/o/{order_id}/documents/{name}", purchase.document)
    add("/c/{checkout_id}/account", begin.show_contact, signing.ask)
    add("/c/{checkout_id}/signout", begin.show_contact, signing.out)
    add("/a/{token}", signing.show_link, signing.use_link)
    add("/enter/{token}", links.enter, links.enter_as)
    add("/r/{token}", links.show_cart, links.take_cart)
    for letter in ("p", "v"):
        add(f"/{letter}/{{token}}", links.show_order)
        add(f"/{letter}/{{token}}/pay", links.show_order, links.pay)
        add(f"/{letter}/{{token}}/code", links.show_order, links.code)
    _add_afterwards(add, parts, Reach(purchase, links))
    add("/legal/{shop}/{name}", papers.show)
    add("/legal/{shop}/artwork/{slot}", papers.artwork)
    add("/static/{digest}/{name}", papers.static)
    add("/{rest:path}", papers.nowhere)  # the last: whatever no other address is
    return router


def _add_afterwards(add: Callable[..., None], parts: Parts, reach: Reach) -> None:
    """The pages of what follows an order: by a session (`/o/`), by a link, or by a shop for whom has neither."""
    withdrawing, tracking, finding = Withdrawing(parts, reach), Tracking(parts, reach), Finding(parts)
    add("/w/{token}", withdrawing.show, withdrawing.state)
    for here in ("/w/{token}", "/v/{token}", "/o/{order_id}"):
        add(f"{here}/withdraw", withdrawing.show, withdrawing.state)
        add(f"{here}/withdraw/{{statement}}", withdrawing.stated)
    for here in ("/v/{token}", "/o/{order_id}"):
        add(f"{here}/delivery", tracking.show, tracking.act)
    claiming = Claiming(parts, reach)
    add("/o/{order_id}/claim", claiming.show, claiming.act)
    add("/withdraw/{shop}", withdrawing.show_shop, withdrawing.state_shop)
    terminating = Terminating(parts, reach)
    for here in ("/terminate/{shop}", "/o/{order_id}/terminate/{contract}"):
        add(here, terminating.show, terminating.act)
    add("/find/{shop}", finding.show, finding.send)


_Key = tuple[str, int, int, str, str, date]


class _Papers:
    """Legal pages, and the files that our pages load."""

    def __init__(self, parts: Parts, legal: LegalPages) -> None:
        self._parts = parts
        self._legal = legal
        self._made: dict[_Key, bytes | Refusal] = {}
        self._making = asyncio.Lock()  # one at a time: a PDF is a good part of a second of one core

    async def static(self, visit: Visit) -> Response:
        """A file by its content: kept by browsers for good."""
        name, digest = visit.request.path_params["name"], visit.request.path_params["digest"]
        painter = self._parts.painter
        if painter.digests.get(name) != digest:
            return Response(status_code=404, headers={"x-content-type-options": "nosniff"})
        kind = "text/css; charset=utf-8" if name.endswith(".css") else "text/javascript; charset=utf-8"
        headers = {"cache-control": _FOREVER, "x-content-type-options": "nosniff",
                   "cross-origin-resource-policy": "same-origin"}  # fmt: skip
        return Response(painter.files[name], headers=headers, media_type=kind)

    async def artwork(self, visit: Visit) -> Response:
        """An official picture of a shop, byte by byte; one that holds a script runs none."""
        asked = visit.request.path_params
        found = await self._parts.desk.artwork(asked["shop"], asked["slot"])
        if found is None:
            return self._parts.unknown(visit)
        headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
                   "cache-control": "public, max-age=300", "x-content-type-options": "nosniff",
                   "cross-origin-resource-policy": "same-origin"}  # fmt: skip
        return Response(found[0], headers=headers, media_type=found[1])

    async def show(self, visit: Visit) -> Response:
        """A legal page, or the terms as PDF; one with a missing fact says so, with the rule."""
        shop = await self._parts.desk.get_shop(visit.request.path_params["shop"])
        if isinstance(shop, Refusal):
            return self._parts.unknown(visit)
        name = visit.request.path_params["name"]
        if name not in _PAPERS:
            return self._parts.unknown(visit)
        language = shop.language(visit.request.query_params.get("lang", visit.hint)[:5])
        key = (shop.id, shop.version, id(shop), name, language, paris_date(self._parts.desk.clock()))  # the law's day
        made = self._made.get(key)
        if made is None:
            made = await self._make(shop, name, language, key)
        if isinstance(made, Refusal):
            return self._missing(visit, shop, made, language)
        if name == "terms.pdf":
            headers = {"content-disposition": f'inline; filename="{shop.id}-terms-{language}.pdf"',
                       "cache-control": "public, max-age=300", "x-content-type-options": "nosniff"}  # fmt: skip
            return Response(made, headers=headers, media_type="application/pdf")
        return Response(made, headers=_paper_headers(made), media_type="text/html; charset=utf-8")

    def _missing(self, visit: Visit, shop: Shop, refusal: Refusal, language: str) -> Response:
        """A page of the shop that lacks a fact is not shown in part."""
        tongue = self._parts.painter.tongue(language)
        law = ", ".join(part for part in (refusal.field, refusal.rule, refusal.article) if part)
        texts = (
            tongue.say("The shop has not given everything that this page must say, so that it is not shown in part."),
            tongue.say("Ask the shop for it, and tell it what stands below."),
        )
        message = Message(tongue.say("This page is not ready yet"), texts, (), law)
        response = self._parts.message(visit, message, 503, shop, tongue.language)
        response.headers["retry-after"] = "3600"
        return response

    async def nowhere(self, visit: Visit) -> Response:
        """An address that leads nowhere, as a page."""
        return self._parts.unknown(visit)

    async def _make(self, shop: Shop, name: str, language: str, key: _Key) -> bytes | Refusal:
        async with self._making:
            if (there := self._made.get(key)) is not None:
                return there
            if name == "terms.pdf":
                made = await asyncio.to_thread(self._legal.terms, shop, language)
            else:
                made = await asyncio.to_thread(self._legal.page, shop, name, language)
            if len(self._made) >= 512:
                self._made.clear()
            self._made[key] = made
            return made


def _paper_headers(page: bytes) -> dict[str, str]:
    """Headers of a page that brings its own style: that style by its hash, our pictures, and nothing else."""
    hashes = " ".join(inline_hash(found.decode()) for found in _STYLE.findall(page))
    policy = f"default-src 'none'; style-src 'self' {hashes}; img-src 'self' data:; font-src 'self' data:"
    return {
        "content-security-policy": f"{policy}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "cache-control": "public, max-age=300",
    }
