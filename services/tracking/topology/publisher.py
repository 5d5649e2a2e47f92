"""Groups of encoded events become records and facts in Kafka, and learn what became of them.

A group is what is flushed together. Its members (one a request, or one chunk of the raw topic) are told when all
messages of the group are acknowledged; a message that fails, fails exactly the members with a row or fact in it.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, KafkaException, Producer

from relance.events.topics import BATCHES, FACTS, TRACKING_DEAD_LETTERS
from relance.kafka.producer import is_final
from relance.kernel.errors import Defect, NotNow
from services.tracking.domain.columnar import Encoded
from services.tracking.domain.rows import PARTITION_HASH, WIDTH, Order, Rows, join, record_bytes, sizes_bytes, to_batch
from services.tracking.metrics import Metrics
from services.tracking.topology.letters import Letter

__all__ = ["Done", "Limits", "Member", "Publisher", "Refused", "Topics", "producer_config"]

Done = Callable[[Exception | None], None]
_RETRY_AFTER_S: Final = 1.0


class Refused(NotNow):
    """Kafka will not take it however often it is tried: something must be set right first."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the way to Kafka."""

    linger_ms: int = 20
    batch_events_max: int = 5_000  # of one record
    batch_bytes_max: int = 1_000_000  # of one record, before Kafka's compression
    queue_bytes_max: int = 134_217_728  # waiting for Kafka; beyond it NotNow


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """Where things go."""

    batches: str = BATCHES.name
    facts: str = FACTS.name
    letters: str = TRACKING_DEAD_LETTERS.name


def producer_config(bootstrap: str, queue_bytes_max: int) -> dict[str, Any]:
    """Settings of the producer: every acknowledgement is of all in-sync replicas, nothing twice, order kept."""
    return {
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 1,  # the batcher has waited already
        "batch.size": 1_000_000,
        "compression.type": "none",  # docs/benchmarks.md, "Not compressed"
        "message.max.bytes": BATCHES.max_message_bytes,
        "delivery.timeout.ms": 30_000,
        "partitioner": "murmur2_random",
        "queue.buffering.max.kbytes": max(2 * queue_bytes_max // 1024, 65_536),
        "queue.buffering.max.messages": 2_000_000,
        "statistics.interval.ms": 0,
        "socket.nagle.disable": True,
    }


class Member:
    """One submission of a group."""

    __slots__ = ("done", "encoded", "error", "letters", "size_bytes")

    def __init__(self, encoded: Encoded, done: Done, letters: Sequence[Letter] = ()) -> None:
        self.encoded = encoded
        self.letters = letters
        self.done = done
        self.error: Exception | None = None
        self.size_bytes = encoded.size_bytes + sum(len(letter.value) for letter in letters)


class _Group:
    """Members that are flushed together, and how many of their messages Kafka has not yet answered."""

    __slots__ = ("began_s", "members", "pending")

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.pending = 1  # the flush itself, so that no early report completes the group
        self.began_s = time.monotonic()


class Publisher:
    """Writes groups; call `poll` often, from the same thread."""

    def __init__(
        self,
        producer: Producer,
        limits: Limits,
        metrics: Metrics,
        *,
        partitions: int = BATCHES.partitions,
        topics: Topics | None = None,
    ) -> None:
        self._producer = producer
        self._limits = limits
        self._metrics = metrics
        self._partitions = partitions
        self._topics = topics or Topics()
        self.in_flight_bytes = 0
        self.in_flight_groups = 0
        self.fatal: Defect | None = None
        to_batch(np.zeros((1, WIDTH), np.int64), b"", [""])  # compiles, or loads what was compiled before

    def poll(self, timeout_s: float = 0.0) -> int:
        """Serve delivery reports: members are told from within. Raises Defect when the producer is beyond repair."""
        served: int = self._producer.poll(timeout_s)
        if self.fatal:
            raise self.fatal
        return served

    def flush(self, timeout_s: float) -> bool:
        """Wait for everything that is in flight; False when time ran out first."""
        end_s = time.monotonic() + timeout_s
        while self.in_flight_groups and time.monotonic() < end_s:
            self.poll(min(0.1, timeout_s))
        return not self.in_flight_groups

    def publish(self, members: Sequence[Member]) -> None:
        """Write all rows and facts of `members`; each member's `done` is called once, from `poll` or from here."""
        group = _Group(members)
        size = sum(member.size_bytes for member in members)
        self.in_flight_bytes += size
        self.in_flight_groups += 1
        self._metrics.in_flight.set(self.in_flight_bytes)
        self._write_rows(group)
        for member in members:
            if member.encoded.fact_values:
                self._write_facts(group, member)
            for letter in member.letters:
                self._write_letter(group, member, letter)
        self._answered(group)

    def _write_rows(self, group: _Group) -> None:
        with_rows = [member for member in group.members if len(member.encoded.rows)]
        if not with_rows:
            return
        rows, strings = join([(member.encoded.rows, member.encoded.strings) for member in with_rows])
        ends = np.cumsum([len(member.encoded.rows) for member in with_rows])
        sizes = sizes_bytes(rows)
        for partition, order in self._by_partition(rows):
            for places in self._slices(sizes, order):
                record = record_bytes(to_batch(rows, strings, with_rows[0].encoded.shops, places))
                touched = partial(_owners, with_rows, ends, places)
                report = partial(
                    self._record_reported, group, touched, len(rows) if places is None else len(places), len(record)
                )
                group.pending += 1
                self._write_record(record, partition, report)

    def _write_record(self, record: bytes, partition: int, report: Callable[[Any, Any], None]) -> None:
        try:
            self._producer.produce(self._topics.batches, record, partition=partition, on_delivery=report)
        except (BufferError, KafkaException) as error:
            report(error, None)

    def _by_partition(self, rows: Rows) -> list[tuple[int, Order | None]]:
        """Row numbers of each partition that has any, in order; None: all rows."""
        if self._partitions == 1:
            return [(0, None)]
        partitions = rows[:, PARTITION_HASH] % self._partitions
        order = np.argsort(partitions.astype(np.uint16), kind="stable")
        bounds = np.searchsorted(partitions[order], np.arange(self._partitions + 1))
        return [
            (partition, order[bounds[partition] : bounds[partition + 1]])
            for partition in range(self._partitions)
            if bounds[partition] < bounds[partition + 1]
        ]

    def _slices(self, sizes: npt.NDArray[np.int64], order: Order | None) -> list[Order | None]:
        """`order` cut so that no record has too many rows or bytes; a row that is larger has a record of its own.

        `sizes` are those of all rows, in bytes.
        """
        limits = self._limits
        ends = np.cumsum(sizes if order is None else sizes[order])
        count = len(ends)
        if count <= limits.batch_events_max and ends[-1] <= limits.batch_bytes_max:
            return [order]
        whole = np.arange(count) if order is None else order
        records = max(-(-count // limits.batch_events_max), -(-int(ends[-1]) // limits.batch_bytes_max))
        most = -(-count // records)  # all alike: a small one costs as much as a large one
        parts: list[Order | None] = []
        start = 0
        while start < count:
            room = limits.batch_bytes_max + (int(ends[start - 1]) if start else 0)
            end = max(start + 1, int(np.searchsorted(ends, room, side="right")))
            end = min(end, start + most)
            parts.append(whole[start:end])
            start = end
        return parts

    def _record_reported(
        self,
        group: _Group,
        touched: Callable[[], Sequence[Member]],
        rows: int,
        size_bytes: int,
        error: Any,
        _message: Any,
    ) -> None:
        if error is None:
            self._metrics.rows.inc(rows)
            self._metrics.records.inc()
            self._metrics.record_bytes.inc(size_bytes)
        else:
            for member in touched():
                self._fail(member, self._topics.batches, error)
        self._answered(group)

    def _write_facts(self, group: _Group, member: Member) -> None:
        encoded = member.encoded
        topic = self._topics.facts
        produce = self._producer.produce
        report = partial(self._told, group, member, topic)
        group.pending += len(encoded.fact_values)
        left = len(encoded.fact_values)
        try:
            for key, value in zip(encoded.fact_keys, encoded.fact_values, strict=True):
                produce(topic, value, key, -1, report)
                left -= 1
        except (BufferError, KafkaException) as error:
            group.pending -= left
            self._fail(member, topic, error)

    def _write_letter(self, group: _Group, member: Member, letter: Letter) -> None:
        group.pending += 1
        report = partial(self._told, group, member, self._topics.letters)
        try:
            self._producer.produce(
                self._topics.letters, letter.value, letter.key, headers=letter.headers, on_delivery=report
            )
        except (BufferError, KafkaException) as error:
            report(error, None)

    def _told(self, group: _Group, member: Member, topic: str, error: Any, _message: Any) -> None:
        if error is not None:
            self._fail(member, topic, error)
        group.pending -= 1
        if not group.pending:
            group.pending = 1
            self._answered(group)

    def _fail(self, member: Member, topic: str, error: Any) -> None:
        self._metrics.failures.labels(topic).inc()
        reason = error.args[0] if isinstance(error, KafkaException) else error
        if isinstance(reason, KafkaError):
            if reason.fatal():
                self.fatal = Defect(f"the producer cannot go on: {reason}")
            if is_final(reason):
                member.error = Refused(f"Kafka does not take what is written to {topic}: {reason}", _RETRY_AFTER_S)
        if not isinstance(member.error, Refused):
            member.error = NotNow(f"Kafka did not acknowledge: {error}", _RETRY_AFTER_S)

    def _answered(self, group: _Group) -> None:
        group.pending -= 1
        if group.pending:
            return
        self.in_flight_groups -= 1
        self._metrics.acknowledged.observe(time.monotonic() - group.began_s)
        for member in group.members:
            self.in_flight_bytes -= member.size_bytes
            if member.error is None:
                self._metrics.facts.inc(len(member.encoded.fact_values))
            elif member.encoded.undone:
                member.encoded.undone()
            member.done(member.error)
        self._metrics.in_flight.set(self.in_flight_bytes)


def _owners(
    members: Sequence[Member], ends: npt.NDArray[np.int64], places: npt.NDArray[np.int64] | None
) -> Sequence[Member]:
    """The members whose rows (member i: up to row ends[i]) are among `places`; None: all."""
    if places is None:
        return members
    return [members[owner] for owner in np.unique(np.searchsorted(ends, places, side="right")).tolist()]
