"""The gRPC server of one process: its bounds, its health, its start and its end."""

from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from relance.kernel.errors import InputError
from relance.rpc.checkout.v1 import law_pb2, law_pb2_grpc
from services.checkout.api.law import LawServicer
from services.checkout.settings import Settings

__all__ = ["GrpcEdge"]

_SERVICE: Final = law_pb2.DESCRIPTOR.services_by_name["LawService"].full_name
_OPTIONS_S: Final = 1000  # gRPC's options are in milliseconds


class GrpcEdge:
    """The gRPC server of one process, in its event loop. Make it, `start` it, `drain` it, `stop` it."""

    def __init__(self, law: LawServicer, settings: Settings) -> None:
        self._law = law
        self._settings = settings
        self._health = health.HealthServicer()
        self._server = grpc.aio.server(
            maximum_concurrent_rpcs=settings.grpc_calls_max,
            options=[
                ("grpc.max_receive_message_length", settings.grpc_message_bytes_max),
                ("grpc.max_send_message_length", -1),  # an answer is bounded by its question and by the book
                ("grpc.max_metadata_size", 16_384),
                ("grpc.max_concurrent_streams", 64),
                ("grpc.keepalive_time_ms", 30 * _OPTIONS_S),
                ("grpc.keepalive_timeout_ms", 10 * _OPTIONS_S),
                ("grpc.http2.min_ping_interval_without_data_ms", 10 * _OPTIONS_S),
                ("grpc.max_connection_idle_ms", 300 * _OPTIONS_S),
                ("grpc.so_reuseport", 0),
            ],
        )
        law_pb2_grpc.add_LawServiceServicer_to_server(law, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, host: str, port: int) -> int:
        """Begin to answer; returns the port. Raises InputError when the address cannot be had."""
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = self._server.add_insecure_port(shown)
        except RuntimeError as error:
            raise InputError(f"cannot listen on {shown} for gRPC: {error}") from None
        await self._server.start()
        for name in ("", _SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return int(bound)

    async def drain(self) -> None:
        """Say NOT_SERVING to probes."""
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Refuse new calls, wait for those that run (at most `drain_s`), then cut them off."""
        await self._server.stop(self._settings.drain_s)
        self._law.close()
