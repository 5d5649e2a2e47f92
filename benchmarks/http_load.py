"""A load generator for `POST /v1/events`: raw sockets, prepared bodies; it costs far less than what it measures.

    taskset -c 0 .venv/bin/python -m benchmarks.http_load --port 8080 --key KEY --events 50 --connections 32

Each request's bytes are made before the clock starts. With `--rate` requests leave at fixed instants, and a request's
delay counts from its instant, so a slow answer does not hide the ones that had to wait behind it.
"""

import argparse
import asyncio
import json
import uuid
from collections import Counter, deque
from datetime import UTC, datetime

import numpy as np
import uvloop
from typing_extensions import override

_TYPES = (
    ("page.viewed", '"page":"/c/{n}","url":"https://shop.example/c/{n}?utm_campaign=autumn"'),
    ("product.viewed", '"product_id":"p-{n}","name":"Lampe {n}","url":"https://shop.example/p/{n}"'),
    ("product.list_viewed", '"list_id":"l-{n}","category":"lamps","title":"Lampen und Leuchten"'),
    ("page.engaged", '"engaged_ms":15000,"page":"/p/{n}","title":"Lampe {n}, Messing"'),
)
_CART = (
    "cart.updated",
    '"cart_id":"c-{n}","currency":"EUR","total_minor":12900,"items":[{{"product_id":"p-{n}","price_minor":12900}}]',
)


class Tally:
    """What came back."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.delays_s: list[float] = []


class Client(asyncio.Protocol):
    """One connection: one request at a time, the next as soon as `next_request` gives it."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.began_s = 0.0
        self.answer = b""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport."""
        self.transport = transport

    def send(self, request: bytes, began_s: float) -> None:
        """Send one request."""
        self.began_s = began_s
        assert self.transport is not None
        self.transport.write(request)

    @override
    def data_received(self, data: bytes) -> None:
        """Wait for a whole answer, then tell the load."""
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return
        place = head.lower().find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(body) >= length:
            self.answer = b""
            self.load.answered(self, int(head[9:12]))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server closes is a finding."""
        del exc
        self.load.tally.statuses[0] += 1


class Load:
    """Requests over some connections, closed (as fast as answers come) or open (`rate` a second)."""

    def __init__(self, requests: list[bytes], rate: float) -> None:
        self.requests = requests
        self.rate = rate
        self.tally = Tally()
        self.loop = asyncio.get_running_loop()
        self.sent = 0
        self.free: deque[Client] = deque()
        self.due: deque[float] = deque()
        self.end_s = 0.0
        self.clients: list[Client] = []

    async def run(self, host: str, port: int, connections: int, seconds: float) -> float:
        """Load for `seconds`, then wait for what is open; returns the seconds it took."""
        for _ in range(connections):
            _, client = await self.loop.create_connection(lambda: Client(self), host, port)
            self.clients.append(client)
        began_s = self.loop.time()
        self.end_s = began_s + seconds
        if self.rate:
            self.free.extend(self.clients)
            await self._pace(began_s)
        else:
            for client in self.clients:
                self._next(client, self.loop.time())
            await asyncio.sleep(seconds)
        while len(self.tally.delays_s) < self.sent and self.loop.time() < self.end_s + 15:  # noqa: ASYNC110 - cheaper
            await asyncio.sleep(0.01)
        return self.loop.time() - began_s

    async def _pace(self, began_s: float) -> None:
        offered = 0
        while (now_s := self.loop.time()) < self.end_s:
            wanted = int((now_s - began_s) * self.rate)
            self.due.extend(began_s + place / self.rate for place in range(offered, wanted))
            offered = max(offered, wanted)
            while self.due and self.free:
                self._next(self.free.popleft(), self.due.popleft())
            await asyncio.sleep(0.001)

    def _next(self, client: Client, began_s: float) -> None:
        client.send(self.requests[self.sent % len(self.requests)], began_s)
        self.sent += 1

    def answered(self, client: Client, status: int) -> None:
        """An answer came."""
        now_s = self.loop.time()
        self.tally.statuses[status] += 1
        self.tally.delays_s.append(now_s - client.began_s)
        if self.rate:
            if self.due:
                self._next(client, self.due.popleft())
            else:
                self.free.append(client)
        elif now_s < self.end_s:
            self._next(client, now_s)


def make_requests(shop: str, key: str, events: int, count: int, carts: float) -> list[bytes]:
    """`count` requests of `events` events each, `carts` of them cart events (which are facts too)."""
    rng = np.random.default_rng(1)
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    run = uuid.uuid4().hex[:8]
    kind = "application/cloudevents+json" if events == 1 else "application/cloudevents-batch+json"
    requests = []
    for number in range(count):
        bodies = []
        for place in range(events):
            name, data = _CART if rng.random() < carts else _TYPES[place % len(_TYPES)]
            bodies.append(
                f'{{"specversion":"1.0","id":"{run}-{number:08d}-{place:03d}","source":"/shops/{shop}","type":"{name}",'
                f'"time":"{time}","visitorid":"{uuid.UUID(bytes=rng.bytes(16), version=4)}","device":"mobile",'
                f'"returning":false,"data":{{{data.format(n=place)}}}}}'
            )
        body = (bodies[0] if events == 1 else "[" + ",".join(bodies) + "]").encode()
        head = (
            f"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


async def _main(arguments: argparse.Namespace) -> None:
    requests = make_requests(arguments.shop, arguments.key, arguments.events, arguments.bodies, arguments.carts)
    load = Load(requests, arguments.rate)
    took_s = await load.run(arguments.host, arguments.port, arguments.connections, arguments.seconds)
    delays_ms = np.array(load.tally.delays_s or [0.0]) * 1000
    answered = len(load.tally.delays_s)
    print(json.dumps({
        "requests_per_s": round(answered / took_s),
        "events_per_s": round(answered * arguments.events / took_s),
        "statuses": {str(status): count for status, count in sorted(load.tally.statuses.items())},
        "p50_ms": round(float(np.percentile(delays_ms, 50)), 1),
        "p99_ms": round(float(np.percentile(delays_ms, 99)), 1),
        "max_ms": round(float(delays_ms.max()), 1),
        "bytes_an_event": round(sum(map(len, requests)) / len(requests) / arguments.events),
    }))  # fmt: skip


def main() -> None:
    """Read the command line, load, print one line of JSON."""
    parser = argparse.ArgumentParser(description="Loads POST /v1/events.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--shop", default="demo")
    parser.add_argument("--key", required=True)
    parser.add_argument("--events", type=int, default=50, help="events a request")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0, help="requests a second; 0: as fast as answers come")
    parser.add_argument("--bodies", type=int, default=1000, help="different requests")
    parser.add_argument("--carts", type=float, default=0.1, help="share of cart events, which are facts too")
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
