"""What every fault of the spine's tests needs: work in flight, a worker to strike, and what its heirs must show."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from relance.events.topics import BATCHES
from relance.kafka.consumer import read_partition
from tests.integration.clock_kit import Clock
from tests.integration.spine_kit import SessionWorker, Spine, until
from tests.integration.traffic_kit import PER_S, Traffic

ROUND_S = 5.0
SESSION_S = 6.0


@contextmanager
def two_workers(place: Path, round_s: float, tracking_clock: Clock | None = None) -> Iterator[Spine]:
    """A spine with two workers that share the partitions."""
    made = Spine(place / "broker", place, ROUND_S=str(round_s), SESSION_TIMEOUT_S=str(round(SESSION_S)))
    made.tracking_clock = tracking_clock
    try:
        for _ in range(2):
            made.worker()
        made.start_tracking()
        made.mend()
        yield made
    finally:
        made.close()


class Nemesis:
    """Faults, each of which finds work in flight and leaves all in order again."""

    round_s = ROUND_S

    def __init__(self, spine: Spine, traffic: Traffic, draw: random.Random) -> None:
        self.spine, self.traffic, self.draw = spine, traffic, draw
        self.late_s = 2 * self.round_s  # a round takes longer where saving is slow, on a busy machine
        self.replayed: list[tuple[int, int]] = []  # events replayed, and events that came within a round

    def faults(self) -> list[Callable[[], None]]:
        """What `run` does."""
        raise NotImplementedError

    def run(self) -> list[str]:
        """All of them, in a drawn order; their names."""
        faults = self.faults()
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

    def victim(self) -> SessionWorker:
        """A worker that owns something and has saved each bucket within a round.

        So that an outage or a hand-over just before does not count as one: nothing can be saved meanwhile.
        """

        def settled(worker: SessionWorker) -> bool:
            ages_s = worker.gauges("checkpoint_age_seconds")
            is_saved = bool(ages_s) and ages_s.keys() == worker.gauges("lag_records").keys()
            return is_saved and max(ages_s.values()) < self.late_s

        until(lambda: any(settled(worker) for worker in self.spine.workers), "checkpoints are no older than a round")
        return self.draw.choice([worker for worker in self.spine.workers if settled(worker)])

    def succeeded(self, victim: SessionWorker, held: dict[int, int], age_s: float) -> None:
        """Others own what it had, and fewer events were replayed than come between two of its checkpoints."""
        self.spine.workers = [one for one in self.spine.workers if one is not victim]
        until(lambda: held.keys() <= self.spine.owned().keys(), "taken over", 90)
        heirs = self.spine.owned()
        within_s = 1.5 * min(age_s, self.late_s) + 2  # a round that was late on a busy machine
        for number, last in held.items():
            replayed, of_a_round = events_before(
                self.spine.kafka, number, heirs[number].resumed()[number], last, within_s=within_s
            )
            self.replayed.append((replayed, of_a_round))
            assert replayed <= of_a_round, f"{replayed} events replayed, and {of_a_round} came in {age_s} s"
        self.spine.mend()


def events_before(kafka: str, partition: int, after: int, last: int, within_s: float) -> tuple[int, int]:
    """(events in the records after `after` up to `last`, events that came in the last seconds up to `last`)."""
    records = [one for one in read_partition(kafka, (BATCHES.name, partition)) if one.offset() <= last]
    from_ms = records[-1].timestamp()[1] - within_s * 1_000
    replayed = sum(rows(one.value()) for one in records if one.offset() > after)
    return replayed, sum(rows(one.value()) for one in records if one.timestamp()[1] >= from_ms)


def rows(value: bytes) -> int:
    """Events in a record; ticks and definitions have none."""
    return sum(batch.num_rows for batch in pa.ipc.open_stream(value)) if value.startswith(b"\xff\xff\xff\xff") else 0
