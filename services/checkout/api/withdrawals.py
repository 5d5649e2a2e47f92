"""Withdrawals over gRPC: statements that came to the shop, what it answers, and what is to be found out about them."""

from datetime import datetime
from typing import Any, Final, get_args
from uuid import uuid5

from msgspec.structs import replace

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from services.checkout.api.aftercare_messages import to_aftercare, to_statement, to_stray
from services.checkout.api.calls import Context, same_of
from services.checkout.api.caring import (
    Caring,
    mailed_to,
    named,
    needed_day,
    one_of,
    order_of,
    page,
    said,
    units_of,
    wrong,
)
from services.checkout.api.reading import read_id, read_instant, required
from services.checkout.api.refusals import invalid, missing
from services.checkout.api.tokens import Caller
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.domain.aftercare import Aftercare, Channel, Statement
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.statements import (
    AcceptAnyway,
    AcknowledgeByPost,
    CutAccess,
    Inform,
    PerformService,
    ProveDispatch,
    ProveUnsealed,
    RecordReturn,
    StartService,
    StateWithdrawal,
    WithdrawalAct,
    check,
)  # fmt: skip

__all__ = ["Withdrawals"]

_CHANNELS: Final = frozenset(get_args(Channel))
_LISTS: Final = frozenset({"all", "open", "stray"})


class Withdrawals(Caring):
    """The calls about withdrawals."""

    async def RecordWithdrawal(
        self, request: pb.RecordWithdrawalRequest, context: Context
    ) -> pb.RecordWithdrawalResponse:  # fmt: skip
        """A statement as it came; never refused for its form."""

        async def work(caller: Caller) -> pb.RecordWithdrawalResponse | Refusal:
            async def do() -> pb.RecordWithdrawalResponse | Refusal:
                view = await self._aftercare(caller, request.order_id)
                act = _statement(request, view)
                if (refused := check(act, self._desk.clock())) is not None:
                    raise wrong(refused)
                done = await self._desk.state_withdrawal(caller.shop, order_of(view), act, _words(request))
                if isinstance(done, Refusal):
                    return done
                return pb.RecordWithdrawalResponse(aftercare=to_aftercare(done), statement_id=act.id)

            return await self._calls.once("RecordWithdrawal", caller, request, do, pb.RecordWithdrawalResponse)

        return await self._calls.answer("RecordWithdrawal", context, work)

    async def AnswerWithdrawal(
        self, request: pb.AnswerWithdrawalRequest, context: Context
    ) -> pb.AnswerWithdrawalResponse:  # fmt: skip
        """What the shop knows or grants about a statement."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            if view.after.statement(request.statement_id) is None:
                raise missing("statement", request.statement_id)
            return await self._desk.answer_withdrawal(caller.shop, order_of(view), _answer(request))

        return await self._cared("AnswerWithdrawal", request, context, act, pb.AnswerWithdrawalResponse)

    async def MatchWithdrawal(
        self, request: pb.MatchWithdrawalRequest, context: Context
    ) -> pb.MatchWithdrawalResponse:  # fmt: skip
        """Which order a statement is about, or that it is about none."""

        async def work(caller: Caller) -> pb.MatchWithdrawalResponse | Refusal:
            async def do() -> pb.MatchWithdrawalResponse | Refusal:
                return await self._match(caller, request)

            return await self._calls.once("MatchWithdrawal", caller, request, do, pb.MatchWithdrawalResponse)

        return await self._calls.answer("MatchWithdrawal", context, work)

    async def ListWithdrawals(
        self, request: pb.ListWithdrawalsRequest, context: Context
    ) -> pb.ListWithdrawalsResponse:  # fmt: skip
        """Statements of orders, by order; or those that wait for one."""

        async def work(caller: Caller) -> pb.ListWithdrawalsResponse:
            which = one_of(request.state, _LISTS, "state", "all")
            size, after = page(request.page_size), request.page_token
            after = str(read_id(after, "page_token")) if after else ""
            if which == "stray":
                return await self._strays(caller.shop, after, size)
            found = await self._desk.withdrawals(
                caller.shop, "open" if which == "open" else "all", after=after, limit=size + 1
            )
            shown = [
                pb.Withdrawal(order_id=one.id, statement=to_statement(said_), awaits_goods=waits)
                for one in found[:size]
                for said_ in one.statements
                if (waits := _awaits(one, said_)) or which == "all" or said_.acknowledged_at is None
            ]
            more = found[size - 1].id if len(found) > size else ""
            return pb.ListWithdrawalsResponse(withdrawals=shown, next_page_token=more)

        return await self._calls.answer("ListWithdrawals", context, work)

    async def Inform(self, request: pb.InformRequest, context: Context) -> pb.InformResponse:
        """Information on the right that came late, or never."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            if request.WhichOneof("late") is None or (request.HasField("never") and not request.never):
                raise invalid("late", "informed_on, or never")
            on = None if request.HasField("never") else needed_day(request.informed_on, "informed_on")
            return await self._desk.answer_withdrawal(caller.shop, order_of(view), Inform(on=on))

        return await self._cared("Inform", request, context, act, pb.InformResponse)

    async def ReportService(self, request: pb.ReportServiceRequest, context: Context) -> pb.ReportServiceResponse:
        """What became of a service, or of access to digital content."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            done = await self._desk.answer_withdrawal(caller.shop, order_of(view), _report(request))
            if isinstance(done, Refusal) and done.field in {"on", "at"}:
                return replace(done, field=request.WhichOneof("report") or done.field)
            return done

        return await self._cared("ReportService", request, context, act, pb.ReportServiceResponse)

    async def _match(self, caller: Caller, request: pb.MatchWithdrawalRequest) -> pb.MatchWithdrawalResponse | Refusal:
        stray_id = str(read_id(request.stray_id, "stray_id"))
        if request.close:
            if request.order_id or request.units:
                raise invalid("close", "a statement that is closed is about no order")
            closed = await self._desk.close_stray(caller.shop, stray_id)
            found: AfterView | Refusal | None = closed if isinstance(closed, Refusal) else None
        else:
            view = await self._aftercare(caller, request.order_id)
            units = units_of(request.units, view.order_view.order)
            found = await self._desk.match_stray(caller.shop, stray_id, order_of(view), units)
        if isinstance(found, Refusal):
            if found.field == "stray_id":
                raise missing("statement", stray_id)
            return found
        return pb.MatchWithdrawalResponse(aftercare=None if found is None else to_aftercare(found))

    async def _strays(self, shop: str, after: str, size: int) -> pb.ListWithdrawalsResponse:
        found = await self._desk.strays(shop, after=after, limit=size + 1)
        shown = found[:size]
        words = [await self._desk.stray_words(shop, one.id) for one in shown]
        more = shown[-1].id if len(found) > size else ""
        strays = [to_stray(one, kept) for one, kept in zip(shown, words, strict=True)]
        return pb.ListWithdrawalsResponse(strays=strays, next_page_token=more)


def _statement(request: pb.RecordWithdrawalRequest, view: AfterView) -> StateWithdrawal:
    """The statement that a request tells, under an id of its key: told again after a broken call it is the same."""
    channel: Any = one_of(request.channel, _CHANNELS, "channel")
    stated_at = read_instant(request.stated_at, "stated_at")
    order = view.order_view.order
    return StateWithdrawal(
        id=str(uuid5(order.id, f"grpc/{same_of(request)}")),
        channel=channel,
        stated_at=stated_at,
        received_at=_received_at(request, stated_at),
        units=units_of(request.units, order),
    )


def _received_at(request: pb.RecordWithdrawalRequest, stated_at: datetime) -> datetime:
    if request.received_at:
        return read_instant(request.received_at, "received_at")
    if request.channel == "letter":
        raise invalid("received_at", "a letter comes later than its postmark: say when")
    return stated_at


def _words(request: pb.RecordWithdrawalRequest) -> Words:
    address = mailed_to(request.acknowledge_to, "acknowledge_to")
    return Words(name=named(request.name), text=said(request.words, "words"), address=address)


def _answer(request: pb.AnswerWithdrawalRequest) -> WithdrawalAct:
    match request.WhichOneof("answer"):
        case "accept_anyway" if request.accept_anyway:
            return AcceptAnyway(statement_id=request.statement_id)
        case "unsealed":
            line_id = required(request.unsealed.line_id, "unsealed.line_id")
            return ProveUnsealed(line_id=line_id, on=needed_day(request.unsealed.on, "unsealed.on"))
        case "returned_on":
            on = needed_day(request.returned_on, "returned_on")
            return RecordReturn(statement_id=request.statement_id, on=on)
        case "dispatched_on":
            on = needed_day(request.dispatched_on, "dispatched_on")
            return ProveDispatch(statement_id=request.statement_id, on=on)
        case "acknowledged_by_post_on":
            on = needed_day(request.acknowledged_by_post_on, "acknowledged_by_post_on")
            return AcknowledgeByPost(statement_id=request.statement_id, on=on)
        case _:
            answers = "accept_anyway, unsealed, returned_on, dispatched_on or acknowledged_by_post_on"
            raise invalid("answer", answers)


def _report(request: pb.ReportServiceRequest) -> WithdrawalAct:
    line_id = required(request.line_id, "line_id")
    match request.WhichOneof("report"):
        case "started_on":
            return StartService(line_id=line_id, on=needed_day(request.started_on, "started_on"))
        case "performed_on":
            return PerformService(line_id=line_id, on=needed_day(request.performed_on, "performed_on"))
        case "access_cut_at":
            return CutAccess(line_id=line_id, at=read_instant(request.access_cut_at, "access_cut_at"))
        case _:
            raise invalid("report", "started_on, performed_on or access_cut_at")


def _awaits(after: Aftercare, statement: Statement) -> bool:
    """Whether its goods are on their way back, so that its money may wait for them (L221-24 al. 2)."""
    owed = (due for due in after.dues if due.source == f"statement/{statement.id}" and due.shipped)
    waits = (due for due in owed if due.amount_minor and not due.collection_offered)
    return any(due.recovered_on is None and due.dispatched_on is None for due in waits)
