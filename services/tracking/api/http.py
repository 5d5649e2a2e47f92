"""`POST /v1/events`, and what all plain ASGI endpoints share.

Plain, because a FastAPI route costs more than the whole rest of a request; `openapi` documents them all the same.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
from prometheus_client import Counter
from typing_extensions import override

from relance.kernel.errors import NotNow
from services.tracking.api.bodies import JSON_KINDS, NDJSON, SINGLE, Gone, Slice, inflate, read, split
from services.tracking.api.door import Door
from services.tracking.api.intake import Intake, Rejected
from services.tracking.api.keys import Grant
from services.tracking.api.limits import OverRate
from services.tracking.api.problems import Header, KeyRefused, Refused, Send, problem, respond, retry_after
from services.tracking.metrics import EdgeMetrics
from services.tracking.settings import Settings

__all__ = [
    "Endpoint", "Events", "Headers", "Receive", "Request", "Scope", "answer_each", "encode_results",
    "kind_of", "now_ms",
]  # fmt: skip

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Headers = dict[bytes, bytes]

_WHO: Final[Header] = (b"www-authenticate", b'Bearer realm="relance"')
_results = msgspec.json.Encoder()


class Request:
    """One request while it is answered."""

    __slots__ = ("headers", "held_bytes", "scope")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.headers: Headers = dict(scope["headers"])
        self.held_bytes = 0  # of its body, as accounted for in the intake


class Endpoint:
    """An ASGI endpoint for POST that tells errors as problems. Subclasses answer in `post`."""

    entry = ""

    def __init__(self, intake: Intake, door: Door, settings: Settings, metrics: EdgeMetrics) -> None:
        self.intake = intake
        self.door = door
        self.settings = settings
        self._requests = metrics.requests
        self._by_status: dict[int, Counter] = {}
        self._seconds = metrics.request_seconds.labels(self.entry)

    async def post(self, request: Request, receive: Receive, send: Send) -> int:
        """Answer and return the status. May raise Refused, NotNow or Gone instead."""
        raise NotImplementedError

    def error_headers(self, request: Request) -> Sequence[Header]:
        """Headers that also a refusal has."""
        return ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["method"] != "POST":
            await problem(send, 405, "only POST is answered here", [(b"allow", b"POST")])
            return
        began_s = time.perf_counter()
        request = Request(scope)
        try:
            status = await self.post(request, receive, send)
        except Refused as refused:
            status = refused.status
            if isinstance(refused, KeyRefused):
                self.door.refused(self.address(request))
            shown = [*refused.headers, *self.error_headers(request)]
            await problem(send, status, refused.detail, shown, refused.extra)
        except NotNow as not_now:
            status = 429 if isinstance(not_now, OverRate) else 503
            shown = [retry_after(not_now.retry_after_s), *self.error_headers(request)]
            await problem(send, status, str(not_now), shown)
        except Gone:
            status = 499
        finally:
            if request.held_bytes:
                self.intake.release(request.held_bytes)
        self._count(status, time.perf_counter() - began_s)

    def address(self, request: Request) -> str:
        """Of the client; what rates are counted by."""
        client = request.scope["client"]
        forwarded = request.headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return self.door.address(client[0] if client else "", forwarded)

    async def body(self, request: Request, receive: Receive) -> bytes:
        """The body, inflated, held until the request is answered.

        Raises Refused: 413 when it is too large (before reading it, where its length is told), 415 for another coding;
        NotNow when too much is held already.
        """
        most = self.settings.body_bytes_max
        length = request.headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > most):
            raise Refused(413, f"the body is larger than {most} bytes")
        self._hold(request, most if length is None else int(length))
        coding = request.headers.get(b"content-encoding")
        body = await read(receive, most)
        if coding is None or coding == b"identity":
            return body
        if coding.strip().lower() not in (b"gzip", b"x-gzip"):
            raise Refused(415, "the content encoding must be gzip or none", [(b"accept-encoding", b"gzip")])
        inflated = inflate(body, most)
        self._hold(request, len(inflated))
        return inflated

    def _hold(self, request: Request, size_bytes: int) -> None:
        self.intake.hold(size_bytes)
        request.held_bytes += size_bytes

    def _count(self, status: int, seconds: float) -> None:
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._requests.labels(self.entry, str(status))
        counter.inc()
        self._seconds.observe(seconds)


class Events(Endpoint):
    """Events of a shop's servers: one, an array, or one a line."""

    entry = "http"

    @override
    async def post(self, request: Request, receive: Receive, send: Send) -> int:
        """202: all taken. 207: some. 422: none. See the OpenAPI document."""
        grant = self._grant(request)
        self.intake.admit(grant)
        kind = kind_of(request.headers, _KINDS, JSON_KINDS)
        body = await self.body(request, receive)
        values = split(kind, body, self.settings.events_max)
        rejected = await self.intake.take(grant, values, self.entry)
        if not rejected:
            await respond(send, 202, b'{"accepted":%d,"rejected":[]}' % len(values))
            return 202
        if kind == SINGLE:
            raise _single_refused(rejected[0], values[0], self.settings.event_bytes_max)
        return await answer_each(send, len(values), rejected)

    def _grant(self, request: Request) -> Grant:
        """The grant of the secret key in `Authorization: Bearer`. Raises KeyRefused: 401 without one, 403 for a
        publishable key.
        """
        shown = request.headers.get(b"authorization", b"")
        key = shown[7:].strip() if shown[:7].lower() == b"bearer " else b""
        address = self.address(request)
        grant = self.door.find(key, address)
        if grant is None:
            needed = "a secret key is needed: Authorization: Bearer <key>"
            raise KeyRefused(401, "this key is not known, or no longer" if key else needed, [_WHO])
        if grant.kind != "secret":
            raise KeyRefused(403, "a publishable key opens /v1/collect only; this needs a secret key")
        self.door.let_in(key, address)
        return grant


_KINDS: Final[dict[bytes, bytes]] = {kind: kind for kind in JSON_KINDS} | {
    b"application/ndjson": NDJSON,
    b"application/jsonl": NDJSON,
}


async def answer_each(send: Send, count: int, rejected: Sequence[Rejected], headers: Sequence[Header] = ()) -> int:
    """The answer to several events of which some were rejected: 207, or 422 when none was accepted."""
    if len(rejected) == count:
        shown = [one.shown() for one in rejected]
        raise Refused(422, "no event of this request can be taken", extra={"accepted": 0, "rejected": shown})
    await respond(send, 207, encode_results(count - len(rejected), rejected), headers=headers)
    return 207


def encode_results(accepted: int, rejected: Sequence[Rejected]) -> bytes:
    """The per-event answer as JSON."""
    return _results.encode({"accepted": accepted, "rejected": [one.shown() for one in rejected]})


def now_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


def kind_of(headers: Headers, kinds: dict[bytes, bytes], shown: Sequence[bytes]) -> bytes:
    """What the content type stands for in `kinds`. Raises Refused (415) for another, with `shown` as those accepted."""
    content_type = headers.get(b"content-type", b"")
    kind = kinds.get(content_type)
    if kind is None:
        kind = kinds.get(content_type.partition(b";")[0].strip().lower())
    if kind is None:
        accepted = b", ".join(shown)
        raise Refused(415, f"the content type must be one of {accepted.decode()}", [(b"accept", accepted)])
    return kind


def _single_refused(rejected: Rejected, value: Slice, bytes_max: int) -> Refused:
    if memoryview(value).nbytes > bytes_max:
        return Refused(413, f"the event is larger than {bytes_max} bytes")
    detail = "the event cannot be taken: " + "; ".join(f"{one.path}: {one.reason}" for one in rejected.problems)
    extra = {"id": rejected.id, "problems": rejected.problems}
    if rejected.foreign:
        return Refused(403, "the key speaks for another shop than the event's", extra=extra)
    return Refused(422, detail, extra=extra)
