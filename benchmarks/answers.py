"""What a system said, and whether it is the reference's answer."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

import msgspec
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition

from benchmarks.workload import SENTINEL, Answer
from relance.events.topics import ENDED, SIGNALS

__all__ = ["Outputs", "Said", "differences", "rows_of_relance", "rows_of_rival"]

Said = tuple[str, str, int]  # kind, visitor, events
Rows = Callable[[str, bytes], Iterable[Said]]

_POLL_MESSAGES: Final = 10_000
_LEADER_S: Final = 10.0


class _Result(msgspec.Struct, frozen=True):
    kind: str
    visitor: str
    events: int = 0


_result = msgspec.json.Decoder(_Result).decode


def rows_of_rival(_topic: str, value: bytes) -> Iterable[Said]:
    """One JSON result a message."""
    result = _result(value)
    yield result.kind, result.visitor, result.events


def rows_of_relance(topic: str, value: bytes) -> Iterable[Said]:
    """Endings from Arrow batches, other signals from JSON."""
    if topic == SIGNALS.name:
        result = _result(value)
        yield result.kind, result.visitor, result.events
    elif topic == ENDED.name:
        for batch in pa.ipc.open_stream(value):
            visitors, events = batch.column("visitor").to_pylist(), batch.column("events").to_pylist()
            for visitor, count in zip(visitors, events, strict=True):
                yield "ended", str(UUID(bytes=visitor)), count


class Outputs:
    """Reads what a system says into fresh topics, from their beginning."""

    def __init__(self, kafka: str, topics: Iterable[str], rows: Rows) -> None:
        self._rows = rows
        self.last_append_ms = 0
        self.said: list[Said] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "relance-bench-reader",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 200,
                "log_level": 2,
            }
        )
        places = [TopicPartition(topic, partition, 0) for topic in topics for partition in self._partitions(topic)]
        self._consumer.assign(places)

    def _partitions(self, topic: str) -> list[int]:
        until = time.monotonic() + _LEADER_S
        while time.monotonic() < until:
            found = self._consumer.list_topics(topic, timeout=_LEADER_S).topics[topic]
            if found.partitions and all(part.error is None for part in found.partitions.values()):
                return list(found.partitions)
            time.sleep(0.1)  # made a moment ago: a partition has no leader yet
        raise RuntimeError(f"{topic} has no leader")

    def poll(self, timeout_s: float) -> int:
        """Read what is there within `timeout_s`; return how many results there are so far, the sentinel's apart."""
        for message in self._consumer.consume(_POLL_MESSAGES, timeout_s):
            if message.error() is not None:
                raise RuntimeError(str(message.error()))
            for row in self._rows(str(message.topic()), bytes(message.value() or b"")):
                if row[1] != SENTINEL:
                    self.said.append(row)
                    self.last_append_ms = max(self.last_append_ms, message.timestamp()[1])
        return len(self.said)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def differences(said: Iterable[Said], reference: Answer) -> list[str]:
    """What differs from the reference, as words; nothing when the answer is right, as a multiset."""
    ended: Counter[tuple[str, int]] = Counter()
    abandoned: Counter[str] = Counter()
    for kind, visitor, events in said:
        if kind == "ended":
            ended[visitor, events] += 1
        elif kind == "abandoned":
            abandoned[visitor] += 1
    right = Counter((visitor, events) for (visitor, _ordinal), events in reference.ended.items())
    return [
        f"{name}: {missing} missing, {extra} too many"
        for name, missing, extra in (
            ("ended", (right - ended).total(), (ended - right).total()),
            (
                "abandoned",
                (Counter(reference.abandoned) - abandoned).total(),
                (abandoned - Counter(reference.abandoned)).total(),
            ),
        )
        if missing or extra
    ]
