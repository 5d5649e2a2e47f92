"""`AftercareService` over gRPC: claims, contracts, papers, the funnel and the day's work."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from tests.integration.checkout.aftercare_kit import After, ago, delivered, key, paid, today, until
from tests.integration.checkout.service_kit import OPERATOR, Backend, Service

LAMP = {"LL-AURORE": 1}
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def after(demo: Backend, service: Service) -> After:
    return After(demo, service)


@pytest.fixture(scope="module")
def stranger(other: Backend, service: Service) -> After:
    return After(other, service)


def test_a_claim_is_opened_taken_and_put_right(after: After, stranger: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    claim = pb.OpenClaimRequest(
        idempotency_key=key(), order_id=order.order_id, line_id=order.lines[0].id, words="Elle ne s'allume plus."
    )
    opened = after.OpenClaim(claim)
    assert after.OpenClaim(claim) == opened, "the answer of the first time"
    assert [one.state for one in opened.aftercare.claims] == ["opened"]
    listed = {one.claim.claim_id: one for one in after.ListClaims(pb.ListClaimsRequest()).claims}
    assert listed[opened.claim_id].right_until > today().isoformat()
    assert listed[opened.claim_id].guarantee_until > (today() + timedelta(days=700)).isoformat()
    assert not stranger.ListClaims(pb.ListClaimsRequest(state="all")).claims

    def answer(**what: object) -> pb.AnswerClaimRequest:
        ids = {"idempotency_key": key(), "order_id": order.order_id, "claim_id": opened.claim_id}
        return pb.AnswerClaimRequest(**ids, **what)  # type: ignore[arg-type]

    carrier = after.refused("AnswerClaim", answer(refused_for="carrier"))
    assert (carrier.code, carrier.rule, carrier.article) == (CODE.FAILED_PRECONDITION, "C06", "L216-2")
    assert after.refused("AnswerClaim", answer(refused_for="no_reservations")).article == "L216-5"
    assert after.refused("AnswerClaim", answer()).field == "answer"
    unknown = answer(resolved=True)
    unknown.claim_id = str(uuid4())
    assert after.refused("AnswerClaim", unknown).code == CODE.NOT_FOUND
    taken = after.AnswerClaim(answer(taken=pb.TakenClaim(postage_minor=690))).aftercare
    assert [(one.regime, one.amount_minor, one.by_hand) for one in taken.dues] == [("guarantee", 690, True)]
    done = after.AnswerClaim(answer(repaired_on=today().isoformat())).aftercare
    assert done.claims[0].state == "repaired"


def test_a_claim_names_goods_of_the_order(after: After, demo: Backend) -> None:
    order = paid(demo, LAMP)
    claim = pb.OpenClaimRequest(idempotency_key=key(), order_id=order.order_id, line_id="9")
    assert after.refused("OpenClaim", claim).field == "line_id"
    claim.line_id = order.lines[0].id
    early = after.refused("OpenClaim", claim)
    assert (early.field, early.rule) == ("units", "C10")


def test_contracts_are_those_of_the_shop(after: After) -> None:
    assert not after.ListContracts(pb.ListContractsRequest(state="running")).contracts
    assert after.refused("ListContracts", pb.ListContractsRequest(state="some")).field == "state"
    ends = pb.TerminateContractRequest(
        idempotency_key=key(), contract_id=str(uuid4()), channel="letter", asked_at=ago()
    )  # fmt: skip
    assert after.refused("TerminateContract", ends).code == CODE.NOT_FOUND


def test_papers_have_numbers_without_a_gap_and_their_bytes(after: After, stranger: After, demo: Backend) -> None:
    order = paid(demo, LAMP)
    found = until(after, order.order_id, lambda one: one.papers and one.papers[0].sha256)
    days: dict[str, Any] = {"from": today().isoformat(), "to": today().isoformat()}
    papers = [*after.ListPapers(pb.ListPapersRequest(**days, kind="invoice", page_size=100)).papers]
    numbers = [one.number for one in papers]
    assert found.papers[0].number in numbers
    assert numbers == [f"F{today().year}-{place:06}" for place in range(1, len(numbers) + 1)]
    content = demo.GetDocument(checkout.GetDocumentRequest(sha256=found.papers[0].sha256)).content
    assert content.startswith(b"%PDF")
    assert not stranger.ListPapers(pb.ListPapersRequest(**days)).papers
    assert after.refused("ListPapers", pb.ListPapersRequest(to=days["to"])).field == "from"
    page = after.ListPapers(pb.ListPapersRequest(**days, page_size=1))
    assert (len(page.papers), page.next_page_token) in {(1, page.papers[0].number), (1, "")}


def test_the_funnel_tells_numbers_and_no_days_tell_none(after: After, demo: Backend) -> None:
    paid(demo, LAMP)
    days = {"from": today().isoformat(), "to": today().isoformat()}
    found = after.GetFunnel(pb.GetFunnelRequest(**days))
    steps = [one.carts for one in found.steps]
    assert [one.name for one in found.steps] == ["cart", "contact", "delivery", "payment", "recap", "ordered"]
    assert steps == sorted(steps, reverse=True)
    assert found.carts == steps[0] >= found.completed >= 1
    assert found.revenue_minor > 0
    before = (today() - timedelta(days=400)).isoformat()
    none = after.GetFunnel(pb.GetFunnelRequest(**{"from": before, "to": before}))
    assert (none.carts, none.HasField("conversion"), none.HasField("abandonment")) == (0, False, False)
    backwards = pb.GetFunnelRequest(**{"from": days["to"], "to": before})
    assert after.refused("GetFunnel", backwards).field == "to"


def test_the_days_work_is_the_operators_and_is_done_once(after: After, service: Service) -> None:
    assert after.refused("RunDay", pb.RunDayRequest()).code == CODE.PERMISSION_DENIED
    operator = After(Backend(service.channel, OPERATOR), service)
    assert operator.refused("RunDay", pb.RunDayRequest(at=ago(hours=-1))).field == "at"
    operator.RunDay(pb.RunDayRequest())
    again = operator.RunDay(pb.RunDayRequest())
    assert (again.looked, again.asked, again.failed) == (0, 0, 0)


def test_the_command_line_shows_the_funnel(demo: Backend, service: Service) -> None:
    paid(demo, LAMP)
    days = ("--from", today().isoformat(), "--to", today().isoformat())
    said = service.relance("checkout", "funnel", *days, token=demo.token)
    assert "carts: ordered" in said
    assert "conversion" in said
    assert '"visitors"' in service.relance("checkout", "funnel", *days, "--json", token=demo.token)
