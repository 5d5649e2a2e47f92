"""An order over gRPC: read, cancelled, sent, delivered, paid, refunded; links and documents."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast, get_args

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from services.checkout.api.calls import Context
from services.checkout.api.reading import RECEIVERS, read_id, read_instant, read_units, required
from services.checkout.api.refusals import invalid, missing
from services.checkout.api.serving import Serving
from services.checkout.api.tokens import Caller
from services.checkout.api.writing import to_order
from services.checkout.application.linking import Purpose
from services.checkout.domain.orders import Act, Cancel, Deliver, GiveBack, Received, Ship, State
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import OrderView
from services.checkout.domain.refunds import Cause

__all__ = ["PURPOSES", "Following"]

PAGE_MAX: Final = 100
PAGE: Final = 20
HEX: Final = frozenset("0123456789abcdef")
STATES: Final = frozenset(get_args(State))
CAUSES: Final = frozenset(get_args(Cause)) - {"surplus", "lapsed"}  # those are ours alone

PURPOSES: Final[dict[int, Purpose]] = {
    pb.LINK_PURPOSE_CART_RESTORE: "cart.restore",
    pb.LINK_PURPOSE_ORDER_PAY: "order.pay",
    pb.LINK_PURPOSE_ORDER_VIEW: "order.view",
    pb.LINK_PURPOSE_WITHDRAWAL: "withdrawal",
}

Answer = TypeVar("Answer", bound=Any)  # a response that holds an order


class Following(Serving):
    """The calls about orders."""

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.GetOrderResponse:
        """The order as it is now."""

        async def work(caller: Caller) -> pb.GetOrderResponse:
            return pb.GetOrderResponse(order=to_order(await self._order(caller, request.order_id)))

        return await self._calls.answer("GetOrder", context, work)

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        """The shop's orders, a page of them."""

        async def work(caller: Caller) -> pb.ListOrdersResponse:
            if request.state and request.state not in STATES:
                raise invalid("state", f"one of {', '.join(sorted(STATES))}")
            if request.page_size > PAGE_MAX:
                raise invalid("page_size", f"at most {PAGE_MAX}")
            after = str(read_id(request.page_token, "page_token")) if request.page_token else ""
            size = request.page_size or PAGE
            views = await self._desk.orders(caller.shop, state=request.state or None, after=after, limit=size + 1)
            shown = views[:size]
            more = str(shown[-1].order.id) if len(views) > size else ""
            return pb.ListOrdersResponse(orders=[to_order(view) for view in shown], next_page_token=more)

        return await self._calls.answer("ListOrders", context, work)

    async def CancelOrder(self, request: pb.CancelOrderRequest, context: Context) -> pb.CancelOrderResponse:
        """Before anything was shipped."""

        def act(_view: OrderView) -> Cancel:
            return Cancel(reason=required(request.reason, "reason", 200))

        return await self._acted("CancelOrder", request, context, act, pb.CancelOrderResponse)

    async def ShipParcel(self, request: pb.ShipParcelRequest, context: Context) -> pb.ShipParcelResponse:
        """A parcel leaves."""

        def act(view: OrderView) -> Ship:
            url = request.tracking_url
            if url and not (url.startswith("https://") and url.isprintable() and " " not in url and len(url) <= 2_048):
                raise invalid("tracking_url", "an address that begins with https://")
            return Ship(
                parcel_id=required(request.parcel_id, "parcel_id"),
                units=read_units(request.units, view.order),
                carrier=required(request.carrier, "carrier") if request.carrier else "",
                tracking_url=url,
            )

        return await self._acted("ShipParcel", request, context, act, pb.ShipParcelResponse)

    async def DeliverParcel(self, request: pb.DeliverParcelRequest, context: Context) -> pb.DeliverParcelResponse:
        """A parcel arrives."""

        def act(_view: OrderView) -> Deliver:
            received_by = RECEIVERS.get(request.received_by)
            if received_by is None:
                raise invalid("received_by", "says who has it now")
            return Deliver(parcel_id=required(request.parcel_id, "parcel_id"), received_by=received_by)

        return await self._acted("DeliverParcel", request, context, act, pb.DeliverParcelResponse)

    async def ReceivePayment(self, request: pb.ReceivePaymentRequest, context: Context) -> pb.ReceivePaymentResponse:
        """Money of an offline means."""

        def act(_view: OrderView) -> Received:
            if request.amount_minor <= 0:
                raise invalid("amount_minor", "more than nothing")
            received_at = read_instant(request.received_at, "received_at")
            return Received(amount_minor=request.amount_minor, received_at=received_at)

        return await self._acted("ReceivePayment", request, context, act, pb.ReceivePaymentResponse)

    async def RefundOrder(self, request: pb.RefundOrderRequest, context: Context) -> pb.RefundOrderResponse:
        """Give a sum back, over the means that paid."""

        def act(_view: OrderView) -> GiveBack:
            if request.amount_minor <= 0:
                raise invalid("amount_minor", "more than nothing")
            cause = request.cause or "goodwill"
            if cause not in CAUSES:
                raise invalid("cause", f"one of {', '.join(sorted(CAUSES))}")
            return GiveBack(key=request.idempotency_key, amount_minor=request.amount_minor, cause=cast("Cause", cause))

        return await self._acted("RefundOrder", request, context, act, pb.RefundOrderResponse)

    async def GetDocument(self, request: pb.GetDocumentRequest, context: Context) -> pb.GetDocumentResponse:
        """A document's bytes by their hash."""

        async def work(caller: Caller) -> pb.GetDocumentResponse:
            if caller.shop and request.shop not in {"", caller.shop}:
                raise missing("document", request.sha256)
            shop = caller.shop or required(request.shop, "shop")
            if len(request.sha256) != 64 or not HEX.issuperset(request.sha256):
                raise invalid("sha256", "64 hexadecimal digits, in small letters")
            content = await self._desk.again(lambda tx: tx.blob(shop, request.sha256))
            if content is None:
                raise missing("document", request.sha256)
            return pb.GetDocumentResponse(content=content)

        return await self._calls.answer("GetDocument", context, work, frozenset({"shop", "notification"}))

    async def _order(self, caller: Caller, id_: str) -> OrderView:
        found = await self._desk.order(caller.shop, read_id(id_, "order_id"))
        if isinstance(found, Refusal):
            raise missing("order", id_)
        return found

    async def _acted(
        self,
        method: str,
        request: Any,
        context: Context,
        act: Callable[[OrderView], Act],
        kind: type[Answer],
    ) -> Answer:
        """The order after an act, done once for an idempotency key."""

        async def work(caller: Caller) -> Answer | Refusal:
            async def do() -> Answer | Refusal:
                view = await self._order(caller, request.order_id)
                done = await self._desk.act(caller.shop, view.order.id, act(view))
                return done if isinstance(done, Refusal) else kind(order=to_order(done))

            return await self._calls.once(method, caller, request, do, kind)

        return await self._calls.answer(method, context, work)
