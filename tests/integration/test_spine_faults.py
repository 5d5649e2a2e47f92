"""The whole spine under load while its processes and its broker die, stop, come and go: it says what the log says."""

import json
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple
from uuid import UUID

import grpc
import psutil
import pyarrow as pa
import pytest

from relance.cli.demo.shoppers import shopping
from relance.cli.playing import Pace, Poster, now_ms, play
from relance.cli.simulate import signals_of
from relance.events.topics import BATCHES, RAW
from relance.kafka import local
from relance.kafka.consumer import read_partition
from relance.kafka.producer import Producer, producer_config
from relance.kernel.errors import NotNow
from relance.kernel.instants import format_ms, parse_ms
from relance.rpc.tracking.v1 import tracking_pb2 as pb
from relance.rpc.tracking.v1.tracking_pb2_grpc import TrackingServiceStub
from relance.rules.windows import Definitions, When, Window
from tests.integration.spine_kit import PARTITIONS, OpenShop, SessionWorker, Spine, until
from tests.integration.tracking_kit import Log

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

ROUND_S = 5.0
LATE_S = 2 * ROUND_S  # a bucket is saved once a round; where saving is slow, on a busy machine, a round takes longer
SESSION_S = 6.0
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


# -- what is sent ------------------------------------------------------------------------------------------------------


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
    """Sends over HTTP, gRPC and the raw topic, each event until it is acknowledged, until `end`."""

    def __init__(self, spine: Spine, draw: random.Random, shops: Sequence[tuple[OpenShop, float, UUID | None]]) -> None:
        self.sent = 0
        self.acknowledged: list[dict[str, Any]] = []
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._spine = spine
        self._threads: list[threading.Thread] = []
        for shop, per_s, hot in shops:
            ways: dict[Way, list[Planned]] = {self._http: [], self._grpc: [], self._raw: []}
            for sending in plan(draw, shop, per_s, hot):
                ways[draw.choices(list(ways), (70, 15, 15))[0]].append(sending)
            for way, sendings in ways.items():
                self._threads.append(threading.Thread(target=self._run, args=(way, shop, sendings), daemon=True))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

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

        def post(bodies: list[bytes]) -> None:
            self.sent += len(bodies)
            deliver(bodies)
            self.acknowledged += [ids[body] for body in bodies]

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


# -- what happens meanwhile --------------------------------------------------------------------------------------------


class Nemesis:
    """Faults, each of which finds work in flight and leaves all in order again."""

    def __init__(self, spine: Spine, traffic: Traffic, draw: random.Random) -> None:
        self.spine, self.traffic, self.draw = spine, traffic, draw
        self.replayed: list[tuple[int, float]] = []

    def run(self) -> list[str]:
        """All of them, in a drawn order; their names."""
        faults = [self.worker_killed, self.worker_stopped, self.broker_killed, self.worker_joins_and_leaves]
        self.draw.shuffle(faults)
        for fault in faults:
            self.in_flight()
            began_s = time.monotonic()
            fault()
            print(f"{fault.__name__}: {time.monotonic() - began_s:.1f} s")  # noqa: T201
            time.sleep(self.draw.uniform(0.5, 2.0))
        return [fault.__name__ for fault in faults]

    def in_flight(self) -> None:
        """Events come in and are acknowledged, and sessions are open."""
        acknowledged = len(self.traffic.acknowledged)
        until(lambda: len(self.traffic.acknowledged) > acknowledged + PER_S / 2, "events flow")
        until(lambda: any(one.total("relance_session_open_sessions") for one in self.spine.workers), "open sessions")
        assert self.traffic.flows()

    def worker_killed(self) -> None:
        """kill -9 of a worker, which another succeeds."""
        victim = self._victim()
        held, age_s = victim.applied(), max(victim.gauges("checkpoint_age_seconds").values())
        victim.kill()
        assert victim.running.process.returncode == -signal.SIGKILL
        self._succeeded(victim, held, age_s)

    def worker_stopped(self) -> None:
        """SIGSTOP of a worker until others have what it had, and kill -9 of tracking meanwhile; then SIGCONT."""
        victim = self._victim()
        held, age_s = victim.applied(), max(victim.gauges("checkpoint_age_seconds").values())
        victim.running.pause()
        until(lambda: psutil.Process(victim.running.pid).status() == psutil.STATUS_STOPPED, "it stands still")
        stopped_s = time.monotonic()
        self.spine.workers.remove(victim)
        self.tracking_killed()
        self._succeeded(victim, held, age_s)
        time.sleep(max(0.0, SESSION_S * 1.5 - (time.monotonic() - stopped_s)))
        victim.running.resume()
        assert victim.running.process.wait(60) == 1, "it must not go on as if it still owned something"
        victim.kill()

    def tracking_killed(self) -> None:
        """kill -9 of tracking."""
        assert self.traffic.flows()
        self.spine.tracking.running.kill()
        assert self.spine.tracking.running.process.returncode == -signal.SIGKILL
        time.sleep(self.draw.uniform(0.2, 1.5))
        self.spine.mend(workers=1)

    def broker_killed(self) -> None:
        """kill -9 of the broker."""
        broker = local.status(self.spine.home)
        assert broker is not None
        os.kill(broker.pid, signal.SIGKILL)
        until(lambda: local.status(self.spine.home) is None, "the broker is dead")
        time.sleep(self.draw.uniform(0.5, 4.0))
        assert local.status(self.spine.home) is None
        self.spine.mend()

    def worker_joins_and_leaves(self) -> None:
        """A third worker, which hands over what it has in order."""
        third = self.spine.worker().await_ready()
        until(lambda: third.gauges("lag_records"), "it owns something")
        time.sleep(self.draw.uniform(0.0, 2.0))
        held = third.applied()
        assert third.end() == 0
        self.spine.workers.remove(third)
        until(lambda: held.keys() <= self.spine.owned().keys(), "taken over")
        assert all(self.spine.owned()[number].resumed()[number] >= offset for number, offset in held.items())

    def _victim(self) -> SessionWorker:
        """A worker that owns something and has saved each bucket within a round.

        So that an outage or a hand-over just before does not count as one: nothing can be saved meanwhile.
        """

        def settled(worker: SessionWorker) -> bool:
            ages_s = worker.gauges("checkpoint_age_seconds")
            return (
                bool(ages_s) and ages_s.keys() == worker.gauges("lag_records").keys() and max(ages_s.values()) < LATE_S
            )

        until(lambda: any(settled(worker) for worker in self.spine.workers), "checkpoints are no older than a round")
        return self.draw.choice([worker for worker in self.spine.workers if settled(worker)])

    def _succeeded(self, victim: SessionWorker, held: dict[int, int], age_s: float) -> None:
        """Others own what it had, and fewer events were replayed than come within a round of checkpoints."""
        self.spine.workers = [one for one in self.spine.workers if one is not victim]
        until(lambda: held.keys() <= self.spine.owned().keys(), "taken over", 90)
        for number, heir in self.spine.owned().items():
            if number in held:
                events, span_s = replayed(self.spine.kafka, number, heir.resumed()[number], held[number])
                self.replayed.append((events, span_s))
                assert span_s < min(age_s, LATE_S) + 1, (
                    f"{events} events of {span_s} s were replayed; the checkpoint was {age_s} s old"
                )
        self.spine.mend()


def replayed(kafka: str, partition: int, after: int, last: int) -> tuple[int, float]:
    """(events in the records after `after` up to `last`, seconds between the first and the last of those)."""
    records = [one for one in read_partition(kafka, (BATCHES.name, partition)) if after < one.offset() <= last]
    events = sum(rows(record.value()) for record in records)
    times_ms = [record.timestamp()[1] for record in records]
    return events, (times_ms[-1] - times_ms[0]) / 1_000 if times_ms else 0.0


def rows(value: bytes) -> int:
    return sum(batch.num_rows for batch in pa.ipc.open_stream(value)) if value.startswith(b"\xff\xff\xff\xff") else 0


# -- the test ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """Two workers that share the partitions; what one seed leaves, the next finds."""
    place = tmp_path_factory.mktemp("spine")
    made = Spine(place / "broker", place, ROUND_S=str(ROUND_S), SESSION_TIMEOUT_S=str(round(SESSION_S)))
    try:
        for _ in range(2):
            made.worker()
        made.start_tracking()
        made.mend()
        yield made
    finally:
        made.close()


def drained(spine: Spine) -> bool:
    """Every record is applied and no session is open."""
    lags = {number: lag for one in spine.workers for number, lag in one.gauges("lag_records").items()}
    is_open = any(one.total("relance_session_open_sessions") for one in spine.workers)
    return len(lags) == PARTITIONS and not any(lags.values()) and not is_open


def test_it_says_what_the_log_says_whatever_ends_meanwhile(
    spine: Spine, chaos_seed: int, relance: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    draw = random.Random(chaos_seed)
    spine.mend()
    log = Log(spine.kafka)
    hot, small = spine.open(WINDOWS), spine.open(WINDOWS)
    hot_visitor = UUID(int=draw.getrandbits(128), version=4)
    traffic = Traffic(spine, draw, [(hot, 0.9 * PER_S, hot_visitor), (small, 0.1 * PER_S, None)])
    traffic.start()
    nemesis = Nemesis(spine, traffic, draw)
    faults = nemesis.run()
    traffic.end()
    print(f"seed {chaos_seed}: {faults}, {traffic.sent} events, replayed {nemesis.replayed}")  # noqa: T201
    until(lambda: all(log.holds(traffic.acknowledged)), "what came over the raw topic is in the log", 90)
    log.close()
    assert len({(event["source"], event["id"]) for event in traffic.acknowledged}) < 0.95 * traffic.sent, "duplicates"
    until(lambda: drained(spine), "drained", 90)

    said, again = spine.said()
    simulated = simulation(spine, relance, tmp_path / "log.jsonl")
    assert said == simulated
    counts = Counter(signal.kind for signal in said.values() if signal.shop in {hot.name, small.name})
    print(f"{counts}, {again} said again")  # noqa: T201
    assert {"abandoned", "converted", "ended"} <= counts.keys()
    fired = {signal.window for signal in said.values() if signal.kind == "abandoned"}
    assert fired == {window.id for window in WINDOWS.windows}


def simulation(spine: Spine, relance: Callable[..., CompletedProcess[str]], file: Path) -> dict[UUID, Any]:
    """What the simulator says of the exported log, by id."""
    told = relance("log", "export", str(file), timeout_s=120, RELANCE_KAFKA=spine.kafka)
    assert told.returncode == 0, told.stderr
    stands = re.search(r"clock stands at (\S+)", told.stderr)
    assert stands is not None
    with file.open("rb") as lines:
        found = list(signals_of(WINDOWS, lines, parse_ms(stands[1])))
    by_id = {signal.signal_id: signal for signal in found}
    assert len(by_id) == len(found)
    return by_id
