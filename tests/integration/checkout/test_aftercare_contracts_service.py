"""Subscriptions over gRPC: what is told of a contract, advances, its end, and notifications that name none."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
import yaml

from relance.cli.demo_checkout.browser import Browser
from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from relance.rules.law.calendar import after_months
from tests.integration.checkout.aftercare_kit import After, ago, key, paid, today, until
from tests.integration.checkout.service_kit import EXAMPLE, Backend, Service

CODE = grpc.StatusCode
YEAR = {"term_months": 12, "renews_tacitly": True, "refusal_days": 31, "monthly_total_minor": 900,
        "period_total_minor": 10_800, "duration": "12 mois"}  # fmt: skip
MAGAZINE = {"LL-MAG": 1, "LL-AURORE": 1}


def article(sku: str, subscription: dict[str, Any]) -> bytes:
    facts = {"characteristics": "un numéro par mois", "delivery_days": 0, "subscription": subscription}
    told = {"sku": sku, "product_id": sku.lower(), "name": f"Abonnement {sku}", "kind": "service", "facts": facts}
    return json.dumps(told).encode()


@pytest.fixture(scope="module")
def press(service: Service) -> Backend:
    """A shop that sells a magazine by the year, and one that can be left at any time."""
    backend = service.backend("press")
    shop = yaml.safe_load((EXAMPLE / "shop.yaml").read_text()) | {"id": "press"}
    shop["legal"]["sells"] = ["goods", "digital", "service"]
    backend.PutShop(checkout.PutShopRequest(shop=json.dumps(shop).encode()))
    lamp = next(one for one in yaml.safe_load((EXAMPLE / "articles.yaml").read_text()) if one["sku"] == "LL-AURORE")
    free = {"notice_days": 30, "monthly_total_minor": 500, "period_total_minor": 500, "duration": "sans durée"}
    articles = [json.dumps(lamp).encode(), article("LL-MAG", YEAR), article("LL-FREE", free)]
    backend.PutArticles(checkout.PutArticlesRequest(articles=articles))
    offers = [
        checkout.Offer(sku=sku, prices=[checkout.Price(id="p1", since="2026-09-01T00:00:00+02:00", price_minor=minor)])
        for sku, minor in (("LL-MAG", 900), ("LL-FREE", 500), ("LL-AURORE", 12_900))
    ]
    backend.PutOffers(checkout.PutOffersRequest(offers=offers))
    backend.PutStock(checkout.PutStockRequest(levels=[checkout.StockLevel(sku="LL-AURORE", on_hand=1_000)]))
    return backend


@pytest.fixture(scope="module")
def after(press: Backend, service: Service) -> After:
    return After(press, service)


@pytest.fixture(scope="module")
def stranger(other: Backend, service: Service) -> After:
    return After(other, service)


def iso(days: int = 0) -> str:
    return (today() + timedelta(days=days)).isoformat()


def begun(after: After, press: Backend, sku: str = "LL-MAG") -> tuple[checkout.Order, pb.Contract]:
    """An order that began a contract."""
    order = paid(press, {sku: 1, "LL-AURORE": 1})
    (contract,) = until(after, order.order_id, lambda one: one.contracts).contracts
    return order, contract


@pytest.fixture(scope="module")
def untouched(after: After, press: Backend) -> pb.Contract:
    """A contract of which only what is refused is asked."""
    return begun(after, press)[1]


def end(contract: pb.Contract, **fields: Any) -> pb.TerminateContractRequest:
    told = {"idempotency_key": key(), "contract_id": contract.contract_id, "channel": "phone", "asked_at": ago()}
    return pb.TerminateContractRequest(**(told | fields))


def advance(contract: pb.Contract, **fields: Any) -> pb.RecordAdvanceRequest:
    told: dict[str, Any] = {"idempotency_key": key(), "contract_id": contract.contract_id, "minor": 900,
                            "paid_on": iso(), "from_on": iso(40), "until_on": iso(69)}  # fmt: skip
    return pb.RecordAdvanceRequest(**(told | fields))


def listed(after: After, contract_id: str, state: str = "") -> pb.Contract | None:
    """A contract as the list has it."""
    token = ""
    while True:
        page = after.ListContracts(pb.ListContractsRequest(state=state, page_size=1, page_token=token))
        found = next((one for one in page.contracts if one.contract_id == contract_id), None)
        token = page.next_page_token
        if found is not None or not token:
            return found


def test_a_contract_is_told_the_same_by_its_order_and_by_the_list(
    after: After, stranger: After, press: Backend
) -> None:
    order, contract = begun(after, press)
    assert contract == listed(after, contract.contract_id) == listed(after, contract.contract_id, "running")
    assert listed(after, contract.contract_id, "ended") is None
    assert listed(stranger, contract.contract_id) is None
    renews = after_months(today(), 12)
    assert (contract.order_id, contract.line_id) == (order.order_id, order.lines[0].id)
    assert (contract.started_on, contract.tacit, contract.period_minor) == (iso(), True, 900)
    assert (contract.renews_on, contract.refusal_until) == (
        renews.isoformat(), (renews - timedelta(days=31)).isoformat()
    )  # fmt: skip
    assert contract.notice_from < contract.notice_until < contract.refusal_until
    _, free = begun(after, press, "LL-FREE")
    assert (free.renews_on, free.notice_from, free.tacit) == ("", "", False), "without end nothing renews itself"
    asked: dict[str, Any]
    for asked, field in (
        ({"state": "some"}, "state"), ({"page_size": 101}, "page_size"), ({"page_token": "x"}, "page_token"),
    ):  # fmt: skip
        told = after.refused("ListContracts", pb.ListContractsRequest(**asked))
        assert (told.code, told.field) == (CODE.INVALID_ARGUMENT, field)


def test_its_end_is_confirmed_and_again_to_the_same_day(after: After, press: Backend) -> None:
    order, contract = begun(after, press)
    said = end(contract, words="Je résilie.", name="Camille Durand", confirm_to="autre@client.example")
    ended = after.TerminateContract(said).contract
    assert after.TerminateContract(said).contract == ended, "the answer of the first time"
    assert (ended.ends_on, ended.effects, ended.free) == (contract.renews_on, "term_end", False)
    assert ended.renews_on == "", "it renews itself no more"
    again = after.TerminateContract(end(contract)).contract
    assert again == ended == listed(after, contract.contract_id)
    assert list(after.of(order.order_id).contracts) == [ended]


@pytest.mark.parametrize(
    ("fields", "code", "field", "article"),
    [
        ({"channel": "fax"}, "INVALID_ARGUMENT", "channel", ""),
        ({"asked_at": "yesterday"}, "INVALID_ARGUMENT", "asked_at", ""),
        ({"asked_at": ago(hours=-1)}, "INVALID_ARGUMENT", "asked_at", ""),
        ({"asked_at": ago(days=2)}, "INVALID_ARGUMENT", "asked_at", "D215-2"),
        ({"wished_on": iso(-1)}, "INVALID_ARGUMENT", "wished_on", "D215-2"),
        ({"wished_on": "soon"}, "INVALID_ARGUMENT", "wished_on", ""),
        ({"confirm_to": "nobody"}, "INVALID_ARGUMENT", "confirm_to", ""),
        ({"name": "a" * 1_001}, "INVALID_ARGUMENT", "name", ""),
        ({"words": "a" * 10_001}, "INVALID_ARGUMENT", "words", ""),
        ({"idempotency_key": ""}, "INVALID_ARGUMENT", "idempotency_key", ""),
        ({"contract_id": "c"}, "INVALID_ARGUMENT", "contract_id", ""),
        ({"contract_id": str(uuid4())}, "NOT_FOUND", "", ""),
    ],
)
def test_what_is_no_termination_ends_nothing(
    after: After, untouched: pb.Contract, fields: dict[str, Any], code: str, field: str, article: str
) -> None:
    told = after.refused("TerminateContract", end(untouched, **fields))
    assert (told.code.name, told.field, told.article) == (code, field, article)
    assert told.rule == ("B21" if article else "")
    assert listed(after, untouched.contract_id) == untouched


def test_what_was_paid_in_advance_goes_back_by_the_day_with_its_date(
    after: After, stranger: After, press: Backend
) -> None:
    order, contract = begun(after, press, "LL-FREE")
    assert stranger.refused("RecordAdvance", advance(contract)).code == CODE.NOT_FOUND
    assert stranger.refused("TerminateContract", end(contract)).code == CODE.NOT_FOUND
    said = advance(contract, from_on=iso(), until_on=iso(59), minor=6_000)
    known = after.RecordAdvance(said).contract
    assert after.RecordAdvance(said).contract == known, "the answer of the first time"
    (paid_ahead,) = known.advances
    assert (paid_ahead.minor, paid_ahead.from_on, paid_ahead.until_on) == (6_000, iso(), iso(59))
    ended = after.TerminateContract(end(contract)).contract
    assert (ended.ends_on, ended.effects, ended.due_minor) == (iso(30), "notice_days", 3_000)
    (due,) = after.of(order.order_id).dues
    assert (due.regime, due.amount_minor, due.due_on, due.by_hand) == ("renewal", 3_000, iso(60), True)
    assert due.article == "L241-3"
    later = after.RecordAdvance(advance(contract)).contract
    assert (len(later.advances), later.due_minor) == (2, 3_900)
    assert sorted(one.amount_minor for one in after.of(order.order_id).dues) == [900, 3_000]


@pytest.mark.parametrize(
    ("fields", "field", "article"),
    [
        ({"minor": 0}, "minor", "L215-1 al. 3"),
        ({"minor": -1}, "minor", "L215-1 al. 3"),
        ({"minor": 10**12}, "minor", ""),
        ({"paid_on": iso(1)}, "paid_on", "L215-1 al. 3"),
        ({"paid_on": iso(-1)}, "paid_on", "L215-1 al. 3"),
        ({"paid_on": ""}, "paid_on", ""),
        ({"from_on": iso(-1)}, "from_on", "L215-1 al. 3"),
        ({"until_on": iso(39)}, "until_on", "L215-1 al. 3"),
        ({"until_on": "2026-02-30"}, "until_on", ""),
        ({"idempotency_key": "é"}, "idempotency_key", ""),
    ],
)
def test_what_is_no_advance_is_not_recorded(
    after: After, untouched: pb.Contract, fields: dict[str, Any], field: str, article: str
) -> None:
    told = after.refused("RecordAdvance", advance(untouched, **fields))
    assert (told.code, told.field, told.article) == (CODE.INVALID_ARGUMENT, field, article)
    assert told.rule == ("B23" if article else "")
    assert listed(after, untouched.contract_id) == untouched


def test_a_notification_that_names_no_contract_is_found_one_by_the_shop(
    after: After, stranger: After, press: Backend, service: Service
) -> None:
    order, contract = begun(after, press)
    stray = notified(after, service, "le magazine de lampes")
    assert (stray.about, stray.name, stray.address) == ("termination", "Camille Durand", "autre@client.example")
    assert stray.stray_id in service.relance("orders", "withdrawals", token=press.token)
    match = pb.MatchTerminationRequest(
        idempotency_key=key(), stray_id=stray.stray_id, contract_id=contract.contract_id
    )  # fmt: skip
    assert stranger.refused("MatchTermination", match).code == CODE.NOT_FOUND
    wrong = pb.MatchTerminationRequest(idempotency_key=key(), stray_id=str(uuid4()), contract_id=contract.contract_id)
    assert after.refused("MatchTermination", wrong).code == CODE.NOT_FOUND
    wrong = pb.MatchTerminationRequest(idempotency_key=key(), stray_id="x", contract_id=contract.contract_id)
    assert after.refused("MatchTermination", wrong).field == "stray_id"
    wrong = pb.MatchTerminationRequest(idempotency_key=key(), stray_id=stray.stray_id, contract_id=str(uuid4()))
    assert after.refused("MatchTermination", wrong).code == CODE.NOT_FOUND
    withdrawal = pb.MatchWithdrawalRequest(idempotency_key=key(), stray_id=stray.stray_id, order_id=order.order_id)
    assert after.refused("MatchWithdrawal", withdrawal).code == CODE.NOT_FOUND, "it withdraws from nothing"
    assert listed(after, contract.contract_id) == contract
    ended = after.MatchTermination(match).contract
    assert (ended.terminated_at, ended.ends_on) == (stray.stated_at, contract.renews_on)
    assert stray.stray_id not in {one.stray_id for one in strays(after)}
    again = notified(after, service, "autre chose")
    closed = pb.MatchWithdrawalRequest(idempotency_key=key(), stray_id=again.stray_id, close=True)
    assert not after.MatchWithdrawal(closed).HasField("aftercare")
    match = pb.MatchTerminationRequest(
        idempotency_key=key(), stray_id=again.stray_id, contract_id=contract.contract_id
    )  # fmt: skip
    assert after.refused("MatchTermination", match).code == CODE.NOT_FOUND


def strays(after: After) -> list[pb.Stray]:
    return list(after.ListWithdrawals(pb.ListWithdrawalsRequest(state="stray", page_size=100)).strays)


def notified(after: After, service: Service, reference: str) -> pb.Stray:
    """What somebody notifies who knows no number, in the three steps of the page."""
    browser = Browser("Firefox")
    try:
        page = browser.open(f"{service.http}/terminate/press")
        said = {"name": "Camille Durand", "email": "autre@client.example", "reference": reference}
        recap = browser.submit(page, ("act", "check"), **said)
        assert browser.submit(recap, ("act", "notify")).status == 200
    finally:
        browser.close()
    found: pb.Stray = next(one for one in strays(after) if one.reference == reference)
    return found
