"""What a peer of the HTTP server may leave open, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, Request

from services.checkout.api import patience
from services.checkout.api.http import HttpEdge

GET = b"GET /hello HTTP/1.1\r\nHost: here\r\n"
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def edge() -> AsyncIterator[int]:
    router = APIRouter()

    @router.api_route("/hello", methods=["GET", "POST"])
    async def hello(request: Request) -> str:
        return f"{len(await request.body())}"

    @router.get("/large")
    async def large() -> str:
        return "x" * 32_000_000

    made = HttpEdge(router, trusted_proxies="", connections_max=20, drain_s=1.0)
    port = await made.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await made.stop()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server ends the connection."""
    async with asyncio.timeout(5):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_headers_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_HEAD_S", 0.2)
    async with edge() as port:
        for begun in (b"", GET, GET + b"X: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            assert await ended(reader) == b""
            writer.close()


async def test_headers_that_trickle_after_an_answer_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_NEXT_S", 0.3)
    async with edge() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"\r\n")
        await reader.readuntil(b'"0"')
        writer.write(b"GET /hello HTTP/1.1\r\nX: ")
        assert await ended(reader) == b""
        writer.close()


async def test_headers_without_measure_are_given_up() -> None:
    async with edge() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + b"X: " + b"x" * 1_000_000)
        assert await ended(reader) == b""
        writer.close()


async def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_READING_S", 0.3)
    async with edge() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        await asyncio.sleep(1.0)
        assert len(await ended(reader)) < 32_000_000
        writer.close()


async def test_who_asks_as_one_does_is_answered_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_HEAD_S", 0.3)
    monkeypatch.setattr(patience, "_NEXT_S", 0.3)
    body = b"POST /hello HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n"
    async with edge() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(4):
            writer.write(GET + b"\r\n" + GET + b"\r\n")
            for _answer in range(2):
                await asyncio.wait_for(reader.readuntil(b'"0"'), 5)
            writer.write(body + b"x" * 40_000)
            await asyncio.sleep(0.4)
            writer.write(b"x" * 60_000)
            await asyncio.wait_for(reader.readuntil(b'"100000"'), 5)
        writer.close()
