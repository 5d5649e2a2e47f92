"""What waits to be said, for whoever runs the service: messages that Kafka refused, listed and offered again."""

from datetime import timedelta
from typing import Final

from relance.kernel.instants import format_ms
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from services.checkout.api.calls import Context
from services.checkout.api.following import PAGE, PAGE_MAX
from services.checkout.api.refusals import invalid
from services.checkout.api.serving import Serving
from services.checkout.api.tokens import Caller, Kind
from services.checkout.api.writing import instant

__all__ = ["Outgoing"]

_OPERATOR: Final[frozenset[Kind]] = frozenset({"operator"})
_IDS_MAX: Final = 1_000
_DIGITS_MAX: Final = 18


class Outgoing(Serving):
    """The calls about the outbox."""

    async def ListOutbox(self, request: pb.ListOutboxRequest, context: Context) -> pb.ListOutboxResponse:
        """Messages that were set aside."""

        async def work(_caller: Caller) -> pb.ListOutboxResponse:
            if request.page_size > PAGE_MAX:
                raise invalid("page_size", f"at most {PAGE_MAX}")
            token = request.page_token or "0"
            if not (token.isascii() and token.isdigit() and len(token) <= _DIGITS_MAX):
                raise invalid("page_token", "is none of ours")
            size, outbox = request.page_size or PAGE, self._desk.store.outbox
            found = await outbox.set_aside(size + 1, int(token))
            waits, age_ms, _ = await outbox.waiting()
            since = self._desk.clock() - timedelta(milliseconds=age_ms)
            messages = [
                pb.OutboxMessage(
                    id=one.id,
                    topic=one.topic,
                    key=one.key,
                    message_id=one.message_id,
                    size_bytes=one.size_bytes,
                    queued_at=format_ms(one.queued_at_ms),
                    refused_at=format_ms(one.failed_at_ms),
                    error=one.error,
                )
                for one in found[:size]
            ]
            more = str(messages[-1].id) if len(found) > size else ""
            return pb.ListOutboxResponse(
                messages=messages, next_page_token=more, waiting=waits, waiting_since=instant(since) if waits else ""
            )

        return await self._calls.answer("ListOutbox", context, work, _OPERATOR)

    async def RetryOutbox(self, request: pb.RetryOutboxRequest, context: Context) -> pb.RetryOutboxResponse:
        """Offer them again."""

        async def work(_caller: Caller) -> pb.RetryOutboxResponse:
            if not 1 <= len(request.ids) <= _IDS_MAX:
                raise invalid("ids", f"1 to {_IDS_MAX}")
            if any(one >= 1 << 63 for one in request.ids):
                raise invalid("ids", "no message has such an id")
            retried = await self._desk.store.outbox.again(list(request.ids))
            self._desk.store.said.set()
            return pb.RetryOutboxResponse(retried=retried)

        return await self._calls.answer("RetryOutbox", context, work, _OPERATOR)
