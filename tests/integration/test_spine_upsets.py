"""The spine under load while clocks are wrong, windows change, processes stand still and dead letters find no place."""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess

import msgspec
import psutil
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from typing_extensions import override

from relance.cli.shop import with_definitions
from relance.events.shops import Shop
from relance.events.topics import BATCHES, RAW, SESSION_DEAD_LETTERS, TRACKING_DEAD_LETTERS
from relance.kafka.consumer import BatchConsumer, consumer_config, read_all, read_partition
from relance.kafka.producer import Placed, Producer, producer_config
from relance.kafka.shops import ShopRegister
from relance.rules.windows import ControlRecord
from tests.integration.clock_kit import Clock
from tests.integration.nemesis_kit import Nemesis, two_workers
from tests.integration.spine_kit import PARTITIONS, OpenShop, SessionWorker, Spine, until
from tests.integration.tracking_kit import Log
from tests.integration.traffic_kit import PER_S, WINDOWS, Traffic, drained, simulation, uninterrupted

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

HOUR_S = 3_600
LETTERS = (TRACKING_DEAD_LETTERS, SESSION_DEAD_LETTERS)


class Upsets(Nemesis):
    """Nothing of this may show in what is said. `shop` is the one whose windows change; two turns do everything."""

    round_s = 10.0  # so that windows change between two checkpoints also where this test itself is slow

    def __init__(
        self, spine: Spine, traffic: Traffic, draw: random.Random, shop: OpenShop, place: Path, turn: int
    ) -> None:
        super().__init__(spine, traffic, draw)
        self.shop, self.place, self.turn = shop, place, turn

    @override
    def faults(self) -> list[Callable[[], None]]:
        if self.turn % 2:
            return [
                self.workers_with_wrong_clocks_come_and_go,
                self.trackings_wrong_clock_jumps,
                self.http_stands_still,
                self.raw_stands_still,
            ]
        return [self.windows_change_and_a_worker_dies, self.dead_letters_find_no_place]

    # -- definitions changed between a checkpoint and a crash

    def windows_change_and_a_worker_dies(self) -> None:
        """kill -9 of a worker that applies new windows which its oldest buckets do not know yet."""
        victim = self.victim()
        version = self._change_windows()
        changed_at: dict[int, int] = {}

        def is_told() -> bool:
            changed_at.update(self._told(victim, version))
            return changed_at.keys() >= victim.applied().keys()

        until(is_told, "the log tells the new windows")
        until(lambda: all(offset >= changed_at[number] for number, offset in victim.applied().items()), "applied")
        time.sleep(self.draw.uniform(0.0, 1.5))
        held, age_s = victim.applied(), max(victim.gauges("checkpoint_age_seconds").values())
        victim.kill()
        assert victim.running.process.returncode == -signal.SIGKILL
        self.succeeded(victim, held, age_s)
        resumed = {number: heir.resumed()[number] for number, heir in self.spine.owned().items() if number in held}
        assert any(offset < changed_at[number] for number, offset in resumed.items()), "the change was not replayed"

    def _change_windows(self) -> int:
        """The version of other windows for the shop, of other lengths and one fewer."""
        version = [0]
        factor = self.draw.choice((0.6, 0.8, 1.3))
        left_out = self.draw.choice(("cart", "product"))
        kept = [window for window in WINDOWS.windows if window.id != left_out]
        changed = msgspec.structs.replace(
            WINDOWS,
            session_gap=WINDOWS.session_gap * factor,
            windows=tuple(
                msgspec.structs.replace(window, inactivity=window.inactivity * factor) for window in kept
            ),
        )  # fmt: skip

        def change(known: Shop | None) -> Shop:
            assert known is not None
            version[0] = known.definitions_version + 1
            return with_definitions(known, changed, version[0])

        ShopRegister(self.spine.kafka).change(self.shop.name, change)
        return version[0]

    def _told(self, worker: SessionWorker, version: int) -> dict[int, int]:
        """Offset of the record that tells this version of the shop's windows, by the worker's partitions."""
        found: dict[int, int] = {}
        for number in worker.applied():
            for record in read_partition(self.spine.kafka, (BATCHES.name, number)):
                value = record.value() or b""
                if b'"definitions"' in value and value[:1] == b"{":
                    control = msgspec.json.decode(value, type=ControlRecord)
                    if (control.shop, control.version) == (self.shop.name, version):
                        found.setdefault(number, record.offset())
        return found

    # -- a storm of rebalances, by workers whose clocks are an hour off and jump

    def workers_with_wrong_clocks_come_and_go(self) -> None:
        """Three join, one is killed and one leaves while the group is not yet in order; the last one works on."""
        (witness,) = self.draw.sample(self.spine.workers, 1)
        generation = witness.logged("partitions_owned")[-1]["generation"]
        clocks = [Clock(self.place / f"clock-{n}", self.draw.choice((-HOUR_S, HOUR_S))) for n in range(3)]
        first, second = (self.spine.worker(clock) for clock in clocks[:2])
        for worker in (first, second):
            worker.running.until(lambda: worker.logged("listening"), "listening", 180)  # noqa: B023
        third = self.spine.worker(clocks[2])
        time.sleep(self.draw.uniform(0.0, 2.0))
        clocks[0].jump_to(-clocks[0].ahead_s)
        second.kill()
        assert second.running.process.returncode == -signal.SIGKILL
        third.running.until(lambda: third.logged("listening"), "listening", 180)
        time.sleep(self.draw.uniform(0.0, 2.0))
        assert first.end() == 0
        self.spine.workers = [one for one in self.spine.workers if one not in {first, second}]
        self._works_by_a_wrong_clock(third, clocks[2])
        held = third.applied()
        assert third.end() == 0
        self.spine.workers.remove(third)
        until(lambda: held.keys() <= self.spine.owned().keys(), "taken over")
        self.spine.mend()
        assert witness.logged("partitions_owned")[-1]["generation"] >= generation + 3

    def _works_by_a_wrong_clock(self, worker: SessionWorker, clock: Clock) -> None:
        """It takes its part, and goes on after a jump of two hours."""
        worker.running.until(lambda: worker.is_ready() and worker.gauges("lag_records"), "owning something", 90)
        for ahead_s in (clock.ahead_s, -clock.ahead_s):
            clock.jump_to(ahead_s)
            time.sleep(0.5)
            applied = worker.total("relance_session_events_total", fate="applied")
            until(lambda: worker.total("relance_session_events_total", fate="applied") > applied, "it applies")  # noqa: B023
        told = datetime.fromisoformat(worker.logged("listening")[0]["at"])
        assert abs(abs(time.time() - told.timestamp()) - HOUR_S) < 300, "its clock was right"

    # -- tracking, whose clock is an hour off all the time

    def trackings_wrong_clock_jumps(self) -> None:
        """By two hours, while events come in every way."""
        clock = self.spine.tracking_clock
        assert clock is not None
        told = next(
            json.loads(line) for line in self.spine.tracking.running.said().splitlines() if '"listening"' in line
        )
        assert abs(abs(time.time() - datetime.fromisoformat(told["at"]).timestamp()) - HOUR_S) < HOUR_S / 2, (
            "it was right"
        )
        for ahead_s in (-clock.ahead_s, clock.ahead_s):
            clock.jump_to(ahead_s)
            time.sleep(0.5)
            arrived = {way: self.traffic.arrived(way) for way in ("http", "grpc", "raw")}
            until(lambda: all(self.traffic.arrived(way) > count for way, count in arrived.items()), "events come in")  # noqa: B023

    # -- a process of tracking stands still

    def http_stands_still(self) -> None:
        """SIGSTOP of the process that answers HTTP and gRPC; the raw topic flows on."""
        tracking = self.spine.tracking.running
        until(lambda: self.traffic.waiting("http"), "a request is under way")
        tracking.pause()
        until(lambda: psutil.Process(tracking.pid).status() == psutil.STATUS_STOPPED, "it stands still")
        until(lambda: self.traffic.waiting("http"), "a request waits")
        time.sleep(0.5)
        http, raw = self.traffic.arrived("http"), self.traffic.arrived("raw")
        time.sleep(self.draw.uniform(2.0, 5.0))
        assert psutil.Process(tracking.pid).status() == psutil.STATUS_STOPPED
        assert self.traffic.arrived("http") == http
        assert self.traffic.waiting("http") > 0
        assert self.traffic.arrived("raw") > raw
        tracking.resume()
        until(lambda: self.traffic.arrived("http") > http, "it answers again")

    def raw_stands_still(self) -> None:
        """SIGSTOP of the process that reads the raw topic; HTTP and gRPC flow on."""
        reader = self.spine.tracking.reader()
        reader.suspend()
        until(lambda: reader.status() == psutil.STATUS_STOPPED, "it stands still")
        time.sleep(0.5)
        committed, http, raw = self._committed(), self.traffic.arrived("http"), self.traffic.arrived("raw")
        time.sleep(self.draw.uniform(2.0, 5.0))
        assert reader.status() == psutil.STATUS_STOPPED
        assert self._committed() == committed
        assert self.traffic.arrived("raw") > raw, "nothing was left to read"
        assert self.traffic.arrived("http") > http
        reader.resume()
        until(lambda: sum(self._committed().values()) > sum(committed.values()), "it reads again")

    def _committed(self) -> dict[int, int]:
        """Where the raw topic is to be read next, by partition."""
        consumer = BatchConsumer(consumer_config(self.spine.kafka, "tracking"))
        try:
            found = consumer.committed(consumer.partitions(RAW.name))
        finally:
            consumer.close()
        return {number: offset for (_, number), offset in found.items()}

    # -- dead letters that Kafka does not take

    def dead_letters_find_no_place(self) -> None:
        """Whoever can neither apply nor bury a record ends and does not go on past it, which HTTP does not notice; with
        room again, all goes on.
        """
        number = self.draw.randrange(PARTITIONS)
        owner, tracking = self.spine.owned()[number], self.spine.tracking
        self._bound_letters(1)
        try:
            placed = self._poison(number)
            raw = placed[RAW.name]
            assert owner.running.process.wait(60) == 1
            assert f"an output to {SESSION_DEAD_LETTERS.name} was not taken" in owner.running.said()
            until(lambda: tracking.metric("relance_tracking_raw_reader_down"), "the raw topic stands still")
            assert f"does not take what is written to {TRACKING_DEAD_LETTERS.name}" in tracking.running.said()
            http = self.traffic.arrived("http")
            until(lambda: self.traffic.arrived("http") > http + PER_S, "HTTP goes on")
            until(lambda: not any(one.running.lives() for one in self.spine.workers), "the heirs end at it too")
            assert {one.running.process.returncode for one in self.spine.workers} == {1}
            time.sleep(self.draw.uniform(0.0, 2.0))
            assert self._committed().get(raw.partition, 0) <= raw.offset
            assert self.traffic.flows()
            assert not self._buried(placed)
        finally:
            self._bound_letters(None)
        self.spine.mend()
        until(lambda: len(self._buried(placed)) == 2, "both are buried", 120)  # the reader is tried less and less often
        until(lambda: self._committed()[raw.partition] > raw.offset, "the raw topic goes on")
        assert set(self._buried(placed).values()) == {1}

    def _bound_letters(self, bytes_max: int | None) -> None:
        """How large a dead letter may be; None: as large as ever."""
        resources = []
        for topic in LETTERS:
            text = str(topic.max_message_bytes if bytes_max is None else bytes_max)
            entry = ConfigEntry("max.message.bytes", text, incremental_operation=AlterConfigOpType.SET)
            resources.append(ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=[entry]))
        admin = AdminClient({"bootstrap.servers": self.spine.kafka})
        for future in admin.incremental_alter_configs(resources).values():
            future.result(20)

    def _poison(self, number: int) -> dict[str, Placed]:
        """A record that cannot be understood, in the raw topic and among the batches; where they stand."""
        producer = Producer(producer_config(self.spine.kafka), self.traffic.failures.append)
        told = [producer.submit(RAW.name, b"no event"), producer.submit(BATCHES.name, b"{no tick", partition=number)]
        placed = {one.topic: one for one in (future.result(20) for future in told)}
        assert producer.close(20)
        return placed

    def _buried(self, placed: dict[str, Placed]) -> Counter[str]:
        """How often each of these is among the dead letters."""
        places = {f"{one.topic}/{one.partition}/{one.offset}" for one in placed.values()}
        keys = [
            (letter.key() or b"").decode() for topic in LETTERS for letter in read_all(self.spine.kafka, topic.name)
        ]
        return Counter(key for key in keys if key in places)


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """What one seed leaves, the next finds."""
    place = tmp_path_factory.mktemp("spine")
    with two_workers(place, Upsets.round_s, Clock(place / "clock-of-tracking", HOUR_S)) as made:
        yield made


def test_it_says_what_the_log_says_whatever_is_upset_meanwhile(
    spine: Spine, chaos_seed: int, chaos_turn: int, relance: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    draw = random.Random(chaos_seed)
    spine.mend()
    log = Log(spine.kafka)
    steady, changing = spine.open(WINDOWS), spine.open(WINDOWS)
    traffic = Traffic(spine, draw, [(steady, 0.6 * PER_S, None), (changing, 0.4 * PER_S, None)])
    with traffic:
        upsets = Upsets(spine, traffic, draw, changing, tmp_path, chaos_turn)
        faults = upsets.run()
        traffic.end()
    print(f"seed {chaos_seed}: {faults}, {traffic.sent} events, replayed {upsets.replayed}")  # noqa: T201
    until(lambda: all(log.holds(traffic.acknowledged)), "what came over the raw topic is in the log", 90)
    log.close()
    until(lambda: drained(spine), "drained", 90)

    said, again = spine.said()
    assert said == uninterrupted(spine.kafka)
    simulated = simulation(spine, relance, tmp_path / "log.jsonl")
    of_steady = {name: signal for name, signal in said.items() if signal.shop == steady.name}
    assert of_steady == {name: signal for name, signal in simulated.items() if signal.shop == steady.name}
    counts = Counter((signal.shop == steady.name, signal.kind) for signal in said.values())
    print(f"{counts}, {again} said again")  # noqa: T201
    assert {(is_steady, kind) for is_steady in (True, False) for kind in ("abandoned", "converted", "ended")} <= set(
        counts
    )
