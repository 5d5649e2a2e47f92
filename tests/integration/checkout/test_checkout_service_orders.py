"""Orders over `CheckoutService`: paid, sent, delivered, refunded, listed; their links and documents."""

import time
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

import grpc

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from tests.integration.checkout.service_kit import NOTIFICATION, ON_BOTH, Backend, Service, ordered

pytestmark = ON_BOTH
LAMP, BOOK = {"LL-AURORE": 1}, {"LIVRE-LUMIERE": 1}
CODE = grpc.StatusCode


def test_an_order_is_paid_by_transfer_sent_in_parcels_and_delivered(demo: Backend, service: Service) -> None:
    placed = ordered(demo, LAMP | BOOK)
    assert not placed.payment_url
    id_ = placed.order_id
    order = demo.GetOrder(pb.GetOrderRequest(order_id=id_)).order
    assert (order.state, order.tenders[0].state) == ("confirmed", "awaited")
    paid = pb.ReceivePaymentRequest(
        idempotency_key="r", order_id=id_, amount_minor=order.total_minor, received_at=datetime.now(UTC).isoformat()
    )
    assert demo.ReceivePayment(paid).order.paid_at
    first = pb.ShipParcelRequest(
        idempotency_key="s1", order_id=id_, parcel_id="P1", units={order.lines[0].id: 1}, carrier="Colissimo",
        tracking_url="https://carrier.example/P1",
    )  # fmt: skip
    left = demo.ShipParcel(first).order
    assert [parcel.carrier for parcel in left.parcels] == ["Colissimo"]
    unsafe = pb.ShipParcelRequest(idempotency_key="s2", order_id=id_, parcel_id="P2", tracking_url="javascript:1")
    assert demo.refused("ShipParcel", unsafe).field == "tracking_url"
    rest = demo.ShipParcel(pb.ShipParcelRequest(idempotency_key="s3", order_id=id_, parcel_id="P2")).order
    assert rest.state == "shipped"
    assert len(rest.parcels) == 2
    assert demo.ShipParcel(first).order == left  # the answer of the first time
    for place, parcel in enumerate(("P1", "P2")):
        got = pb.DeliverParcelRequest(
            idempotency_key=f"d{place}", order_id=id_, parcel_id=parcel, received_by=pb.RECEIVED_BY_CONSUMER
        )
        order = demo.DeliverParcel(got).order
    assert order.state == "delivered"
    late = pb.CancelOrderRequest(idempotency_key="c", order_id=id_, reason="too late")
    assert demo.refused("CancelOrder", late).code == CODE.FAILED_PRECONDITION
    said = service.relance("checkout", "orders", "show", id_, token=demo.token)
    assert "Lampe Aurore" in said
    assert id_ in service.relance("checkout", "orders", "list", "--state", "delivered", token=demo.token)


def test_a_card_order_is_paid_at_the_bank_and_refunded(demo: Backend, service: Service) -> None:
    placed = ordered(demo, BOOK, "card")
    assert placed.payment_url.startswith(service.bank.url)
    cards = service.bank.http.get("/_bank/cards").json()
    assert cards
    service.bank.pay(placed.payment_url, "4242424242424242")
    order = _until(demo, placed.order_id, "confirmed")
    assert order.paid_at
    back = pb.RefundOrderRequest(idempotency_key="b", order_id=placed.order_id, amount_minor=500)
    assert demo.RefundOrder(back).order.refunds[0].amount_minor == 500
    assert len(demo.RefundOrder(back).order.refunds) == 1
    too_much = pb.RefundOrderRequest(idempotency_key="b2", order_id=placed.order_id, amount_minor=10**6)
    assert demo.refused("RefundOrder", too_much).code == CODE.FAILED_PRECONDITION


def test_orders_come_in_pages(demo: Backend) -> None:
    for _ in range(3):
        ordered(demo, BOOK)
    seen: list[str] = []
    token = ""
    while True:
        page = demo.ListOrders(pb.ListOrdersRequest(page_size=2, page_token=token))
        seen += [order.order_id for order in page.orders]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) >= 3
    assert demo.refused("ListOrders", pb.ListOrdersRequest(state="lost")).field == "state"


def test_links_lead_to_their_purpose(demo: Backend, other: Backend, service: Service) -> None:
    placed = ordered(demo, BOOK)
    ask = pb.IssueLinkRequest(purpose=pb.LINK_PURPOSE_ORDER_VIEW, subject_id=placed.order_id)
    assert demo.IssueLink(ask).url.startswith(f"{service.http}/v/")
    assert other.refused("IssueLink", ask).code == CODE.NOT_FOUND
    assert demo.refused("IssueLink", pb.IssueLinkRequest(subject_id=placed.order_id)).field == "purpose"


def test_documents_are_for_their_shop_and_for_notification(demo: Backend, other: Backend, service: Service) -> None:
    placed = ordered(demo, LAMP)
    end_s = time.monotonic() + 60
    documents: dict[str, str] = {}
    while not documents:
        assert time.monotonic() < end_s, "no confirmation within a minute"
        time.sleep(0.2)
        order = demo.GetOrder(pb.GetOrderRequest(order_id=placed.order_id)).order
        documents = {one.name: one.sha256 for one in order.documents if one.name.endswith(".pdf")}
    hash_ = next(iter(documents.values()))
    notification = Backend(service.channel, NOTIFICATION)
    content = notification.GetDocument(pb.GetDocumentRequest(shop="demo", sha256=hash_)).content
    assert content.startswith(b"%PDF")
    assert sha256(content).hexdigest() == hash_
    assert demo.GetDocument(pb.GetDocumentRequest(sha256=hash_)).content == content
    assert other.refused("GetDocument", pb.GetDocumentRequest(sha256=hash_)).code == CODE.NOT_FOUND
    assert other.refused("GetDocument", pb.GetDocumentRequest(shop="demo", sha256=hash_)).code == CODE.NOT_FOUND
    assert notification.refused("GetDocument", pb.GetDocumentRequest(sha256=hash_)).field == "shop"
    assert notification.refused("ListOrders", pb.ListOrdersRequest()).code == CODE.PERMISSION_DENIED


def test_calls_are_counted_by_how_they_ended(service: Service, demo: Backend) -> None:
    demo.refused("GetOrder", pb.GetOrderRequest(order_id=str(uuid4())))
    assert 'relance_checkout_calls_total{method="GetOrder",status="NOT_FOUND"}' in service.metrics()


def _until(backend: Backend, order_id: str, state: str) -> pb.Order:
    end_s = time.monotonic() + 30
    while True:
        order: pb.Order = backend.GetOrder(pb.GetOrderRequest(order_id=order_id)).order
        if order.state == state:
            return order
        assert time.monotonic() < end_s, order
        time.sleep(0.1)
