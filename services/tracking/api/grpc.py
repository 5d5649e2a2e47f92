"""gRPC in: `Publish` answers one request, `PublishStream` many in flight, each when Kafka has its events."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from typing_extensions import override

from relance.kernel.errors import NotNow
from relance.rpc.tracking.v1 import tracking_pb2 as pb
from relance.rpc.tracking.v1 import tracking_pb2_grpc
from relance.serving.grpc_server import GrpcServer
from relance.serving.refusals import abort
from services.tracking.api.door import Door
from services.tracking.api.gather import Unacknowledged
from services.tracking.api.intake import Intake, Rejected, event_id
from services.tracking.api.keys import Grant
from services.tracking.api.limits import OverRate
from services.tracking.metrics import EdgeMetrics
from services.tracking.settings import Settings

__all__ = ["GrpcEdge"]

Context = Any  # grpc.aio.ServicerContext, whose type parameters differ from call to call
_SERVICE: Final = pb.DESCRIPTOR.services_by_name["TrackingService"].full_name


class _Ended(Exception):  # noqa: N818 - how a call ends, told to the caller
    """A call that ends with another status than OK."""

    def __init__(self, code: grpc.StatusCode, text: str, *details: Message, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_after_s = retry_after_s
        self.details = (*details, *([_retry_info(retry_after_s)] if retry_after_s else []))


class _Servicer(tracking_pb2_grpc.TrackingServiceServicer):
    def __init__(self, intake: Intake, door: Door, settings: Settings, metrics: EdgeMetrics) -> None:
        self._intake = intake
        self._door = door
        self._settings = settings
        self._requests = metrics.requests
        self._seconds = metrics.request_seconds.labels("grpc")
        self._readers: set[asyncio.Task[None]] = set()
        self._draining = False

    def drain(self) -> None:
        """End every stream once what it has sent is answered."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    @override
    async def Publish(self, request: pb.PublishRequest, context: Context) -> pb.PublishResponse:
        """One request."""
        began_s = time.perf_counter()
        try:
            results = await self._results(self._grant(context), request.events)
        except _Ended as ended:
            await self._abort(context, ended)
        except NotNow as not_now:
            await self._abort(context, _not_now(not_now))
        self._requests.labels("grpc", "OK").inc()
        self._seconds.observe(time.perf_counter() - began_s)
        return pb.PublishResponse(results=results)

    @override
    async def PublishStream(  # type: ignore[override]  # grpc.aio also takes a coroutine that writes
        self, request_iterator: AsyncIterator[pb.PublishStreamRequest], context: Context
    ) -> None:
        """Many requests; no more are read while `grpc_stream_in_flight_max` of them wait or answers are not fetched."""
        try:
            self._grant(context)
            await self._converse(request_iterator, context)
        except _Ended as ended:
            await self._abort(context, ended)
        except BaseExceptionGroup as several:
            ended_group, rest = several.split(_Ended)
            if ended_group is None or rest is not None:
                raise
            await self._abort(context, _first(ended_group))
        self._requests.labels("grpc", "OK").inc()

    async def _converse(self, requests: AsyncIterator[pb.PublishStreamRequest], context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._read(requests, context, group, asyncio.Lock()))
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)
        if self._draining:
            raise _Ended(grpc.StatusCode.UNAVAILABLE, "this server ends; go on with another", retry_after_s=1.0)

    async def _read(
        self, requests: AsyncIterator[pb.PublishStreamRequest], context: Context, group: asyncio.TaskGroup,
        writing: asyncio.Lock,
    ) -> None:  # fmt: skip
        room = asyncio.Semaphore(self._settings.grpc_stream_in_flight_max)
        async for request in requests:
            await room.acquire()
            task = group.create_task(self._answer(request, self._grant(context), context, writing))
            task.add_done_callback(lambda _done: room.release())

    async def _answer(
        self, request: pb.PublishStreamRequest, grant: Grant, context: Context, writing: asyncio.Lock
    ) -> None:
        began_s = time.perf_counter()
        response = pb.PublishStreamResponse(sequence=request.sequence)
        try:
            response.results.extend(await self._results(grant, request.events))
        except NotNow as not_now:
            response.retry_after_ms = max(1, int(not_now.retry_after_s * 1000))
            retry = [pb.EventResult(id=event_id(value), outcome=pb.OUTCOME_RETRY) for value in request.events]
            response.results.extend(retry)
        async with writing:
            await context.write(response)
        self._seconds.observe(time.perf_counter() - began_s)

    def _grant(self, context: Context) -> Grant:
        """The grant of the call's key; asked again for each request of a stream, so that a revoked key stops."""
        shown = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        scheme, _, text = shown.get("authorization", "").partition(" ")
        key = text.strip().encode() if scheme.lower() == "bearer" else b""
        address = self._door.address(_host(context.peer()), shown.get("x-forwarded-for", ""))
        try:
            grant = self._door.find(key, address)
        except OverRate as over:
            raise _not_now(over) from None
        if grant is not None and grant.kind == "secret":
            self._door.let_in(key, address)
            return grant
        self._door.refused(address)
        if grant is not None:
            raise _Ended(grpc.StatusCode.PERMISSION_DENIED, "this needs a secret key, not a publishable one")
        reason = "this key is not known, or no longer" if key else "a secret key is needed: authorization: Bearer <key>"
        raise _Ended(grpc.StatusCode.UNAUTHENTICATED, reason)

    async def _results(self, grant: Grant, events: Sequence[bytes]) -> list[pb.EventResult]:
        most = self._settings.events_max
        if not 0 < len(events) <= most:
            text = f"a request holds 1 to {most} events, not {len(events)}"
            violation = BadRequest.FieldViolation(field="events", description=text)
            raise _Ended(grpc.StatusCode.INVALID_ARGUMENT, text, BadRequest(field_violations=[violation]))
        self._intake.admit(grant)
        rejected = {one.index: one for one in await self._intake.take(grant, events, "grpc")}
        return [_result(value, rejected.get(place)) for place, value in enumerate(events)]

    async def _abort(self, context: Context, ended: _Ended) -> NoReturn:
        """End the call, with what went wrong also as google.rpc.Status details."""
        self._requests.labels("grpc", ended.code.name).inc()
        later = (("retry-after-ms", str(int(ended.retry_after_s * 1000))),) if ended.retry_after_s else ()
        await abort(context, ended.code, ended.text, ended.details, *later)


class GrpcEdge:
    """The gRPC server of one process, in its event loop. Make it, `start` it, `drain` it, `stop` it."""

    def __init__(self, intake: Intake, door: Door, settings: Settings, metrics: EdgeMetrics) -> None:
        self._settings = settings
        self._servicer = _Servicer(intake, door, settings, metrics)
        self._server = GrpcServer(
            [_SERVICE],
            calls_max=settings.grpc_calls_max,
            connection_calls_max=256,
            received_bytes_max=settings.grpc_message_bytes_max,
            sent_bytes_max=settings.grpc_message_bytes_max,
        )
        tracking_pb2_grpc.add_TrackingServiceServicer_to_server(self._servicer, self._server.server)

    async def start(self, host: str, port: int) -> int:
        """Begin to answer; returns the port. Raises InputError when the address cannot be had."""
        bound = self._server.bind(host, port)
        await self._server.start()
        return bound

    async def drain(self) -> None:
        """Say NOT_SERVING to probes and end the streams."""
        await self._server.drain()
        self._servicer.drain()

    async def stop(self) -> None:
        """Refuse new calls, wait for those that run (at most `drain_s`), then cut them off."""
        await self._server.stop(self._settings.drain_s)


def _result(value: bytes, rejected: Rejected | None) -> pb.EventResult:
    if rejected is None:
        return pb.EventResult(id=event_id(value), outcome=pb.OUTCOME_ACCEPTED)
    outcome = pb.OUTCOME_FORBIDDEN if rejected.foreign else pb.OUTCOME_INVALID
    problems = [pb.Problem(path=one.path, reason=one.reason) for one in rejected.problems]
    return pb.EventResult(id=rejected.id or "", outcome=outcome, problems=problems)


def _not_now(not_now: NotNow) -> _Ended:
    unsure = isinstance(not_now, Unacknowledged)
    code = grpc.StatusCode.UNAVAILABLE if unsure else grpc.StatusCode.RESOURCE_EXHAUSTED
    return _Ended(code, str(not_now), retry_after_s=not_now.retry_after_s)


def _host(peer: str) -> str:
    """The address in what gRPC calls a peer: `ipv4:127.0.0.1:53124`, `ipv6:%5B::1%5D:53124`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _retry_info(seconds: float) -> RetryInfo:
    return RetryInfo(retry_delay=Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1_000_000_000)))


def _first(group: BaseExceptionGroup[_Ended]) -> _Ended:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
