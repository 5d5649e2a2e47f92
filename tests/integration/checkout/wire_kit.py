"""Wires to a database and to a bank that read what passes, and kill a process at a counted place of it.

What is cut is found in the protocols (PostgreSQL's frontend and backend messages, HTTP/1.1): nothing in the process
that is killed knows of it.
"""

import asyncio
import contextlib
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from typing_extensions import override

__all__ = ["Point", "Trap", "Wire", "wires"]

Moment = Literal["before", "after"]

_SSL_ASKED: Final = 80_877_103
_WRITES: Final = re.compile(
    r'\bINSERT\s+INTO\s+"?(\w+)|(?<!FOR )(?<!KEY )(?<!DO )\bUPDATE\s+"?(\w+)|\bDELETE\s+FROM\s+"?(\w+)', re.IGNORECASE
)
_COMMIT: Final = re.compile(r"(^|;)\s*(COMMIT|END)\b", re.IGNORECASE)
_BEGIN: Final = re.compile(r"(^|;)\s*(BEGIN|START\s+TRANSACTION)\b", re.IGNORECASE)
_ROLLBACK: Final = re.compile(r"(^|;)\s*(ROLLBACK|ABORT)\s*($|;)", re.IGNORECASE)
_NAME: Final = re.compile(r"/(?:cs|pi|re|ch|evt)_[^/?]+")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_SYNC: Final = "\0sync"


class Point(NamedTuple):
    """A place on the wires: the `number`-th time (from 1) that something of this name passes, and when to cut there.

    `name`: the tables that a transaction changes, or method and path of a call of the bank. Before: it never arrives.
    After: it has been done, and the answer never arrives.
    """

    name: str
    number: int
    moment: Moment


class Trap:
    """Counts what passes since it was set, and springs once at a point. Safe to set from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Moment, Counter[str]] = {}
        self._point: Point | None = None
        self._kill: Callable[[], None] = lambda: None
        self.passed: list[Point] = []
        self.sprung = False

    def set(self, point: Point | None, kill: Callable[[], None] = lambda: None) -> None:
        """Begin to count anew; at the point, `kill` returns when the process is gone."""
        with self._lock:
            self._counts = {"before": Counter(), "after": Counter()}
            self._point, self._kill = point, kill
            self.passed, self.sprung = [], False

    def passes(self, name: str, moment: Moment) -> bool:
        """Whether the wire is cut here."""
        with self._lock:
            if not self._counts:
                return False
            self._counts[moment][name] += 1
            here = Point(name, self._counts[moment][name], moment)
            self.passed.append(here)
            if self.sprung or here != self._point:
                return False
            self.sprung = True
            self._kill()
            return True


class Cut(Exception):  # noqa: N818 - what happens to a wire
    """This connection ends here."""


class _Statements:
    """One connection to PostgreSQL: which statements are under way, and what the open transaction has changed."""

    def __init__(self, trap: Trap) -> None:
        self._trap = trap
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._waiting: deque[str] = deque()
        self._changed: set[str] = set()
        self._open = False
        self._committing = ""

    def asks(self, kind: bytes, body: bytes) -> None:
        """A message of the client; raises Cut when it must not arrive."""
        if kind == b"P":
            name, text = body.split(b"\0", 2)[:2]
            self._prepared[name] = text.decode()
        elif kind == b"B":
            portal, name = body.split(b"\0", 2)[:2]
            self._portals[portal] = self._prepared.get(name, "")
        elif kind == b"E":
            self._runs(self._portals.get(body.split(b"\0", 1)[0], ""))
        elif kind == b"Q":
            self._runs(body.rstrip(b"\0").decode())
            self._waiting.append(_SYNC)
        elif kind == b"S":
            self._waiting.append(_SYNC)

    def answers(self, kind: bytes, body: bytes) -> None:
        """A message of the server; raises Cut when it must not arrive."""
        if kind == b"C":
            self._done(body.rstrip(b"\0").decode())
        if kind in {b"C", b"I", b"s"} and self._waiting and self._waiting[0] is not _SYNC and not self._is_simple():
            self._waiting.popleft()
        elif kind == b"Z":
            while self._waiting and self._waiting.popleft() is not _SYNC:
                pass
            if body == b"I":
                self._open = bool(self._waiting) and self._open
                self._changed.clear()

    def _is_simple(self) -> bool:
        """Whether the statement that is answered now came alone: it may have several parts, ended by one `Z`."""
        return len(self._waiting) > 1 and self._waiting[1] is _SYNC and ";" in self._waiting[0].rstrip("; \n")

    def _runs(self, text: str) -> None:
        self._waiting.append(text)
        if _BEGIN.search(text):
            self._open = True
        if _ROLLBACK.search(text):
            self._open = False
        if _COMMIT.search(text):
            pending = {name for each in self._waiting for name in _tables(each)}
            self._committing = "+".join(sorted(self._changed | pending))
            self._open = False
            if self._committing and self._trap.passes(self._committing, "before"):
                raise Cut

    def _done(self, tag: str) -> None:
        if tag == "COMMIT":
            name, self._committing = self._committing, ""
            self._changed.clear()
            if name and self._trap.passes(name, "after"):
                raise Cut
            return
        count = tag.rpartition(" ")[2]
        tables = _tables(self._waiting[0]) if self._waiting else set()
        if not tables or not count.isdigit() or count == "0":
            return
        self._changed |= tables
        if not self._open and not self._committing and self._trap.passes("+".join(sorted(tables)), "after"):
            raise Cut  # a statement that is a transaction by itself


def _tables(text: str) -> set[str]:
    return {name for found in _WRITES.findall(text) for name in found if name}


class Wire:
    """A port that leads to another; subclasses read what passes."""

    def __init__(self, trap: Trap, host: str, port: int) -> None:
        self.trap = trap
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._joined: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        """Listen on a free port of the loopback."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._joined:
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.carry(reader, far_writer, far_reader, writer))
            finally:
                far_writer.close()
        except* (Cut, OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._joined.discard(task)

    async def carry(
        self, near: asyncio.StreamReader, to_far: asyncio.StreamWriter,
        far: asyncio.StreamReader, to_near: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        """Carry both ways until one side ends. Raises Cut."""
        raise NotImplementedError


class DatabaseWire(Wire):
    """To PostgreSQL."""

    @override
    async def carry(
        self, near: asyncio.StreamReader, to_far: asyncio.StreamWriter,
        far: asyncio.StreamReader, to_near: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        """See Wire."""
        first = await _untyped(near)
        while int.from_bytes(first[4:8]) == _SSL_ASKED:
            to_far.write(first)
            to_near.write(await far.readexactly(1))
            first = await _untyped(near)
        to_far.write(first)
        statements = _Statements(self.trap)
        async with asyncio.TaskGroup() as group:
            group.create_task(_messages(near, to_far, statements.asks))
            group.create_task(_messages(far, to_near, statements.answers))


async def _untyped(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length) - 4)


async def _messages(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[bytes, bytes], None]
) -> None:  # fmt: skip
    while True:
        head = await reader.readexactly(5)
        body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
        heard(head[:1], body)
        writer.write(head + body)
        await writer.drain()


class BankWire(Wire):
    """To the bank: a call that comes whole is counted, and the beginning of its answer."""

    @override
    async def carry(
        self, near: asyncio.StreamReader, to_far: asyncio.StreamWriter,
        far: asyncio.StreamReader, to_near: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        """See Wire."""
        asked: deque[str] = deque()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._calls(near, to_far, asked))
            group.create_task(self._answers(far, to_near, asked))

    async def _calls(self, near: asyncio.StreamReader, to_far: asyncio.StreamWriter, asked: deque[str]) -> None:
        while True:
            head = await near.readuntil(b"\r\n\r\n")
            told = _LENGTH.search(head)
            body = await near.readexactly(int(told[1])) if told else b""
            method, target = head.decode("latin-1").split(" ", 2)[:2]
            name = f"{method} {_NAME.sub('/*', urlsplit(target).path)}"
            if self.trap.passes(name, "before"):
                raise Cut
            asked.append(name)
            to_far.write(head + body)
            await to_far.drain()

    async def _answers(self, far: asyncio.StreamReader, to_near: asyncio.StreamWriter, asked: deque[str]) -> None:
        while chunk := await far.read(65_536):
            if asked and self.trap.passes(asked.popleft(), "after"):
                raise Cut
            to_near.write(chunk)
            await to_near.drain()
        raise Cut  # the bank has closed it


@contextlib.contextmanager
def wires(trap: Trap, database: str, bank: str) -> Iterator[tuple[str, str]]:
    """The URLs of a database and of a bank by way of the wires, which are carried by a thread until the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    parts, far = urlsplit(database), urlsplit(bank)
    opened = [
        DatabaseWire(trap, parts.hostname or "", parts.port or 5432), BankWire(trap, far.hostname or "", far.port or 80)
    ]  # fmt: skip
    try:
        for wire in opened:
            asyncio.run_coroutine_threadsafe(wire.open(), loop).result(10)
        there = parts._replace(netloc=f"{parts.username}@127.0.0.1:{opened[0].port}").geturl()
        yield there, f"http://127.0.0.1:{opened[1].port}"
    finally:
        for wire in opened:
            asyncio.run_coroutine_threadsafe(wire.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
