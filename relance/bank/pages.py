"""The bank's own pages, under /c: where the shopper pays, and where his bank asks whether it is he. No JavaScript."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relance.bank import paying
from relance.bank.bank import Bank
from relance.bank.cards import ACCOUNTS, CARDS, Card, card_of
from relance.bank.wire import ApiError, Json
from relance.bank.wording import WORDS, reason_of

__all__ = ["routes"]

_BODY_MAX: Final = 16_384  # bytes
_FIELDS_MAX: Final = 20
_PAGES: Final = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class _Pages:
    """One shopper's way through the bank."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    async def show(self, request: Request) -> Response:
        """The page to pay on."""
        session = self._session(request)
        if session["status"] != "open":
            return self._ended(session)
        intent = self._intent(session)
        if intent is not None and intent["status"] == "requires_action":
            return _to(f"/c/challenge/{session['id']}")
        return self._page(session, _problem(session, intent))

    async def pay(self, request: Request) -> Response:
        """The shopper pays."""
        session, form = self._session(request), await _form(request)
        if session["status"] != "open":
            return self._ended(session)
        if "sepa_debit" in session["payment_method_types"] and form.get("iban"):
            account = ACCOUNTS.get("".join(form["iban"].split()).upper())
            if account is None:
                return self._page(session, _words(session)["wrong_iban"], 422)
            paying.debit(self._bank.ledger, session, account, self._bank.terms.settle_s)
            return _to(_back(session))
        card = card_of(form.get("number", "")) if "card" in session["payment_method_types"] else None
        if card is None or not _is_to_come(form.get("expiry", ""), self._bank.ledger.now()):
            return self._page(session, _words(session)["wrong_number" if card is None else "wrong_expiry"], 422)
        return await self._charged(session, paying.submit(self._bank.ledger, session, card), card)

    async def ask(self, request: Request) -> Response:
        """The shopper's bank asks whether it is he who pays."""
        session = self._session(request)
        intent = self._intent(session)
        if session["status"] != "open" or intent is None or intent["status"] != "requires_action":
            return _to(f"/c/pay/{session['id']}")
        return _html("challenge.html", 200, **self._facts(session), stuck=CARDS[intent["_card"]].stuck)

    async def answer(self, request: Request) -> Response:
        """The shopper answers his bank."""
        session, form = self._session(request), await _form(request)
        intent = self._intent(session)
        said = form.get("answer")
        if session["status"] != "open" or intent is None or intent["status"] != "requires_action":
            return _to(f"/c/pay/{session['id']}")
        card = CARDS[intent["_card"]]
        if card.stuck or said not in {"confirm", "refuse"}:
            return _to(f"/c/challenge/{session['id']}")
        return await self._charged(
            session, paying.authenticate(self._bank.ledger, session, card, confirmed=said == "confirm"), card
        )

    async def _charged(self, session: Json, intent: Json, card: Card) -> Response:
        if intent["status"] == "requires_action":
            return _to(f"/c/challenge/{session['id']}")
        if session["status"] != "complete":
            return self._page(session, _problem(session, intent), 402)
        if card.silent:
            await asyncio.sleep(self._bank.terms.silent_s)
            return Response("", 504)
        return _to(_back(session))

    def _session(self, request: Request) -> Json:
        self._bank.pass_time()
        return self._bank.ledger.get("checkout.session", request.path_params["name"])

    def _intent(self, session: Json) -> Json | None:
        name = session["payment_intent"]
        return self._bank.ledger.get("payment_intent", name) if name else None

    def _facts(self, session: Json) -> dict[str, Any]:
        words = _words(session)
        amount = f"{session['amount_total'] / 100:.2f}"
        return {
            "words": words,
            "session": session,
            "merchant": self._bank.terms.merchant,
            "name": session["_name"],
            "amount": amount.replace(".", ",") + "\u00a0€" if words["language"] == "fr" else "€" + amount,
            "form_action": " ".join(sorted({_origin(session["success_url"]), _origin(session["cancel_url"])})),
        }

    def _page(self, session: Json, problem: str, status: int = 200) -> Response:
        types = session["payment_method_types"]
        return _html(
            "pay.html", status, **self._facts(session), problem=problem, cards=CARDS.values(),
            accounts=ACCOUNTS.values(), by_card="card" in types, by_debit="sepa_debit" in types,
        )  # fmt: skip

    def _ended(self, session: Json) -> Response:
        is_paid = session["status"] == "complete"
        back = _back(session) if is_paid else session["cancel_url"]
        return _html("ended.html", 200 if is_paid else 410, **self._facts(session), is_paid=is_paid, back=back)


def routes(bank: Bank) -> list[Route]:
    """The routes of the pages."""
    pages = _Pages(bank)
    return [
        Route("/c/pay/{name}", _guarded(pages.show)),
        Route("/c/pay/{name}", _guarded(pages.pay), methods=["POST"]),
        Route("/c/challenge/{name}", _guarded(pages.ask)),
        Route("/c/challenge/{name}", _guarded(pages.answer), methods=["POST"]),
    ]


def _guarded(page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await page(request)
        except ApiError as error:
            return Response(error.message, error.status, media_type="text/plain")

    return endpoint


async def _form(request: Request) -> dict[str, str]:
    body = await request.body()
    if len(body) > _BODY_MAX:
        raise ApiError(413, "invalid_request_error", "The form is too large")
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_FIELDS_MAX)
    return {name: values[0] for name, values in fields.items()}


def _words(session: Json) -> dict[str, str]:
    return WORDS["fr" if str(session["locale"] or "").startswith("fr") else "en"]


def _problem(session: Json, intent: Json | None) -> str:
    problem = intent["last_payment_error"] if intent else None
    return reason_of(problem.get("decline_code") or problem["code"], _words(session)) if problem else ""


def _back(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _is_to_come(expiry: str, now: int) -> bool:
    """Whether `12/34` is this month or later."""
    month, _, year = expiry.replace(" ", "").partition("/")
    if not (month.isascii() and month.isdigit() and year.isascii() and year.isdigit() and len(year) in {2, 4}):
        return False
    today = datetime.fromtimestamp(now, UTC)
    return 1 <= int(month) <= 12 and (int(year) % 100 + 2000, int(month)) >= (today.year, today.month)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _to(url: str) -> Response:
    return RedirectResponse(url, 303, {"Cache-Control": "no-store"})


def _html(template: str, status: int, **facts: Any) -> Response:
    text = _PAGES.get_template(template).render(**facts)
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
        f"form-action 'self' {facts['form_action']}"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
               "X-Content-Type-Options": "nosniff"}  # fmt: skip
    return Response(text, status, headers, "text/html; charset=utf-8")
