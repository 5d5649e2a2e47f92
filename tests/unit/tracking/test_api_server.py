"""The HTTP server alone, with an app that counts bytes: what slow, broken and greedy clients can do to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from relance.kernel.errors import InputError
from services.tracking.api.bodies import Gone, read
from services.tracking.api.problems import Refused, problem, respond
from services.tracking.api.server import HttpServer, listen
from services.tracking.settings import Settings

SETTINGS = Settings(header_timeout_s=0.6, body_timeout_s=0.6, keep_alive_s=0.6, request_deadline_s=0.5, drain_s=1.0)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/refuse":
        await problem(send, 413, "too large")
    elif scope["path"] == "/large":
        await respond(send, 200, bytes(50_000_000))
    else:
        if scope["path"] == "/slow":
            await asyncio.sleep(0.3)
        try:
            await respond(send, 200, b"%d" % len(await read(receive, 1_000_000)))
        except Refused as refused:
            await problem(send, refused.status, refused.detail)
        except Gone:
            pass


class Running:
    def __init__(self, server: HttpServer, port: int) -> None:
        self.server = server
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def talk(self, data: bytes, within_s: float = 5.0) -> bytes:
        """Everything that comes back until the server closes the connection."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), within_s)
        finally:
            writer.close()

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@contextlib.asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    listening = listen("127.0.0.1", 0)
    server = HttpServer(app, settings)
    task = asyncio.create_task(server.serve([listening]))
    while not server.started:  # noqa: ASYNC110 - uvicorn tells by a flag
        await asyncio.sleep(0.01)
    try:
        yield Running(server, listening.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with serving(SETTINGS) as started:
        yield started


async def until(true: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - asks what no event tells
            await asyncio.sleep(0.02)


def request(path: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [b"POST %s HTTP/1.1" % path.encode(), b"host: x", b"content-length: %d" % len(body), *headers, b"", b""]
    return b"\r\n".join(lines) + body


async def test_a_connection_serves_many_requests_also_pipelined(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(request("/", b"abc") + request("/slow", b"abcd") + request("/", b"abcde"))
    said = b""
    async with asyncio.timeout(5):
        while said.count(b"200 OK") < 3 or not said.endswith(b"5"):
            said += await reader.read(1_000)
    assert [part[-1:] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"3", b"4", b"5"]
    writer.close()


async def test_a_head_that_never_ends_is_answered_408(running: Running) -> None:
    reader, writer = await running.connect()
    answer = asyncio.create_task(reader.read())
    for number in range(12):
        writer.write(b"POST / HTTP/1.1\r\n" if number == 0 else b"x-%d: y\r\n" % number)
        await asyncio.sleep(0.15)
        if answer.done():
            break
    assert (await asyncio.wait_for(answer, 5)).startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_a_client_that_says_nothing_is_let_go(running: Running) -> None:
    assert (await running.talk(b"")).startswith(b"HTTP/1.1 408 ")
    await until(lambda: running.connections == 0)


async def test_a_body_that_trickles_is_answered_408(running: Running) -> None:
    said = await running.talk(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
    assert said.startswith(b"HTTP/1.1 408 ")
    await until(lambda: not running.server.server_state.tasks)


async def test_an_idle_connection_is_closed_without_a_word(running: Running) -> None:
    said = await running.talk(request("/", b"a"))
    assert said.count(b"HTTP/1.1") == 1


async def test_a_head_of_any_size_is_refused(running: Running) -> None:
    assert b" 431 " in await running.talk(b"POST / HTTP/1.1\r\nx: " + b"y" * 1_000_000)
    assert b" 431 " in await running.talk(request("/", b"", *[b"x-%d: y" % number for number in range(200)]))
    assert b" 431 " in await running.talk(b"POST /" + b"y" * 100_000)


async def test_what_is_no_http_is_answered_400(running: Running) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"\0" * 100):
        assert b" 400 " in await running.talk(garbage)


async def test_conflicting_lengths_are_answered_400(running: Running) -> None:
    said = await running.talk(
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert b" 400 " in said


async def test_the_rest_of_a_refused_body_is_thrown_away_and_the_connection_kept(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(request("/refuse", bytes(2_000_000)) + request("/", b"abc"))
    said = b""
    async with asyncio.timeout(5):
        while not said.endswith(b"3"):
            said += await reader.read(1_000)
    assert said.count(b"HTTP/1.1 ") == 2
    writer.close()


async def test_an_endless_refused_body_is_cut_off(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            writer.write(bytes(1_000_000))
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        assert (await reader.read(12)) == b"HTTP/1.1 413"
    await until(lambda: running.connections == 0)


async def test_a_client_that_does_not_read_its_answer_is_cut_off(running: Running) -> None:
    _, writer = await running.connect()
    writer.write(request("/large"))
    await until(lambda: running.connections == 1)
    await until(lambda: running.connections == 0, 12)
    await until(lambda: not running.server.server_state.tasks)
    writer.close()


async def test_expect_continue_is_answered_and_a_refusal_instead_ends_the_connection(running: Running) -> None:
    reader, writer = await running.connect()
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n3"), 5)).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    said = await running.talk(b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413")


async def test_one_address_and_all_together_have_a_limit_of_connections() -> None:
    async with serving(msgspec.structs.replace(SETTINGS, connections_per_address_max=3, keep_alive_s=5.0)) as few:
        kept = [await few.connect() for _ in range(3)]
        assert b" 503 " in await few.talk(request("/", b"a"))
        kept[0][1].close()
        await until(lambda: few.connections == 2)
        reader, writer = await few.connect()
        writer.write(request("/", b"a"))
        assert b" 200 " in await asyncio.wait_for(reader.readline(), 5)
        for _, each in [*kept[1:], (reader, writer)]:
            each.close()
    async with serving(msgspec.structs.replace(SETTINGS, connections_max=2, keep_alive_s=5.0)) as few:
        kept = [await few.connect() for _ in range(2)]
        assert b" 503 " in await few.talk(request("/", b"a"))
        for _, each in kept:
            each.close()


async def test_at_the_end_running_requests_are_finished_and_idle_connections_closed() -> None:
    async with serving(SETTINGS) as ending:
        idle_reader, idle = await ending.connect()
        reader, writer = await ending.connect()
        writer.write(request("/slow", b"abc"))
        await until(lambda: len(ending.server.server_state.tasks) == 1)
        ending.server.should_exit = True
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"3")
        assert await asyncio.wait_for(idle_reader.read(), 5) == b""
        with pytest.raises(OSError, match=r"."):
            await ending.connect()
        idle.close()
        writer.close()


def test_an_address_that_cannot_be_had_is_told_in_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1"):
            listen("127.0.0.1", taken.getsockname()[1])
