"""Refusals as `application/problem+json` (RFC 9457), and the plain writing of an ASGI response."""

import math
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from relance.kernel.errors import InputError

__all__ = ["Header", "KeyRefused", "Refused", "Send", "problem", "respond", "retry_after"]

Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Final = b"application/json"
PROBLEM: Final = b"application/problem+json"
_encoder = msgspec.json.Encoder()


class Refused(InputError):  # noqa: N818 - as its kin in relance.kernel.errors
    """The request cannot be taken as it is; becomes a problem of `status`."""

    def __init__(
        self, status: int, detail: str, headers: Sequence[Header] = (), extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.extra = extra


class KeyRefused(Refused):
    """The key opens nothing, or not this: 401 or 403. Counted against the client's address."""


async def respond(
    send: Send, status: int, body: bytes = b"", content_type: bytes = JSON, headers: Sequence[Header] = ()
) -> None:
    """Answer with `body`; without one there is no content type."""
    shown: list[Header] = [*headers]
    if body:
        shown.append((b"content-type", content_type))
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        shown.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": body})


async def problem(
    send: Send, status: int, detail: str, headers: Sequence[Header] = (), extra: dict[str, Any] | None = None
) -> None:
    """Refuse. `detail` says in one sentence what is wrong; `extra` members stand beside it (RFC 9457, 3.2)."""
    shown = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    await respond(send, status, _encoder.encode(shown | (extra or {})), PROBLEM, headers)


def retry_after(seconds: float) -> Header:
    """The `Retry-After` header: whole seconds, rounded up, at least 1."""
    return (b"retry-after", b"%d" % max(1, math.ceil(seconds)))
