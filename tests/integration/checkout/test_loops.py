"""The service's loops when what they work on fails for real: seen in readiness and metrics, well again by itself."""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from confluent_kafka import Producer
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from relance.events.messages import MessageOutcome, encode
from relance.rpc.checkout.v1 import checkout_pb2 as pb
from services.checkout.adapters.inbox import Inbox
from services.checkout.application.timing import Timekeeper
from services.checkout.metrics import DeskMetrics
from services.checkout.store import MasterKey, open_store
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, open_shop, ordered
from tests.integration.checkout.service_kit import Service, put_example, running_service
from tests.integration.checkout.service_kit import ordered as ordered_by

BOOK = {"LIVRE-LUMIERE": 1}


class Wire:
    """A line to a server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._joined: list[socket.socket] = []
        self._is_cut = False
        self._passing: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                if self._is_cut:
                    here.close()
                    continue
                there = socket.create_connection(self._there)
                self._joined += [here, there]
                for ends in ((here, there), (there, here)):
                    thread = threading.Thread(target=self._pass, args=ends, daemon=True)
                    self._passing.append(thread)
                    thread.start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
        one.close()

    def cut(self) -> None:
        self._is_cut = True
        for end in self._joined:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._passing:
            thread.join(10)
        self._joined.clear()
        self._passing.clear()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listening.close()


@pytest.fixture
def wire(fresh_postgres: Callable[[], str]) -> Iterator[tuple[Wire, str, str]]:
    """A wire to a database, its URL through the wire, and its own."""
    url = fresh_postgres()
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    made = Wire(parts.hostname, parts.port)
    try:
        yield made, url.replace(f":{parts.port}", f":{made.port}"), url
    finally:
        made.close()


def readiness(service: Service) -> tuple[int, str]:
    answer = httpx.get(f"http://127.0.0.1:{service.listening['metrics']}/health/ready", timeout=10)
    return answer.status_code, answer.text


def until(holds: Callable[[], bool], what: str, timeout_s: float = 40.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, what
        time.sleep(0.1)


def test_a_database_that_is_away_for_long_and_a_table_that_is_gone(
    wire: tuple[Wire, str, str], tmp_path: Path
) -> None:  # fmt: skip
    line, through, url = wire
    with running_service(tmp_path, DATABASE=through) as service:
        demo = service.backend("demo")
        put_example(service, demo.token)
        assert readiness(service)[0] == 200
        line.cut()
        until(lambda: readiness(service)[0] == 503, "seen")
        assert "the database is away" in readiness(service)[1]
        time.sleep(8)
        assert service.running.lives()
        line.mend()
        until(lambda: readiness(service)[0] == 200, "well again")
        placed = ordered_by(demo, BOOK)
        assert demo.GetOrder(pb.GetOrderRequest(order_id=placed.order_id)).order.state == "confirmed"

        asyncio.run(_tell(url, "ALTER TABLE effects RENAME TO lost"))
        until(lambda: "effects: died of " in readiness(service)[1], "seen")
        assert readiness(service)[0] == 503
        assert 'relance_checkout_loop_deaths_total{loop="effects"}' in service.metrics()
        asyncio.run(_tell(url, "ALTER TABLE lost RENAME TO effects"))
        until(lambda: readiness(service)[0] == 200, "well again")


async def _tell(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def test_kafka_that_is_away_holds_up_nobody_and_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with running_service(tmp_path, KAFKA=f"127.0.0.1:{port}") as service:
        demo = service.backend("demo")
        put_example(service, demo.token)
        assert ordered_by(demo, BOOK).order_id
        until(lambda: "relay: " in readiness(service)[1], "told")
        assert readiness(service)[0] == 200, "work can still be given"
        until(lambda: _waiting(service) > 0, "counted")


def _waiting(service: Service) -> float:
    name = 'relance_checkout_outbox_messages{state="waiting"} '
    return next((float(line[len(name) :]) for line in service.metrics().splitlines() if line.startswith(name)), 0.0)


async def test_a_row_that_cannot_be_read_keeps_no_other_from_its_time(database_url: str) -> None:
    store = await open_store(database_url, MasterKey(b"m" * 32))
    clock = Clock()
    desk = await open_shop(store, clock)
    pressed = [await ordered(desk, await at_recap(desk, f"row-{n}", means="transfer")) for n in range(3)]
    poisoned = str(pressed[0].order_id)
    async with store.database.writing() as connection:
        await connection.execute(
            text("UPDATE aggregates SET body = '{\"id\": 5}' WHERE kind = 'order' AND id = :id"), {"id": poisoned}
        )
    registry = CollectorRegistry()
    clock.passes(days=8)
    keeper = Timekeeper(desk, DeskMetrics(registry))
    for _ in range(3):
        await keeper.round()
    for one in pressed[1:]:
        view = await desk.order(SHOP.id, one.order_id)
        assert getattr(view, "order", None) is not None
        assert view.order.state == "lapsed"  # type: ignore[union-attr]
    failed = registry.get_sample_value("relance_checkout_timers_total", {"what": "order", "result": "failed"})
    assert failed == 1, "and it makes way for a minute"
    clock.passes(minutes=2)
    await keeper.round()
    assert registry.get_sample_value("relance_checkout_timers_total", {"what": "order", "result": "failed"}) == 2
    await store.close()


@pytest.mark.kafka
async def test_a_message_that_nobody_can_hear_is_set_aside_and_those_behind_it_are_heard(
    kafka: str, fresh_topic: Callable[..., str]
) -> None:
    topic = fresh_topic()
    bad, good = _outcome(), _outcome()
    producer = Producer({"bootstrap.servers": kafka})
    for one in (bad, good):
        producer.produce(topic, encode(one))
    producer.flush(10)
    heard: list[UUID] = []
    counted: Counter[str] = Counter()

    async def hear(outcome: MessageOutcome) -> None:
        if outcome.id == bad.id:
            raise ValueError("its order cannot be read")
        heard.append(outcome.id)

    inbox = Inbox(kafka, topic, f"group-{uuid4()}", hear, lambda how: counted.update([how]))
    stop = asyncio.Event()
    running = asyncio.create_task(inbox.run(stop))
    problems = set()
    async with asyncio.timeout(90):
        while not heard:
            problems.add(inbox.problem)
            await asyncio.sleep(0.05)
    assert heard == [good.id]
    assert counted == {"set_aside": 1, "heard": 1}
    assert "hearing a message failed: ValueError" in problems
    stop.set()
    await asyncio.wait_for(running, 30)


def _outcome() -> MessageOutcome:
    return MessageOutcome(
        id=uuid4(), request_id=uuid4(), shop="demo", order_id=uuid4(), kind="order.confirmation", outcome="accepted",
        at=datetime.now(UTC) - timedelta(seconds=1),
    )  # fmt: skip
