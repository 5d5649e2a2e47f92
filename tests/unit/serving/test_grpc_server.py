"""The shared gRPC server: where it listens, what it tells probes, and what the caller of a refused call learns."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from typing_extensions import override

from relance.kernel.errors import InputError
from relance.rpc.session.v1 import session_pb2 as pb
from relance.rpc.session.v1 import session_pb2_grpc
from relance.serving.grpc_server import GrpcServer, authority
from relance.serving.refusals import abort

SERVICE = "relance.rpc.session.v1.SessionService"


class _Refusing(session_pb2_grpc.SessionServiceServicer):
    @override
    async def GetSession(self, request: pb.GetSessionRequest, context: Any) -> pb.GetSessionResponse:
        fault = BadRequest(field_violations=[BadRequest.FieldViolation(field="shop", description="no shop")])
        await abort(context, grpc.StatusCode.INVALID_ARGUMENT, "no shop", [fault], ("retry-after-ms", "7"))


def made() -> GrpcServer:
    return GrpcServer(
        [SERVICE], calls_max=8, connection_calls_max=8, received_bytes_max=1_000, sent_bytes_max=1_000
    )  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[GrpcServer]:
    one = made()
    session_pb2_grpc.add_SessionServiceServicer_to_server(_Refusing(), one.server)  # type: ignore[abstract]
    yield one
    await one.stop(0.0)


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert authority("::1", 8082) == "[::1]:8082" == authority("[::1]", 8082)
    assert authority("127.0.0.1", 8082) == "127.0.0.1:8082"


async def test_an_address_in_use_is_refused_by_name(server: GrpcServer) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port} for gRPC"):
            server.bind("127.0.0.1", port)


async def test_probes_hear_what_the_service_tells_and_then_that_it_drains(server: GrpcServer) -> None:
    port = server.bind("127.0.0.1", 0)
    await server.start(serving=False)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        probe = health_pb2_grpc.HealthStub(channel)

        async def heard(service: str) -> str:
            answer = await probe.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

        assert [await heard(""), await heard(SERVICE)] == ["NOT_SERVING", "NOT_SERVING"]
        await server.tell(serving=True)
        assert [await heard(""), await heard(SERVICE)] == ["SERVING", "SERVING"]
        await server.drain()
        await server.tell(serving=True)
        assert [await heard(""), await heard(SERVICE)] == ["NOT_SERVING", "NOT_SERVING"]


async def test_a_refused_caller_learns_code_text_details_and_headers(server: GrpcServer) -> None:
    port = server.bind("127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await session_pb2_grpc.SessionServiceStub(channel).GetSession(pb.GetSessionRequest(), timeout=20)
    error = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "no shop")
    assert dict(error.trailing_metadata())["retry-after-ms"] == "7"
    status = rpc_status.from_call(error)
    fault = BadRequest()
    assert status is not None
    assert status.details[0].Unpack(fault)
    assert fault.field_violations[0].field == "shop"
