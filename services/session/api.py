"""gRPC: questions about live sessions, and signals as they become readable. No decisions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NoReturn
from uuid import UUID

import grpc
import msgspec
from typing_extensions import override

from relance.events.signals import Signal
from relance.kernel.ids import visitor_uuid
from relance.kernel.partitioning import partition_of
from relance.rpc.session.v1 import session_pb2 as pb
from relance.rpc.session.v1 import session_pb2_grpc
from services.session.domain.live import LiveSession, LiveWindow, look_up
from services.session.ports import Owners, SignalFeed

__all__ = ["SessionServicer", "to_message", "wanted_by"]

Context = Any  # grpc.aio.ServicerContext, whose type parameters differ from call to call
_FORWARDED: Final = "relance-forwarded"
_FORWARD_LIMIT_S: Final = 2.0
_STATES: Final = {
    "open": pb.WindowState.STATE_OPEN,
    "armed": pb.WindowState.STATE_ARMED,
    "fired": pb.WindowState.STATE_FIRED,
}
_KINDS: Final = ("abandoned", "retracted", "converted", "ended")


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """Answers for the partitions that this worker owns, and asks the owner for the others."""

    def __init__(self, owners: Owners, feed: SignalFeed, partitions: int) -> None:
        self._owners = owners
        self._feed = feed
        self._partitions = partitions
        self._channels: dict[str, grpc.aio.Channel] = {}

    @override
    async def GetSession(self, request: pb.GetSessionRequest, context: Context) -> pb.GetSessionResponse:
        """The visitor's live session."""
        visitor = await _visitor(request.shop, request.visitor, context)
        partition = partition_of(visitor.bytes, self._partitions)
        engine = self._owners.engine(partition)
        if engine is None:
            return await self._forward(request, partition, context)
        found = look_up(engine, request.shop, visitor)
        if found is None:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, f"{visitor} has no live session in shop {request.shop}")
        return pb.GetSessionResponse(session=_session(found, partition))

    async def _forward(self, request: pb.GetSessionRequest, partition: int, context: Context) -> pb.GetSessionResponse:
        owner = self._owners.owner(partition)
        forwarded = any(key == _FORWARDED for key, _ in context.invocation_metadata())
        if owner is None or forwarded:
            await _refuse(
                context, grpc.StatusCode.UNAVAILABLE, f"partition {partition} is being restored or moved; try again"
            )
        channel = self._channels.get(owner)
        if channel is None:
            channel = self._channels[owner] = grpc.aio.insecure_channel(owner)
        remaining = context.time_remaining()
        try:
            return await session_pb2_grpc.SessionServiceStub(channel).GetSession(
                request,
                timeout=min(_FORWARD_LIMIT_S, remaining) if remaining else _FORWARD_LIMIT_S,
                metadata=((_FORWARDED, "1"),),
            )
        except grpc.aio.AioRpcError as error:
            code = error.code()
            code = grpc.StatusCode.UNAVAILABLE if code == grpc.StatusCode.DEADLINE_EXCEEDED else code
            return await _refuse(context, code, error.details() or "the owner did not answer")

    @override
    async def StreamSignals(
        self, request: pb.StreamSignalsRequest, context: Context
    ) -> AsyncIterator[pb.StreamSignalsResponse]:
        """Signals from now on that meet the filters."""
        if unknown := set(request.kinds) - set(_KINDS):
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"unknown kinds: {', '.join(sorted(unknown))}")
        visitor = await _visitor(request.shop, request.visitor, context) if request.visitor else None
        wanted = wanted_by(request, visitor)
        with self._feed.subscribe(wanted, with_ended="ended" in request.kinds) as reader:
            await context.send_initial_metadata(())
            while True:
                signal = await reader.next()
                if signal is None:
                    reason = "reads too slowly, or the topic cannot be read; read it from Kafka instead"
                    await _refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, reason)
                yield pb.StreamSignalsResponse(signal=to_message(signal))

    async def close(self) -> None:
        """Close the channels to other workers."""
        await asyncio.gather(*[channel.close() for channel in self._channels.values()])


async def _refuse(context: Context, code: grpc.StatusCode, text: str) -> NoReturn:
    """End the call."""
    await context.abort(code, text)
    raise AssertionError(text)  # abort raises


async def _visitor(shop: str, visitor: str, context: Context) -> UUID:
    if not shop or not visitor:
        await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "shop and visitor must be given")
    return visitor_uuid(shop, visitor)


def wanted_by(request: pb.StreamSignalsRequest, visitor: UUID | None) -> Callable[[Signal], bool]:
    """The filter: all that are given must be met."""
    kinds = frozenset(request.kinds or _KINDS[:3])
    windows = frozenset(request.windows)
    shop = request.shop

    def wanted(signal: Signal) -> bool:
        return (
            signal.kind in kinds
            and (not shop or signal.shop == shop)
            and (not windows or signal.window in windows)
            and (visitor is None or signal.visitor == visitor)
        )

    return wanted


def _session(found: LiveSession, partition: int) -> pb.Session:
    facts = pb.Facts(
        known_person=found.known_person,
        returning=found.returning,
        device=found.device,
        consent_granted=found.consent_granted,
        landing_page=found.landing_page,
        campaign=found.campaign,
        last_order_ms=found.last_order_ms,
        shut=found.shut,
    )
    cart = pb.Cart(
        items=found.items,
        total_minor=found.total_minor,
        currency=found.currency,
        top_price_minor=found.top_price_minor,
    )
    return pb.Session(
        session_id=str(found.session_id),
        shop=found.shop,
        visitor=str(found.visitor),
        stage=found.stage,
        episode=found.episode,
        events=found.events,
        first_activity_ms=found.first_activity_ms,
        last_activity_ms=found.last_activity_ms,
        ends_at_ms=found.ends_at_ms,
        cart=cart,
        facts=facts,
        windows=[_window(window) for window in found.windows],
        partition=partition,
        stream_time_ms=found.stream_ms,
    )


def _window(window: LiveWindow) -> pb.WindowState:
    return pb.WindowState(
        window=window.window,
        state=_STATES[window.state],
        deadline_ms=window.deadline_ms,
        due_ms=window.due_ms,
    )


def to_message(signal: Signal) -> pb.Signal:
    """A signal as gRPC carries it, field for field."""
    fields = {name: value for name, value in msgspec.to_builtins(signal).items() if value is not None}
    return pb.Signal(**fields)
