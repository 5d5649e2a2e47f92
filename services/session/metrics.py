"""What the session service shows, read from its machines when asked. Names: `relance_session_<thing>_<unit>`."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from services.session.domain.engine import Engine

__all__ = ["DELAY_BOUNDS_MS", "Counted", "PartitionNumbers", "SessionCollector"]

DELAY_BOUNDS_MS: Final = (5, 10, 20, 40, 80, 120, 200, 350, 500, 1_000, 2_000, 5_000, 30_000, 300_000)

PartitionNumbers = Any  # relance.kafka.harness.PartitionStatus


class Counted(Protocol):
    """What a partition's machine has counted; `delays` by DELAY_BOUNDS_MS, one more for what is above."""

    engine: Engine
    fired: Counter[tuple[str, str]]
    delays: list[int]
    delay_sum_ms: int

    @property
    def stream_ms(self) -> int:
        """Stream time."""
        ...


_EVENT_FATES = ("applied", "duplicate", "late", "quiet", "skipped")


class SessionCollector(Collector):
    """`partitions()` gives (harness's numbers, machine) of each owned partition."""

    def __init__(
        self, registry: CollectorRegistry, partitions: Callable[[], Sequence[tuple[PartitionNumbers, Counted]]]
    ) -> None:
        self._partitions = partitions
        registry.register(self)

    @override
    def collect(self) -> Iterable[Any]:
        """All families, at the moment of the scrape. Counters fall back when a partition leaves this worker."""
        owned = self._partitions()
        yield from self._counters(owned)
        yield from _gauges(owned)
        yield _delays([machine for _, machine in owned])

    def _counters(self, owned: Sequence[tuple[PartitionNumbers, Counted]]) -> Iterator[Any]:
        events = CounterMetricFamily("relance_session_events", "Events by fate", labels=["fate"])
        for fate in _EVENT_FATES:
            events.add_metric([fate], sum(machine.engine.counts[fate] for _, machine in owned))
        yield events
        fired: Counter[tuple[str, str]] = Counter()
        for _, machine in owned:
            fired.update(machine.fired)
        labels = ["kind", "window"]
        signals = CounterMetricFamily("relance_session_signals", "Signals by kind and window", labels=labels)
        for (kind, window), count in sorted(fired.items()):
            signals.add_metric([kind, window], count)
        yield signals
        yield CounterMetricFamily(
            "relance_session_evicted_ids", "Ids that left the full duplicate filter before 10 minutes were over",
            value=sum(machine.engine.counts["evicted"] for _, machine in owned),
        )  # fmt: skip


def _gauges(owned: Sequence[tuple[PartitionNumbers, Counted]]) -> Iterator[Any]:
    rows: list[tuple[str, str, Callable[[PartitionNumbers, Counted], float | None]]] = [
        ("open_sessions", "Live sessions", lambda _, machine: machine.engine.live),
        ("lag_records", "Records in the log that were not applied", lambda numbers, _: numbers.lag),
        ("records", "Records applied by this owner", lambda numbers, _: numbers.records),
        ("dead_letters", "Records this owner could not understand", lambda numbers, _: numbers.dead_letters),
        ("stream_time_seconds", "Stream time", lambda _, machine: machine.stream_ms / 1000),
        ("checkpoint_bytes", "Size of the saved buckets", lambda numbers, _: numbers.checkpoint_bytes),
        ("checkpoint_age_seconds", "Age of the oldest saved bucket", lambda numbers, _: numbers.checkpoint_age_s),
        ("restore_seconds", "How long the partition took to restore", lambda numbers, _: numbers.restored_s),
        ("state_bytes", "Bytes of session state", lambda _, machine: machine.engine.state_bytes[0]),
        ("filter_bytes", "Bytes of the duplicate filter", lambda _, machine: machine.engine.state_bytes[1]),
    ]
    for name, words, read in rows:
        family = GaugeMetricFamily(f"relance_session_{name}", words, labels=["partition"])
        for numbers, machine in owned:
            value = read(numbers, machine)
            if value is not None:
                family.add_metric([str(numbers.partition)], value)
        yield family


def _delays(machines: Sequence[Counted]) -> HistogramMetricFamily:
    counts = [sum(machine.delays[place] for machine in machines) for place in range(len(DELAY_BOUNDS_MS) + 1)]
    buckets: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip([*(str(ms / 1000) for ms in DELAY_BOUNDS_MS), "+Inf"], counts, strict=True):
        total += count
        buckets.append((bound, total))
    family = HistogramMetricFamily(
        "relance_session_detection_delay_seconds",
        "From deadline + grace to the append time of the record that told the time",
    )
    family.add_metric([], buckets, sum(machine.delay_sum_ms for machine in machines) / 1000)
    return family
