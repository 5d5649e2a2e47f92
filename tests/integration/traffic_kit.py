"""Shoppers of the demo, in haste and not always in order, sent over every way in; and what the log then says."""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple, Self
from uuid import UUID

import grpc
import msgspec

from relance.cli.demo.shoppers import shopping
from relance.cli.playing import Pace, Poster, now_ms, play
from relance.cli.simulate import signals_of
from relance.events.signals import Signal, from_ended
from relance.events.topics import BATCHES, ENDED, RAW
from relance.kafka.consumer import read_partition
from relance.kafka.machine import BadRecord, Record
from relance.kafka.producer import Producer, producer_config
from relance.kernel.errors import NotNow
from relance.kernel.instants import format_ms, parse_ms
from relance.rpc.tracking.v1 import tracking_pb2 as pb
from relance.rpc.tracking.v1.tracking_pb2_grpc import TrackingServiceStub
from relance.rules.windows import Definitions, When, Window
from services.session.domain.engine import Engine
from services.session.topology import SessionMachine
from tests.integration.spine_kit import PARTITIONS, OpenShop, Spine

PER_S = 120.0
HASTE = 3.0  # the shoppers of the demo hesitate for seconds; these for a third of it
LONGEST_S = 240.0
PATIENCE_S = 120.0


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


WINDOWS = Definitions(
    session_gap=seconds(4),
    grace=seconds(0.4),
    allowed_lateness=seconds(60),
    windows=(
        Window(id="payment-failed", event="payment.failed", inactivity=seconds(0)),
        Window(id="exit-with-cart", event="exit.intent", inactivity=seconds(0), when=When(items_at_least=1)),
        Window(id="cart-big", stage="cart", inactivity=seconds(1), when=When(cart_total_at_least_minor=20_000)),
        Window(id="cart", stage="cart", inactivity=seconds(1.5)),
        Window(id="checkout", stage="checkout", inactivity=seconds(2)),
        Window(id="payment", stage="payment", inactivity=seconds(1.5)),
        Window(id="product", stage="product", inactivity=seconds(2.5), when=When(events_at_least=3)),
        Window(id="browse", stage="browse", inactivity=seconds(3), when=When(known_person=False)),
    ),
)


class Planned(NamedTuple):
    """An event and when it is sent, ms since 1970."""

    send_ms: int
    event: dict[str, Any]


def plan(draw: random.Random, shop: OpenShop, per_s: float, hot: UUID | None) -> list[Planned]:
    """Shoppers' events from now on; some come three times, out of order, an hour late, or from the future."""
    start_ms = now_ms() + 500
    planned: list[Planned] = []
    for one in shopping(draw.randrange(10**9), shop.name, per_s / HASTE, LONGEST_S * HASTE):
        send_ms, time_ms = (start_ms + round(at_ms / HASTE) for at_ms in (one.send_ms, one.time_ms))
        kind = draw.random()
        if kind < 0.02:
            time_ms -= 3_600_000
        elif kind < 0.04:
            time_ms += draw.randint(500, 20_000)
        elif kind < 0.14:
            send_ms += draw.randint(0, 2_500)
        event = one.event | {"time": format_ms(time_ms)}
        if hot is not None and draw.random() < 0.4:
            event["visitorid"] = str(hot)
        planned.append(Planned(send_ms, event))
        if draw.random() < 0.08:
            planned += [Planned(send_ms + draw.randint(0, 2_000), event) for _ in range(2)]
    return sorted(planned, key=lambda sending: sending.send_ms)


Deliver = Callable[[list[bytes]], object]
"""Returns once all of these events are acknowledged."""

Way = Callable[[OpenShop], AbstractContextManager[Deliver]]


class Traffic:
    """Sends over HTTP, gRPC and the raw topic, each event until it is acknowledged, while it is entered."""

    def __init__(self, spine: Spine, draw: random.Random, shops: Sequence[tuple[OpenShop, float, UUID | None]]) -> None:
        self.failures: list[BaseException] = []
        self._sent: dict[str, list[int]] = {"http": [], "grpc": [], "raw": []}  # counts, by the way in
        self._acknowledged: dict[str, list[dict[str, Any]]] = {"http": [], "grpc": [], "raw": []}
        self._stop = threading.Event()
        self._spine = spine
        self._threads: list[threading.Thread] = []
        for shop, per_s, hot in shops:
            ways: dict[Way, list[Planned]] = {self._http: [], self._grpc: [], self._raw: []}
            for sending in plan(draw, shop, per_s, hot):
                ways[draw.choices(list(ways), (70, 15, 15))[0]].append(sending)
            for way, sendings in ways.items():
                self._threads.append(threading.Thread(target=self._run, args=(way, shop, sendings), daemon=True))

    @property
    def acknowledged(self) -> list[dict[str, Any]]:
        """The events that Kafka has, one that was sent again among them again."""
        return [event for events in self._acknowledged.values() for event in events]

    @property
    def sent(self) -> int:
        """Events whose sending has begun."""
        return sum(sum(counts) for counts in self._sent.values())

    def arrived(self, way: str) -> int:
        """Events acknowledged over http, grpc or raw."""
        return len(self._acknowledged[way])

    def waiting(self, way: str) -> int:
        """Events on their way over http, grpc or raw, not acknowledged yet."""
        arrived = self.arrived(way)
        return sum(self._sent[way]) - arrived

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()  # a test that fails leaves the next one a quiet stack

    def end(self) -> None:
        """No event is sent any more, and each that was is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S + 30)
            assert not thread.is_alive()
        assert not self.failures
        assert len(self.acknowledged) == self.sent

    def flows(self) -> bool:
        """Whether all senders still send."""
        return all(thread.is_alive() for thread in self._threads) and not self.failures

    def _run(self, way: Way, shop: OpenShop, plan: list[Planned]) -> None:
        ids = {json.dumps(event).encode(): event for _, event in plan}
        name = way.__name__.strip("_")
        sent, acknowledged = self._sent[name], self._acknowledged[name]

        def post(bodies: list[bytes]) -> None:
            sent.append(len(bodies))
            deliver(bodies)
            acknowledged.extend(ids[body] for body in bodies)

        try:
            with way(shop) as deliver:
                play(((at_ms, json.dumps(event).encode()) for at_ms, event in plan), post, Pace(), self._stop)
        except BaseException as error:  # noqa: BLE001 - it is told to the test
            self.failures.append(error)

    @contextmanager
    def _http(self, shop: OpenShop) -> Iterator[Deliver]:
        poster = Poster(self._spine.tracking.url, shop.key, patience_s=PATIENCE_S)

        def post(bodies: list[bytes]) -> None:
            assert poster.post(bodies).rejected == ()

        yield post
        poster.close()

    @contextmanager
    def _grpc(self, shop: OpenShop) -> Iterator[Deliver]:
        options = [("grpc.max_reconnect_backoff_ms", 1_000)]
        channel = grpc.insecure_channel(self._spine.tracking.grpc, options)
        stub = TrackingServiceStub(channel)
        key = (("authorization", f"Bearer {shop.key}"),)

        def publish(bodies: list[bytes]) -> None:
            end_s = time.monotonic() + PATIENCE_S
            while bodies:
                assert time.monotonic() < end_s
                try:
                    answer = stub.Publish(pb.PublishRequest(events=bodies), metadata=key, timeout=15)
                except grpc.RpcError as error:
                    refused = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT}
                    if error.code() in refused:
                        raise
                    time.sleep(0.3)
                    continue
                outcomes = [result.outcome for result in answer.results]
                assert set(outcomes) <= {pb.OUTCOME_ACCEPTED, pb.OUTCOME_RETRY}
                bodies = [body for body, one in zip(bodies, outcomes, strict=True) if one == pb.OUTCOME_RETRY]

        yield publish
        channel.close()

    @contextmanager
    def _raw(self, _shop: OpenShop) -> Iterator[Deliver]:
        producer = Producer(producer_config(self._spine.kafka), self.failures.append)

        def produce(bodies: list[bytes]) -> None:
            waiting = [(body, producer.submit(RAW.name, body)) for body in bodies]
            for body, told in waiting:
                try:
                    told.result(60)
                except NotNow:
                    producer.submit(RAW.name, body).result(60)

        yield produce
        assert producer.close(60)


def drained(spine: Spine) -> bool:
    """Every record is applied and no session is open."""
    lags = {number: lag for one in spine.workers for number, lag in one.gauges("lag_records").items()}
    is_open = any(one.total("relance_session_open_sessions") for one in spine.workers)
    return len(lags) == PARTITIONS and not any(lags.values()) and not is_open


def uninterrupted(kafka: str) -> dict[UUID, Signal]:
    """What the service's machine says of the log when it reads each partition once, from its beginning; by id."""
    found: list[Signal] = []
    for number in range(PARTITIONS):
        machine = SessionMachine(number, Engine(1))
        for one in read_partition(kafka, (BATCHES.name, number)):
            with suppress(BadRecord):
                said = machine.apply(Record(one.offset(), one.timestamp()[1], one.value() or b""))
                for message in said:
                    found += (
                        from_ended(message.value)
                        if message.topic == ENDED.name
                        else [msgspec.json.decode(message.value, type=Signal)]
                    )
    by_id = {signal.signal_id: signal for signal in found}
    assert len(by_id) == len(found)
    return by_id


def simulation(
    spine: Spine, relance: Callable[..., CompletedProcess[str]], file: Path, of: Definitions = WINDOWS
) -> dict[UUID, Signal]:
    """What the simulator says of the exported log, by id."""
    told = relance("log", "export", str(file), timeout_s=120, RELANCE_KAFKA=spine.kafka)
    assert told.returncode == 0, told.stderr
    stands = re.search(r"clock stands at (\S+)", told.stderr)
    assert stands is not None
    with file.open("rb") as lines:
        found = list(signals_of(of, lines, parse_ms(stands[1])))
    by_id = {signal.signal_id: signal for signal in found}
    assert len(by_id) == len(found)
    return by_id
