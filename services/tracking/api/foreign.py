"""`POST /v1/segment/*` and `POST /v1/ga4`: bodies of other systems, taken as our events.

The key is the user name of Basic authentication (Segment's write key), a Bearer token, `?key=`, or the body's
`writeKey`. With a publishable key the rules of browsers hold: see `services.tracking.api.browser`.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec
from typing_extensions import override

from relance.events.codec import EventError
from services.tracking.api.collect import BROWSER_KINDS, OpenToBrowsers, key_in_query
from services.tracking.api.http import Headers, Receive, Request, Scope, kind_of, now_ms
from services.tracking.api.intake import Rejected
from services.tracking.api.keys import Grant
from services.tracking.api.problems import Header, KeyRefused, Refused, Send, respond
from services.tracking.domain import ga4, segment

__all__ = ["Ga4", "Segment"]

_SHOWN: Final = (b"application/json", b"text/plain")
_WHO: Final[Header] = (b"www-authenticate", b'Basic realm="relance"')
_encoder = msgspec.json.Encoder()


class _Foreign(OpenToBrowsers):
    """Answers 200 with what was accepted and rejected; `index` counts the events that the body became."""

    def to_events(self, body: object, scope: Scope, shop: str) -> list[dict[str, Any]]:
        """The events of a body. Raises EventError."""
        raise NotImplementedError

    @override
    async def post(self, request: Request, receive: Receive, send: Send) -> int:
        """200: some or all taken, or nothing in it means anything here. 422: none."""
        scope, headers = request.scope, request.headers
        kind_of(headers, BROWSER_KINDS, _SHOWN)
        address = self.address(request)
        body = _parsed(await self.body(request, receive))
        grant = self._grant(_key(scope, headers, body), headers, address)
        values = self._values(body, scope, grant)
        if grant.kind == "publishable":
            rejected = await self.take_from_browser(grant, values, address)
        else:
            rejected = await self.intake.take(grant, values, self.entry)
        cors = self.error_headers(request)
        if rejected and len(rejected) == len(values):
            extra = {"accepted": 0, "rejected": [one.shown() for one in rejected]}
            raise Refused(422, "no event of this request can be taken", extra=extra)
        await respond(send, 200, _answer(len(values), rejected), headers=cors)
        return 200

    def _grant(self, key: bytes, headers: Headers, address: str) -> Grant:
        grant = self.door.find(key, address)
        if grant is None:
            raise KeyRefused(401, "a key of the shop is needed, as user name or Bearer token", [_WHO])
        if grant.kind == "publishable":
            origin = headers.get(b"origin")
            if origin is not None and origin.decode("latin-1") not in grant.shop.origins:
                raise KeyRefused(403, "this page's origin is none of the shop's")
        self.door.let_in(key, address)
        if grant.kind == "publishable":
            self.rates.admit(address, grant)
        self.intake.admit(grant)
        return grant

    def _values(self, body: object, scope: Scope, grant: Grant) -> Sequence[bytes]:
        try:
            events = self.to_events(body, scope, grant.shop.shop)
        except EventError as error:
            raise Refused(422, "this is no body of the kind", extra={"problems": error.problems}) from None
        if len(events) > self.settings.events_max:
            raise Refused(413, f"the body holds {len(events)} events, at most {self.settings.events_max} are taken")
        return [_encoder.encode(event) for event in events]


class Segment(_Foreign):
    """Segment's calls. The path says which, where the body does not."""

    entry = "segment"
    CALLS: ClassVar = ("track", "identify", "page", "batch")

    @override
    def to_events(self, body: object, scope: Scope, shop: str) -> list[dict[str, Any]]:
        if isinstance(body, dict) and "batch" not in body:
            body = {"type": scope["path"].rpartition("/")[2]} | body
        return segment.to_events(body, shop, now_ms())


class Ga4(_Foreign):
    """Pushes of a GA4 data layer."""

    entry = "ga4"

    @override
    def to_events(self, body: object, scope: Scope, shop: str) -> list[dict[str, Any]]:
        return ga4.to_events(body, shop, now_ms())


def _parsed(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def _key(scope: Scope, headers: Headers, body: object) -> bytes:
    scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return shown.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(shown.strip(), validate=True).partition(b":")[0]
        except binascii.Error:
            return b""
    in_query = key_in_query(scope["query_string"])
    if in_query is not None:
        return in_query
    in_body = body.get("writeKey") if isinstance(body, dict) else None
    return in_body.encode() if isinstance(in_body, str) else b""


def _answer(count: int, rejected: Sequence[Rejected]) -> bytes:
    shown = [one.shown() for one in rejected]
    return _encoder.encode({"success": True, "accepted": count - len(rejected), "rejected": shown})
