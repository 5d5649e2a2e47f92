"""Around every call of CheckoutService: who speaks, how long it may take, whether it was answered before, its end."""

import asyncio
import time
import traceback
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from typing import Any, Final, TypeVar

import grpc
import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from relance.kernel.errors import InputError, NotNow
from relance.observability import logs
from relance.rules.law.terms import Unanswerable
from services.checkout.api.refusals import Refused, abort, by_law, invalid
from services.checkout.api.tokens import Caller, Doors, Kind
from services.checkout.domain.outcomes import Refusal
from services.checkout.metrics import CallMetrics
from services.checkout.store import Conflict, Store

__all__ = ["DEADLINE_MAX_S", "Calls", "Context", "same_of"]

Context = Any  # grpc.aio.ServicerContext, whose type parameters differ from call to call
Given = TypeVar("Given", bound=Message)

DEADLINE_MAX_S: Final = 60.0
_KEY_MAX: Final = 128
_SAME: Final = "1"  # how answers are kept; what was asked stands beside them, field by field


class _Answered(msgspec.Struct, frozen=True):
    """What is kept under an idempotency key: hashes of the request's fields, and the answer's bytes."""

    request: dict[str, str]
    answer: str


class Calls:
    """Answers calls, one after the other or side by side. One per process."""

    def __init__(self, doors: Doors, store: Store, metrics: CallMetrics) -> None:
        self._doors = doors
        self._store = store
        self._metrics = metrics
        self._under_way: set[tuple[str, str, str]] = set()
        self._log = logs.logger("calls")

    async def answer(
        self,
        method: str,
        context: Context,
        work: Callable[[Caller], Awaitable[Given | Refusal]],
        kinds: frozenset[Kind] = frozenset({"shop"}),
    ) -> Given:
        """What `work` gives to this caller, or the end of the call. A Refusal ends it with FAILED_PRECONDITION."""
        began_s = time.perf_counter()
        try:
            async with asyncio.timeout(_remaining_s(context)):
                caller = await self._caller(context, kinds)
                answer = await work(caller)
            if isinstance(answer, Refusal):
                raise by_law(answer)  # noqa: TRY301 - all ends of a call are told below
        except Exception as error:  # noqa: BLE001 - one call must not end the answers to the others
            refused = self._ended(method, error)
        else:
            self._count(method, grpc.StatusCode.OK, began_s)
            return answer
        self._count(method, refused.code, began_s)
        return await abort(context, refused)

    async def once(
        self,
        method: str,
        caller: Caller,
        request: Message,
        work: Callable[[], Awaitable[Given | Refusal]],
        kind: type[Given],
    ) -> Given | Refusal:
        """What `work` gives, kept under the request's idempotency key: the second time it is not done again.

        A refusal is not kept: nothing was done, and what was refused may be allowed later.
        """
        key = str(getattr(request, "idempotency_key"))  # noqa: B009 - a field of this request, not of every message
        if not key or len(key) > _KEY_MAX or not (key.isascii() and key.isprintable()):
            raise invalid("idempotency_key", f"1 to {_KEY_MAX} plain letters")
        asked = dict(_hashes(request))
        place = (caller.shop, method, key)
        if place in self._under_way:
            raise by_law(
                Refusal("idempotency_key", "the same request is under way: ask later"), grpc.StatusCode.ABORTED
            )
        self._under_way.add(place)
        try:
            if (before := await self._before(place, asked)) is not None:
                return kind.FromString(before)
            answer = await work()
            if isinstance(answer, Refusal):
                return answer
            await self._keep(place, asked, answer)
        finally:
            self._under_way.discard(place)
        return answer

    async def _caller(self, context: Context, kinds: frozenset[Kind]) -> Caller:
        caller = await self._doors.caller(context.invocation_metadata() or ())
        if caller.kind not in kinds:
            reason = f"a token of the {caller.kind} does not open this call"
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, reason)
        return caller

    async def _before(self, place: tuple[str, str, str], asked: dict[str, str]) -> bytes | None:
        shop, method, key = place
        async with self._store.transaction() as tx:
            body = await tx.answer(shop, key, method, _SAME)
        if body is None:
            return None
        found = msgspec.json.decode(body, type=_Answered)
        if found.request == asked:
            return b64decode(found.answer)
        changed = sorted(field for field in {*found.request, *asked} if found.request.get(field) != asked.get(field))
        reason = f"the idempotency key was used for another request: {changed[0]} differs"
        raise Refused(grpc.StatusCode.ALREADY_EXISTS, reason, by_law(Refusal(changed[0], reason)).details[0])

    async def _keep(self, place: tuple[str, str, str], asked: dict[str, str], answer: Message) -> None:
        shop, method, key = place
        body = msgspec.json.encode(_Answered(asked, b64encode(answer.SerializeToString()).decode()))
        try:
            async with self._store.transaction() as tx:
                await tx.keep_answer(shop, key, method, _SAME, body)
        except Conflict:  # another process answered it meanwhile; the act itself is done once, whoever asks
            self._log.info("answered_twice", method=method)
            await self._before(place, asked)  # unless the key came with another request at the same time

    def _ended(self, method: str, error: Exception) -> Refused:
        match error:
            case Refused():
                return error
            case Unanswerable():
                return invalid(error.field, error.reason)
            case InputError():
                return Refused(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            case NotNow():
                return Refused(grpc.StatusCode.UNAVAILABLE, str(error))
            case TimeoutError():
                return Refused(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer within the call's deadline")
        # Where, and not the error's text, which may quote what was asked.
        self._log.error(
            "defect", method=method, error=type(error).__name__, trace=traceback.format_tb(error.__traceback__)
        )
        return Refused(grpc.StatusCode.INTERNAL, "a defect of this service, noted in its log")

    def _count(self, method: str, code: grpc.StatusCode, began_s: float) -> None:
        self._metrics.calls.labels(method, code.name).inc()
        self._metrics.seconds.labels(method).observe(time.perf_counter() - began_s)


def same_of(request: Message) -> str:
    """What stays the same whenever a request is made again, and is another one when its key comes with other content:
    ids are made of it, so that neither an act whose answer was lost is done twice, nor one is taken for another.
    """
    asked = msgspec.json.encode(sorted(_hashes(request)))
    return f"{getattr(request, 'idempotency_key', '')}/{sha256(asked).hexdigest()[:16]}"


def _remaining_s(context: Context) -> float:
    """Seconds that the caller waits for. Raises Refused when he has not bounded them."""
    remaining_s = context.time_remaining()
    if remaining_s is None or remaining_s > DEADLINE_MAX_S + 1:
        raise invalid("deadline", f"set one, of at most {DEADLINE_MAX_S:g} seconds")
    return float(remaining_s)


def _hashes(request: Message) -> Iterator[tuple[str, str]]:
    """Each field of a request by its dotted path, with a hash of its value; what was asked is not kept itself."""
    plain = MessageToDict(request, preserving_proto_field_name=True)
    plain.pop("idempotency_key", None)
    for path, value in _leaves("", plain):
        yield path, sha256(msgspec.json.encode(value)).hexdigest()[:32]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if parts is None:
        yield path, value
        return
    for name, part in parts:
        yield from _leaves(f"{path}.{name}" if path else str(name), part)
