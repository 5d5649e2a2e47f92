"""What `CheckoutService` refuses: every call of another shop about what it does not have, and injected texts."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import grpc
import pytest

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.service_kit import ON_BOTH, Backend, Refusal, Service, click, filled_in, ordered

pytestmark = ON_BOTH
LAMP = {"LL-AURORE": 1}
METHODS = {one.name: one for one in pb.DESCRIPTOR.services_by_name["CheckoutService"].methods}
OF_SUBJECT = sorted(
    name for name, one in METHODS.items() if {"checkout_id", "order_id"} & set(one.input_type.fields_by_name)
)
NO_SUBJECT = {
    "PutShop", "GetShop", "PutArticles", "PutOffers", "PutStock", "PutCoupons", "PutPurses", "CreateCheckout",
    "ListOrders", "ListRefunds",
}  # fmt: skip  # the shop is the token's; nothing else is named
ELSEWHERE = {"GetDocument", "IssueLink"}  # by hash and by subject: see test_checkout_service_orders
OPERATORS = {"CreateToken", "RevokeToken", "ListOutbox", "RetryOutbox"}
FIELDS: dict[str, Any] = {
    "idempotency_key": "k", "reason": "r", "amount_minor": 1, "parcel_id": "P1", "refund_id": str(uuid4()),
    "received_by": pb.RECEIVED_BY_CONSUMER, "received_at": datetime.now(UTC).isoformat(), "email": "a@example.org",
    "consented_at": datetime.now(UTC).isoformat(), "agreed_at": datetime.now(UTC).isoformat(), "means": "transfer",
}  # fmt: skip


@pytest.fixture(scope="module")
def mine(demo: Backend) -> tuple[str, str]:
    """A checkout and an order of the example shop."""
    return filled_in(demo, LAMP), ordered(demo, LAMP).order_id


def test_no_call_was_forgotten(service: Service) -> None:
    assert set(METHODS) == set(OF_SUBJECT) | NO_SUBJECT | ELSEWHERE | OPERATORS


def _request(name: str, subjects: dict[str, str]) -> Any:
    kind = getattr(pb, METHODS[name].input_type.name)
    known = METHODS[name].input_type.fields_by_name
    return kind(**{field: value for field, value in (FIELDS | subjects).items() if field in known})


def _place(backend: Backend, mine: tuple[str, str]) -> Any:
    shown = backend.GetDisclosures(pb.GetDisclosuresRequest(checkout_id=mine[0]))
    return click(mine[0], shown)


@pytest.mark.parametrize("name", OF_SUBJECT)
def test_what_another_shop_has_is_refused_as_what_nobody_has(
    demo: Backend, other: Backend, mine: tuple[str, str], name: str
) -> None:
    before = demo.GetOrder(pb.GetOrderRequest(order_id=mine[1])).order

    def refused(checkout_id: str, order_id: str) -> tuple[Any, ...]:
        request = _request(name, {"checkout_id": checkout_id, "order_id": order_id})
        if name == "Place":
            request = _place(demo, mine)
            request.checkout_id = checkout_id
        found: Refusal = other.refused(name, request)
        text = found.text.replace(checkout_id, "…").replace(order_id, "…")
        return found.code, found.field, text

    theirs = refused(*mine)
    assert theirs == refused(str(uuid4()), str(uuid4()))
    assert theirs[0] in {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
    assert demo.GetOrder(pb.GetOrderRequest(order_id=mine[1])).order == before


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_what_operators_may_no_shop_may(demo: Backend, name: str) -> None:
    assert demo.refused(name, _request(name, {})).code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("name", sorted(set(METHODS)))
def test_nobody_calls_without_a_token(service: Service, name: str) -> None:
    stranger = Backend(service.channel, "ct_demo_" + "x" * 43)
    assert stranger.refused(name, _request(name, {})).code == grpc.StatusCode.UNAUTHENTICATED


def test_lists_of_a_shop_are_its_own(demo: Backend, other: Backend, mine: tuple[str, str]) -> None:
    assert mine[1] in {one.order_id for one in demo.ListOrders(pb.ListOrdersRequest(page_size=100)).orders}
    assert not other.ListOrders(pb.ListOrdersRequest(page_size=100)).orders
