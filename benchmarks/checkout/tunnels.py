"""Whole tunnels at an even rate: `python -m benchmarks.checkout.tunnels`; what their pages took, as JSON."""

import argparse
import asyncio
import html
import json
import os
import re
import time
from collections import Counter, defaultdict
from typing import Any, Final
from uuid import uuid4

import aiohttp
import grpc
import psutil
import uvloop

from benchmarks.checkout.spread import spread
from benchmarks.processes import cpu_of
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2_grpc

_CART: Final = ("LL-CAFETIERE", "LIVRE-LUMIERE")
_CONTACT: Final = {"email": "camille@client.example", "first_name": "Camille", "last_name": "Durand"}
_HOME: Final = {
    "mode": "home", "name": "Camille Durand", "line1": "12 rue des Carmes", "line2": "", "postcode": "44000",
    "city": "Nantes", "country": "FR",
}  # fmt: skip
_CARD: Final = {"number": "4242424242424242", "expiry": "12/60", "code": "123"}  # pays without 3-D Secure
_HIDDEN: Final = re.compile(r'name="(csrf|recap)" value="([^"]*)"')
_CONNECTIONS: Final = 900  # the service takes 1,000
_DEADLINE_S: Final = 60.0


class _Wrong(Exception):  # noqa: N818 - what a page was
    """A page that is not the one that should come."""


class _Counts:
    """What all tunnels found."""

    def __init__(self) -> None:
        self.page_ms: dict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.finished_s: list[float] = []
        self.late_s = 0.0


class _Shopper:
    """One shopper with his cookie and network address. A page's time ends with its last byte, redirects included."""

    def __init__(self, web: aiohttp.ClientSession, base_url: str, number: int, counts: _Counts) -> None:
        self._web = web
        self._base_url = base_url
        self._address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        self._counts = counts
        self._cookie = ""
        self._hidden: dict[str, str] = {}

    async def tunnel(self, checkout_id: str, url: str) -> None:
        """All pages, from the shop's redirect to the order."""
        here = f"{self._base_url}/c/{checkout_id}"
        await self._page("cart", url)
        await self._page("contact", f"{here}/contact")
        await self._page("delivery", f"{here}/contact", _CONTACT)
        await self._page("payment", f"{here}/delivery", _HOME)
        await self._page("recap", f"{here}/payment", {"means": "card", "act": "go"})
        bank = await self._page("order button", f"{here}/order", {"terms": "yes"}, leaves=True)
        back = await self._pay(bank)
        await self._page("acknowledgement", back)
        await self._page("order", back.partition("?")[0])

    async def _page(self, name: str, url: str, form: dict[str, str] | None = None, *, leaves: bool = False) -> str:
        """Go to a page, or send the form of the one that is open. `leaves`: it leads away; returns where to."""
        began_s = time.monotonic()
        data = None if form is None else {**self._hidden, **form}
        status, text, location = await self._ask(url, data)
        while status == 303 and not (leaves and not location.startswith((self._base_url, "/"))):
            url = location if location.startswith("http") else f"{self._base_url}{location}"
            status, text, location = await self._ask(url, None)
        if status != (303 if leaves else 200):
            raise _Wrong(f"{name}: {status} at {re.sub('[0-9a-f-]{36}', '…', url)}")
        self._counts.page_ms[name].append((time.monotonic() - began_s) * 1_000)
        self._hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(text)}
        return location

    async def _ask(self, url: str, data: dict[str, str] | None) -> tuple[int, str, str]:
        headers = {"x-forwarded-for": self._address, "accept-language": "fr", "cookie": self._cookie}
        method = "GET" if data is None else "POST"
        async with self._web.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
            if cookie := answer.headers.get("set-cookie"):
                self._cookie = cookie.partition(";")[0]
            return answer.status, await answer.text(), answer.headers.get("location", "")

    async def _pay(self, url: str) -> str:
        """Confirm at the bank, without its page; where it sends the shopper back to."""
        async with self._web.post(url, data=_CARD, allow_redirects=False) as answer:
            if answer.status != 303:
                raise _Wrong(f"bank: {answer.status}")
            return answer.headers["location"]


class _Load:
    """Shoppers, each begun when he is due, whatever became of those before."""

    def __init__(self, arguments: argparse.Namespace, channel: grpc.aio.Channel, web: aiohttp.ClientSession) -> None:
        self.counts = _Counts()
        self._arguments = arguments
        self._stub: Any = checkout_pb2_grpc.CheckoutServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {os.environ['BENCH_TOKEN']}"),)
        self._web = web

    async def one(self, number: int) -> None:
        """A cart that comes from the shop, and its shopper."""
        counts = self.counts
        try:
            checkout_id, url = await self._create()
            await _Shopper(self._web, self._arguments.http, number, counts).tunnel(checkout_id, url)
        except _Wrong as wrong:
            counts.errors[str(wrong)] += 1
        except grpc.aio.AioRpcError as error:
            counts.errors[f"create: {error.code().name}: {error.details()}"[:120]] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            counts.errors[f"{type(error).__name__}: {error}"[:120]] += 1
        else:
            counts.finished_s.append(time.monotonic())

    async def _create(self) -> tuple[str, str]:
        lines = [pb.CartLine(sku=sku, quantity=1) for sku in _CART]
        cart = pb.Cart(cart_id=f"bench-{uuid4()}", visitor_id=f"visitor-{uuid4()}", lines=lines)
        request = pb.CreateCheckoutRequest(idempotency_key=str(uuid4()), cart=cart, locale="fr")
        answer = await self._stub.CreateCheckout(request, timeout=_DEADLINE_S, metadata=self._metadata)
        return str(answer.checkout.checkout_id), str(answer.url)

    async def offer(self, first: int, rate: float, seconds: float) -> float:
        """Begin `rate` tunnels a second and wait for all of them; when the first was due."""
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                due_s = began_s + number / rate
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                self.counts.late_s = max(self.counts.late_s, time.monotonic() - due_s)
                group.create_task(self.one(first + number))
        return began_s


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as web,
        grpc.aio.insecure_channel(arguments.grpc) as channel,
    ):
        load = _Load(arguments, channel, web)
        await load.offer(0, 2.0, 2.0)  # templates, statements and connections are there before anything counts
        if load.counts.errors:
            raise RuntimeError(f"a tunnel does not pass: {dict(load.counts.errors)}")
        load.counts = _Counts()
        before, all_before, own_s = _cpu(arguments.pid), cpu_of(arguments.pid), time.process_time()
        began_s = await load.offer(100, arguments.rate, arguments.seconds)
        took_s = time.monotonic() - began_s
    counts = load.counts
    cpu_s = _cpu(arguments.pid) - before
    return {
        "offered": round(arguments.rate * arguments.seconds), "finished": len(counts.finished_s), "seconds": took_s,
        "in_time": sum(at <= began_s + arguments.seconds + 1.0 for at in counts.finished_s),
        "pages": {name: spread(values) for name, values in counts.page_ms.items()},
        "all": spread([value for values in counts.page_ms.values() for value in values]),
        "errors": dict(counts.errors), "late_s": counts.late_s, "cpu_s": cpu_s,
        "printing_s": cpu_of(arguments.pid) - all_before - cpu_s, "generator_cpu_s": time.process_time() - own_s,
    }  # fmt: skip


def _cpu(pid: int) -> float:
    """CPU seconds of a process without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--grpc", "--http", "--kafka"):
        parser.add_argument(name, required=True)
    parser.add_argument("--pid", type=int, required=True, help="of the service")
    parser.add_argument("--rate", type=float, required=True, help="tunnels begun a second")
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(uvloop.run(_run(parser.parse_args()))))


if __name__ == "__main__":
    main()
