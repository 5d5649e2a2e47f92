"""`AftercareService` over gRPC, act by act, with what shops really tell it: what is done, what is refused and why."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import grpc
import pytest

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from tests.integration.checkout.aftercare_kit import After, ago, delivered, key, paid, today, withdrawal
from tests.integration.checkout.service_kit import OPERATOR, Backend, Service

CODE = grpc.StatusCode
LAMP, BOTH = {"LL-AURORE": 1}, {"LL-AURORE": 1, "LL-CAFETIERE": 1}
FILM_ID = "film-eclairer-sa-maison"
FILM = {"FILM-ECLAIRER": 1, "LL-AURORE": 1}  # a film alone is not delivered


@pytest.fixture(scope="module")
def after(demo: Backend, service: Service) -> After:
    return After(demo, service)


@pytest.fixture(scope="module")
def stranger(other: Backend, service: Service) -> After:
    return After(other, service)


def refused(after: After, method: str, request: Any) -> tuple[grpc.StatusCode, str, str, str]:
    """Status, field, rule and article; nothing has changed."""
    before = after.of(request.order_id)
    told = after.refused(method, request)
    now = after.of(request.order_id)
    assert (now.dues, now.late_notices, now.resolutions, now.incidents) == (
        before.dues, before.late_notices, before.resolutions, before.incidents,
    )  # fmt: skip
    assert now.lines == before.lines
    return told.code, told.field, told.rule, told.article


def day(ahead: int = 0) -> str:
    return (today() + timedelta(days=ahead)).isoformat()


def of(order: checkout.Order, **more: Any) -> dict[str, Any]:
    return {"idempotency_key": key(), "order_id": order.order_id} | more


def test_what_is_told_of_a_service_fits_the_line_it_is_told_of(after: After, stranger: After, demo: Backend) -> None:
    order = paid(demo, FILM)
    film = next(one.id for one in order.lines if one.product_id == FILM_ID)
    lamp = next(one.id for one in order.lines if one.product_id != FILM_ID)

    def report(line: str, **what: str) -> pb.ReportServiceRequest:
        return pb.ReportServiceRequest(**of(order, line_id=line, **what))

    assert stranger.refused("ReportService", report(film, access_cut_at=ago())).code == CODE.NOT_FOUND
    assert refused(after, "ReportService", report(film))[:2] == (CODE.INVALID_ARGUMENT, "report")
    for wrong in (
        report("9", access_cut_at=ago()), report(film, performed_on=day()), report(lamp, started_on=day()),
        report(lamp, access_cut_at=ago()),
    ):  # fmt: skip
        assert refused(after, "ReportService", wrong)[1] == "line_id", wrong
    assert refused(after, "ReportService", report("", started_on=day()))[:2] == (CODE.INVALID_ARGUMENT, "line_id")
    assert refused(after, "ReportService", report(film, access_cut_at="soon"))[1] == "access_cut_at"


def test_a_notice_has_its_extra_time_and_reasonable_days_when_none_is_named(
    after: After, stranger: After, demo: Backend
) -> None:
    order = paid(demo, LAMP)
    named = pb.NotifyLateRequest(**of(order, at=ago(), until=day(7), medium="letter", words="Où est ma lampe ?"))
    assert stranger.refused("NotifyLate", named).code == CODE.NOT_FOUND
    assert [one.until for one in after.NotifyLate(named).aftercare.late_notices] == [day(7)]
    silent = pb.NotifyLateRequest(**of(order, at=ago(hours=1), medium="phone"))
    assert [one.until for one in after.NotifyLate(silent).aftercare.late_notices] == [day(7), day(14)]
    for wrong, field in (
        ({"until": "9999-12-31"}, "until"), ({"at": ago(hours=-1)}, "at"), ({"medium": "fax"}, "medium"),
        ({"units": {"9": 1}}, "units.9"), ({"words": "a" * 10_001}, "words"), ({"at": "yesterday"}, "at"),
    ):  # fmt: skip
        request = pb.NotifyLateRequest(**of(order, **({"at": ago(), "medium": "email"} | wrong)))
        assert refused(after, "NotifyLate", request)[:2] == (CODE.INVALID_ARGUMENT, field)


def test_the_end_of_a_contract_that_the_law_does_not_give_yet_is_refused_with_its_article(
    after: After, stranger: After, demo: Backend
) -> None:
    order = paid(demo, BOTH)
    ends = pb.ResolveContractRequest(**of(order, received_at=ago(), medium="email", words="Je renonce."))
    assert stranger.refused("ResolveContract", ends).code == CODE.NOT_FOUND
    code, field, rule, article = refused(after, "ResolveContract", ends)
    assert (code, field, rule, article) == (CODE.FAILED_PRECONDITION, "resolution", "C03", "L216-6 I 2°")
    part = pb.ResolveContractRequest(
        **of(order, received_at=ago(), medium="email", units={order.lines[0].id: 1}, delivery_refused=True)
    )
    (due,) = after.ResolveContract(part).aftercare.dues
    assert (due.regime, due.goods_minor, due.delivery_minor) == ("delivery", order.lines[0].net_minor, 0)
    assert (due.due_on, due.article, due.cap_minor) == (day(14), "L241-4", 0)


@pytest.mark.parametrize(
    ("kind", "carrier", "shipped_anew"),
    [("lost", "ours", 1), ("damaged", "ours", 1), ("returned", "ours", 1), ("lost", "own", 0)],
)
def test_what_befalls_a_parcel_says_who_bears_it(
    after: After, demo: Backend, kind: str, carrier: str, shipped_anew: int
) -> None:
    own_carrier = carrier == "own"
    order = paid(demo, LAMP)
    demo.ShipParcel(checkout.ShipParcelRequest(**of(order, parcel_id="P1")))
    befell = pb.ReportIncidentRequest(**of(order, parcel_id="P1", kind=kind, own_carrier=own_carrier))
    (incident,) = after.ReportIncident(befell).aftercare.incidents
    assert (incident.kind, incident.own_carrier) == (kind, own_carrier)
    again = checkout.ShipParcelRequest(**of(order, parcel_id="P2"))
    if shipped_anew:
        assert len(demo.ShipParcel(again).order.parcels) == 2
    else:
        assert demo.refused("ShipParcel", again).code == CODE.FAILED_PRECONDITION
    unknown = pb.ReportIncidentRequest(**of(order, parcel_id="P1", kind="eaten"))
    assert refused(after, "ReportIncident", unknown)[:2] == (CODE.INVALID_ARGUMENT, "kind")


def test_what_cannot_be_supplied_is_owed_whole_and_nothing_takes_its_place(
    after: After, stranger: After, demo: Backend
) -> None:
    order = paid(demo, LAMP)
    gone = pb.ReportUnavailableRequest(**of(order, units={order.lines[0].id: 1}))
    assert stranger.refused("ReportUnavailable", gone).code == CODE.NOT_FOUND
    for units, field in (({}, "units"), ({"9": 1}, "units.9"), ({order.lines[0].id: 5}, f"units.{order.lines[0].id}")):
        assert refused(after, "ReportUnavailable", pb.ReportUnavailableRequest(**of(order, units=units)))[1] == field
    done = after.ReportUnavailable(gone).aftercare
    assert sum(due.amount_minor for due in done.dues) == order.total_minor, "with its delivery"
    assert after.ReportUnavailable(gone).aftercare == done


def test_every_excuse_is_refused_for_every_order(after: After, stranger: After, demo: Backend) -> None:
    order = paid(demo, LAMP)
    carrier = pb.RefuseLiabilityRequest(order_id=order.order_id, reason="carrier")
    assert refused(after, "RefuseLiability", carrier) == (CODE.FAILED_PRECONDITION, "reason", "C06", "L216-2")
    assert stranger.refused("RefuseLiability", carrier).code == CODE.NOT_FOUND
    weather = pb.RefuseLiabilityRequest(order_id=order.order_id, reason="weather")
    assert refused(after, "RefuseLiability", weather)[:2] == (CODE.INVALID_ARGUMENT, "reason")


def test_goods_come_back_or_are_proven_to_be_on_their_way(after: After, stranger: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    statement = after.RecordWithdrawal(withdrawal(order.order_id)).statement_id

    def answer(**what: Any) -> pb.AnswerWithdrawalRequest:
        return pb.AnswerWithdrawalRequest(**of(order, statement_id=statement, **what))

    assert stranger.refused("AnswerWithdrawal", answer(dispatched_on=day())).code == CODE.NOT_FOUND
    assert refused(after, "AnswerWithdrawal", answer())[:2] == (CODE.INVALID_ARGUMENT, "answer")
    assert refused(after, "AnswerWithdrawal", answer(accept_anyway=False))[1] == "answer"
    assert refused(after, "AnswerWithdrawal", answer(returned_on=""))[1] == "returned_on"
    assert refused(after, "AnswerWithdrawal", answer(returned_on=day(1)))[0] in {
        CODE.INVALID_ARGUMENT, CODE.FAILED_PRECONDITION,
    }  # fmt: skip
    sent = after.AnswerWithdrawal(answer(dispatched_on=day())).aftercare
    assert (sent.statements[0].dispatched_on, sent.dues[0].due_on) == (day(), day(14))
    posted = after.AnswerWithdrawal(answer(acknowledged_by_post_on=day())).aftercare.statements[0]
    assert (posted.acknowledged_at != "", posted.by_post) == (True, False)
    assert refused(after, "AnswerWithdrawal", answer(acknowledged_by_post_on=day(1)))[1] == "on"
    unknown = pb.AnswerWithdrawalRequest(**of(order, statement_id="s", returned_on=day()))
    assert refused(after, "AnswerWithdrawal", unknown)[0] == CODE.NOT_FOUND


def test_information_that_came_late_is_told_with_its_day(after: After, stranger: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    late = pb.InformRequest(**of(order, informed_on=day()))
    assert stranger.refused("Inform", late).code == CODE.NOT_FOUND
    for wrong in ({}, {"never": False}, {"informed_on": "soon"}, {"informed_on": "0001-01-01"}):
        assert refused(after, "Inform", pb.InformRequest(**of(order, **wrong)))[0] == CODE.INVALID_ARGUMENT
    done = after.Inform(late).aftercare
    assert (done.informed, done.informed_on) == (False, day())


def pages(after: After, method: str, field: str, **asked: Any) -> Iterator[Any]:
    request = getattr(pb, f"{method}Request")(page_size=1, **asked)
    while True:
        answer = getattr(after, method)(request)
        assert len(getattr(answer, field)) <= 1
        yield from getattr(answer, field)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def test_lists_come_one_by_one_as_they_come_at_once(after: After, demo: Backend) -> None:
    for _ in range(3):
        after.RecordWithdrawal(withdrawal(delivered(demo, LAMP).order_id))
    whole = after.ListDues(pb.ListDuesRequest(state="all", page_size=100)).dues
    assert [one.due_id for one in pages(after, "ListDues", "dues", state="all")] == [one.due_id for one in whole]
    said = after.ListWithdrawals(pb.ListWithdrawalsRequest(page_size=100)).withdrawals
    assert [one.statement.statement_id for one in pages(after, "ListWithdrawals", "withdrawals")] == [
        one.statement.statement_id for one in said
    ]
    for method in ("ListDues", "ListWithdrawals", "ListLateDeliveries", "ListClaims", "ListContracts"):
        request = getattr(pb, f"{method}Request")
        assert after.refused(method, request(page_size=101)).field == "page_size"
        assert after.refused(method, request(page_token="x" * 100)).field == "page_token"


@pytest.mark.parametrize("method", ["ListDues", "GetAftercare", "GetFunnel", "RecordWithdrawal", "RunDay"])
def test_nobody_is_answered_without_a_token_or_a_deadline(after: After, service: Service, method: str) -> None:
    request = getattr(pb, f"{method}Request")()
    for token in ("", "ct_demo_guess", "x" * 500):
        nobody = After(Backend(service.channel, token), service)
        assert nobody.refused(method, request).code == CODE.UNAUTHENTICATED
    assert after.refused(method, request, None).field == "deadline"
    assert after.refused(method, request, 3_600.0).field == "deadline"
    operator = After(Backend(service.channel, OPERATOR), service)
    if method != "RunDay":
        assert operator.refused(method, request).code == CODE.PERMISSION_DENIED


def test_the_day_in_small_steps_is_the_day(service: Service) -> None:
    operator = After(Backend(service.channel, OPERATOR), service)
    answer = operator.RunDay(pb.RunDayRequest(limit=1))
    assert (answer.failed, answer.left) == (0, 0), "the service has done it by itself"
    assert operator.RunDay(pb.RunDayRequest(at="2000-01-01T00:00:00Z")).looked == 0
    for far in ("2199-12-31T00:00:00Z", ago(minutes=-1)):
        assert operator.refused("RunDay", pb.RunDayRequest(at=far)).field == "at"
