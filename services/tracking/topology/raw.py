"""The raw topic: shops' events in Kafka become batches, facts and dead letters, at least once.

An offset is committed when everything before it is acknowledged: rows, facts and dead letters. What is read twice after
a crash has the same event ids, and the session service drops what it has seen.

The loop has a process of its own (`raw_process`): with the HTTP server in one process the two would share one
interpreter lock, and a backlog here would slow down every answer there.
"""

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from relance.events.codec import EventError
from relance.events.faults import Problem
from relance.events.topics import RAW, TRACKING_DEAD_LETTERS
from relance.kafka.consumer import BatchConsumer
from relance.kernel.errors import NotNow
from relance.observability.logs import logger
from services.tracking.domain.columnar import Encoded, Encoder
from services.tracking.metrics import Metrics
from services.tracking.topology.letters import Letter, Share, letter_of, structured
from services.tracking.topology.publisher import Member, Publisher

__all__ = ["RawLimits", "RawTopic"]

Partition = tuple[str, int]
Run = tuple[Partition, int, int]
_RETRY_S: Final = 1.0
_COMMIT_S: Final = 0.5
_HELD_S: Final = 5.0  # after so long without room, Kafka is asked for nothing more


class RawLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the raw topic's loop."""

    topic: str = RAW.name
    dead_letters: str = TRACKING_DEAD_LETTERS.name
    dead_letter_bytes_max: int = TRACKING_DEAD_LETTERS.max_message_bytes
    chunk_events: int = 2_000  # some 800 kB: what is read together should stay in the processor's cache
    linger_ms: int = 20
    in_flight_bytes_max: int = 67_108_864
    alarm_share: float = 0.1  # of dead letters, over the window
    alarm_least: int = 100  # records that a share is told of
    window_s: float = 60.0
    pauses: bool = False  # whether a partition is paused above that share
    pause_s: float = 60.0  # then it is tried again
    drain_s: float = 20.0


class _Chunk:
    """Records read together: where to resume once all of them are acknowledged."""

    __slots__ = ("encoded", "is_done", "letters", "resume")

    def __init__(self, resume: Mapping[Partition, int], encoded: Encoded, letters: Sequence[Letter]) -> None:
        self.resume = resume
        self.encoded = encoded
        self.letters = letters
        self.is_done = False


class RawTopic:
    """One consumer of the group; one thread calls `run`, or `start`, `step` and `close`.

    `find_shops` reads the names of all shops from the log, when an event names one that `encoder` does not know yet.
    """

    def __init__(
        self,
        consumer: BatchConsumer,
        publisher: Publisher,
        encoder: Encoder,
        find_shops: Callable[[], Iterable[str]],
        limits: RawLimits,
        metrics: Metrics,
    ) -> None:
        self._consumer = consumer
        self._publisher = publisher
        self._encoder = encoder
        self._find_shops = find_shops
        self._limits = limits
        self._metrics = metrics
        self._log = logger("raw")
        self._chunks: deque[_Chunk] = deque()
        self._retries: list[tuple[float, _Chunk]] = []
        self._assigned: set[Partition] = set()
        self._resume: dict[Partition, int] = {}  # acknowledged, not yet committed
        self._committed_s = 0.0
        self._room_s = time.monotonic()
        self._held = False
        self._asked_s = float("-inf")
        self._shares: dict[Partition, Share] = {}
        self._paused: dict[Partition, float] = {}

    def run(self, stopping: Callable[[], bool], beat: Callable[[], None] = lambda: None) -> None:
        """Read until `stopping`, then end in order. `beat` is called at least every second. Raises Defect."""
        self.start()
        try:
            while not stopping():
                beat()
                self.step()
        finally:
            self.close()

    def start(self) -> None:
        """Join the group."""
        self._consumer.subscribe([self._limits.topic], self._on_assigned, self._on_revoked)

    def step(self) -> int:
        """Serve what is due, then read and write one chunk; how many records it had. Takes a tenth of a second."""
        self._publisher.poll()
        self._retry()
        self._commit(at_once=False)
        self._wake()
        if self._is_full():
            self._publisher.poll(0.05)
            return 0
        messages = self._consumer.consume(self._limits.chunk_events, self._limits.linger_ms / 1000)
        if messages:
            self._take(messages)
        return len(messages)

    def close(self) -> None:
        """Wait for what is in flight, commit, leave the group."""
        self._drain()
        self._consumer.close()

    # -- records in

    def _take(self, messages: Sequence[Any]) -> None:
        runs = self._runs(messages)
        last = {partition: end - 1 for partition, _, end in runs}
        values, problems = _values(messages)
        encoded = self._encode(values, _append_times(messages, runs))
        for refusal in encoded.refusals:
            problems.setdefault(refusal.index, refusal.problems)
        bytes_max = self._limits.dead_letter_bytes_max
        letters = [letter_of(messages[place], problems[place], bytes_max) for place in sorted(problems)]
        self._watch_share(messages, runs, problems)
        resume = {partition: messages[place].offset() + 1 for partition, place in last.items()}
        chunk = _Chunk(resume, encoded, letters)
        self._chunks.append(chunk)
        self._publish(chunk)
        self._metrics.events.labels("raw", "accepted").inc(encoded.accepted)
        self._metrics.events.labels("raw", "rejected").inc(len(letters))

    def _runs(self, messages: Sequence[Any]) -> list[Run]:
        """The stretches of one partition: partition, first place, place after the last."""
        topic = self._limits.topic
        if len(self._assigned) == 1 and messages[0].partition() == messages[-1].partition():
            return [((topic, messages[0].partition()), 0, len(messages))]
        numbers = np.fromiter(map(Message.partition, messages), np.int64, len(messages))
        borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(messages)]
        return [((topic, int(numbers[start])), start, end) for start, end in itertools.pairwise(borders)]

    def _encode(self, values: Sequence[bytes], times: npt.NDArray[np.int64] | None) -> Encoded:
        encoded = self._encoder.encode(values, received_ms=times, arrival_ms=times)
        strangers = any(refusal.unknown_shop for refusal in encoded.refusals)
        if not strangers or time.monotonic() - self._asked_s < _RETRY_S:
            return encoded
        self._asked_s = time.monotonic()  # a shop is written to the log before its first event: look again
        try:
            self._encoder.shops.set_known(self._find_shops())
        except NotNow as error:
            self._log.warning("shops_unreachable", reason=str(error))
            return encoded
        if encoded.undone:
            encoded.undone()
        return self._encoder.encode(values, received_ms=times, arrival_ms=times)

    # -- records out

    def _publish(self, chunk: _Chunk) -> None:
        def done(error: Exception | None) -> None:
            if error is None:
                chunk.is_done = True
                self._metrics.dead_letters.inc(len(chunk.letters))
            else:
                self._log.warning("not_acknowledged", reason=str(error))
                self._retries.append((time.monotonic() + _RETRY_S, chunk))

        self._publisher.publish([Member(chunk.encoded, done, chunk.letters)])

    def _retry(self) -> None:
        if self._retries and self._retries[0][0] <= time.monotonic():
            due, self._retries = self._retries, []
            for _, chunk in due:
                self._publish(chunk)

    def _is_full(self) -> bool:
        """Whether too much waits for Kafka. If it stays so, nothing is fetched, and the group is still attended to."""
        waiting = self._publisher.in_flight_bytes + sum(chunk.encoded.size_bytes for _, chunk in self._retries)
        now_s = time.monotonic()
        if waiting < self._limits.in_flight_bytes_max:
            self._room_s = now_s
            if self._held:
                self._held = False
                self._consumer.resume(self._assigned - self._paused.keys())
            return False
        if now_s - self._room_s > _HELD_S:
            if not self._held:
                self._held = True
                self._consumer.pause(self._assigned)
            messages = self._consumer.consume(1, 0.0)
            if messages:  # it was already on its way
                self._take(messages)
        return True

    # -- offsets and the group

    def _commit(self, *, at_once: bool) -> None:
        while self._chunks and self._chunks[0].is_done:
            self._resume.update(self._chunks.popleft().resume)
        now_s = time.monotonic()
        if not self._resume or (not at_once and now_s - self._committed_s < _COMMIT_S):
            return
        offsets = {partition: offset for partition, offset in self._resume.items() if partition in self._assigned}
        self._committed_s = now_s
        try:
            if offsets:
                self._consumer.commit(offsets)
            self._resume.clear()
        except NotNow as error:
            self._log.warning("not_committed", reason=str(error))

    def _drain(self) -> None:
        end_s = time.monotonic() + self._limits.drain_s
        while (self._publisher.in_flight_groups or self._retries) and time.monotonic() < end_s:
            self._publisher.poll(0.05)
            self._retry()
        self._commit(at_once=True)

    def _on_assigned(self, partitions: list[Partition]) -> None:
        self._assigned.update(partitions)
        if self._held:
            self._consumer.pause(partitions)

    def _on_revoked(self, partitions: list[Partition]) -> None:
        self._drain()
        self._assigned.difference_update(partitions)
        for partition in partitions:
            self._resume.pop(partition, None)
            self._shares.pop(partition, None)
            if self._paused.pop(partition, None) is not None:
                self._metrics.paused.set(len(self._paused))

    # -- too many dead letters

    def _watch_share(self, messages: Sequence[Any], runs: Sequence[Run], problems: Mapping[int, Any]) -> None:
        limits = self._limits
        counts: Counter[Partition] = Counter()
        for partition, start, end in runs:
            counts[partition] += end - start
        refused = Counter((limits.topic, messages[place].partition()) for place in problems)
        for partition, count in counts.items():
            share = self._shares.get(partition)
            if share is None:
                share = self._shares[partition] = Share(limits.window_s, limits.alarm_least, time.monotonic)
            is_alarm = share.add(count, refused[partition]) > limits.alarm_share
            self._metrics.dead_letter_alarm.labels(str(partition[1])).set(is_alarm)
            if is_alarm and limits.pauses and partition not in self._paused:
                self._log.error("partition_paused", partition=partition[1], share_limit=limits.alarm_share)
                self._paused[partition] = time.monotonic() + limits.pause_s
                self._metrics.paused.set(len(self._paused))
                self._consumer.pause([partition])

    def _wake(self) -> None:
        """Try again the partitions that were paused long enough."""
        now_s = time.monotonic()
        for partition in [partition for partition, until_s in self._paused.items() if until_s <= now_s]:
            del self._paused[partition]
            self._shares.pop(partition, None)
            self._metrics.paused.set(len(self._paused))
            if not self._held:
                self._consumer.resume([partition])


def _values(messages: Sequence[Any]) -> tuple[list[bytes], dict[int, tuple[Problem, ...]]]:
    """Each record as one JSON object, and what is wrong with those that are none."""
    values = list(map(Message.value, messages))
    problems: dict[int, tuple[Problem, ...]] = {}
    headers = list(map(Message.headers, messages))
    if any(headers) or None in values:
        for place, found in enumerate(headers):
            if found or values[place] is None:
                try:
                    values[place] = structured(values[place], found or ())
                except EventError as error:
                    values[place] = b""
                    problems[place] = error.problems
    return values, problems


def _append_times(messages: Sequence[Any], runs: Sequence[Run]) -> npt.NDArray[np.int64] | None:
    """Append times in milliseconds; None when the topic does not keep them.

    They never fall within a partition, and thousands of neighbours share one: equal ends need no look in between.
    """
    if messages[0].timestamp()[0] != TIMESTAMP_LOG_APPEND_TIME:
        return None
    times = np.empty(len(messages), np.int64)
    open_runs = [(start, end) for _, start, end in runs]
    while open_runs:
        start, end = open_runs.pop()
        first = messages[start].timestamp()[1]
        if first == messages[end - 1].timestamp()[1]:
            times[start:end] = first
        else:
            middle = (start + end) // 2
            open_runs += [(start, middle), (middle, end)]
    return times
