"""Claims and services over gRPC: what is recorded and answered, and each refusal by field, rule and article."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from relance.rules.law.calendar import after_months
from tests.integration.checkout.aftercare_kit import After, ago, delivered, key, paid, today, until, withdrawal
from tests.integration.checkout.service_kit import Backend, Service

LAMP = {"LL-AURORE": 1}
TWO = {"LL-AURORE": 2, "LL-CAFETIERE": 1}
FILM = {"LL-AURORE": 1, "FILM-ECLAIRER": 1}
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def after(demo: Backend, service: Service) -> After:
    levels = [checkout.StockLevel(sku=sku, on_hand=1_000) for sku in ("LL-AURORE", "LL-CAFETIERE")]
    demo.PutStock(checkout.PutStockRequest(levels=levels))
    return After(demo, service)


@pytest.fixture(scope="module")
def stranger(other: Backend, service: Service) -> After:
    return After(other, service)


@pytest.fixture(scope="module")
def lamp(after: After, demo: Backend) -> checkout.Order:
    """An order about which only what is refused is asked, with a claim that is taken."""
    order = delivered(demo, TWO)
    opened = after.OpenClaim(claim(order))
    after.AnswerClaim(answer(order, opened.claim_id, taken=pb.TakenClaim(postage_minor=690)))
    until(after, order.order_id, lambda one: one.confirmed_at)
    return order


@pytest.fixture(scope="module")
def film(after: After, demo: Backend) -> checkout.Order:
    """One with digital content."""
    order = paid(demo, FILM)
    until(after, order.order_id, lambda one: one.confirmed_at)
    return order


def claim(order: checkout.Order, **fields: Any) -> pb.OpenClaimRequest:
    told = {"idempotency_key": key(), "order_id": order.order_id, "line_id": order.lines[0].id} | fields
    return pb.OpenClaimRequest(**told)


def answer(order: checkout.Order, claim_id: str, **what: Any) -> pb.AnswerClaimRequest:
    return pb.AnswerClaimRequest(idempotency_key=key(), order_id=order.order_id, claim_id=claim_id, **what)


def iso(days: int = 0) -> str:
    return (today() + timedelta(days=days)).isoformat()


def bare(found: pb.Aftercare) -> pb.Aftercare:
    """Without what the service does by itself meanwhile."""
    for name in ("papers", "confirmed_at"):
        found.ClearField(name)
    return found


@pytest.mark.parametrize(
    ("fields", "code", "field", "article"),
    [
        ({"line_id": ""}, "INVALID_ARGUMENT", "line_id", ""),
        ({"line_id": "99"}, "FAILED_PRECONDITION", "line_id", "L217-3"),
        ({"asked": "excuses"}, "INVALID_ARGUMENT", "asked", ""),
        ({"words": "a" * 10_001}, "INVALID_ARGUMENT", "words", ""),
        ({"appeared_on": "2026-02-30"}, "INVALID_ARGUMENT", "appeared_on", ""),
        ({"appeared_on": iso(1)}, "INVALID_ARGUMENT", "appeared_on", "L217-3"),
        ({"appeared_on": iso(-1)}, "INVALID_ARGUMENT", "appeared_on", "L217-3"),
        ({"idempotency_key": ""}, "INVALID_ARGUMENT", "idempotency_key", ""),
        ({"order_id": "lamp"}, "INVALID_ARGUMENT", "order_id", ""),
        ({"order_id": str(uuid4())}, "NOT_FOUND", "", ""),
    ],
)
def test_what_is_no_claim_changes_nothing(
    after: After, lamp: checkout.Order, fields: dict[str, Any], code: str, field: str, article: str
) -> None:
    before = bare(after.of(lamp.order_id))
    told = after.refused("OpenClaim", claim(lamp, **fields))
    assert (told.code.name, told.field, told.article) == (code, field, article)
    assert told.rule == ("C10" if article else "")
    assert bare(after.of(lamp.order_id)) == before


def test_units_are_those_that_came_and_that_no_claim_is_about(after: After, stranger: After, demo: Backend) -> None:
    waiting = paid(demo, LAMP)
    assert after.refused("OpenClaim", claim(waiting)).field == "units"
    order = delivered(demo, TWO)
    said = claim(order, units=9, asked="replacement", words="Elle ne s'allume plus.", appeared_on=iso())
    opened = after.OpenClaim(said)
    assert after.OpenClaim(said) == opened, "the answer of the first time"
    (found,) = opened.aftercare.claims
    assert (found.units, found.asked, found.state, found.appeared_on) == (2, "replacement", "opened", iso())
    assert after.refused("OpenClaim", claim(order)).field == "units"
    changed = claim(order, idempotency_key=said.idempotency_key, units=1)
    assert after.refused("OpenClaim", changed).code == CODE.ALREADY_EXISTS
    assert stranger.refused("OpenClaim", claim(order)).code == CODE.NOT_FOUND
    assert len(after.of(order.order_id).claims) == 1
    assert len(after.OpenClaim(claim(order, line_id=order.lines[1].id)).aftercare.claims) == 2


@pytest.mark.parametrize(
    ("what", "field", "rule", "article"),
    [
        ({"refused_for": "carrier"}, "refused_for", "C06", "L216-2"),
        ({"refused_for": "no_reservations"}, "refused_for", "A30", "L216-5"),
        ({"refused_for": "minor"}, "refused_for", "C10", "D211-2 annex"),
        ({"refused_for": "after_end"}, "refused_for", "C10", "L217-3"),
        ({"repaired_on": iso(1)}, "repaired_on", "C10", "L217-3"),
        ({"replaced_on": iso(-1)}, "replaced_on", "C10", "L217-3"),
        ({"reduced_minor": 0}, "reduced_minor", "C10", "L217-3"),
        ({"reduced_minor": 12_901}, "reduced_minor", "C10", "L217-3"),
        ({"taken": pb.TakenClaim(postage_minor=689)}, "taken.postage_minor", "C09", "L241-6"),
        ({"taken": pb.TakenClaim(postage_minor=690, out_from=iso(1))}, "taken.out_from", "C10", "L217-3"),
    ],
)
def test_what_is_no_answer_says_why_and_changes_nothing(
    after: After, lamp: checkout.Order, what: dict[str, Any], field: str, rule: str, article: str
) -> None:
    before = bare(after.of(lamp.order_id))
    told = after.refused("AnswerClaim", answer(lamp, before.claims[0].claim_id, **what))
    assert (told.code, told.field, told.rule, told.article) == (CODE.FAILED_PRECONDITION, field, rule, article)
    assert bare(after.of(lamp.order_id)) == before


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({}, "answer"),
        ({"resolved": False}, "answer"),
        ({"repaired_on": "tomorrow"}, "repaired_on"),
        ({"refused_for": "a bad day"}, "refused_for"),
        ({"taken": pb.TakenClaim(postage_minor=-1)}, "taken.postage_minor"),
        ({"taken": pb.TakenClaim(out_from="2026-13-01")}, "taken.out_from"),
    ],
)
def test_an_answer_that_says_nothing_is_none(
    after: After, lamp: checkout.Order, what: dict[str, Any], field: str
) -> None:
    before = bare(after.of(lamp.order_id))
    told = after.refused("AnswerClaim", answer(lamp, before.claims[0].claim_id, **what))
    assert (told.code, told.field) == (CODE.INVALID_ARGUMENT, field)
    assert bare(after.of(lamp.order_id)) == before


def test_a_claim_that_is_taken_late_is_put_right_and_its_postage_told_afterwards(
    after: After, stranger: After, demo: Backend
) -> None:
    order = delivered(demo, TWO)
    first, second = after.OpenClaim(claim(order)), after.OpenClaim(claim(order))
    assert stranger.refused("AnswerClaim", answer(order, first.claim_id, resolved=True)).code == CODE.NOT_FOUND
    assert after.refused("AnswerClaim", answer(order, str(uuid4()), resolved=True)).code == CODE.NOT_FOUND
    after.AnswerClaim(answer(order, first.claim_id, repaired_on=iso()))
    done = after.AnswerClaim(answer(order, first.claim_id, taken=pb.TakenClaim(postage_minor=690))).aftercare
    (due,) = done.dues
    assert (due.regime, due.amount_minor, due.due_on, due.by_hand) == ("guarantee", 690, iso(14), True)
    assert [(one.from_on, one.percent, one.surcharge_minor) for one in due.forecast] == [
        (iso(15), "10", 69), (iso(29), "20", 138), (iso(45), "50", 345),
    ]  # fmt: skip
    after.RecordWithdrawal(withdrawal(order.order_id, units={order.lines[0].id: 1}))
    ended = after.AnswerClaim(answer(order, second.claim_id, resolved=True)).aftercare
    assert {one.claim_id: one.state for one in ended.claims} == {
        first.claim_id: "repaired", second.claim_id: "resolved",
    }  # fmt: skip
    paid_back = [one.goods_minor for one in ended.dues if order.lines[0].id in one.units]
    assert paid_back == [12_900, 12_900], "each lamp once"


def test_digital_content_is_guaranteed_from_its_supply(after: After, demo: Backend) -> None:
    order = paid(demo, FILM)
    film = next(one.id for one in order.lines if one.name.startswith("Éclairer"))
    until(after, order.order_id, lambda one: one.confirmed_at)
    begun = pb.ReportServiceRequest(idempotency_key=key(), order_id=order.order_id, line_id=film, started_on=iso())
    sold = {one.line_id: one for one in after.ReportService(begun).aftercare.lines}
    assert sold[film].started_on == iso()
    opened = after.OpenClaim(claim(order, line_id=film, words="Le fichier est coupé."))
    listed = {one.claim.claim_id: one for one in after.ListClaims(pb.ListClaimsRequest(page_size=100)).claims}
    entry = listed[opened.claim_id]
    assert entry.presumed_until == after_months(today(), 12).isoformat()
    assert entry.guarantee_until == after_months(today(), 24).isoformat()
    done = after.AnswerClaim(answer(order, opened.claim_id, repaired_on=iso())).aftercare
    assert done.claims[0].state == "repaired"


def test_claims_come_in_pages_of_whole_orders(after: After, stranger: After, demo: Backend) -> None:
    orders = {delivered(demo, LAMP).order_id: None for _ in range(3)}
    for order_id in orders:
        after.OpenClaim(claim(demo.GetOrder(checkout.GetOrderRequest(order_id=order_id)).order))
    seen: list[str] = []
    token = ""
    while True:
        found = after.ListClaims(pb.ListClaimsRequest(state="all", page_size=2, page_token=token))
        seen += [one.claim.claim_id for one in found.claims]
        token = found.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) >= 3
    assert not after.ListClaims(pb.ListClaimsRequest(state="late")).claims
    assert not stranger.ListClaims(pb.ListClaimsRequest(state="all")).claims
    asked: dict[str, Any]
    for asked, field in (
        ({"state": "some"}, "state"), ({"page_size": 101}, "page_size"), ({"page_token": "x"}, "page_token"),
    ):  # fmt: skip
        told = after.refused("ListClaims", pb.ListClaimsRequest(**asked))
        assert (told.code, told.field) == (CODE.INVALID_ARGUMENT, field)


@pytest.mark.parametrize(
    ("name", "report", "field", "law"),
    [
        ("Lampe", {"started_on": iso()}, "line_id", ("B25", "L221-25 al. 2")),
        ("Lampe", {"access_cut_at": ago()}, "line_id", ("B26", "L221-26-1")),
        ("Éclairer", {"performed_on": iso()}, "line_id", ("B25", "L221-25 al. 2")),
        ("Éclairer", {"started_on": iso(1)}, "started_on", ("B25", "L221-25 al. 2")),
        ("Éclairer", {"started_on": iso(-1)}, "started_on", ("B25", "L221-25 al. 2")),
        ("Éclairer", {"access_cut_at": ago()}, "line_id", ("B26", "L221-26-1")),
    ],
)
def test_what_no_service_did_is_not_recorded(
    after: After, film: checkout.Order, name: str, report: dict[str, str], field: str, law: tuple[str, str]
) -> None:
    before = bare(after.of(film.order_id))
    line = next(one.id for one in film.lines if one.name.startswith(name))
    asked = pb.ReportServiceRequest(idempotency_key=key(), order_id=film.order_id, line_id=line, **report)
    told = after.refused("ReportService", asked)
    assert (told.code, told.field, told.rule, told.article) == (CODE.FAILED_PRECONDITION, field, *law)
    assert bare(after.of(film.order_id)) == before


def test_a_report_says_what_of_which_line_on_which_day(after: After, stranger: After, film: checkout.Order) -> None:
    good: dict[str, str] = {"order_id": film.order_id, "line_id": "1", "started_on": iso()}
    for wrong, field in (
        ({"line_id": ""}, "line_id"), ({"started_on": "soon"}, "started_on"), ({"started_on": ""}, "started_on"),
        ({"order_id": "x"}, "order_id"),
    ):  # fmt: skip
        asked = pb.ReportServiceRequest(idempotency_key=key(), **(good | wrong))
        told = after.refused("ReportService", asked)
        assert (told.code, told.field) == (CODE.INVALID_ARGUMENT, field)
    nothing = pb.ReportServiceRequest(idempotency_key=key(), order_id=film.order_id, line_id="1")
    assert after.refused("ReportService", nothing).field == "report"
    mine = pb.ReportServiceRequest(idempotency_key=key(), **good)
    assert stranger.refused("ReportService", mine).code == CODE.NOT_FOUND
