"""The checkout service on one core; database, bank, broker and load generator on the others."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import httpx
import msgspec

from benchmarks.checkout.database import Database
from benchmarks.checkout.example import SHOP, UNITS, read
from benchmarks.cluster import Cluster
from benchmarks.live_service import LiveService, free_port
from benchmarks.processes import Tree, pin
from benchmarks.relance_system import fresh_topics
from benchmarks.systems import ROOT, Start
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1 import checkout_pb2_grpc

__all__ = ["Broker", "Till", "till"]

_OPERATOR: Final = "operator-of-the-bench-only"
_BANK_MS: Final = 5
_READY_LIMIT_S: Final = 120.0
_LOAD_LIMIT_S: Final = 900.0


class Broker(NamedTuple):
    """The bench's broker."""

    cluster: Cluster
    pid: int


class Till(NamedTuple):
    """The service, running with the example shop in it. `token`: of the shop's backend."""

    service: LiveService
    grpc: str
    http: str
    token: str
    kafka: str
    others: Sequence[int]  # the cores that are not the service's

    def load(self, module: str, *arguments: str) -> dict[str, Any]:
        """What a load generator counted. Raises RuntimeError with the end of what it wrote when it failed."""
        command = [
            *_on(self.others), sys.executable, "-m", module, "--grpc", self.grpc, "--http", self.http,
            "--kafka", self.kafka, "--pid", str(self.service.tree.pid), *arguments,
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_LOAD_LIMIT_S,
            env={**os.environ, "BENCH_TOKEN": self.token},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the load generator failed: {done.stderr[-1500:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextlib.contextmanager
def till(broker: Broker, directory: Path, told: Callable[[str], None]) -> Iterator[Till]:
    """A fresh till over fresh topics; all of it is ended and its database deleted afterwards."""
    cores = sorted(os.sched_getaffinity(0))
    own, others = cores[-1:], cores[:-1] or cores
    fresh_topics(broker.cluster)
    pin(broker.pid, others)
    with contextlib.ExitStack() as ends:
        ends.callback(pin, broker.pid, cores)
        told("checkout: starting database, bank and service")
        home = ends.enter_context(tempfile.TemporaryDirectory(dir=directory))
        database = Database(others)
        ends.callback(database.stop)
        http_port, bank_port, grpc_port = free_port(), free_port(), free_port()
        bank = _bank(bank_port, http_port, others, directory / "checkout")
        ends.callback(bank.stop)
        settings = {
            "DATABASE": database.url, "GRPC_PORT": str(grpc_port), "HTTP_PORT": str(http_port),
            "BASE_URL": f"http://127.0.0.1:{http_port}", "BANK_URL": f"http://127.0.0.1:{bank_port}",
        }  # fmt: skip
        service = _service(settings, broker.cluster.kafka, home, own, directory / "checkout")
        ends.callback(service.tree.kill)  # its database goes with it: nothing is left to finish
        service.wait(service.ready, _READY_LIMIT_S, "ready")
        address = f"127.0.0.1:{grpc_port}"
        yield Till(
            service, address, settings["BASE_URL"], _put(address, settings["BASE_URL"]), broker.cluster.kafka, others
        )


def _on(cores: Sequence[int]) -> list[str]:
    return ["taskset", "-c", ",".join(map(str, cores))]


def _bank(port: int, http_port: int, cores: Sequence[int], logs: Path) -> Tree:
    command = [
        *_on(cores), sys.executable, "-m", "relance.bank", "--port", str(port), "--answer-ms", str(_BANK_MS),
        "--webhook", f"http://127.0.0.1:{http_port}/v1/psp/simulator",
    ]  # fmt: skip
    return Tree("bank", command, log=logs / "bank.log", environ=os.environ, directory=ROOT)


def _service(settings: dict[str, str], kafka: str, home: str, cores: Sequence[int], logs: Path) -> LiveService:
    """The service and its printing process, both on `cores`; every shopper of the load has an address of his own."""
    metrics_port = free_port()
    own = settings | {
        "METRICS_PORT": str(metrics_port), "OPERATOR_TOKEN": _OPERATOR, "LOG_LEVEL": "warning",
        "TRUSTED_PROXIES": "127.0.0.1",
    }  # fmt: skip
    environ = {f"RELANCE_CHECKOUT_{name}": value for name, value in own.items()}
    environ |= {"RELANCE_KAFKA": kafka, "RELANCE_HOME": home}
    start = Start("checkout", (*_on(cores), sys.executable, "-m", "services.checkout"), environ)
    return LiveService(start, metrics_port, logs)


def _put(address: str, base_url: str) -> str:
    """The example shop, as its owner puts it; the token of its backend."""
    with grpc.insecure_channel(address) as channel:
        stub = checkout_pb2_grpc.CheckoutServiceStub(channel)

        def call(method: str, request: Any, token: str) -> Any:
            metadata = (("authorization", f"Bearer {token}"),)
            try:
                return getattr(stub, method)(request, timeout=30.0, metadata=metadata)
            except grpc.RpcError as error:
                raise RuntimeError(f"the example shop: {method}: {error.details()}") from None

        token = str(call("CreateToken", pb.CreateTokenRequest(shop=SHOP), _OPERATOR).token)
        shop = read("shop")
        shop["legal"]["accessibility_statement"] = f"{base_url}/legal/{SHOP}/accessibility"
        call("PutShop", pb.PutShopRequest(shop=msgspec.json.encode(shop)), token)
        articles = [msgspec.json.encode(article) for article in read("articles")]
        call("PutArticles", pb.PutArticlesRequest(articles=articles), token)
        call("PutOffers", pb.PutOffersRequest(offers=[_offer(one) for one in read("offers")]), token)
        levels = [pb.StockLevel(sku=sku, on_hand=UNITS) for sku in read("stock")]
        call("PutStock", pb.PutStockRequest(levels=levels), token)
    time.sleep(0.5)  # what the start left to do
    _open(base_url)
    return token


def _offer(offer: dict[str, Any]) -> pb.Offer:
    prices = [
        pb.Price(id=one["id"], since=one["since"].isoformat(), price_minor=one["price_minor"])
        for one in offer["prices"]
    ]
    return pb.Offer(sku=offer["sku"], prices=prices)


def _open(base_url: str) -> None:
    """Look once whether the pages answer. Raises RuntimeError."""
    status = httpx.get(f"{base_url}/legal/{SHOP}/accessibility", timeout=30.0).status_code
    if status != httpx.codes.OK:
        raise RuntimeError(f"the pages of the example shop answer {status}")
