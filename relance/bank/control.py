"""What only a test or a demonstration asks, under /_bank: what was charged, what was sent, and how to err."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relance.bank import paying
from relance.bank.bank import Bank
from relance.bank.cards import ACCOUNTS, CARDS, Webhooks, card_of
from relance.bank.faults import Fault
from relance.bank.wire import ApiError, Json, public

__all__ = ["routes"]

T = TypeVar("T", bound=msgspec.Struct)

_BODY_MAX: Final = 65_536  # bytes


class _Pay(msgspec.Struct, forbid_unknown_fields=True):
    """Pay on a page as a shopper does. `answer`: to 3-D Secure, when it is asked."""

    session: str
    card: str = "4242424242424242"
    answer: Literal["confirm", "refuse", "none"] = "confirm"


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    ahead_s: float


class _Tell(msgspec.Struct, forbid_unknown_fields=True):
    mode: Webhooks | None = None
    late_s: float | None = None
    url: str | None = None
    again: str | None = None  # an event, to be sent once more


class _Settle(msgspec.Struct, forbid_unknown_fields=True):
    session: str
    works: bool = True


class _Speed(msgspec.Struct, forbid_unknown_fields=True):
    answer_ms: float


def routes(bank: Bank) -> list[Route]:
    """The control routes: objects in JSON in and out."""

    async def charges(request: Request) -> Response:
        return _json({"data": [_charged(bank, one) for one in _of(bank, "charge", request)]})

    async def deliveries(_request: Request) -> Response:
        return _json({"data": [one._asdict() for one in bank.notices.delivered]})

    async def cards(_request: Request) -> Response:
        known = [card._asdict() for card in CARDS.values()]
        return _json({"cards": known, "accounts": [account._asdict() for account in ACCOUNTS.values()]})

    async def sessions(request: Request) -> Response:
        return _json({"data": [public(one) for one in _of(bank, "checkout.session", request)]})

    return [
        Route("/_bank/charges", charges),
        Route("/_bank/sessions", sessions),
        Route("/_bank/deliveries", deliveries),
        Route("/_bank/cards", cards),
        Route("/_bank/pay", _post(_Pay, bank, _pay), methods=["POST"]),
        Route("/_bank/clock", _post(_Clock, bank, _move), methods=["POST"]),
        Route("/_bank/webhooks", _post(_Tell, bank, _tell), methods=["POST"]),
        Route("/_bank/settle", _post(_Settle, bank, _settle), methods=["POST"]),
        Route("/_bank/speed", _post(_Speed, bank, _speed), methods=["POST"]),
        Route("/_bank/faults", _post(Fault, bank, _fault), methods=["POST"]),
        Route("/_bank/faults", _clear(bank), methods=["DELETE"]),
    ]


def _pay(bank: Bank, wish: _Pay) -> Json:
    session = bank.ledger.get("checkout.session", wish.session)
    card = card_of(wish.card)
    if card is None:
        raise ApiError(400, "invalid_request_error", "This is no card number", param="card")
    intent = paying.submit(bank.ledger, session, card)
    if intent["status"] == "requires_action" and wish.answer != "none" and not card.stuck:
        intent = paying.authenticate(bank.ledger, session, card, confirmed=wish.answer == "confirm")
    return {"session": public(session), "payment_intent": public(intent)}


def _move(bank: Bank, wish: _Clock) -> Json:
    bank.ledger.set_ahead(wish.ahead_s)
    bank.pass_time()
    return {"now": bank.ledger.now()}


def _tell(bank: Bank, wish: _Tell) -> Json:
    notices = bank.notices
    notices.mode = notices.mode if wish.mode is None else wish.mode or "once"
    notices.late_s = notices.late_s if wish.late_s is None else wish.late_s
    notices.url = notices.url if wish.url is None else wish.url
    if wish.again is not None:
        notices.send_again(wish.again)
    return {"mode": notices.mode, "late_s": notices.late_s, "url": notices.url}


def _settle(bank: Bank, wish: _Settle) -> Json:
    session = bank.ledger.get("checkout.session", wish.session)
    return {"payment_intent": public(paying.settle(bank.ledger, session, works=wish.works))}


def _speed(bank: Bank, wish: _Speed) -> Json:
    bank.answer_ms = max(0.0, wish.answer_ms)
    return {"answer_ms": bank.answer_ms}


def _fault(bank: Bank, fault: Fault) -> Json:
    bank.faults.add(fault)
    return {"match": fault.match, "mode": fault.mode, "times": fault.times}


def _charged(bank: Bank, charge: Json) -> Json:
    """A charge with the page and the order that it was for."""
    pages = bank.ledger.of_intent(charge["payment_intent"], "checkout.session")
    return {**public(charge), "session": pages[0]["id"] if pages else None}


def _of(bank: Bank, kind: str, request: Request) -> list[Json]:
    wished = request.query_params.get("status")
    return [one for one in bank.ledger.newest(kind) if wished is None or one["status"] == wished]


def _post(kind: type[T], bank: Bank, handle: Callable[[Bank, T], Json]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "") != "application/json":  # no form of another site acts here
            return _json({"error": {"message": "Send application/json"}}, 415)
        body = await request.body()
        if len(body) > _BODY_MAX:
            return _json({"error": {"message": "The request is too large"}}, 413)
        try:
            return _json(handle(bank, msgspec.json.decode(body, type=kind)))
        except msgspec.DecodeError as error:
            return _json({"error": {"message": str(error)}}, 400)
        except ApiError as error:
            return _json(error.body(), error.status)

    return endpoint


def _clear(bank: Bank) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_request: Request) -> Response:
        bank.faults.clear()
        return _json({})

    return endpoint


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
