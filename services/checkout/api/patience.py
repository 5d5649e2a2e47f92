"""HTTP/1.1 with a bound on what a peer may leave open: headers that never end, and answers that are never read."""

from asyncio import TimerHandle, Transport
from typing import Final

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["PatientHttp"]

_HEAD_BYTES_MAX: Final = 32_768
_HEAD_S: Final = 10.0  # for the first headers of a connection
_NEXT_S: Final = 30.0  # to read the last of an answer, and for the headers that follow; idle ones end sooner
_READING_S: Final = 60.0  # for what is written and not read


class PatientHttp(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for headers of any size, and for answers to be read."""

    _head_bytes = 0
    _in_head = True
    _waiting: TimerHandle | None = None
    _unread: TimerHandle | None = None

    @override
    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for headers."""
        super().connection_made(transport)
        self._wait(_HEAD_S)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._wait(None)
        self._stop_reading_clock()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        """Headers are counted as they come, for the parser keeps them until they end."""
        super().data_received(data)
        if self._in_head:
            self._count(len(data))

    @override
    def on_message_begin(self) -> None:
        """Headers begin."""
        self._in_head = True
        super().on_message_begin()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """Those that come after a body count too."""
        if not self._in_head:
            self._count(len(name) + len(value))
        super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        """They have come."""
        self._in_head = False
        self._head_bytes = 0
        self._wait(None)
        super().on_headers_complete()

    @override
    def on_response_complete(self) -> None:
        """Wait for the next headers, unless they were here before the answer."""
        is_next_here = bool(self.pipeline)
        super().on_response_complete()
        if not is_next_here:
            self._wait(_NEXT_S)

    @override
    def pause_writing(self) -> None:
        """The other side reads slowly."""
        super().pause_writing()
        self._unread = self.loop.call_later(_READING_S, self._give_up)

    @override
    def resume_writing(self) -> None:
        """It has read."""
        self._stop_reading_clock()
        super().resume_writing()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _HEAD_BYTES_MAX:
            self._give_up()

    def _wait(self, seconds: float | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _stop_reading_clock(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()
