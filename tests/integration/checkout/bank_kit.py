"""A bank as a process of its own, the adapter that speaks to it, and a receiver of its webhooks."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx

from services.checkout.adapters.stripe_connection import Connection
from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.domain.attempts import Attempt, News, Patience, hear
from services.checkout.domain.refunds import Refund
from services.checkout.ports import Ask, Opened

ROOT = Path(__file__).parents[3]
KEY = "sk_test_relance"
SECRET = "whsec_bank"
PATIENCE = Patience()


class RunningBank:
    """A bank at `url`; what a shopper and a test do there."""

    def __init__(self, url: str, process: "subprocess.Popen[str]") -> None:
        self.url = url
        self.process = process
        self.http = httpx.Client(base_url=url, timeout=20.0)

    def control(self, name: str, **wish: Any) -> dict[str, Any]:
        answer = self.http.post(f"/_bank/{name}", json=wish)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def charges(self, status: str = "succeeded") -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.http.get("/_bank/charges", params={"status": status}).json()["data"]
        return told

    def charged(self, attempt_id: str) -> list[dict[str, Any]]:
        return [one for one in self.charges() if one["metadata"]["attempt"] == attempt_id]

    def pay(self, page: str, number: str, expiry: str = "12/60") -> httpx.Response:
        """Fill in the form of the page as a browser does."""
        return self.http.post(page, data={"number": number, "expiry": expiry, "code": "123"})

    def answer(self, page: str, said: str) -> httpx.Response:
        return self.http.post(page.replace("/c/pay/", "/c/challenge/"), data={"answer": said})

    def pay_by_debit(self, page: str, iban: str) -> httpx.Response:
        return self.http.post(page, data={"iban": iban})


@contextlib.contextmanager
def running_bank(*options: str, port: int = 0) -> Iterator[RunningBank]:
    """A bank with command line options, ended at the end. `port` 0: any free one."""
    command = [sys.executable, "-m", "relance.bank", "--port", str(port), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "the bank did not start"
        bank = RunningBank(url, process)
        _await_answer(bank)
        yield bank
        bank.http.close()
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _await_answer(bank: RunningBank) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            bank.http.get("/_bank/cards")
        except httpx.TransportError:
            assert time.monotonic() < until, "the bank does not answer"
            time.sleep(0.05)
        else:
            return


@contextlib.asynccontextmanager
async def provider_of(
    url: str,
    *,
    answer_s: float = 5.0,
    retries: int = 0,
    methods: Mapping[str, Sequence[str]] | None = None,
    ahead: timedelta = timedelta(),
    now: Callable[[], datetime] | None = None,
    timeout_s: float = 15.0,
) -> AsyncIterator[StripeProvider]:
    """The adapter; `ahead`: how much its clock is ahead of the machine's, unless `now` is its clock."""
    connection = Connection(KEY, url, answer_s=answer_s, retries=retries)
    provider = StripeProvider(
        connection, [SECRET], methods=methods, timeout_s=timeout_s, now=now or (lambda: datetime.now(UTC) + ahead)
    )
    try:
        yield provider
    finally:
        await provider.aclose()


def an_attempt(amount_minor: int = 4_990, *, means: str = "card", age: timedelta = timedelta()) -> Attempt:
    return Attempt(
        id=str(uuid4()),
        tender=0,
        means=means,
        psp="stripe",
        amount_minor=amount_minor,
        created_at=datetime.now(UTC) - age,
    )


def ask_of(attempt: Attempt, *, expires_at: datetime | None = None, locale: str = "fr-FR") -> Ask:
    return Ask(
        attempt_id=attempt.id,
        order_id="7d5c4a8e-0001-4000-8000-000000000001",
        shop="demo",
        amount_minor=attempt.amount_minor,
        currency="EUR",
        means=attempt.means,
        description="Commande 1001",
        email="camille@example.org",
        return_url="http://127.0.0.1:9/o/1?paid=1",
        cancel_url="http://127.0.0.1:9/o/1?back=1",
        expires_at=expires_at or attempt.created_at + timedelta(hours=1),
        locale=locale,
    )


async def opened(provider: StripeProvider, attempt: Attempt) -> tuple[Attempt, str]:
    """The attempt as it is known once its page is open, and the page."""
    answer = await provider.open(ask_of(attempt))
    assert isinstance(answer, Opened), answer
    return told(attempt, answer.news), answer.url


def told(attempt: Attempt, news: News) -> Attempt:
    return hear(attempt, news, datetime.now(UTC), PATIENCE)


def a_refund(attempt: Attempt, amount_minor: int, *, tries: int = 1) -> Refund:
    return Refund(
        id=str(uuid4()),
        tender=0,
        amount_minor=amount_minor,
        cause="withdrawal",
        requested_at=datetime.now(UTC),
        attempt_id=attempt.id,
        tries=tries,
    )


class Receiver:
    """An address that takes webhooks, on the running loop; `refused` of them are answered with an error first."""

    def __init__(self, refused: int = 0) -> None:
        self.bodies: list[tuple[bytes, dict[str, str]]] = []
        self.url = ""
        self._came = asyncio.Event()
        self._refused = refused
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, family=socket.AF_INET)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/psp/stripe"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def until(self, count: int, timeout_s: float = 10.0) -> None:
        """Wait for so many webhooks."""
        async with asyncio.timeout(timeout_s):
            while len(self.bodies) < count:
                self._came.clear()
                await self._came.wait()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            body = await reader.readexactly(int(headers["Content-Length"]))
            is_refused, self._refused = self._refused > 0, self._refused - 1
            if not is_refused:
                self.bodies.append((body, headers))
                self._came.set()
            status = b"503 Not now" if is_refused else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
