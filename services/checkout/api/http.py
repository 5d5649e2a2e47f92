"""The HTTP edge of one process: the pages, and webhooks of payment providers."""

import asyncio
import socket
from typing import Annotated, Final

import uvicorn
from fastapi import APIRouter, FastAPI, Path, Request, Response
from typing_extensions import override

from relance.kernel.errors import InputError, NotNow
from services.checkout.api.direct import Direct
from services.checkout.api.patience import PatientHttp
from services.checkout.application.desk import Desk

__all__ = ["HttpEdge", "make_webhooks"]

_BODY_BYTES_MAX: Final = 262_144
_KEEP_ALIVE_S: Final = 5
_BODY_S: Final = 10.0

Psp = Annotated[str, Path(pattern="^[a-z][a-z0-9_-]{0,31}$")]


def make_webhooks(desk: Desk) -> APIRouter:
    """`POST /v1/psp/{psp}`: 204 when it is a hint of the provider, 400 when it is not, 503 when it is to come again."""
    router = APIRouter()

    @router.post(
        "/v1/psp/{psp}",
        status_code=204,
        response_class=Response,
        responses={400: {"description": "not signed by this provider, too old, or too large"},
                   503: {"description": "send it again"}},
        openapi_extra={"requestBody": {"content": {"application/json": {}}, "required": True}},
    )  # fmt: skip
    async def webhook(psp: Psp, request: Request) -> Response:
        """Something happened at a provider of payments: he is asked what."""
        try:
            async with asyncio.timeout(_BODY_S):
                body = await _body(request)
        except TimeoutError:
            body = None
        try:
            heard = body is not None and await desk.heard(psp, body, request.headers)
        except NotNow:
            return Response(status_code=503, headers={"Retry-After": "1"})
        return Response(status_code=204 if heard else 400)

    return router


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES_MAX:
            return None
    return bytes(body)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process ends in the order that its app says."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self.up.set()

    @override
    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`."""
        await self._serve(sockets)


class HttpEdge:
    """The HTTP server, in the process's event loop. Make it, `start` it, `stop` it.

    `trusted_proxies`: whose X-Forwarded-For is believed, as uvicorn takes it.
    """

    def __init__(self, *routers: APIRouter, trusted_proxies: str, connections_max: int, drain_s: float) -> None:
        app = FastAPI(title="Relance checkout", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
        for router in routers:
            app.include_router(router)
        self.app = app
        self.asgi = Direct(app, (route for router in routers for route in router.routes))
        config = uvicorn.Config(
            self.asgi, log_level="warning", access_log=False, server_header=False, lifespan="off", http=PatientHttp,
            ws="none", timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=int(drain_s) or 1,
            limit_concurrency=connections_max, proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=trusted_proxies or "127.0.0.1",
        )  # fmt: skip
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Begin to answer; returns the port. Raises InputError when the address cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio looks here for TCP_NODELAY
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            bound.close()
            raise InputError(f"cannot listen on {host}:{port} for HTTP: {error.strerror}") from None
        bound.setblocking(False)  # noqa: FBT003 - the name of the standard library
        self._serving = asyncio.create_task(self._server.serve([bound]))
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({up, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        return int(bound.getsockname()[1])

    async def stop(self) -> None:
        """Take no new connections, and wait for what is being answered."""
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
