"""What the shop's backend calls: the checkout over gRPC, and tracking over HTTP."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import grpc
import httpx

from examples.shop.catalogue import Product
from examples.shop.settings import Settings
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2_grpc

__all__ = ["Checkout", "Tracking", "items"]

DEADLINE_S: Final = 10.0
_LOG: Final = logging.getLogger("shop")


def items(products: Mapping[str, Product], cart: Mapping[str, int]) -> list[dict[str, Any]]:
    """The lines of a cart as events tell them."""
    return [
        {
            "product_id": products[sku].product_id,
            "sku": sku,
            "name": products[sku].name,
            "quantity": quantity,
            "price_minor": products[sku].price_minor,
        }
        for sku, quantity in cart.items()
    ]


class Checkout:
    """The checkout, as this shop: a channel and the shop's token. Made in the event loop that serves."""

    def __init__(self, settings: Settings) -> None:
        self._channel = grpc.aio.insecure_channel(settings.checkout)
        self._stub = checkout_pb2_grpc.CheckoutServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {settings.checkout_token}"),)

    async def url(self, visitor: str, cart_id: str, cart: Mapping[str, int], return_url: str) -> str:
        """Where the shopper goes to order this cart. Two presses of the button with the same cart lead to one checkout.

        Raises grpc.aio.AioRpcError, whose details are words for a person.
        """
        content = ",".join(f"{sku}:{quantity}" for sku, quantity in sorted(cart.items()))
        request = pb.CreateCheckoutRequest(
            idempotency_key=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{cart_id}/{content}")),
            cart=pb.Cart(
                cart_id=cart_id,
                visitor_id=visitor,
                lines=[pb.CartLine(sku=sku, quantity=quantity) for sku, quantity in cart.items()],
            ),
            locale="fr",
            return_url=return_url,
        )
        answer = await self._stub.CreateCheckout(request, timeout=DEADLINE_S, metadata=self._metadata)
        return str(answer.url)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


class Tracking:
    """Tells what happens in the shop. A page never waits for it: what cannot be told within seconds is dropped."""

    def __init__(self, settings: Settings) -> None:
        self._on = bool(settings.tracking_key)
        self._shop = settings.shop
        headers = {
            "authorization": f"Bearer {settings.tracking_key}",
            "content-type": "application/cloudevents-batch+json",
        }
        self._client = httpx.AsyncClient(base_url=settings.tracking, headers=headers, timeout=3.0)
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self, type_: str, visitor: str, data: Mapping[str, Any]) -> None:
        """Send an event in the background."""
        if not self._on:
            return
        event = {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": f"/shops/{self._shop}",
            "type": type_,
            "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "visitorid": visitor,
            "data": dict(data),
        }
        task = asyncio.create_task(self._send(event))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _send(self, event: dict[str, Any]) -> None:
        try:
            answer = await self._client.post("/v1/events", json=[event])
            if answer.status_code != 202:
                _LOG.warning("tracking says %s to %s: %s", answer.status_code, event["type"], answer.text[:200])
        except httpx.HTTPError as error:
            _LOG.warning("tracking does not take %s: %s", event["type"], error or type(error).__name__)

    async def close(self) -> None:
        """Wait for what is being told, then close the connections."""
        if self._telling:
            await asyncio.wait(set(self._telling), timeout=3.0)
        await self._client.aclose()
