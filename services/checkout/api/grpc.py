"""The gRPC server of one process: its bounds, its health, its start and its end."""

from typing import Final

from relance.rpc.checkout.v1 import (
    aftercare_pb2,
    aftercare_pb2_grpc,
    checkout_pb2,
    checkout_pb2_grpc,
    law_pb2,
    law_pb2_grpc,
)
from relance.serving.grpc_server import UNBOUNDED, GrpcServer
from services.checkout.api.checkout import CheckoutServicer
from services.checkout.api.law import LawServicer
from services.checkout.settings import Settings

__all__ = ["GrpcEdge"]

_LAW: Final = law_pb2.DESCRIPTOR.services_by_name["LawService"].full_name
_AFTERCARE: Final = aftercare_pb2.DESCRIPTOR.services_by_name["AftercareService"].full_name
_CHECKOUT: Final = checkout_pb2.DESCRIPTOR.services_by_name["CheckoutService"].full_name


class GrpcEdge:
    """The gRPC server of one process, in its event loop. Make it, `start` it, `drain` it, `stop` it."""

    def __init__(self, law: LawServicer, settings: Settings, checkout: CheckoutServicer | None = None) -> None:
        """Without `checkout`, questions of law alone are answered."""
        self._law = law
        self._settings = settings
        self._server = GrpcServer(
            [_LAW] if checkout is None else [_LAW, _CHECKOUT, _AFTERCARE],
            calls_max=settings.grpc_calls_max,
            connection_calls_max=64,
            received_bytes_max=settings.grpc_message_bytes_max,
            sent_bytes_max=UNBOUNDED,  # an answer is bounded by its question, the book, a page of orders
        )
        law_pb2_grpc.add_LawServiceServicer_to_server(law, self._server.server)
        if checkout is not None:
            checkout_pb2_grpc.add_CheckoutServiceServicer_to_server(checkout, self._server.server)
            aftercare_pb2_grpc.add_AftercareServiceServicer_to_server(checkout.aftercare(), self._server.server)

    async def start(self, host: str, port: int) -> int:
        """Begin to answer; returns the port. Raises InputError when the address cannot be had."""
        bound = self._server.bind(host, port)
        await self._server.start()
        return bound

    async def drain(self) -> None:
        """Say NOT_SERVING to probes."""
        await self._server.drain()

    async def stop(self) -> None:
        """Refuse new calls, wait for those that run (at most `drain_s`), then cut them off."""
        await self._server.stop(self._settings.drain_s)
        self._law.close()
