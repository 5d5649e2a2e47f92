"""`POST /v1/collect`: events from browsers, as `navigator.sendBeacon` or `fetch` sends them."""

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs

from typing_extensions import override

from services.tracking.api.bodies import Slice
from services.tracking.api.browser import allowed, open_page
from services.tracking.api.door import Door
from services.tracking.api.http import Endpoint, Headers, Receive, Request, Scope, answer_each, kind_of, now_ms
from services.tracking.api.intake import Intake, Rejected
from services.tracking.api.keys import Grant
from services.tracking.api.limits import Buckets
from services.tracking.api.problems import Header, KeyRefused, Send, respond
from services.tracking.metrics import EdgeMetrics
from services.tracking.settings import Settings

__all__ = ["BROWSER_KINDS", "BrowserRates", "Collect", "OpenToBrowsers", "key_in_query"]

_SHOWN: Final = (b"text/plain", b"application/json", b"application/cloudevents+json")
BROWSER_KINDS: Final = dict.fromkeys(
    (*_SHOWN, b"application/cloudevents-batch+json", b"text/plain;charset=UTF-8"), b"application/json"
)
_PREFLIGHT: Final[Sequence[Header]] = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding"),
    (b"access-control-max-age", b"86400"),
)


class BrowserRates:
    """Rates of publishable keys: per client address, and per key over all addresses. Shared by all endpoints."""

    def __init__(self, settings: Settings) -> None:
        self._per_address = settings.browser_events_per_second
        self._per_key = settings.browser_key_events_per_second
        self._addresses = Buckets()
        self._keys = Buckets()

    def admit(self, address: str, grant: Grant | None) -> None:
        """Raise OverRate when the address, or the key if it is known yet, has sent too much."""
        now_s = time.monotonic()
        self._addresses.admit(address, self._per_address, now_s)
        if grant is not None:
            self._keys.admit(grant.sha256, self._per_key, now_s)

    def take(self, address: str, grant: Grant, events: int) -> None:
        """Count what was sent."""
        now_s = time.monotonic()
        self._addresses.take(address, events, self._per_address, now_s)
        self._keys.take(grant.sha256, events, self._per_key, now_s)


class OpenToBrowsers(Endpoint):
    """An endpoint that pages of a shop's origins may call with a publishable key: preflights, CORS, rates."""

    def __init__(
        self, intake: Intake, door: Door, settings: Settings, metrics: EdgeMetrics, rates: BrowserRates
    ) -> None:
        super().__init__(intake, door, settings, metrics)
        self.rates = rates

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the question of a browser whether it may send one."""
        if scope["method"] == "OPTIONS":
            shown = self.error_headers(Request(scope))
            await respond(send, 204 if shown else 403, headers=[*shown, *_PREFLIGHT] if shown else ())
        else:
            await super().__call__(scope, receive, send)

    @override
    def error_headers(self, request: Request) -> Sequence[Header]:
        """CORS: for an origin of the key's shop; where the key is not in the query, for an origin of any shop."""
        origin = request.headers.get(b"origin")
        if origin is None:
            return ()
        welcome = self.door.is_page_welcome(origin, key_in_query(request.scope["query_string"]))
        return _cors(origin) if welcome else ()

    async def take_from_browser(self, grant: Grant, values: Sequence[Slice], address: str) -> Sequence[Rejected]:
        """As `Intake.take`, with what only servers may say rejected, and counted against the browser's rates."""
        self.rates.take(address, grant, len(values))
        at_ms = now_ms()
        sifted = [allowed(value, grant.shop.shop, at_ms) for value in values]
        barred = {place: problem for place, (_, problem) in enumerate(sifted) if problem is not None}
        return await self.intake.take(grant, [value for value, _ in sifted], self.entry, barred)


class Collect(OpenToBrowsers):
    """Answers 204, or what `/v1/events` answers when events are rejected.

    The key is publishable, in `?key=` or in the body. The page's origin must be one of the shop's; since a browser
    cannot lie about it, no other site's page can speak for the shop.
    """

    entry = "collect"

    @override
    async def post(self, request: Request, receive: Receive, send: Send) -> int:
        """204: all taken. 207: some. 422: none."""
        headers = request.headers
        kind_of(headers, BROWSER_KINDS, _SHOWN)
        address = self.address(request)
        self.rates.admit(address, None)
        key = key_in_query(request.scope["query_string"])
        grant = None if key is None else self._grant(key, headers, address)
        body = await self.body(request, receive)
        key_inside, values = open_page(body, self.settings.events_max)
        if grant is None:
            grant = self._grant((key_inside or "").encode(), headers, address)
        rejected = await self.take_from_browser(grant, values, address)
        cors = _cors(headers[b"origin"])
        if rejected:
            return await answer_each(send, len(values), rejected, cors)
        await respond(send, 204, headers=cors)
        return 204

    def _grant(self, key: bytes, headers: Headers, address: str) -> Grant:
        """The shop of a publishable key, for a page of one of its origins, within its rates."""
        grant = self.door.find(key, address)
        if grant is None:
            raise KeyRefused(401, "a publishable key is needed: ?key=<key>")
        if grant.kind != "publishable":
            raise KeyRefused(403, "a secret key must never be in a page: rotate it, and use the publishable key")
        if headers.get(b"origin", b"").decode("latin-1") not in grant.shop.origins:
            raise KeyRefused(403, "this page's origin is none of the shop's")
        self.door.let_in(key, address)
        self.rates.admit(address, grant)
        self.intake.admit(grant)
        return grant


@lru_cache(maxsize=4_096)
def key_in_query(query: bytes) -> bytes | None:
    """The parameter `key` of a query."""
    keys = parse_qs(query.decode("latin-1")).get("key")
    return keys[0].encode() if keys else None


def _cors(origin: bytes) -> Sequence[Header]:
    return (
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"retry-after"),
        (b"access-control-allow-credentials", b"true"),  # beacons are sent with credentials; none is read here
        (b"vary", b"origin"),
    )
