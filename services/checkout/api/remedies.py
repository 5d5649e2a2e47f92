"""What is owed, and delivery that is late or fails, over gRPC."""

from datetime import datetime
from typing import Any, Final, get_args
from uuid import uuid5

from msgspec.structs import replace

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from services.checkout.api.aftercare_messages import to_due, to_incidents, to_late, to_notices
from services.checkout.api.calls import Context, same_of
from services.checkout.api.caring import MEDIA, Caring, a_day, needed_day, one_of, order_of, page, said, units_of, wrong
from services.checkout.api.reading import read_id, read_instant, required
from services.checkout.api.refusals import invalid, missing
from services.checkout.api.tokens import Caller
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.application.owing import Which
from services.checkout.application.refunding import Agreement
from services.checkout.domain.aftercare import Payout
from services.checkout.domain.orders import Incident
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import (
    NotifyLate,
    RefuseLiability,
    ReportIncident,
    ReportUnavailable,
    ResolveLate,
    Suspend,
)  # fmt: skip

__all__ = ["Remedies"]

_LISTS: Final = frozenset(get_args(Which))
_PURPOSES: Final = frozenset({"principal", "surcharge"})
_INCIDENTS: Final = frozenset(filter(None, get_args(Incident)))
_EXCUSES: Final = frozenset({"carrier", "subcontractor", "not_registered_letter"})
_DAYS_MAX: Final = 3_650
_URL_MAX: Final = 2_048
_PLACE_MAX: Final = 64


class Remedies(Caring):
    """The calls about dues and deliveries."""

    async def ListDues(self, request: pb.ListDuesRequest, context: Context) -> pb.ListDuesResponse:
        """What the shop owes on a day, oldest date first."""

        async def work(caller: Caller) -> pb.ListDuesResponse:
            which: Any = one_of(request.state, _LISTS, "state", "open")
            if request.within_days > _DAYS_MAX:
                raise invalid("within_days", f"at most {_DAYS_MAX}")
            if len(request.page_token) > _PLACE_MAX:
                raise invalid("page_token", "is no token of a page")
            size = page(request.page_size)
            found = await self._desk.dues(
                caller.shop, which, on=a_day(request.on, "on"), within_days=request.within_days or None,
                after=request.page_token, limit=size + 1,
            )  # fmt: skip
            shown = found[:size]
            more = shown[-1].place if len(found) > size else ""
            dues = [to_due(one.after.id, one.due, one.standing, one.forecast) for one in shown]
            return pb.ListDuesResponse(dues=dues, next_page_token=more)

        return await self._calls.answer("ListDues", context, work)

    async def PayDue(self, request: pb.PayDueRequest, context: Context) -> pb.PayDueResponse:
        """Ask for a refund, or record that it goes another way."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            if view.after.due(request.due_id) is None:
                raise missing("due", request.due_id)
            match request.WhichOneof("way"):
                case "other":
                    return await self._another_way(caller.shop, view, request)
                case "payout":
                    payout = _payout(request, view)
                    done = await self._desk.pay_out(caller.shop, order_of(view), request.due_id, payout)
                    if isinstance(done, Refusal) and done.field in {"payout.paid_on", "payout.means"}:
                        raise wrong(done)
                    return done
                case _:
                    return await self._desk.pay_due(caller.shop, order_of(view), request.due_id)

        return await self._cared("PayDue", request, context, act, pb.PayDueResponse)

    async def NotifyLate(self, request: pb.NotifyLateRequest, context: Context) -> pb.NotifyLateResponse:
        """A notice with extra time."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            notice = NotifyLate(
                at=self._past(request.at, "at"),
                until=a_day(request.until, "until"),
                medium=one_of(request.medium, MEDIA, "medium"),
                units=units_of(request.units, view.order_view.order),
                click=same_of(request),
            )
            return await self._desk.notify_late(caller.shop, order_of(view), notice, _words(request.words))

        return await self._cared("NotifyLate", request, context, act, pb.NotifyLateResponse)

    async def SuspendPayment(self, request: pb.SuspendPaymentRequest, context: Context) -> pb.SuspendPaymentResponse:
        """Payment is held back, or goes on."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            done = await self._desk.suspend(caller.shop, order_of(view), Suspend(on=request.suspended))
            is_held = isinstance(done, Refusal) and done.field in {"on", "held"}
            return replace(done, field="suspended") if isinstance(done, Refusal) and is_held else done

        return await self._cared("SuspendPayment", request, context, act, pb.SuspendPaymentResponse)

    async def ResolveContract(
        self, request: pb.ResolveContractRequest, context: Context
    ) -> pb.ResolveContractResponse:  # fmt: skip
        """The contract ends for want of delivery, or the article says why not yet."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            ends = ResolveLate(
                received_at=self._past(request.received_at, "received_at"),
                medium=one_of(request.medium, MEDIA, "medium"),
                units=units_of(request.units, view.order_view.order),
                refused=request.delivery_refused,
                click=same_of(request),
            )
            return await self._desk.resolve_late(caller.shop, order_of(view), ends, _words(request.words))

        return await self._cared("ResolveContract", request, context, act, pb.ResolveContractResponse)

    async def ReportIncident(self, request: pb.ReportIncidentRequest, context: Context) -> pb.ReportIncidentResponse:
        """What befell a parcel."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            if not any(one.id == request.parcel_id for one in view.order_view.order.parcels):
                raise missing("parcel", request.parcel_id)
            kind: Any = one_of(request.kind, _INCIDENTS, "kind")
            befell = ReportIncident(parcel_id=request.parcel_id, kind=kind, own_carrier=request.own_carrier)
            return await self._desk.report_incident(caller.shop, order_of(view), befell)

        return await self._cared("ReportIncident", request, context, act, pb.ReportIncidentResponse)

    async def ReportUnavailable(
        self, request: pb.ReportUnavailableRequest, context: Context
    ) -> pb.ReportUnavailableResponse:  # fmt: skip
        """What will never come is ended and owed."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            url = request.substitute_url
            if url and (len(url) > _URL_MAX or not url.isprintable() or " " in url):
                raise invalid("substitute_url", "is no address of the web")
            units = units_of(request.units, view.order_view.order)
            gone = ReportUnavailable(units=units, substitute_url=url, report=same_of(request))
            return await self._desk.report_unavailable(caller.shop, order_of(view), gone)

        return await self._cared("ReportUnavailable", request, context, act, pb.ReportUnavailableResponse)

    async def RefuseLiability(
        self, request: pb.RefuseLiabilityRequest, context: Context
    ) -> pb.RefuseLiabilityResponse:  # fmt: skip
        """Refused, with the article."""

        async def work(caller: Caller) -> pb.RefuseLiabilityResponse | Refusal:
            view = await self._aftercare(caller, request.order_id)
            reason: Any = one_of(request.reason, _EXCUSES, "reason")
            done = await self._desk.refuse_liability(caller.shop, order_of(view), RefuseLiability(reason=reason))
            return done if isinstance(done, Refusal) else pb.RefuseLiabilityResponse()

        return await self._calls.answer("RefuseLiability", context, work)

    async def ListLateDeliveries(
        self, request: pb.ListLateDeliveriesRequest, context: Context
    ) -> pb.ListLateDeliveriesResponse:  # fmt: skip
        """Orders of which something should have come."""

        async def work(caller: Caller) -> pb.ListLateDeliveriesResponse:
            at = read_instant(request.at, "at") if request.at else None
            after = str(read_id(request.page_token, "page_token")) if request.page_token else ""
            size = page(request.page_size)
            found = await self._desk.late_deliveries(caller.shop, at=at, after=after, limit=size + 1)
            shown = found[:size]
            orders = [
                pb.LateDelivery(
                    order_id=one.after.id,
                    lines=to_late(one.late),
                    notices=to_notices(one.after.late_notices),
                    incidents=to_incidents(one.after.incidents),
                )
                for one in shown
            ]
            more = shown[-1].after.id if len(found) > size else ""
            return pb.ListLateDeliveriesResponse(orders=orders, next_page_token=more)

        return await self._calls.answer("ListLateDeliveries", context, work)

    async def _another_way(self, shop: str, view: AfterView, request: pb.PayDueRequest) -> AfterView | Refusal:
        other = request.other
        told = other.agreement
        agreed = Agreement(self._desk.clock(), "", "")  # refused by the act, which lacks his words
        if told.at or told.statement or told.medium:
            medium = one_of(told.medium, MEDIA, "other.agreement.medium")
            at = read_instant(told.at, "other.agreement.at")
            agreed = Agreement(at, said(told.statement, "other.agreement.statement").strip(), medium)
        way = required(other.means, "other.means"), required(other.purse, "other.purse") if other.purse else ""
        done = await self._desk.agree_voucher(shop, order_of(view), request.due_id, way, agreed)
        named = isinstance(done, Refusal) and done.field.startswith(("agreement", "means", "purse"))
        return replace(done, field=f"other.{done.field}") if isinstance(done, Refusal) and named else done

    def _past(self, text: str, field: str) -> datetime:
        at = read_instant(text, field)
        if at > self._desk.clock():
            raise invalid(field, "is in the future")
        return at


def _payout(request: pb.PayDueRequest, view: AfterView) -> Payout:
    told = request.payout
    if told.minor <= 0:
        raise invalid("payout.minor", "more than nothing")
    purpose: Any = one_of(told.purpose, _PURPOSES, "payout.purpose", "principal")
    return Payout(
        id=str(uuid5(order_of(view), f"payout/{same_of(request)}")),
        minor=told.minor,
        paid_on=needed_day(told.paid_on, "payout.paid_on"),
        for_=purpose,
        means=required(told.means, "payout.means"),
    )


def _words(text: str) -> Words | None:
    return Words(text=said(text, "words")) if text.strip() else None
