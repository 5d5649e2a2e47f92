"""A shop with pages of its own: an order through GetDisclosures and Place, told step by step.

    RELANCE_CHECKOUT_TOKEN=… python -m examples.shop.headless

What a page would show is printed; what its shopper does there is said with its time. The payment by bank transfer needs
no page of a bank, so the order stands at the end.
"""

import hashlib
import sys
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import grpc

from examples.shop.settings import Settings, read
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2_grpc

__all__ = ["order"]

DEADLINE_S: Final = 10.0
ACTS: Final = (
    pb.ACT_KIND_RECAP_SHOWN,
    pb.ACT_KIND_EARLY_START_REQUESTED,
    pb.ACT_KIND_WITHDRAWAL_LOSS_ACKNOWLEDGED,
    pb.ACT_KIND_TERMS_ACCEPTED,
    pb.ACT_KIND_ORDER_PRESSED,
)


class _Backend:
    """The shop's backend: each call with its deadline and the shop's token."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub: Any = checkout_pb2_grpc.CheckoutServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._stub, method)
        return lambda request: call(request, timeout=DEADLINE_S, metadata=self._metadata)


def order(settings: Settings, lines: Mapping[str, int], email: str) -> str:
    """Order `lines` (units by sku) by bank transfer; returns the order's id. Raises grpc.RpcError."""
    with grpc.insecure_channel(settings.checkout) as channel:
        backend = _Backend(channel, settings.checkout_token)
        checkout_id = _fill_in(backend, lines, email)
        disclosures = backend.GetDisclosures(pb.GetDisclosuresRequest(checkout_id=checkout_id))
        rendered = _show(disclosures)
        acts = [_act(kind) for kind in ACTS]
        placed = backend.Place(
            pb.PlaceRequest(
                idempotency_key=str(uuid.uuid4()),
                checkout_id=checkout_id,
                set_id=disclosures.set_id,
                rendered=rendered,
                button_text=disclosures.button_texts[0],
                acts=acts,
                channel=pb.CHANNEL_WEB,
                locale=disclosures.language,
                user_agent="example shop",
            )
        )
        return str(placed.order_id)


def _fill_in(backend: Any, lines: Mapping[str, int], email: str) -> str:
    cart = pb.Cart(
        cart_id=f"headless-{uuid.uuid4().hex[:12]}",
        lines=[pb.CartLine(sku=sku, quantity=quantity) for sku, quantity in lines.items()],
    )
    created = backend.CreateCheckout(
        pb.CreateCheckoutRequest(idempotency_key=str(uuid.uuid4()), cart=cart, locale="fr")
    )
    checkout_id = created.checkout.checkout_id
    address = pb.Address(name="Camille Durand", line1="12 rue des Carmes", postcode="44000", city="Nantes")
    delivered = any(mode.id == "home" for mode in created.checkout.delivery_modes)
    backend.UpdateCheckout(
        pb.UpdateCheckoutRequest(
            checkout_id=checkout_id,
            contact=pb.Contact(email=email, first_name="Camille", last_name="Durand"),
            delivery=pb.DeliveryChoice(mode="home", address=address) if delivered else None,
            payment=pb.PaymentChoice(means="transfer"),
        )
    )
    return str(checkout_id)


def _show(disclosures: Any) -> dict[str, str]:
    """Show all texts; returns the hash of what was shown of each."""
    rendered = {}
    for text in disclosures.texts:
        sys.stdout.write(f"--- {text.name} ({text.rule}, {text.article})\n{text.text}\n\n")
        rendered[text.name] = hashlib.sha256(text.text.encode()).hexdigest()
    sys.stdout.write(f"total {disclosures.totals.total_minor / 100:.2f} EUR   [ {disclosures.button_texts[0]} ]\n")
    return rendered


def _act(kind: int) -> Any:
    """What the shopper does next, now."""
    time.sleep(0.01)
    return pb.ShopperAct(kind=kind, at=datetime.now(UTC).isoformat())


def main() -> int:
    """Order two articles."""
    try:
        order_id = order(read(), {"LIVRE-LUMIERE": 1, "LL-CAFETIERE": 1}, "camille@client.example")
    except grpc.RpcError as error:
        sys.stderr.write(f"refused: {error.code().name}: {error.details()}\n")
        return 1
    sys.stdout.write(f"ordered: {order_id}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
