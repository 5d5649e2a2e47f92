"""Refunds over gRPC: listed, tried again, sent another way with the consumer's agreement, sent by hand."""

from typing import Final, cast, get_args

import msgspec

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from services.checkout.api.calls import Context
from services.checkout.api.following import PAGE, PAGE_MAX, Following
from services.checkout.api.reading import read_id, read_instant, required
from services.checkout.api.refusals import invalid
from services.checkout.api.tokens import Caller
from services.checkout.api.writing import to_order, to_refunds
from services.checkout.application.refunding import Agreement
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.refunds import Redirect, Retry, Settle, State

__all__ = ["Returning"]

replace = msgspec.structs.replace

_STATES: Final = frozenset(get_args(State))
_MEDIA: Final = frozenset({"chat", "email", "letter", "page", "phone", "shop"})
_STATEMENT_MAX: Final = 4_000


class Returning(Following):
    """The calls about refunds."""

    async def ListRefunds(self, request: pb.ListRefundsRequest, context: Context) -> pb.ListRefundsResponse:
        """An order's refunds, or those of all orders that are in a state."""

        async def work(caller: Caller) -> pb.ListRefundsResponse:
            if request.state and request.state not in _STATES:
                raise invalid("state", f"one of {', '.join(sorted(_STATES))}")
            if request.order_id:
                view = await self._order(caller, request.order_id)
                found = [one for one in to_refunds(view.order) if request.state in {"", one.state}]
                return pb.ListRefundsResponse(refunds=found)
            return await self._of_all(caller.shop, request)

        return await self._calls.answer("ListRefunds", context, work)

    async def RetryRefund(self, request: pb.RetryRefundRequest, context: Context) -> pb.RetryRefundResponse:
        """Another try, to the means that paid."""

        def act(_view: OrderView) -> Retry:
            return Retry(refund_id=required(request.refund_id, "refund_id"), key=request.idempotency_key)

        return await self._acted("RetryRefund", request, context, act, pb.RetryRefundResponse)

    async def SettleRefund(self, request: pb.SettleRefundRequest, context: Context) -> pb.SettleRefundResponse:
        """The shop has sent the money itself."""

        def act(_view: OrderView) -> Settle:
            refund_id = required(request.refund_id, "refund_id")
            return Settle(refund_id=refund_id, sent_at=read_instant(request.sent_at, "sent_at"))

        return await self._acted("SettleRefund", request, context, act, pb.SettleRefundResponse)

    async def RedirectRefund(self, request: pb.RedirectRefundRequest, context: Context) -> pb.RedirectRefundResponse:
        """Another means, with the consumer's agreement."""

        async def work(caller: Caller) -> pb.RedirectRefundResponse | Refusal:
            async def do() -> pb.RedirectRefundResponse | Refusal:
                view = await self._order(caller, request.order_id)
                agreement = _agreement(request.agreement)
                act = Redirect(
                    refund_id=required(request.refund_id, "refund_id"),
                    means=required(request.means, "means"),
                    purse=required(request.purse, "purse") if request.purse else "",
                    agreed_at=None if agreement is None else agreement.at,
                    key=request.idempotency_key,
                )
                agreed = agreement or Agreement(self._desk.clock(), "", "")  # refused by the act, which lacks its time
                done = await self._desk.redirect_refund(caller.shop, view.order.id, act, agreed)
                if not isinstance(done, Refusal):
                    return pb.RedirectRefundResponse(order=to_order(done))
                return replace(done, field="agreement.at") if done.field == "agreed_at" else done

            return await self._calls.once("RedirectRefund", caller, request, do, pb.RedirectRefundResponse)

        return await self._calls.answer("RedirectRefund", context, work)

    async def _of_all(self, shop: str, request: pb.ListRefundsRequest) -> pb.ListRefundsResponse:
        if request.state == "succeeded":
            raise invalid("state", "of all orders those are listed that are to be seen to")
        if request.page_size > PAGE_MAX:
            raise invalid("page_size", f"at most {PAGE_MAX}")
        after = str(read_id(request.page_token, "page_token")) if request.page_token else ""
        size, state = request.page_size or PAGE, request.state or "failed"
        orders = await self._desk.with_refunds(shop, cast("State", state), after=after, limit=size + 1)
        shown = orders[:size]
        found = [one for order in shown for one in to_refunds(order) if one.state == state]
        more = str(shown[-1].id) if len(orders) > size else ""
        return pb.ListRefundsResponse(refunds=found, next_page_token=more)


def _agreement(said: pb.Agreement) -> Agreement | None:
    """None when none is told at all, which the law refuses and not the form."""
    if not (said.at or said.statement or said.medium):
        return None
    statement = said.statement.strip()
    if not 1 <= len(statement) <= _STATEMENT_MAX:
        raise invalid("agreement.statement", f"the consumer's words: 1 to {_STATEMENT_MAX} letters")
    if said.medium not in _MEDIA:
        raise invalid("agreement.medium", f"one of {', '.join(sorted(_MEDIA))}")
    return Agreement(read_instant(said.at, "agreement.at"), statement, said.medium)
