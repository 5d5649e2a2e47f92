"""The HTTP server: uvicorn with httptools on uvloop, hardened against slow, broken and greedy clients.

uvicorn alone waits for ever for a request's head or body, and keeps a head of any length and any number of connections.
"""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Generator
from typing import Any, Final

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from relance.kernel.errors import InputError
from services.tracking.settings import Settings

__all__ = ["HttpServer", "listen"]

_HEAD_BYTES_MAX: Final = 32_768
_HEADERS_MAX: Final = 64
_DISCARDED_BYTES_MAX: Final = 8_388_608  # of a body that was refused; sooner closed, its sender would miss the answer
_SWEEP_S: Final = 0.5
_ANSWER_SLACK_S: Final = 5.0
_LINGER_S: Final = 1.0  # for a refused client to fetch the answer

_IDLE, _HEAD, _BODY, _ANSWER, _REFUSED = range(5)
_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class _State(uvicorn.server.ServerState):
    """What the connections of one server share."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.addresses: Counter[str] = Counter()
        self.limits_s = {
            _IDLE: settings.keep_alive_s,
            _HEAD: settings.header_timeout_s,
            _BODY: settings.body_timeout_s,
            _ANSWER: settings.request_deadline_s + _ANSWER_SLACK_S,
            _REFUSED: _LINGER_S,
        }


class _Connection(HttpToolsProtocol):
    """One connection. It notes in which phase it is and since when; the server's sweep ends what takes too long."""

    server_state: _State
    phase = _HEAD
    since_s = 0.0
    reading = False  # between a request's head and the end of its body
    head_bytes = 0
    discarded_bytes = 0
    counted = False

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.since_s = self.loop.time()
        state = self.server_state
        address = self.client[0] if self.client else ""
        if (
            len(self.connections) > state.settings.connections_max
            or state.addresses[address] >= state.settings.connections_per_address_max
        ):
            transport.write(_FULL)
            transport.close()
            return
        state.addresses[address] += 1
        self.counted = True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.counted:
            self.counted = False
            addresses, address = self.server_state.addresses, self.client[0] if self.client else ""
            addresses[address] -= 1
            if not addresses[address]:
                del addresses[address]
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self.phase == _REFUSED:
            self.discard(len(data))
        if self.phase == _REFUSED or self.transport.is_closing():
            return
        if not self.reading:
            self.head_bytes += len(data)
            if self.phase == _IDLE:
                self.enter(_HEAD)
        super().data_received(data)
        if not self.reading and self.head_bytes > _HEAD_BYTES_MAX:
            self.refuse(_HEAD_TOO_LARGE)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > _HEADERS_MAX or len(value) > _HEAD_BYTES_MAX:
            self.refuse(_HEAD_TOO_LARGE)

    @override
    def on_headers_complete(self) -> None:
        if self.phase == _REFUSED or self.transport.is_closing():
            return
        self.head_bytes = self.discarded_bytes = 0
        self.reading = True
        self.enter(_BODY)
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        if not self.reading:
            return
        if self.cycle.response_complete:
            self.discard(len(body))
        else:
            super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if not self.reading:
            return
        self.reading = False
        self.enter(_IDLE if self.cycle.response_complete else _ANSWER)
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        """Note the phase. What is left of a body that was answered early is thrown away, and the connection kept."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # the sweep does its work, at no cost to each request
        if not self.reading:
            self.enter(_IDLE if self.cycle.response_complete else _ANSWER)
        elif self.expect_100_continue:
            self.transport.close()  # the client may now leave its body out: what comes next has no clear meaning

    def enter(self, phase: int) -> None:
        self.phase = phase
        self.since_s = self.loop.time()

    def refuse(self, answer: bytes) -> None:
        """Answer and listen no more; the connection stays until the client has gone, or had time to read the answer."""
        if self.phase == _REFUSED or self.transport.is_closing():
            return
        if self.pipeline:  # answers of requests before this one are still to come: there is no place for another
            self.transport.abort()
            return
        self.transport.write(answer)
        self.reading = False
        self.enter(_REFUSED)
        if self.cycle is not None:  # a running request is told that its client has left
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def discard(self, size_bytes: int) -> None:
        self.discarded_bytes += size_bytes
        if self.discarded_bytes > _DISCARDED_BYTES_MAX:
            self.reading = False
            self.transport.abort()

    def answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.response_started and not cycle.response_complete

    def sweep(self, now_s: float) -> None:
        """End the connection if its phase has lasted too long."""
        overtime_s = now_s - self.since_s - self.server_state.limits_s[self.phase]
        if overtime_s <= 0:
            return
        if self.phase in (_HEAD, _BODY) and not self.answering() and not self.transport.is_closing():
            self.refuse(_TIMED_OUT)
        elif self.phase == _IDLE and not self.transport.is_closing():
            self.transport.close()
        elif overtime_s > _ANSWER_SLACK_S or self.phase in (_ANSWER, _REFUSED):
            self.transport.abort()  # it neither goes on nor reads what it was told


class HttpServer(uvicorn.Server):
    """Serves one ASGI app on a socket that is already bound. Signals are the app's affair, not the server's."""

    def __init__(self, app: Any, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=int(settings.drain_s) or 1,
            )
        )
        self.server_state: _State = _State(settings)

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield

    @override
    async def on_tick(self, counter: int) -> bool:
        """The clock of uvicorn, ten times a second; every fifth time the connections are looked through."""
        if counter % int(_SWEEP_S * 10) == 0:
            now_s = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                assert isinstance(connection, _Connection)
                connection.sweep(now_s)
        return await super().on_tick(counter)


def listen(host: str, port: int) -> socket.socket:
    """A bound, not yet listening socket. Raises InputError when that address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    bound.setblocking(False)  # noqa: FBT003 - the socket's own signature
    return bound
