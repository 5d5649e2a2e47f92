"""The checkout service as a process, with the example shop in it, a bank beside it, and a backend that calls it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
import yaml
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo  # type: ignore[import-untyped]
from grpc_status import rpc_status
from sqlalchemy import select
from typing_extensions import override

from relance.rpc.checkout.v1 import checkout_pb2 as pb
from relance.rpc.checkout.v1.checkout_pb2_grpc import CheckoutServiceStub
from services.checkout.store import local_master_key, open_store
from services.checkout.store.schema import METADATA
from tests.integration.checkout.bank_kit import RunningBank, running_bank
from tests.integration.conftest import ROOT, Running

EXAMPLE = ROOT / "examples" / "shop"
OPERATOR = "operator-token-of-these-tests"
NOTIFICATION = "notification-token-of-these-tests"
ACTS = (
    pb.ACT_KIND_RECAP_SHOWN,
    pb.ACT_KIND_EARLY_START_REQUESTED,
    pb.ACT_KIND_WITHDRAWAL_LOSS_ACKNOWLEDGED,
    pb.ACT_KIND_TERMS_ACCEPTED,
    pb.ACT_KIND_ORDER_PRESSED,
)


class Refusal:
    """How a call was refused: status, words, the field, and rule and article where the law decided."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.text: str = error.details() or ""
        self.field = self.rule = self.article = ""
        status = rpc_status.from_call(error)
        for detail in status.details if status is not None else ():
            bad, info = BadRequest(), ErrorInfo()
            if detail.Unpack(bad):
                self.field = bad.field_violations[0].field
            elif detail.Unpack(info):
                assert info.domain == "relance.law"
                self.rule, self.article = info.metadata["rule"], info.metadata["article"]

    @override
    def __repr__(self) -> str:
        return f"{self.code.name} {self.field!r} {self.rule} {self.article}: {self.text}"


class Backend:
    """A shop's backend, or whoever holds a token."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self.stub: Any = CheckoutServiceStub(channel)
        self.token = token

    def __getattr__(self, method: str) -> Any:
        return lambda request, timeout=20.0: getattr(self.stub, method)(
            request, timeout=timeout, metadata=self.metadata()
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def refused(self, method: str, request: Any, timeout: float | None = 20.0) -> Refusal:
        """How the call is refused; fails when it is not."""
        try:
            answer = getattr(self, method)(request, timeout)
        except grpc.RpcError as error:
            return Refusal(error)
        raise AssertionError(f"{method} was not refused: {answer}")


class Service:
    """A running checkout service."""

    def __init__(self, running: Running, home: Path, bank: RunningBank, database: str = "") -> None:
        self.running, self.home, self.bank, self.database = running, home, bank, database
        running.until_said('"listening"', 90)
        line = next(line for line in running.said().splitlines() if '"listening"' in line)
        self.listening = json.loads(line)
        self.grpc = f"127.0.0.1:{self.listening['grpc']}"
        self.http = f"http://127.0.0.1:{self.listening['http']}"
        self.channel = grpc.insecure_channel(self.grpc)
        self.operator = Backend(self.channel, OPERATOR)

    def backend(self, shop: str) -> Backend:
        """The backend of a shop, with a token of its own."""
        return Backend(self.channel, self.operator.CreateToken(pb.CreateTokenRequest(shop=shop)).token)

    def relance(self, *arguments: str, token: str = "", code: int = 0) -> str:
        """The command line beside this service; its output, of both kinds."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        own = {
            "RELANCE_HOME": str(self.home), "RELANCE_CHECKOUT_ADDRESS": self.grpc, "COLUMNS": "200",
            "RELANCE_CHECKOUT_TOKEN": token, "RELANCE_CHECKOUT_OPERATOR_TOKEN": OPERATOR,
        }  # fmt: skip
        command = [sys.executable, "-m", "relance.cli", *arguments]
        done = subprocess.run(
            command, env=clean | own, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    async def kept(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of the database, by table."""
        store = await open_store(self.database, local_master_key(self.home), migrate=False, connections=1)
        try:
            async with store.database.reading() as connection:
                rows = {table: await connection.execute(select(table)) for table in METADATA.tables.values()}
                return {table.name: [dict(row._mapping) for row in found] for table, found in rows.items()}
        finally:
            await store.close()

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.listening['metrics']}/metrics", timeout=10).text


@contextlib.contextmanager
def running_service(folder: Path, **settings: str) -> Iterator[Service]:
    """The service on a database of its own, without Kafka unless KAFKA is given; ended in order at the end."""
    http_port, bank_port = free_ports(2)
    webhook = f"http://127.0.0.1:{http_port}/v1/psp/simulator"
    home = folder / "home"
    with running_bank("--webhook", webhook, port=bank_port) as bank:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        own = {
            "DATABASE": f"sqlite:///{folder}/checkout.db", "GRPC_PORT": "0", "METRICS_PORT": "0",
            "HTTP_PORT": str(http_port), "BASE_URL": f"http://127.0.0.1:{http_port}", "BANK_URL": bank.url,
            "OPERATOR_TOKEN": OPERATOR, "NOTIFICATION_TOKEN": NOTIFICATION, "FIRST_LOOK_S": "2",
        } | settings  # fmt: skip
        shared = {"RELANCE_HOME": str(home), "RELANCE_KAFKA": own.pop("KAFKA", "")}
        variables = {f"RELANCE_CHECKOUT_{name}": value for name, value in own.items()} | shared
        running = Running("checkout", [sys.executable, "-m", "services.checkout"], clean | variables, folder / "log")
        try:
            yield Service(running, home, bank, own["DATABASE"])
            assert running.end() == 0, running.said()[-3000:]
        finally:
            running.kill()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


def put_example(service: Service, token: str) -> str:
    """The example shop, as its owner would put it; what the command line said."""
    said = [
        service.relance("checkout", name, "put", str(EXAMPLE / f"{name}.yaml"), token=token)
        for name in ("shop", "articles", "offers", "stock", "coupons")
    ]
    return "".join(said)


def cart(lines: Mapping[str, int], **fields: Any) -> pb.CreateCheckoutRequest:
    """A request for a checkout of these units by sku."""
    wanted = [pb.CartLine(sku=sku, quantity=count) for sku, count in lines.items()]
    named = {"cart_id": f"cart-{uuid4()}", "visitor_id": "visitor"} | fields
    return pb.CreateCheckoutRequest(idempotency_key=str(uuid4()), cart=pb.Cart(lines=wanted, **named), locale="fr")


def filled_in(backend: Backend, lines: Mapping[str, int], means: str = "transfer", **fields: Any) -> str:
    """A checkout that lacks nothing but the click; its id."""
    id_ = backend.CreateCheckout(cart(lines, **fields)).checkout.checkout_id
    address = pb.Address(name="Camille Durand", line1="12 rue des Carmes", postcode="44000", city="Nantes")
    contact = pb.Contact(
        email="camille@client.example", first_name="Camille", last_name="Durand", objected=False,
        objection_text_version="2",
    )  # fmt: skip
    backend.UpdateCheckout(
        pb.UpdateCheckoutRequest(
            checkout_id=id_,
            contact=contact,
            delivery=pb.DeliveryChoice(mode="home", address=address),
            payment=pb.PaymentChoice(means=means),
        )
    )
    return str(id_)


def click(checkout_id: str, shown: pb.GetDisclosuresResponse, **changed: Any) -> pb.PlaceRequest:
    """A click on a page that showed all of a set."""
    now = datetime.now(UTC)
    acts = [
        pb.ShopperAct(kind=kind, at=(now + timedelta(milliseconds=place)).isoformat())
        for place, kind in enumerate(ACTS)
    ]
    fields: dict[str, Any] = {
        "idempotency_key": str(uuid4()), "checkout_id": checkout_id, "set_id": shown.set_id,
        "rendered": {text.name: text.sha256 for text in shown.texts}, "button_text": shown.button_texts[0],
        "acts": acts, "channel": pb.CHANNEL_WEB, "locale": "fr", "user_agent": "Firefox",
    }  # fmt: skip
    return pb.PlaceRequest(**(fields | changed))


def ordered(backend: Backend, lines: Mapping[str, int], means: str = "transfer") -> pb.PlaceResponse:
    """An order of a page of the shop's own."""
    id_ = filled_in(backend, lines, means)
    shown = backend.GetDisclosures(pb.GetDisclosuresRequest(checkout_id=id_))
    placed: pb.PlaceResponse = backend.Place(click(id_, shown))
    return placed


ON_BOTH = pytest.mark.parametrize("service", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """On SQLite, or on both databases where a module says ON_BOTH."""
    own: dict[str, str] = {}
    if getattr(request, "param", "sqlite") == "postgresql":
        own["DATABASE"] = request.getfixturevalue("fresh_postgres")()
    with running_service(tmp_path_factory.mktemp("checkout"), **own) as found:
        yield found


@pytest.fixture(scope="module")
def demo(service: Service) -> Backend:
    """The backend of the example shop, which the command line has put."""
    backend = service.backend("demo")
    said = put_example(service, backend.token)
    assert "shop demo is put" in said
    assert "5 articles are put" in said
    return backend


@pytest.fixture(scope="module")
def other(service: Service) -> Backend:
    """Another shop's backend."""
    backend = service.backend("other")
    shop = yaml.safe_load((EXAMPLE / "shop.yaml").read_text()) | {"id": "other"}
    backend.PutShop(pb.PutShopRequest(shop=json.dumps(shop).encode()))
    return backend
