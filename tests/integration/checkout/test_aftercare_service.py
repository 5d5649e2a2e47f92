"""`AftercareService` over gRPC: withdrawals, what is owed, delivery that fails; refusals with their article."""

from datetime import timedelta
from uuid import uuid4

import grpc
import pytest

from relance.cli.demo_checkout.browser import Browser
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from tests.integration.checkout.aftercare_kit import After, ago, delivered, key, paid, today, until, withdrawal
from tests.integration.checkout.service_kit import Backend, Service

BOTH = {"LL-AURORE": 1, "LL-CAFETIERE": 1}
LAMP = {"LL-AURORE": 1}
CODE = grpc.StatusCode


@pytest.fixture(scope="module")
def after(demo: Backend, service: Service) -> After:
    return After(demo, service)


@pytest.fixture(scope="module")
def stranger(other: Backend, service: Service) -> After:
    return After(other, service)


def test_a_line_is_withdrawn_by_telephone_and_its_money_waits_for_the_goods(
    after: After, stranger: After, demo: Backend
) -> None:
    order = delivered(demo, BOTH)
    lamp = order.lines[0]
    before = after.of(order.order_id)
    assert {one.withdrawal_last_day for one in before.lines} == {max(one.withdrawal_last_day for one in before.lines)}
    said = withdrawal(order.order_id, units={lamp.id: 1}, words="Je renonce à la lampe.", name="Camille Durand")
    done = after.RecordWithdrawal(said)
    assert after.RecordWithdrawal(said) == done, "the answer of the first time"
    (statement,) = done.aftercare.statements
    assert statement.statement_id == done.statement_id
    decision = {one.line_id: one for one in statement.decisions}[lamp.id]
    assert (decision.outcome, decision.units) == ("accepted", 1)
    (due,) = done.aftercare.dues
    assert (due.regime, due.goods_minor, due.delivery_minor, due.state) == ("withdrawal", lamp.net_minor, 0, "waiting")
    assert not due.due_on
    until(after, order.order_id, lambda one: one.statements[0].acknowledged_at)

    waits = {one.order_id for one in after.ListWithdrawals(pb.ListWithdrawalsRequest(state="open")).withdrawals}
    assert order.order_id in waits
    back = pb.AnswerWithdrawalRequest(
        idempotency_key=key(), order_id=order.order_id, statement_id=done.statement_id, returned_on=today().isoformat()
    )
    assert stranger.refused("AnswerWithdrawal", back).code == CODE.NOT_FOUND
    (owed,) = after.AnswerWithdrawal(back).aftercare.dues
    assert owed.due_on == (today() + timedelta(days=14)).isoformat()
    assert len(owed.refund_ids) == 1
    assert owed.forecast[0].percent == "legal"
    refund = demo.GetOrder(checkout.GetOrderRequest(order_id=order.order_id)).order.refunds[0]
    assert (refund.amount_minor, refund.by_hand) == (lamp.net_minor, True)
    assert refund.id == owed.refund_ids[0]
    settled = checkout.SettleRefundRequest(
        idempotency_key=key(), order_id=order.order_id, refund_id=refund.id, sent_at=ago()
    )  # fmt: skip
    demo.SettleRefund(settled)
    until(after, order.order_id, lambda one: one.dues[0].state == "settled")


def test_what_a_shop_tells_wrongly_is_refused_with_field_and_article(
    after: After, stranger: After, demo: Backend
) -> None:
    order = delivered(demo, LAMP)
    told = after.refused("RecordWithdrawal", withdrawal(order.order_id, stated_at=ago(hours=-2)))
    assert (told.code, told.field, told.rule, told.article) == (
        CODE.INVALID_ARGUMENT, "stated_at", "B04", "L221-21 al. 1",
    )  # fmt: skip
    late = withdrawal(order.order_id, stated_at=ago(hours=1), received_at=ago(hours=2))
    assert after.refused("RecordWithdrawal", late).field == "received_at"
    ahead = withdrawal(order.order_id, received_at=ago(hours=-2))
    assert after.refused("RecordWithdrawal", ahead).rule == "B04"
    letter = withdrawal(order.order_id, channel="letter")
    assert after.refused("RecordWithdrawal", letter).field == "received_at"
    assert after.refused("RecordWithdrawal", withdrawal(order.order_id, channel="fax")).field == "channel"
    unknown = after.refused("RecordWithdrawal", withdrawal(order.order_id, units={"9": 1}))
    assert (unknown.code, unknown.field) == (CODE.INVALID_ARGUMENT, "units.9")
    good = withdrawal(order.order_id)
    assert stranger.refused("RecordWithdrawal", good).code == CODE.NOT_FOUND
    unkeyed = withdrawal(order.order_id, idempotency_key="")
    assert after.refused("RecordWithdrawal", unkeyed).field == "idempotency_key"
    assert not after.of(order.order_id).statements, "nothing half done"


def test_more_units_than_are_left_are_cut_and_fifty_statements_are_one(after: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    said = withdrawal(order.order_id, units={order.lines[0].id: 7})
    for _ in range(5):
        after.RecordWithdrawal(said)
    found = after.of(order.order_id)
    assert len(found.statements) == 1
    assert found.dues[0].amount_minor == order.total_minor
    changed = withdrawal(order.order_id, idempotency_key=said.idempotency_key, channel="email")
    assert after.refused("RecordWithdrawal", changed).code == CODE.ALREADY_EXISTS


def test_a_due_goes_another_way_only_with_the_consumers_own_words(after: After, stranger: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    due = after.RecordWithdrawal(withdrawal(order.order_id)).aftercare.dues[0]
    way = pb.PayDueRequest(
        idempotency_key=key(), order_id=order.order_id, due_id=due.due_id, other=pb.OtherWay(means="cheque")
    )
    told = after.refused("PayDue", way)
    assert (told.code, told.rule, told.article) == (CODE.FAILED_PRECONDITION, "B14", "L221-24 al. 3")
    assert told.field.startswith("other.agreement")
    assert stranger.refused("PayDue", way).code == CODE.NOT_FOUND
    unknown = pb.PayDueRequest(idempotency_key=key(), order_id=order.order_id, due_id=str(uuid4()))
    assert after.refused("PayDue", unknown).code == CODE.NOT_FOUND
    agreement = checkout.Agreement(at=ago(), statement="Un chèque me convient.", medium="email")
    way.other.agreement.CopyFrom(agreement)
    (agreed,) = after.PayDue(way).aftercare.dues
    assert agreed.voucher_means == "cheque"


def test_what_the_shop_pays_by_itself_is_recorded_up_to_what_it_owes(after: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    due = after.RecordWithdrawal(withdrawal(order.order_id)).aftercare.dues[0]

    def payout(minor: int, **fields: str) -> pb.PayDueRequest:
        told = {"paid_on": today().isoformat(), "means": "bank_transfer"} | fields
        new = pb.NewPayout(minor=minor, **told)
        return pb.PayDueRequest(idempotency_key=key(), order_id=order.order_id, due_id=due.due_id, payout=new)

    assert after.refused("PayDue", payout(due.amount_minor + 1)).field == "payout.minor"
    assert after.refused("PayDue", payout(100, purpose="surcharge")).field == "payout.minor"
    future = (today() + timedelta(days=1)).isoformat()
    assert after.refused("PayDue", payout(100, paid_on=future)).field == "payout.paid_on"
    assert after.refused("PayDue", payout(100, means="à Mme Martin")).field == "payout.means"
    (partly,) = after.PayDue(payout(500)).aftercare.dues
    assert (partly.open_minor, [one.minor for one in partly.payouts]) == (due.amount_minor - 500, [500])
    (whole,) = after.PayDue(payout(due.amount_minor - 500)).aftercare.dues
    assert (whole.open_minor, whole.state) == (0, "settled")


def test_delivery_that_fails_is_owed_for_and_its_excuses_are_refused(after: After, demo: Backend) -> None:
    order = paid(demo, BOTH)
    for reason, rule, article in (
        ("carrier", "C06", "L216-2"), ("subcontractor", "C07", "L221-15"),
        ("not_registered_letter", "C03", "L216-6 I 2°"),
    ):  # fmt: skip
        told = after.refused("RefuseLiability", pb.RefuseLiabilityRequest(order_id=order.order_id, reason=reason))
        assert (told.code, told.field, told.rule, told.article) == (CODE.FAILED_PRECONDITION, "reason", rule, article)
    early = pb.ResolveContractRequest(
        idempotency_key=key(), order_id=order.order_id, received_at=ago(), medium="email"
    )  # fmt: skip
    assert after.refused("ResolveContract", early).rule in {"C03", "C04"}
    hold = pb.SuspendPaymentRequest(idempotency_key=key(), order_id=order.order_id, suspended=True)
    held = after.refused("SuspendPayment", hold)
    assert (held.field, held.rule, held.article) == ("suspended", "C02", "L216-6 I 1°")
    notice = pb.NotifyLateRequest(
        idempotency_key=key(), order_id=order.order_id, at=ago(), medium="letter",
        until=(today() - timedelta(days=2)).isoformat(),
    )  # fmt: skip
    assert after.refused("NotifyLate", notice).field == "until"
    notice.until = ""
    assert len(after.NotifyLate(notice).aftercare.late_notices) == 1
    gone = pb.ReportUnavailableRequest(
        idempotency_key=key(), order_id=order.order_id, units={order.lines[0].id: 1},
        substitute_url="http://shop.example/other",
    )  # fmt: skip
    told = after.refused("ReportUnavailable", gone)
    assert (told.field, told.rule) == ("substitute_url", "C08")
    gone.substitute_url = "https://shop.example/other"
    (due,) = after.ReportUnavailable(gone).aftercare.dues
    assert (due.regime, due.goods_minor) == ("delivery", order.lines[0].net_minor)
    assert due.due_on == (today() + timedelta(days=14)).isoformat()
    assert due.due_id in {one.due_id for one in after.ListDues(pb.ListDuesRequest(within_days=30)).dues}


def test_a_shop_that_will_not_deliver_ends_the_contract_at_once(after: After, demo: Backend) -> None:
    order = paid(demo, LAMP)
    ends = pb.ResolveContractRequest(
        idempotency_key=key(), order_id=order.order_id, received_at=ago(), medium="email", delivery_refused=True
    )
    found = after.ResolveContract(ends).aftercare
    assert found.resolutions[0].resolved
    assert sum(due.amount_minor for due in found.dues) == order.total_minor


def test_a_lost_parcel_is_shipped_anew(after: After, demo: Backend) -> None:
    order = paid(demo, LAMP)
    demo.ShipParcel(checkout.ShipParcelRequest(idempotency_key=key(), order_id=order.order_id, parcel_id="P1"))
    lost = pb.ReportIncidentRequest(idempotency_key=key(), order_id=order.order_id, parcel_id="P9", kind="lost")
    assert after.refused("ReportIncident", lost).code == CODE.NOT_FOUND
    lost.parcel_id = "P1"
    assert after.ReportIncident(lost).aftercare.incidents[0].kind == "lost"
    again = checkout.ShipParcelRequest(idempotency_key=key(), order_id=order.order_id, parcel_id="P2")
    assert len(demo.ShipParcel(again).order.parcels) == 2


def test_worklists_come_in_pages_and_for_their_shop_alone(after: After, stranger: After, demo: Backend) -> None:
    for _ in range(2):
        after.RecordWithdrawal(withdrawal(delivered(demo, LAMP).order_id))
    seen: list[str] = []
    token = ""
    while True:
        answer = after.ListDues(pb.ListDuesRequest(state="all", page_size=1, page_token=token))
        seen += [one.due_id for one in answer.dues]
        token = answer.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) >= 2
    assert not stranger.ListDues(pb.ListDuesRequest(state="all")).dues
    assert not stranger.ListWithdrawals(pb.ListWithdrawalsRequest()).withdrawals
    assert not after.ListLateDeliveries(pb.ListLateDeliveriesRequest()).orders
    assert after.refused("ListDues", pb.ListDuesRequest(state="some")).field == "state"
    assert after.refused("ListDues", pb.ListDuesRequest(on="2026-13-01")).field == "on"


def test_information_that_came_late_makes_the_period_longer(after: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    before = after.of(order.order_id).lines[0].withdrawal_last_day
    neither = pb.InformRequest(idempotency_key=key(), order_id=order.order_id)
    assert after.refused("Inform", neither).field == "late"
    never = pb.InformRequest(idempotency_key=key(), order_id=order.order_id, never=True)
    assert after.Inform(never).aftercare.lines[0].withdrawal_last_day > before


def test_the_command_line_lists_what_is_owed_and_who_withdrew(after: After, demo: Backend, service: Service) -> None:
    order = delivered(demo, BOTH)
    after.RecordWithdrawal(withdrawal(order.order_id, units={order.lines[0].id: 1}))
    number = order.order_id[:8]
    due = service.relance("orders", "due", token=demo.token)
    assert number in due
    assert "waits for the goods" in " ".join(due.split())
    listed = service.relance("orders", "withdrawals", "--open", token=demo.token)
    assert number in listed
    assert "accepted" in listed
    later = (today() + timedelta(days=40)).isoformat()
    gone = pb.ReportUnavailableRequest(
        idempotency_key=key(), order_id=paid(demo, BOTH).order_id, units={order.lines[0].id: 1}
    )  # fmt: skip
    after.ReportUnavailable(gone)
    late = service.relance("orders", "late", "--on", later, token=demo.token)
    assert gone.order_id[:8] in late
    assert "26 days ago" in late
    said = service.relance("orders", "late", "--on", later, "--json", token=demo.token)
    assert f'"order_id": "{gone.order_id}"' in said
    assert "on: " in service.relance("orders", "due", "--on", "soon", token=demo.token, code=2)


def test_a_statement_that_names_no_order_is_found_one_by_the_shop(
    after: After, stranger: After, demo: Backend, service: Service
) -> None:
    order = delivered(demo, LAMP)
    stray = unknown_withdrawal(after, service, "la lampe de la semaine passée")
    assert stray.about == "withdrawal"
    assert (stray.name, stray.address) == ("Camille Durand", "camille@client.example")
    assert stray.stray_id in service.relance("orders", "withdrawals", token=demo.token)
    match = pb.MatchWithdrawalRequest(idempotency_key=key(), stray_id=stray.stray_id, order_id=order.order_id)
    assert stranger.refused("MatchWithdrawal", match).code == CODE.NOT_FOUND
    both = pb.MatchWithdrawalRequest(
        idempotency_key=key(), stray_id=stray.stray_id, order_id=order.order_id, close=True
    )  # fmt: skip
    assert after.refused("MatchWithdrawal", both).field == "close"
    (statement,) = after.MatchWithdrawal(match).aftercare.statements
    assert statement.stated_at == stray.stated_at, "it counts from when it was made"
    assert statement.decisions[0].outcome == "accepted"
    assert stray.stray_id not in {one.stray_id for one in strays(after)}
    again = unknown_withdrawal(after, service, "un autre magasin, sans doute")
    closed = pb.MatchWithdrawalRequest(idempotency_key=key(), stray_id=again.stray_id, close=True)
    assert not after.MatchWithdrawal(closed).HasField("aftercare")
    assert again.stray_id not in {one.stray_id for one in strays(after)}


def strays(after: After) -> list[pb.Stray]:
    return list(after.ListWithdrawals(pb.ListWithdrawalsRequest(state="stray", page_size=100)).strays)


def unknown_withdrawal(after: After, service: Service, reference: str) -> pb.Stray:
    """What somebody states who knows neither number nor link."""
    browser = Browser("Firefox")
    try:
        page = browser.open(f"{service.http}/withdraw/demo")
        said = browser.submit(page, name="Camille Durand", email="camille@client.example", reference=reference)
        assert said.status == 200
    finally:
        browser.close()
    found: pb.Stray = next(one for one in strays(after) if one.reference == reference)
    return found


def test_the_acknowledgement_goes_where_the_consumer_asked(after: After, demo: Backend) -> None:
    order = delivered(demo, LAMP)
    said = withdrawal(order.order_id, acknowledge_to="autre@client.example")
    after.RecordWithdrawal(said)
    until(after, order.order_id, lambda one: one.statements[0].acknowledged_at)
    wrong = withdrawal(order.order_id, acknowledge_to="not an address")
    assert after.refused("RecordWithdrawal", wrong).field == "acknowledge_to"
    assert after.refused("RecordWithdrawal", withdrawal(order.order_id, words="a" * 10_001)).field == "words"
