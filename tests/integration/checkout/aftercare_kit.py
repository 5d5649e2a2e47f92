"""A shop's backend at `AftercareService`, and orders that are paid, sent and received."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from relance.rpc.checkout.v1 import aftercare_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2 as checkout
from relance.rpc.checkout.v1.aftercare_pb2_grpc import AftercareServiceStub
from relance.rules.law.calendar import paris_date
from tests.integration.checkout.service_kit import Backend, Service, ordered


class After(Backend):
    """A shop's backend, or whoever holds a token, at the service of what follows orders."""

    def __init__(self, backend: Backend, service: Service) -> None:
        super().__init__(service.channel, backend.token)
        self.stub = AftercareServiceStub(service.channel)

    def of(self, order_id: str) -> pb.Aftercare:
        """All that follows an order."""
        found: pb.Aftercare = self.GetAftercare(pb.GetAftercareRequest(order_id=order_id)).aftercare
        return found


def key() -> str:
    """An idempotency key."""
    return str(uuid4())


def ago(**delta: float) -> str:
    """An instant so long ago."""
    return (datetime.now(UTC) - timedelta(**delta)).isoformat()


def today() -> date:
    """The Paris date."""
    return paris_date(datetime.now(UTC))


def paid(demo: Backend, lines: dict[str, int]) -> checkout.Order:
    """An order whose transfer has come."""
    placed = ordered(demo, lines)
    order = demo.GetOrder(checkout.GetOrderRequest(order_id=placed.order_id)).order
    received = checkout.ReceivePaymentRequest(
        idempotency_key=key(), order_id=order.order_id, amount_minor=order.total_minor, received_at=ago()
    )
    found: checkout.Order = demo.ReceivePayment(received).order
    return found


def delivered(demo: Backend, lines: dict[str, int]) -> checkout.Order:
    """An order that the consumer has in hand."""
    order = paid(demo, lines)
    demo.ShipParcel(checkout.ShipParcelRequest(idempotency_key=key(), order_id=order.order_id, parcel_id="P1"))
    got = checkout.DeliverParcelRequest(
        idempotency_key=key(), order_id=order.order_id, parcel_id="P1", received_by=checkout.RECEIVED_BY_CONSUMER
    )
    found: checkout.Order = demo.DeliverParcel(got).order
    return found


def withdrawal(order_id: str, **fields: Any) -> pb.RecordWithdrawalRequest:
    """A statement that came by telephone just now."""
    told = {"idempotency_key": key(), "order_id": order_id, "channel": "phone", "stated_at": ago()} | fields
    return pb.RecordWithdrawalRequest(**told)


def until(after: After, order_id: str, what: Any) -> pb.Aftercare:
    """The aftercare once `what` holds of it."""
    end_s = time.monotonic() + 30
    while True:
        found = after.of(order_id)
        if what(found):
            return found
        assert time.monotonic() < end_s, found
        time.sleep(0.1)
