"""A checkout service that is killed from outside and started anew, a shop that insists, and what must hold after."""

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import grpc
import msgspec

from relance.cli import checkout_files
from relance.custody.checkpoint_file import read_lines
from relance.events.topics import MESSAGES, RAW
from relance.evidence.checkpoints import key_from_pem
from relance.evidence.entries import decode
from relance.kafka.consumer import read_all
from relance.rpc.checkout.v1 import aftercare_pb2 as aftercare
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from services.checkout.domain.orders import Order, kept_minor, owed_minor
from services.checkout.domain.stock import Level
from services.checkout.store import Store, local_master_key, open_store
from services.checkout.store.verifying import verify_store
from tests.integration.checkout.after_pages_kit import MAGAZINE
from tests.integration.checkout.aftercare_kit import After
from tests.integration.checkout.bank_kit import RunningBank, running_bank
from tests.integration.checkout.fork_kit import Forked, Nest
from tests.integration.checkout.service_kit import (
    EXAMPLE,
    NOTIFICATION,
    OPERATOR,
    Backend,
    Service,
    cart,
    click,
    free_ports,
)  # fmt: skip
from tests.integration.checkout.wire_kit import Trap, wires
from tests.integration.clock_kit import Clock

__all__ = ["House", "Story", "house"]

PATIENCE_S: Final = 60.0
_AGAIN: Final = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED}
)
_LINES: Final = {"LL-AURORE": 1, "LIVRE-LUMIERE": 2}
_SKU: Final = "LL-AURORE"
STOCK: Final = 10_000


class House:
    """The service, killed and started as often as it takes, on one database and beside one bank."""

    def __init__(self, folder: Path, kafka: str, database: str, bank: RunningBank, ports: tuple[str, int]) -> None:
        self.folder, self.kafka, self.database, self.bank = folder, kafka, database, bank
        self.trap = Trap()
        self.clock = Clock(folder / "clock", 0)
        self._wired, self._port = ports
        self._starts = 0
        self._nest: Nest | None = None
        self.token = ""

    def use(self, wired: str, bank_url: str) -> None:
        """By way of the wires."""
        self._wired, self._bank_url = wired, bank_url

    def start(self) -> None:
        """Start the service; returns when it is ready."""
        self._starts += 1
        own = {
            "DATABASE": self._wired, "GRPC_PORT": "0", "METRICS_PORT": "0", "HTTP_PORT": str(self._port),
            "BASE_URL": f"http://127.0.0.1:{self._port}", "BANK_URL": self._bank_url, "OPERATOR_TOKEN": OPERATOR,
            "NOTIFICATION_TOKEN": NOTIFICATION, "FIRST_LOOK_S": "1", "PSP_TIMEOUT_S": "10", "LEASE_S": "2",
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
        variables = {f"RELANCE_CHECKOUT_{name}": value for name, value in own.items()} | self.clock.environ
        variables |= {"RELANCE_HOME": str(self.folder / "home"), "RELANCE_KAFKA": self.kafka}
        log = self.folder / f"checkout-{self._starts}.log"
        self._nest = self._nest or Nest(clean | variables)
        self.running = Forked("checkout", self._nest, clean | variables, log)
        self.service = Service(self.running, self.folder / "home", self.bank)
        if not self.token:
            self.token = self.service.backend("demo").token
        self.shop = Backend(self.service.channel, self.token)
        self.after = After(self.shop, self.service)
        self.operator = After(self.service.operator, self.service)

    def revive(self) -> None:
        """Start it anew when it was killed."""
        if not self.running.lives():
            before = self.service.channel
            self.start()
            before.close()

    def end(self) -> None:
        """End it in order."""
        assert self.running.end() == 0, self.running.said()[-3000:]
        self.service.channel.close()

    def close(self) -> None:
        """End all of it at once."""
        self.running.kill()
        self.service.channel.close()
        if self._nest is not None:
            self._nest.close()

    def ask(self, method: str, request: Any) -> Any:
        """One call of the shop, to whichever service has it."""
        of_order = hasattr(self.after.stub, method)
        return getattr(self.after if of_order else self.shop, method)(request, 15.0)

    def day(self) -> Any:
        """What the day brings, done as its operator asks."""
        return self.operator.RunDay(aftercare.RunDayRequest(), 15.0)

    def insist(self, call: Callable[[], Any]) -> Any:
        """What the shop gets in the end: it asks again, with the same key, whatever happens to the service."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call()
            except grpc.RpcError as error:
                if error.code() not in _AGAIN or time.monotonic() > end_s:
                    raise
            time.sleep(0.05)
            self.revive()

    def order(self, order_id: str) -> pb.Order:
        found: pb.Order = self.insist(lambda: self.ask("GetOrder", pb.GetOrderRequest(order_id=order_id))).order
        return found

    def leap(self, hours: int) -> None:
        """Time passes for the service and the bank. Never back, for evidence knows no going back; and no call can be
        made after it, since deadlines of gRPC pass by the true time.
        """
        self.clock.jump_to(3_600 * hours)
        self.bank.control("clock", ahead_s=self.clock.ahead_s)

    async def open(self) -> Store:
        """The database, beside the service and past the wires."""
        master = local_master_key(self.folder / "home")
        return await open_store(self.database, master, migrate=False, connections=2)

    def told(self, orders: Collection[Order]) -> None:
        """Kafka has each event and each message of these orders under one id, however often it was sent."""
        events: dict[str, dict[str, set[str]]] = {str(order.id): {} for order in orders}
        for record in read_all(self.kafka, RAW.name):
            event = json.loads(record.value())
            if (kinds := events.get(str(event["data"].get("order_id")))) is not None:
                kinds.setdefault(event["type"], set()).add(event["id"])
        asked = [json.loads(one.value()) for one in read_all(self.kafka, MESSAGES.name)]
        paper = Counter(
            one["order_id"] for one in {one["id"]: one for one in asked}.values() if one["kind"] == "order.confirmation"
        )
        for order in orders:
            kinds = events[str(order.id)]
            assert len(kinds.get("order.placed", ())) == 1, kinds
            assert len(kinds.get("order.completed", ())) == (order.confirmed_at is not None), kinds
            assert len(kinds.get("order.expired", ())) == (order.state == "lapsed"), kinds
            assert paper[str(order.id)] == 1, order.id

    async def verify(self) -> None:
        """All evidence is whole, sealed and no order lacks it."""
        keys = self.folder / "home" / "checkout"
        store = await self.open()
        try:
            log = read_lines((keys / "checkpoints.log").read_bytes())
            result = await verify_store(store, log, key_from_pem((keys / "signing.pub.pem").read_bytes()))
        finally:
            await store.close()
        assert not result.findings
        assert result.unsealed == 0


@contextlib.contextmanager
def house(folder: Path, kafka: str, database: str) -> Iterator[House]:
    """A house with the example shop in it, its service up."""
    http_port, bank_port = free_ports(2)
    webhook = f"http://127.0.0.1:{http_port}/v1/psp/simulator"
    with running_bank("--webhook", webhook, port=bank_port) as bank:
        made = House(folder, kafka, database, bank, ("", http_port))
        with wires(made.trap, database, bank.url) as (wired, bank_url):
            made.use(wired, bank_url)
            made.start()
            try:
                _open_shop(made.shop)
                yield made
            finally:
                made.close()


def _open_shop(shop: Backend) -> None:
    """The example shop, which sells a subscription too, with more on hand than all stories take."""
    told = checkout_files.shop(EXAMPLE / "shop.yaml")
    told["legal"]["sells"] = ["goods", "digital", "service"]
    shop.PutShop(pb.PutShopRequest(shop=msgspec.json.encode(told)))
    articles, offers = (
        checkout_files.articles(EXAMPLE / "articles.yaml"),
        checkout_files.offers(EXAMPLE / "offers.yaml"),
    )
    articles.articles.append(msgspec.json.encode(MAGAZINE))
    since = (datetime.now(UTC) - timedelta(days=60)).isoformat()
    offers.offers.add(sku=MAGAZINE.sku, prices=[pb.Price(id="p1", since=since, price_minor=900)])
    shop.PutArticles(articles)
    shop.PutOffers(offers)
    shop.PutStock(pb.PutStockRequest(levels=[pb.StockLevel(sku=sku, on_hand=STOCK) for sku in _LINES]))


@dataclass
class Story:
    """One order from the cart to its end: sent and partly paid back, or cancelled.

    `leaves`: the shopper and the shop never come back once the service was killed.
    """

    house: House
    end: str  # "sent" or "cancelled"
    leaves: bool = False
    cart_id: str = field(default_factory=lambda: f"cart-{uuid4()}")
    order_id: str = ""

    def is_over(self) -> bool:
        return self.leaves and self.house.trap.sprung

    def begin(self) -> None:
        """What comes before anything is cut."""

    def tell(self) -> None:
        """Go through it as far as it goes."""
        for act in (self.places, self.pays, self.receives_paper, self._ends):
            if not self.is_over():
                with self.leaving():
                    act()
        self.house.revive()

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """Who leaves does not see how it ends."""
        try:
            yield
        except grpc.RpcError:
            if not self.is_over():
                raise

    def again(self, call: Callable[[], Any]) -> Any:
        """A call, repeated by whoever does not leave until it is answered."""
        return call() if self.leaves else self.house.insist(call)

    def ask(self, method: str, request: Any) -> Any:
        """A call of the shop, as `again`."""
        return self.again(lambda: self.house.ask(method, request))

    def places(self, lines: Mapping[str, int] = _LINES) -> None:
        """The click, and the page of the bank."""
        id_ = str(self.ask("CreateCheckout", cart(lines, cart_id=self.cart_id)).checkout.checkout_id)
        address = pb.Address(name="Camille Durand", line1="12 rue des Carmes", postcode="44000", city="Nantes")
        contact = pb.Contact(email="camille@client.example", objection_text_version="2")
        home = pb.DeliveryChoice(mode="home", address=address)
        means = pb.PaymentChoice(means="card")
        update = pb.UpdateCheckoutRequest(checkout_id=id_, contact=contact, delivery=home, payment=means)
        self.ask("UpdateCheckout", update)
        shown = self.ask("GetDisclosures", pb.GetDisclosuresRequest(checkout_id=id_))
        placed = self.ask("Place", click(id_, shown))
        self.order_id = placed.order_id

        def page() -> str:
            view = self.ask("Place", click(id_, shown))
            assert view.order_id == self.order_id
            return str(view.payment_url)

        self.page = placed.payment_url or self.until(page, "a page of the bank")

    def pays(self) -> None:
        """By card, until the service knows."""
        assert self.house.bank.pay(self.page, "4242424242424242").status_code in {200, 303}
        self.until(lambda: self._order().state == "confirmed", "confirmed")

    def receives_paper(self) -> None:
        """The confirmation is printed."""
        self.until(lambda: [one for one in self._order().documents if one.name.endswith(".pdf")], "confirmation")

    def _ends(self) -> None:
        id_ = self.order_id
        if self.end == "cancelled":
            self.ask("CancelOrder", pb.CancelOrderRequest(idempotency_key=f"c{id_}", order_id=id_, reason="mistake"))
        else:
            self.ask("ShipParcel", pb.ShipParcelRequest(idempotency_key=f"s{id_}", order_id=id_, parcel_id="P1"))
            got = pb.RECEIVED_BY_CONSUMER
            deliver = pb.DeliverParcelRequest(idempotency_key=f"d{id_}", order_id=id_, parcel_id="P1", received_by=got)
            self.ask("DeliverParcel", deliver)
            back = pb.RefundOrderRequest(idempotency_key=f"b{id_}", order_id=id_, amount_minor=500)
            self.ask("RefundOrder", back)
        self.until(lambda: all(one.state == "succeeded" for one in self._order().refunds), "money back")

    def _order(self) -> pb.Order:
        if self.leaves:
            found: pb.Order = self.house.ask("GetOrder", pb.GetOrderRequest(order_id=self.order_id)).order
            return found
        return self.house.order(self.order_id)

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """What it gives once it gives something; as far as it came for whoever leaves."""
        end_s = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert time.monotonic() < end_s, f"not {what}: {self._order()}"
            if self.is_over():
                return found
            time.sleep(0.05)
            if not self.leaves:
                self.house.revive()
        return found

    async def settles(self) -> "Order | None":
        """What has become of it once nothing is under way any more, and agrees."""
        store = await self.house.open()
        try:
            end_s = time.monotonic() + PATIENCE_S
            while not await self._is_quiet(store):
                self.house.revive()  # it may be cut as late as now
                assert time.monotonic() < end_s, await self._of(store)
                await asyncio.sleep(0.05)
            self.house.revive()
            order = await self._of(store)
            await self.holds(store, order)
        finally:
            await store.close()
        return order

    async def _of(self, store: Store) -> "Order | None":
        async with store.reading() as tx:
            found = [one for one in (await tx.all(Order, "demo", limit=10_000)).values() if self._is_mine(one)]
        assert len(found) <= 1
        return found[0] if found else None

    def _is_mine(self, order: Order) -> bool:
        return order.context.cart_id == self.cart_id

    async def _is_quiet(self, store: Store) -> bool:
        """Nothing waits: no effect, no message, no money that is under way."""
        order = await self._of(store)
        if order is not None and (order.state == "placed" or any(_is_open(one.state) for one in order.refunds)):
            return False
        async with store.database.reading() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM effects), (SELECT count(*) FROM outbox)"
            )
            return tuple(rows.one()) == (0, 0)

    async def holds(self, store: Store, order: "Order | None") -> None:
        """One charge or none, what is kept is what the order says, stock is conserved, and evidence is there."""
        charges = self.house.bank.charges()
        async with store.reading() as tx:
            orders = list((await tx.all(Order, "demo", limit=10_000)).values())
            level = await tx.get(Level, "demo", _SKU)
            acts = [] if order is None else [decode(one) for one in await tx.entries("demo", str(order.id))]
        attempts = {attempt.id for one in orders for attempt in one.attempts}
        assert {one["metadata"]["attempt"] for one in charges} <= attempts, "a charge without an order"
        assert level is not None
        assert not level.holds
        assert level.on_hand == STOCK - sum(_gone(one) for one in orders)
        assert level.committed == {str(one.id): 1 for one in orders if one.state == "confirmed" and not _ended(one)}
        if order is None:
            return
        mine = [one for one in charges if one["metadata"]["order"] == str(order.id)]
        left = sum(one["amount"] - one["amount_refunded"] for one in mine)
        assert len(mine) <= 1
        assert left == kept_minor(order)
        assert owed_minor(order) == 0
        back = sum(one.amount_minor for one in order.refunds)
        wanted = 0 if order.state in {"lapsed", "cancelled"} else order.total_minor - back
        assert left == wanted, order
        said = {(one.act, one.what) for one in acts}
        assert {("shown", "recap"), ("accepted", "terms"), ("accepted", "button"), ("happened", "order")} <= said
        assert ("shown", "confirmation") in said


def _is_open(state: str) -> bool:
    return state in {"requested", "pending", "redirected"}


def _gone(order: Order) -> int:
    """How many lamps have left."""
    lines = {line.id for line in order.lines if line.sku == _SKU}
    return sum(count for parcel in order.parcels for id_, count in parcel.units.items() if id_ in lines)


def _ended(order: Order) -> int:
    """How many lamps will never come."""
    return sum(line.ended + line.withdrawn for line in order.lines if line.sku == _SKU)
