"""What lasts after delivery, over gRPC: claims under the legal guarantee, and contracts that go on."""

from typing import Any, Final, get_args
from uuid import NAMESPACE_URL, uuid5

from msgspec.structs import replace

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from services.checkout.api.aftercare_messages import day, to_aftercare, to_claim, to_contract
from services.checkout.api.calls import Context, same_of
from services.checkout.api.caring import (
    Caring,
    a_day,
    mailed_to,
    named,
    needed_day,
    one_of,
    order_of,
    page,
    said,
    wrong,
)
from services.checkout.api.reading import read_id, read_instant, required
from services.checkout.api.refusals import invalid, missing
from services.checkout.api.tokens import Caller
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.domain.aftercare import Channel
from services.checkout.domain.claims import (
    Answer,
    OpenClaim,
    ReduceClaim,
    RefuseClaim,
    RepairClaim,
    ReplaceClaim,
    ResolveClaim,
    TakeClaim,
)  # fmt: skip
from services.checkout.domain.contracts import Advance, Terminate
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.guarantees import Remedy
from services.checkout.domain.outcomes import Refusal

__all__ = ["Lasting"]

_REMEDIES: Final = frozenset(get_args(Remedy))
_REASONS: Final = frozenset(get_args(RefuseClaim.__annotations__["reason"]))
_CHANNELS: Final = frozenset(get_args(Channel))
_CLAIMS: Final = frozenset({"open", "late", "all"})
_CONTRACTS: Final = frozenset({"", "running", "ended"})
_FIELDS: Final = {  # of a refusal, as the request has them
    "postage_minor": "taken.postage_minor", "out_from": "taken.out_from", "back_on": "repaired_on",
    "delivered_on": "replaced_on", "minor": "reduced_minor", "reason": "refused_for",
}  # fmt: skip
_MINOR_MAX: Final = 10**11  # a milliard of euros: more is a slip


class Lasting(Caring):
    """The calls about claims and contracts."""

    async def OpenClaim(self, request: pb.OpenClaimRequest, context: Context) -> pb.OpenClaimResponse:
        """A claim as it came."""

        async def work(caller: Caller) -> pb.OpenClaimResponse | Refusal:
            async def do() -> pb.OpenClaimResponse | Refusal:
                view = await self._aftercare(caller, request.order_id)
                asked: Any = one_of(request.asked, _REMEDIES, "asked", "repair")
                act = OpenClaim(
                    id=str(uuid5(order_of(view), f"claim/{same_of(request)}")), asked=asked,
                    line_id=required(request.line_id, "line_id"), units=request.units or 1,
                    appeared_on=a_day(request.appeared_on, "appeared_on"),
                )  # fmt: skip
                words = Words(text=said(request.words, "words"))
                done = await self._desk.open_claim(caller.shop, order_of(view), act, words)
                if isinstance(done, Refusal):
                    if done.field == "appeared_on":
                        raise wrong(done)
                    return done
                return pb.OpenClaimResponse(aftercare=to_aftercare(done), claim_id=act.id)

            return await self._calls.once("OpenClaim", caller, request, do, pb.OpenClaimResponse)

        return await self._calls.answer("OpenClaim", context, work)

    async def AnswerClaim(self, request: pb.AnswerClaimRequest, context: Context) -> pb.AnswerClaimResponse:
        """What the shop does about a claim."""

        async def act(caller: Caller, view: AfterView) -> AfterView | Refusal:
            if not any(one.id == request.claim_id for one in view.after.claims):
                raise missing("claim", request.claim_id)
            done = await self._desk.answer_claim(caller.shop, order_of(view), _answer(request))
            if isinstance(done, Refusal):
                return replace(done, field=_FIELDS.get(done.field, done.field))
            return done

        return await self._cared("AnswerClaim", request, context, act, pb.AnswerClaimResponse)

    async def ListClaims(self, request: pb.ListClaimsRequest, context: Context) -> pb.ListClaimsResponse:
        """Claims with their last days, order by order."""

        async def work(caller: Caller) -> pb.ListClaimsResponse:
            which: Any = one_of(request.state, _CLAIMS, "state", "open")
            after = str(read_id(request.page_token, "page_token")) if request.page_token else ""
            size = page(request.page_size)
            found = await self._desk.claims(caller.shop, which, after=after, limit=size)
            claims = [
                pb.ClaimEntry(
                    order_id=one.order_id, claim=to_claim(one.claim), guarantee_until=day(one.guarantee_until),
                    right_until=day(one.right_until), late_days=one.late_days,
                    presumed_until=day(one.presumed_until),
                )
                for one in found
            ]  # fmt: skip
            more = found[-1].order_id if len(found) >= size else ""
            return pb.ListClaimsResponse(claims=claims, next_page_token=more)

        return await self._calls.answer("ListClaims", context, work)

    async def ListContracts(self, request: pb.ListContractsRequest, context: Context) -> pb.ListContractsResponse:
        """Subscriptions, by id."""

        async def work(caller: Caller) -> pb.ListContractsResponse:
            state = one_of(request.state, _CONTRACTS, "state")
            after = str(read_id(request.page_token, "page_token")) if request.page_token else ""
            size = page(request.page_size)
            found = await self._desk.contracts(caller.shop, state=state or None, after=after, limit=size + 1)
            shown = found[:size]
            more = shown[-1].id if len(found) > size else ""
            setting = self._now()
            contracts = [to_contract(one, setting) for one in shown]
            return pb.ListContractsResponse(contracts=contracts, next_page_token=more)

        return await self._calls.answer("ListContracts", context, work)

    async def TerminateContract(
        self, request: pb.TerminateContractRequest, context: Context
    ) -> pb.TerminateContractResponse:  # fmt: skip
        """The end of a contract, confirmed to its consumer."""

        async def work(caller: Caller) -> pb.TerminateContractResponse | Refusal:
            async def do() -> pb.TerminateContractResponse | Refusal:
                return await self._terminate(caller, request)

            return await self._calls.once("TerminateContract", caller, request, do, pb.TerminateContractResponse)

        return await self._calls.answer("TerminateContract", context, work)

    async def MatchTermination(
        self, request: pb.MatchTerminationRequest, context: Context
    ) -> pb.MatchTerminationResponse:  # fmt: skip
        """Which contract a notification ends."""

        async def work(caller: Caller) -> pb.MatchTerminationResponse | Refusal:
            async def do() -> pb.MatchTerminationResponse | Refusal:
                stray_id = str(read_id(request.stray_id, "stray_id"))
                contract_id = await self._contract(caller, request.contract_id)
                found = await self._desk.match_termination(caller.shop, stray_id, contract_id)
                if isinstance(found, Refusal):
                    if found.field == "stray_id":
                        raise missing("notification", stray_id)
                    return found
                return pb.MatchTerminationResponse(contract=to_contract(found, self._now()))

            return await self._calls.once("MatchTermination", caller, request, do, pb.MatchTerminationResponse)

        return await self._calls.answer("MatchTermination", context, work)

    async def RecordAdvance(self, request: pb.RecordAdvanceRequest, context: Context) -> pb.RecordAdvanceResponse:
        """What was paid in advance for a contract."""

        async def work(caller: Caller) -> pb.RecordAdvanceResponse | Refusal:
            async def do() -> pb.RecordAdvanceResponse | Refusal:
                contract_id = await self._contract(caller, request.contract_id)
                if request.minor > _MINOR_MAX:
                    raise invalid("minor", f"at most {_MINOR_MAX}")
                advance = Advance(
                    id=str(uuid5(NAMESPACE_URL, f"{contract_id}/advance/{same_of(request)}")), minor=request.minor,
                    paid_on=needed_day(request.paid_on, "paid_on"), from_on=needed_day(request.from_on, "from_on"),
                    until_on=needed_day(request.until_on, "until_on"),
                )  # fmt: skip
                found = await self._desk.record_advance(caller.shop, contract_id, advance)
                if isinstance(found, Refusal):
                    raise wrong(found)
                return pb.RecordAdvanceResponse(contract=to_contract(found, self._now()))

            return await self._calls.once("RecordAdvance", caller, request, do, pb.RecordAdvanceResponse)

        return await self._calls.answer("RecordAdvance", context, work)

    async def _terminate(
        self, caller: Caller, request: pb.TerminateContractRequest
    ) -> pb.TerminateContractResponse | Refusal:  # fmt: skip
        contract_id = await self._contract(caller, request.contract_id)
        asked_at = read_instant(request.asked_at, "asked_at")
        if asked_at > self._desk.clock():
            raise invalid("asked_at", "is in the future")
        channel: Any = one_of(request.channel, _CHANNELS, "channel")
        act = Terminate(
            id=str(uuid5(NAMESPACE_URL, f"{contract_id}/termination/{same_of(request)}")), channel=channel,
            asked_at=asked_at, wished_on=a_day(request.wished_on, "wished_on"),
        )  # fmt: skip
        address = mailed_to(request.confirm_to, "confirm_to")
        words = Words(name=named(request.name), text=said(request.words, "words"), address=address)
        done = await self._desk.terminate(caller.shop, contract_id, act, words)
        if isinstance(done, Refusal):
            if done.field in {"wished_on", "asked_at"}:
                raise wrong(done)
            return done
        found = await self._desk.contract(caller.shop, contract_id)
        return pb.TerminateContractResponse(contract=None if found is None else to_contract(found, self._now()))

    async def _contract(self, caller: Caller, contract_id: str) -> str:
        """The id of one of the shop's contracts. Raises Refused, NOT_FOUND, for another's."""
        found = str(read_id(contract_id, "contract_id"))
        if await self._desk.contract(caller.shop, found) is None:
            raise missing("contract", contract_id)
        return found

    def _now(self) -> Setting:
        return Setting(self._desk.clock(), self._desk.book)


def _answer(request: pb.AnswerClaimRequest) -> Answer:
    id_ = request.claim_id
    match request.WhichOneof("answer"):
        case "taken":
            if request.taken.postage_minor < 0:
                raise invalid("taken.postage_minor", "is negative")
            out_from = a_day(request.taken.out_from, "taken.out_from")
            return TakeClaim(claim_id=id_, postage_minor=request.taken.postage_minor, out_from=out_from)
        case "repaired_on":
            return RepairClaim(claim_id=id_, back_on=needed_day(request.repaired_on, "repaired_on"))
        case "replaced_on":
            return ReplaceClaim(claim_id=id_, delivered_on=needed_day(request.replaced_on, "replaced_on"))
        case "reduced_minor":
            return ReduceClaim(claim_id=id_, minor=request.reduced_minor)
        case "resolved" if request.resolved:
            return ResolveClaim(claim_id=id_)
        case "refused_for":
            reason: Any = one_of(request.refused_for, _REASONS, "refused_for")
            return RefuseClaim(claim_id=id_, reason=reason)
        case _:
            raise invalid("answer", "taken, repaired_on, replaced_on, reduced_minor, resolved or refused_for")
