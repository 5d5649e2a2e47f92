"""Papers by their dates, the funnel, and the day's work, over gRPC."""

from datetime import date
from typing import Final

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from services.checkout.api.aftercare_messages import day
from services.checkout.api.calls import Context
from services.checkout.api.caring import Caring, needed_day, one_of, page
from services.checkout.api.reading import read_instant
from services.checkout.api.refusals import invalid
from services.checkout.api.tokens import Caller, Kind
from services.checkout.application.daily import Daily
from services.checkout.domain.funnel import STEPS
from services.checkout.domain.papers import counted

__all__ = ["Worklists"]

_KINDS: Final = frozenset({"", "invoice", "credit_note"})
_DAYS_MAX: Final = 3_660  # ten years: as long as papers are kept
_OPERATOR: Final[frozenset[Kind]] = frozenset({"operator"})


class Worklists(Caring):
    """The calls that answer for a time, and the one that does its work."""

    async def ListPapers(self, request: pb.ListPapersRequest, context: Context) -> pb.ListPapersResponse:
        """Invoices and credit notes, in the order of their numbers."""

        async def work(caller: Caller) -> pb.ListPapersResponse:
            first, last = _days(getattr(request, "from"), request.to)
            kind = one_of(request.kind, _KINDS, "kind")
            if request.page_token and counted(request.page_token) is None:
                raise invalid("page_token", "is no token of a page")
            size = page(request.page_size)
            found = await self._desk.papers(
                caller.shop, first, last, kind=kind, after=request.page_token, limit=size + 1
            )
            shown = found[:size]
            papers = [
                pb.Paper(
                    number=one.id, kind=one.kind, cause=one.cause, total_minor=one.total_minor,
                    vat_minor=one.vat_minor, issued_on=day(one.issued_on), sha256=one.sha256, order_id=one.order_id,
                )
                for one in shown
            ]  # fmt: skip
            return pb.ListPapersResponse(papers=papers, next_page_token=shown[-1].id if len(found) > size else "")

        return await self._calls.answer("ListPapers", context, work)

    async def GetFunnel(self, request: pb.GetFunnelRequest, context: Context) -> pb.GetFunnelResponse:
        """How far shoppers came."""

        async def work(caller: Caller) -> pb.GetFunnelResponse:
            first, last = _days(getattr(request, "from"), request.to)
            found = await self._desk.funnel(caller.shop, first, last)
            return pb.GetFunnelResponse(
                visitors=found.visitors, carts=found.carts, failures=found.failures, orders=found.orders,
                steps=[pb.FunnelStep(name=name, carts=found.steps[name]) for name in STEPS],
                completed=found.completed, buyers=found.buyers, revenue_minor=found.revenue_minor,
                conversion=None if found.conversion is None else float(found.conversion),
                abandonment=None if found.abandonment is None else float(found.abandonment),
            )  # fmt: skip

        return await self._calls.answer("GetFunnel", context, work)

    async def RunDay(self, request: pb.RunDayRequest, context: Context) -> pb.RunDayResponse:
        """All that is due by an instant, of all shops."""

        async def work(_caller: Caller) -> pb.RunDayResponse:
            now = self._desk.clock()
            at = read_instant(request.at, "at") if request.at else now
            if at > now:
                raise invalid("at", "is in the future: a day is done once it has come, and dates of the law pass then")
            return pb.RunDayResponse(**(await Daily(self._desk).run(at, limit=request.limit or None))._asdict())

        return await self._calls.answer("RunDay", context, work, _OPERATOR)


def _days(first: str, last: str) -> tuple[date, date]:
    found = needed_day(first, "from"), needed_day(last, "to")
    if not 0 <= (found[1] - found[0]).days <= _DAYS_MAX:
        raise invalid("to", f"from `from` on, and at most {_DAYS_MAX} days after it")
    return found
