"""The whole spine under load while its processes and its broker die, stop, come and go: it says what the log says."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from uuid import UUID

import psutil
import pytest
from typing_extensions import override

from relance.kafka import local
from tests.integration.nemesis_kit import ROUND_S, SESSION_S, Nemesis, two_workers
from tests.integration.spine_kit import Spine, until
from tests.integration.tracking_kit import Log
from tests.integration.traffic_kit import PER_S, WINDOWS, Traffic, drained, simulation

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]


class Deaths(Nemesis):
    """Processes and the broker die, one stands still for too long, one comes and goes."""

    @override
    def faults(self) -> list[Callable[[], None]]:
        return [self.worker_killed, self.worker_stopped, self.broker_killed, self.worker_joins_and_leaves]

    def worker_killed(self) -> None:
        """kill -9 of a worker, which another succeeds."""
        victim = self.victim()
        held, age_s = victim.applied(), max(victim.gauges("checkpoint_age_seconds").values())
        victim.kill()
        assert victim.running.process.returncode == -signal.SIGKILL
        self.succeeded(victim, held, age_s)

    def worker_stopped(self) -> None:
        """SIGSTOP of a worker until others have what it had, and kill -9 of tracking meanwhile; then SIGCONT."""
        victim = self.victim()
        held, age_s = victim.applied(), max(victim.gauges("checkpoint_age_seconds").values())
        victim.running.pause()
        until(lambda: psutil.Process(victim.running.pid).status() == psutil.STATUS_STOPPED, "it stands still")
        stopped_s = time.monotonic()
        self.spine.workers.remove(victim)
        self.tracking_killed()
        self.succeeded(victim, held, age_s)
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


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """What one seed leaves, the next finds."""
    with two_workers(tmp_path_factory.mktemp("spine"), ROUND_S) as made:
        yield made


def test_it_says_what_the_log_says_whatever_ends_meanwhile(
    spine: Spine, chaos_seed: int, relance: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    draw = random.Random(chaos_seed)
    spine.mend()
    log = Log(spine.kafka)
    hot, small = spine.open(WINDOWS), spine.open(WINDOWS)
    hot_visitor = UUID(int=draw.getrandbits(128), version=4)
    traffic = Traffic(spine, draw, [(hot, 0.9 * PER_S, hot_visitor), (small, 0.1 * PER_S, None)])
    with traffic:
        nemesis = Deaths(spine, traffic, draw)
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
