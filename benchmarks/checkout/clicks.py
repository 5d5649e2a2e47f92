"""Places orders as fast as the service takes them: `python -m benchmarks.checkout.clicks`; what it counted, as JSON."""

import argparse
import asyncio
import hashlib
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import uuid4

import grpc
import psutil
import uvloop
from typing_extensions import override

from benchmarks.checkout.spread import spread
from benchmarks.processes import cpu_of
from relance.events.topics import RAW
from relance.kafka.consumer import tail
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2_grpc

_CART: Final = ("LL-CAFETIERE", "LIVRE-LUMIERE")
_ACTS: Final = (pb.ACT_KIND_RECAP_SHOWN, pb.ACT_KIND_TERMS_ACCEPTED, pb.ACT_KIND_ORDER_PRESSED)
_PREPARED_AT_ONCE: Final = 8
_DEADLINE_S: Final = 30.0
_HEARD_LIMIT_S: Final = 30.0
_SETTLE_S: Final = 2.0  # events of what was prepared are relayed meanwhile


class _Click(NamedTuple):
    order_id: str
    began_s: float
    ended_s: float


class _Ears(threading.Thread):
    """When each `order.placed` could be read, by order."""

    def __init__(self, kafka: str) -> None:
        super().__init__(name="ears", daemon=True)
        self.heard: dict[str, float] = {}
        self.ready = threading.Event()
        self._kafka = kafka
        self._stopped = threading.Event()

    @override
    def run(self) -> None:
        for messages in tail(self._kafka, [RAW.name], stop=self._stopped):
            self.ready.set()
            now_s = time.monotonic()
            for message in messages:
                value = message.value()
                if b"order.placed" in value:
                    self.heard[json.loads(value)["data"]["order_id"]] = now_s

    def close(self) -> None:
        """End it."""
        self._stopped.set()
        self.join(5.0)


class _Backend:
    """The shop's backend."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._stub: Any = checkout_pb2_grpc.CheckoutServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    async def call(self, method: str, request: Any) -> Any:
        return await getattr(self._stub, method)(request, timeout=_DEADLINE_S, metadata=self._metadata)

    async def prepare(self) -> pb.PlaceRequest:
        """A checkout that lacks nothing but the click, and that click."""
        lines = [pb.CartLine(sku=sku, quantity=1) for sku in _CART]
        cart = pb.Cart(cart_id=f"bench-{uuid4()}", visitor_id=f"visitor-{uuid4()}", lines=lines)
        request = pb.CreateCheckoutRequest(idempotency_key=str(uuid4()), cart=cart, locale="fr")
        checkout_id = (await self.call("CreateCheckout", request)).checkout.checkout_id
        address = pb.Address(name="Camille Durand", line1="12 rue des Carmes", postcode="44000", city="Nantes")
        contact = pb.Contact(
            email="camille@client.example", first_name="Camille", last_name="Durand", objected=False,
            objection_text_version="2",
        )  # fmt: skip
        delivery, payment = pb.DeliveryChoice(mode="home", address=address), pb.PaymentChoice(means="card")
        await self.call(
            "UpdateCheckout",
            pb.UpdateCheckoutRequest(checkout_id=checkout_id, contact=contact, delivery=delivery, payment=payment),
        )
        shown = await self.call("GetDisclosures", pb.GetDisclosuresRequest(checkout_id=checkout_id))
        return _click(checkout_id, shown)


def _click(checkout_id: str, shown: Any) -> pb.PlaceRequest:
    now = datetime.now(UTC)
    acts = [
        pb.ShopperAct(kind=kind, at=(now + timedelta(milliseconds=place)).isoformat())
        for place, kind in enumerate(_ACTS)
    ]
    rendered = {text.name: hashlib.sha256(text.text.encode()).hexdigest() for text in shown.texts}
    return pb.PlaceRequest(
        idempotency_key=str(uuid4()), checkout_id=checkout_id, set_id=shown.set_id, rendered=rendered,
        button_text=shown.button_texts[0], acts=acts, channel=pb.CHANNEL_WEB, locale="fr", user_agent="bench",
    )  # fmt: skip


async def _at_once(works: Iterable[Callable[[], Awaitable[None]]], many: int) -> None:
    """All of `works`, `many` at a time."""
    left = iter(works)

    async def worker() -> None:
        for work in left:
            await work()

    async with asyncio.TaskGroup() as group:
        for _ in range(many):
            group.create_task(worker())


async def _prepared(backend: _Backend, count: int) -> list[pb.PlaceRequest]:
    made: list[pb.PlaceRequest] = []

    async def one() -> None:
        made.append(await backend.prepare())

    await _at_once((one for _ in range(count)), _PREPARED_AT_ONCE)
    return made


async def _clicked(
    backend: _Backend, requests: list[pb.PlaceRequest], at_once: int, seconds: float
) -> tuple[list[_Click], dict[str, int]]:
    """The clicks that were answered, and why others were not. Ends with the requests, or after `seconds`."""
    clicks: list[_Click] = []
    errors: dict[str, int] = {}
    until_s = time.monotonic() + seconds

    async def one(request: pb.PlaceRequest) -> None:
        began_s = time.monotonic()
        if began_s > until_s:
            return
        try:
            answer = await backend.call("Place", request)
        except grpc.aio.AioRpcError as error:
            reason = f"{error.code().name}: {error.details()}"[:120]
            errors[reason] = errors.get(reason, 0) + 1
            return
        clicks.append(_Click(str(answer.order_id), began_s, time.monotonic()))

    await _at_once((partial(one, request) for request in requests), at_once)
    return clicks, errors


async def _run(arguments: argparse.Namespace, ears: _Ears) -> dict[str, Any]:
    async with grpc.aio.insecure_channel(arguments.grpc) as channel:
        backend = _Backend(channel, os.environ["BENCH_TOKEN"])
        began_s = time.monotonic()
        requests = await _prepared(backend, arguments.count)
        prepared_s = time.monotonic() - began_s
        await asyncio.sleep(_SETTLE_S)
        before, all_before = _cpu(arguments.pid), cpu_of(arguments.pid)
        began_s, own_s = time.monotonic(), time.process_time()
        clicks, errors = await _clicked(backend, requests, arguments.at_once, arguments.seconds)
        took_s = time.monotonic() - began_s
        own_s = time.process_time() - own_s
        cpu_s, all_s = _cpu(arguments.pid) - before, cpu_of(arguments.pid) - all_before
    missing = await asyncio.to_thread(_heard, ears, clicks)
    delays = [max(0.0, ears.heard[one.order_id] - one.ended_s) * 1_000 for one in clicks if one.order_id in ears.heard]
    return {
        "orders": len(clicks), "seconds": took_s, "errors": errors, "prepared": len(requests),
        "prepared_per_s": len(requests) / prepared_s, "missing": missing,
        "click_ms": spread([(one.ended_s - one.began_s) * 1_000 for one in clicks]), "event_ms": spread(delays),
        "cpu_s": cpu_s, "printing_s": all_s - cpu_s, "generator_cpu_s": own_s,
    }  # fmt: skip


def _heard(ears: _Ears, clicks: list[_Click]) -> int:
    """Wait for the events of all orders; how many did not come."""
    until_s = time.monotonic() + _HEARD_LIMIT_S
    while (missing := sum(one.order_id not in ears.heard for one in clicks)) and time.monotonic() < until_s:
        time.sleep(0.1)
    return missing


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
    parser.add_argument("--count", type=int, required=True, help="checkouts prepared before the first click")
    parser.add_argument("--seconds", type=float, required=True, help="how long is clicked at most")
    parser.add_argument("--at-once", type=int, default=16, help="clicks under way")
    arguments = parser.parse_args()
    ears = _Ears(arguments.kafka)
    ears.start()
    if not ears.ready.wait(30.0):
        raise RuntimeError("the events cannot be read: Kafka does not answer")
    try:
        print(json.dumps(uvloop.run(_run(arguments, ears))))
    finally:
        ears.close()


if __name__ == "__main__":
    main()
