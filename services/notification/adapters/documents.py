"""Checkout's documents, by gRPC."""

from typing import Final

import grpc

from relance.kernel.errors import InputError, NotNow
from relance.rpc.checkout.v1 import checkout_pb2, checkout_pb2_grpc

__all__ = ["CheckoutDocuments"]

_BYTES_MAX: Final = 16_777_216
_FINAL: Final = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE})


class CheckoutDocuments:
    """`CheckoutService.GetDocument` (`services.notification.ports.Documents`). Made in the loop that uses it."""

    def __init__(self, address: str, token: str, timeout_s: float) -> None:
        self._channel = grpc.aio.insecure_channel(
            address,
            options=[("grpc.max_receive_message_length", _BYTES_MAX), ("grpc.max_reconnect_backoff_ms", 2_000)],
        )
        self._stub = checkout_pb2_grpc.CheckoutServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._timeout_s = timeout_s

    async def fetch(self, shop: str, sha256: str) -> bytes:
        """The document. Raises InputError when checkout has none of this hash, NotNow when it does not answer, also
        when it refuses our token: that is set right without the message.
        """
        request = checkout_pb2.GetDocumentRequest(shop=shop, sha256=sha256)
        try:
            response = await self._stub.GetDocument(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            told = f"checkout: {error.code().name.lower()}: {error.details()}"
            if error.code() in _FINAL:
                raise InputError(told) from None
            raise NotNow(told) from None
        return bytes(response.content)

    async def close(self) -> None:
        """End the connection."""
        await self._channel.close()
