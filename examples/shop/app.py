"""The shop's pages: a list, an article, a cart, and one button that leads to the checkout."""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import grpc
from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader

from examples.shop.backend import Checkout, Tracking, items
from examples.shop.catalogue import Product, load
from examples.shop.settings import Settings

__all__ = ["make_app"]

_CARTS_MAX: Final = 10_000
_QUANTITY_MAX: Final = 20
_COOKIE: Final = "visitor"
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; form-action *; frame-ancestors 'none'; base-uri 'none'"


class _Cart:
    """A visitor's cart. It gets a new id once it was ordered."""

    def __init__(self) -> None:
        self.id = f"cart-{secrets.token_hex(8)}"
        self.lines: dict[str, int] = {}


class _Shop:
    """The carts of this process and what its pages show."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.products: dict[str, Product] = load()
        self.tracking = Tracking(settings)
        self._carts: OrderedDict[str, _Cart] = OrderedDict()
        folder = Path(__file__).parent / "templates"
        self._templates = Environment(loader=FileSystemLoader(folder), autoescape=True)

    def cart(self, visitor: str) -> _Cart:
        """The visitor's cart, made when there is none."""
        cart = self._carts.setdefault(visitor, _Cart())
        self._carts.move_to_end(visitor)
        while len(self._carts) > _CARTS_MAX:
            self._carts.popitem(last=False)
        return cart

    def forget(self, visitor: str) -> None:
        """The cart was ordered."""
        self._carts.pop(visitor, None)

    @cached_property
    def checkout(self) -> Checkout:
        """The checkout; its channel belongs to the event loop that asks first."""
        return Checkout(self.settings)

    def snapshot(self, cart: _Cart) -> dict[str, Any]:
        """A cart as events tell it."""
        return {"cart_id": cart.id, "currency": "EUR", "items": items(self.products, cart.lines)}

    def page(self, request: Request, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
        """A page; who comes for the first time is given an id of 128 bits."""
        visitor = visitor_of(request) or secrets.token_hex(16)
        cart = self.cart(visitor)
        count = sum(cart.lines.values())
        html = self._templates.get_template(template).render(products=self.products, count=count, **facts)
        answer = HTMLResponse(html, status, headers={"content-security-policy": _POLICY, "cache-control": "no-store"})
        answer.set_cookie(_COOKIE, visitor, max_age=30 * 86_400, httponly=True, samesite="lax")
        self.tracking.tell("page.viewed", visitor, {"page": request.url.path})
        return answer


def visitor_of(request: Request) -> str:
    """The visitor's id, empty for none or for what is none of ours."""
    given = request.cookies.get(_COOKIE, "")
    return given if len(given) == 32 and set(given) <= set("0123456789abcdef") else ""


def _from_elsewhere(request: Request) -> bool:
    """Whether another site's page sent this form."""
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def make_app(settings: Settings) -> FastAPI:
    """The shop."""
    shop = _Shop(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await shop.tracking.close()
        await shop.checkout.close()

    app = FastAPI(title="Lampes de Loire", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    _add_shelves(app, shop)
    _add_cart(app, shop)
    return app


def _add_shelves(app: FastAPI, shop: _Shop) -> None:
    @app.get("/")
    async def home(request: Request) -> HTMLResponse:
        return shop.page(request, "home.html")

    @app.get("/articles/{sku}")
    async def article(request: Request, sku: str) -> HTMLResponse:
        product = shop.products.get(sku)
        if product is None:
            return shop.page(request, "sorry.html", HTTPStatus.NOT_FOUND, reason="Cet article n'existe pas.")
        if visitor := visitor_of(request):
            data = {"items": items(shop.products, {sku: 1}), "currency": "EUR"}
            shop.tracking.tell("product.viewed", visitor, data)
        return shop.page(request, "article.html", product=product)

    @app.get("/retractation")
    async def withdrawal() -> RedirectResponse:
        """The function of L221-21, which stands on the checkout's pages; nothing stands in between."""
        return RedirectResponse(f"{shop.settings.pages}/withdraw/{shop.settings.shop}", HTTPStatus.SEE_OTHER)

    @app.get("/merci")
    async def thanks(request: Request) -> HTMLResponse:
        shop.forget(visitor_of(request))
        return shop.page(request, "thanks.html")


def _add_cart(app: FastAPI, shop: _Shop) -> None:
    @app.get("/cart")
    async def cart(request: Request) -> HTMLResponse:
        visitor = visitor_of(request)
        found = shop.cart(visitor) if visitor else _Cart()
        if found.lines:
            shop.tracking.tell("cart.viewed", visitor, shop.snapshot(found))
        total_minor = sum(shop.products[sku].price_minor * count for sku, count in found.lines.items())
        total = f"{total_minor // 100},{total_minor % 100:02d} €"
        return shop.page(request, "cart.html", lines=found.lines, total=total)

    @app.post("/cart")
    async def put(request: Request, sku: Annotated[str, Form()], quantity: Annotated[int, Form()] = 1) -> Response:
        visitor = visitor_of(request)
        if _from_elsewhere(request) or not visitor or sku not in shop.products:
            return shop.page(request, "sorry.html", HTTPStatus.BAD_REQUEST, reason="Rien n'a été ajouté.")
        found = shop.cart(visitor)
        if quantity <= 0:
            found.lines.pop(sku, None)
            shop.tracking.tell("cart.updated", visitor, shop.snapshot(found))
        else:
            found.lines[sku] = min(_QUANTITY_MAX, found.lines.get(sku, 0) + quantity)
            data = {"cart_id": found.id, "currency": "EUR", "items": items(shop.products, {sku: quantity})}
            shop.tracking.tell("cart.product_added", visitor, data)
        return RedirectResponse("/cart", HTTPStatus.SEE_OTHER)

    @app.post("/checkout")
    async def checkout(request: Request) -> Response:
        visitor = visitor_of(request)
        if _from_elsewhere(request) or not visitor:
            return shop.page(request, "sorry.html", HTTPStatus.BAD_REQUEST, reason="Votre panier est vide.")
        found = shop.cart(visitor)
        try:
            url = await shop.checkout.url(visitor, found.id, found.lines, f"{request.base_url}merci")
        except grpc.aio.AioRpcError as error:
            busy = error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
            reason = "La caisse ne répond pas : réessayez dans un instant." if busy else error.details()
            return shop.page(request, "sorry.html", HTTPStatus.SERVICE_UNAVAILABLE if busy else 409, reason=reason)
        return RedirectResponse(url, HTTPStatus.SEE_OTHER)
