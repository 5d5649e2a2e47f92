"""One visit to a page: who comes, with what form; and what stands around every answer."""

import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relance.kernel.errors import NotNow
from relance.observability import logs
from services.checkout.api.direct import endpoint_of
from services.checkout.api.pages.bounds import Form, Guesses, Pace, TooMuch, network_of, read_form
from services.checkout.api.pages.frames import Frame, LegalLink, Painter, guard, help_of, home_of, legal_links
from services.checkout.api.pages.sessions import COOKIE, LIVES_S, Entry, Keys, Kind, Level, Session
from services.checkout.api.pages.tongues import LANGUAGES, Tongue
from services.checkout.api.pages.wording import known
from services.checkout.application.desk import Desk
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop, allowed_return

__all__ = ["Handler", "Message", "PageSettings", "Parts", "Visit", "see_other", "shop_of"]

_OURS: Final = 500  # a fault of ours has a number that helps who looks for it
_HINTS: Final = {"fr": "fr", "en": "en"}


class PageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`secrets`: keys of cookies and forms, at least 32 letters each; the first signs, older ones are believed.

    `payment_origins`: where the provider's pages are (`https://checkout.stripe.com`): the order button may lead there,
    and nowhere else outside. `guesses_max`: wrong links and codes from one address within `guesses_window_s`.
    """

    secrets: tuple[str, ...]
    payment_origins: tuple[str, ...] = ("https://checkout.stripe.com",)
    guesses_max: int = 20
    guesses_window_s: float = 600.0


class Visit:
    """A request with its session and form. `session` is written back as a cookie when it was changed."""

    def __init__(self, request: Request, session: Session, at_s: int) -> None:
        self.request = request
        self.session = session
        self.at_s = at_s
        self.form = Form([])
        self.before = session

    @property
    def address(self) -> str:
        """The network address it comes from, as the server was told to believe it: by it tries are counted."""
        return network_of(self.request.client.host) if self.request.client is not None else ""

    @property
    def hint(self) -> str:
        """A language of ours that the browser asks for, for pages that belong to no checkout."""
        for part in self.request.headers.get("accept-language", "").split(",")[:8]:
            spoken = part.split(";")[0].strip()[:2].lower()
            if spoken in LANGUAGES:
                return _HINTS[spoken]
        return "fr"

    @property
    def looks_ahead(self) -> bool:
        """Whether nobody is looking: the browser fetches what may be wanted next."""
        headers = self.request.headers
        return "prefetch" in headers.get("sec-purpose", headers.get("purpose", headers.get("x-moz", "")))

    @property
    def from_elsewhere(self) -> bool:
        """Whether a page of another site made the browser send this."""
        return self.request.headers.get("sec-fetch-site", "same-origin") in {"cross-site", "same-site"}


Handler = Callable[[Visit], Awaitable[Response]]


class Message(NamedTuple):
    """A page that only says something, and where to go from there."""

    headline: str
    texts: tuple[str, ...]
    links: tuple[LegalLink, ...] = ()
    law: str = ""


class Parts:
    """What the routes share. One per process."""

    def __init__(self, desk: Desk, settings: PageSettings, painter: Painter, keys: Keys) -> None:
        self.desk = desk
        self.settings = settings
        self.painter = painter
        self.keys = keys
        self.guesses = Guesses(settings.guesses_max, settings.guesses_window_s, time.monotonic)
        self.pace = Pace(settings.guesses_max, settings.guesses_window_s, time.monotonic)
        self._log = logs.logger("pages")

    def serve(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler as an endpoint: with session and form, bounded, and with a page for whatever goes wrong."""

        async def endpoint(request: Request) -> Response:
            at_s = int(time.time())
            visit = Visit(request, self.keys.read(request.cookies.get(COOKIE), at_s), at_s)
            response = await self._answer(handler, visit)
            if visit.session != visit.before:
                response.set_cookie(
                    COOKIE, self.keys.write(visit.session), max_age=LIVES_S, path="/", secure=True, httponly=True,
                    samesite="lax",
                )  # fmt: skip
            return response

        return endpoint_of(endpoint)

    async def _answer(self, handler: Handler, visit: Visit) -> Response:
        tongue = self.painter.tongue(visit.hint)
        try:
            if visit.request.method == "POST":
                visit.form = await read_form(visit.request)
            return await handler(visit)
        except TooMuch:
            text = tongue.say("What was sent is not a form of this page, or it is too large.")
            return self.message(visit, Message(tongue.say("This cannot be read"), (text,)), 413)
        except NotNow:
            text = tongue.say("Too many people order at once. Nothing is lost: try again in a few seconds.")
            response = self.message(visit, Message(tongue.say("One moment, please"), (text,)), 503)
            response.headers["retry-after"] = "2"
            return response
        except Exception as error:  # noqa: BLE001 - whatever it is, the shopper gets a page and the log the rest
            # Where, and not the error's text, which may quote what was typed.
            trace = traceback.format_tb(error.__traceback__)[-8:]
            self._log.error("page_failed", error=type(error).__name__, trace=trace)
            text = tongue.say(
                "It is our fault, and it has been noted. Your order has not changed. Try again in a moment."
            )
            return self.message(visit, Message(tongue.say("Something went wrong here"), (text,)), 500)

    # -- pages that say something ------------------------------------------------------------------------------------

    def message(
        self, visit: Visit, message: Message, status: int, shop: Shop | None = None, language: str = ""
    ) -> Response:
        """A page that only says something."""
        tongue = self.painter.tongue(language or visit.hint)
        if shop is None:
            page = Frame(
                language=tongue.language, title=message.headline, shop_name=tongue.say("Order"), guards=guard(None)
            )
        else:
            page = Frame(
                **home_of(shop, tongue.language), title=message.headline,
                help=help_of(shop, tongue.language, str(status) if status >= _OURS else ""),
                legal=legal_links(shop, tongue), guards=guard(shop),
            )  # fmt: skip
        body = self.painter.paint("message", page, **message._asdict())
        return self.painter.respond(body, page, status)

    def unknown(self, visit: Visit) -> Response:
        """There is nothing here, or it is not this browser's: the same words for both."""
        tongue = self.painter.tongue(visit.hint)
        texts = (
            tongue.say("This page belongs to another device, or its session has ended."),
            tongue.say("Come back through the shop's cart, or through the link that you got by e-mail."),
        )
        return self.message(visit, Message(tongue.say("We cannot show this page here"), texts), 404)

    def slow_down(self, visit: Visit, wait_s: int) -> Response:
        """Too many wrong guesses."""
        tongue = self.painter.tongue(visit.hint)
        minutes = max(1, -(-wait_s // 60))
        said = tongue.catalogue.ngettext(
            "Wait %(num)s minute, then try again.", "Wait %(num)s minutes, then try again.", minutes
        )
        message = Message(tongue.say("Too many attempts"), (said % {"num": minutes},))
        response = self.message(visit, message, 429)
        response.headers["retry-after"] = str(wait_s)
        return response

    def refused(
        self, visit: Visit, refusal: Refusal, status: int, shop: Shop | None = None, tongue: Tongue | None = None
    ) -> Response:
        """A refusal that no field of the page can put right: in words, with rule and article; its reason is logged."""
        spoken = tongue or self.painter.tongue(visit.hint)
        self._log.warning("refused", field=refusal.field, reason=refusal.reason, rule=refusal.rule,
                          shop=shop.id if shop is not None else "")  # fmt: skip
        law = " · ".join(part for part in (refusal.field, f"{refusal.rule}, {refusal.article}") if part.strip(", "))
        texts = (
            ("" if refusal.rule else known(spoken, refusal))
            or spoken.say(
                "Nothing is ordered and nothing is paid. The shop has to put this right; tell it what stands below."
            ),
        )
        message = Message(spoken.say("This order cannot be concluded now"), texts, (), law)
        return self.message(visit, message, status, shop, spoken.language)

    # -- sessions ----------------------------------------------------------------------------------------------------

    def admit(self, visit: Visit, kind: Kind, shop: str, id: str, level: Level) -> Entry:  # noqa: A002
        """Let this browser see something, with a secret of its own; what it may see already stays."""
        fresh = self.keys.entry(kind, shop, id, level, visit.at_s)
        visit.session, entry = self.keys.keep(visit.session, visit.session.find(kind, id), fresh)
        return entry

    def rotate(self, visit: Visit, kind: Kind, shop: str, id: str, level: Level) -> Entry:  # noqa: A002
        """A new secret, whatever there was."""
        entry = self.keys.entry(kind, shop, id, level, visit.at_s)
        visit.session = visit.session.having(entry)
        return entry

    def to_provider(self, url: str, order: str) -> Response:
        """To the provider's page, which is where the settings say such pages are; elsewhere nobody is sent."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" in self.settings.payment_origins:
            return see_other(url)
        self._log.error("provider_page_elsewhere", origin=f"{parts.scheme}://{parts.hostname}")
        return see_other(order)

    def honest(self, visit: Visit, secret: str) -> bool:
        """Whether the form was made here for this browser."""
        return not visit.from_elsewhere and self.keys.form_token_holds(secret, visit.form.text("csrf"))


async def shop_of(parts: Parts, visit: Visit) -> tuple[Shop, Tongue] | Response:
    """The shop of an address that needs no session, and the language that is asked for; else the answer."""
    shop = await parts.desk.get_shop(visit.request.path_params["shop"])
    if isinstance(shop, Refusal):
        return parts.unknown(visit)
    asked = visit.request.query_params.get("lang", visit.hint)[:5]
    return shop, parts.painter.tongue(shop.language(asked))


def see_other(url: str) -> Response:
    """After an act: look at what came of it, so that a reload repeats nothing."""
    return RedirectResponse(url, 303, headers={"cache-control": "no-store", "referrer-policy": "no-referrer"})


def return_link(shop: Shop, url: str) -> str:
    """Where the shopper may go back to: the checkout's own address if the shop allows it still, else the shop's."""
    if url and allowed_return(shop, url) and urlsplit(url).scheme in {"http", "https"}:
        return url
    return shop.base_url if urlsplit(shop.base_url).scheme in {"http", "https"} else ""
