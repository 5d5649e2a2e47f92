"""The part of Stripe's API that the bank speaks, under /v1."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relance.bank import paying, returning
from relance.bank.bank import Bank
from relance.bank.faults import Fault
from relance.bank.listing import answer, list_of, search
from relance.bank.wire import ApiError, Json, new_id, parse_form

__all__ = ["routes"]

_BODY_MAX: Final = 65_536  # bytes
_KEY_MAX: Final = 255
_AUTHORISED: Final = re.compile(r"Bearer (sk|rk)_test_\w+", re.ASCII)

Handler = Callable[[Bank, Json, str], Json]


class _Call(NamedTuple):
    method: str
    path: str
    handle: Handler


def _open(bank: Bank, form: Json, _name: str) -> Json:
    return answer(bank.ledger, paying.open_session(bank.ledger, form, bank.terms.base_url), form)


def _expire(bank: Bank, form: Json, name: str) -> Json:
    return answer(bank.ledger, paying.expire(bank.ledger, bank.ledger.get("checkout.session", name)), form)


def _cancel(bank: Bank, form: Json, name: str) -> Json:
    return answer(bank.ledger, paying.cancel_intent(bank.ledger, bank.ledger.get("payment_intent", name)), form)


def _refund(bank: Bank, form: Json, _name: str) -> Json:
    return answer(bank.ledger, returning.give_back(bank.ledger, form, bank.terms.settle_s), form)


def _search(bank: Bank, form: Json, _name: str) -> Json:
    return search(bank.ledger, "payment_intent", form, "/v1/payment_intents/search")


def _reading(path: str, kind: str) -> list[_Call]:
    def one(bank: Bank, form: Json, name: str) -> Json:
        return answer(bank.ledger, bank.ledger.get(kind, name), form)

    def many(bank: Bank, form: Json, _name: str) -> Json:
        return list_of(bank.ledger, kind, form, path)

    return [_Call("GET", path, many), _Call("GET", path + "/{name}", one)]


_CALLS: Final = (
    _Call("POST", "/v1/checkout/sessions", _open),
    _Call("POST", "/v1/checkout/sessions/{name}/expire", _expire),
    _Call("POST", "/v1/payment_intents/{name}/cancel", _cancel),
    _Call("POST", "/v1/refunds", _refund),
    _Call("GET", "/v1/payment_intents/search", _search),
    *_reading("/v1/checkout/sessions", "checkout.session"),
    *_reading("/v1/payment_intents", "payment_intent"),
    *_reading("/v1/charges", "charge"),
    *_reading("/v1/refunds", "refund"),
    *_reading("/v1/events", "event"),
)


def routes(bank: Bank) -> list[Route]:
    """The API's routes."""
    return [Route(call.path, _endpoint(bank, call), methods=[call.method]) for call in _CALLS]


def _endpoint(bank: Bank, call: _Call) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        fault = bank.faults.take(request.method, request.url.path)
        if bank.answer_ms:
            await asyncio.sleep(bank.answer_ms / 1000)
        try:
            body = await _authorised_body(request)
            if fault is not None and fault.mode.endswith("before"):
                await _err(fault)
            if fault is not None and fault.mode == "error_kept":
                _keep_error(bank, request, body, fault.status)
            status, answered, headers = _carry_out(bank, call, request, body)
        except ApiError as error:
            return _json(error.status, error.body(), {})
        if fault is not None and fault.mode.endswith("after"):
            try:
                await _err(fault)
            except ApiError as error:
                return _json(error.status, error.body(), {})
        return _json(status, answered, headers)

    return endpoint


async def _authorised_body(request: Request) -> bytes:
    if not _AUTHORISED.fullmatch(request.headers.get("authorization", "")):
        raise ApiError(401, "invalid_request_error", "Invalid API Key provided")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_MAX:
            raise ApiError(413, "invalid_request_error", "The request is too large")
    return body


def _carry_out(bank: Bank, call: _Call, request: Request, body: bytes) -> tuple[int, Json, dict[str, str]]:
    """Do it once for a key; the answer to what the caller did wrong is not kept, as at Stripe."""
    bank.pass_time()
    name = request.path_params.get("name", "")
    if request.method == "GET":
        return 200, call.handle(bank, parse_form(request.url.query), name), {}
    key = request.headers.get("idempotency-key", "")
    if len(key) > _KEY_MAX:
        raise ApiError(400, "invalid_request_error", "The idempotency key is too long")
    form = parse_form(body.decode("utf-8", "replace"))
    if not key:
        return 200, call.handle(bank, form, name), {}
    kept = bank.ledger.recall(key, f"{request.url.path}\n".encode() + body)
    if kept is not None:
        return *kept, {"Idempotent-Replayed": "true"}
    try:
        answered = call.handle(bank, form, name)
    except BaseException:
        bank.ledger.forget(key)
        raise
    bank.ledger.keep(key, 200, answered)
    return 200, answered, {}


def _keep_error(bank: Bank, request: Request, body: bytes, status: int) -> None:
    """The request with this key has failed, and fails in the same words whenever it is repeated."""
    key = request.headers.get("idempotency-key", "")
    if key and bank.ledger.recall(key, f"{request.url.path}\n".encode() + body) is None:
        bank.ledger.keep(key, status, ApiError(status, "api_error", "The bank was told to err here").body())


async def _err(fault: Fault) -> None:
    if fault.mode.startswith("error"):
        raise ApiError(fault.status, "api_error", "The bank was told to err here")
    await asyncio.sleep(fault.delay_s)


def _json(status: int, body: Json, headers: dict[str, str]) -> Response:
    headers = {"Request-Id": new_id("req"), "Stripe-Version": "2026-08-26.dahlia", **headers}
    return Response(msgspec.json.encode(body), status, headers, "application/json")
