"""The gRPC server of one process: its bounds, its health, its start and its end."""

from collections.abc import Sequence
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health

from relance.kernel.errors import InputError

__all__ = ["UNBOUNDED", "GrpcServer", "authority"]

UNBOUNDED: Final = -1  # of a message's bytes
_OPTIONS_S: Final = 1000  # gRPC's options are in milliseconds
_METADATA_BYTES_MAX: Final = 16_384


def authority(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


class GrpcServer:
    """A server in the running event loop, with the standard health service for `services` (full names).

    Give servicers to `server`, then `bind`, `start`, `drain`, `stop`. `calls_max` bounds what is open at a time in all,
    `connection_calls_max` what one client's connection may have open.
    """

    def __init__(
        self, services: Sequence[str], *, calls_max: int, connection_calls_max: int,
        received_bytes_max: int, sent_bytes_max: int,
    ) -> None:  # fmt: skip
        self._services = ("", *services)
        self._health = health.HealthServicer()
        self.server = grpc.aio.server(
            maximum_concurrent_rpcs=calls_max,
            options=[
                ("grpc.max_receive_message_length", received_bytes_max),
                ("grpc.max_send_message_length", sent_bytes_max),
                ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
                ("grpc.max_concurrent_streams", connection_calls_max),
                ("grpc.keepalive_time_ms", 30 * _OPTIONS_S),
                ("grpc.keepalive_timeout_ms", 10 * _OPTIONS_S),
                ("grpc.http2.min_ping_interval_without_data_ms", 10 * _OPTIONS_S),
                ("grpc.max_connection_idle_ms", 300 * _OPTIONS_S),
                ("grpc.so_reuseport", 0),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)

    def bind(self, host: str, port: int) -> int:
        """Take the address, port 0 for any; returns the port. Raises InputError when it cannot be had."""
        shown = authority(host, port)
        try:
            return int(self.server.add_insecure_port(shown))
        except RuntimeError as error:
            raise InputError(f"cannot listen on {shown} for gRPC: {error}") from None

    async def start(self, *, serving: bool = True) -> None:
        """Begin to answer; `serving` is what probes are told."""
        await self.server.start()
        await self.tell(serving=serving)

    async def tell(self, *, serving: bool) -> None:
        """What probes are told from now on. Changes nothing once the server drains."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._services:
            await self._health.set(name, status)

    async def drain(self) -> None:
        """Say NOT_SERVING to probes."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, wait for those that run (at most `grace_s`), then cut them off."""
        await self.server.stop(grace_s)
