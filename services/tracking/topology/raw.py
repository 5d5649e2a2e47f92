"""The raw topic: shops' events in Kafka become batches, facts and dead letters, at least once.

An offset is committed when everything before it is acknowledged: rows, facts and dead letters. What is read twice after
a crash has the same event ids, and the session service drops what it has seen.

The loop has a process of its own (`raw_process`): with the HTTP server in one process the two would share one
interpreter lock, and a backlog here would slow down every answer there.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from relance.events.codec import EventError
from relance.events.faults import Problem
from relance.events.topics import RAW, TRACKING_DEAD_LETTERS
from relance.kafka.records import APPEND_TIME, RecordConsumer, Records
from relance.kernel.errors import Defect, NotNow
from relance.observability.logs import logger
from services.tracking.domain.columnar import Encoded, Encoder, Times, buffer_for
from services.tracking.metrics import Metrics
from services.tracking.topology.letters import Letter, Share, letter_of, structured
from services.tracking.topology.publisher import Member, Publisher, Refused

__all__ = ["RawLimits", "RawTopic"]

Partition = tuple[str, int]
Encode = Callable[[Times], Encoded]
_TOGETHER: Final = 2_000  # events, some 800 kB: what is encoded together should stay in the processor's cache
_CHUNK_BYTES: Final = 4_096  # of a chunk, whatever is in it
_IDLE_S: Final = 0.1
_RETRY_S: Final = 1.0
_COMMIT_S: Final = 0.5
_HELD_S: Final = 5.0  # after so long without room, Kafka is asked for nothing more


class RawLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the raw topic's loop."""

    topic: str = RAW.name
    dead_letters: str = TRACKING_DEAD_LETTERS.name
    dead_letter_bytes_max: int = TRACKING_DEAD_LETTERS.max_message_bytes
    chunk_events: int = 18_000  # written together: with a backlog a record then holds thousands of rows
    event_bytes_max: int = 1_000_000  # of JSON; what is made of it must fit the topics of facts and batches too
    linger_ms: int = 20  # from a chunk's first record on
    in_flight_bytes_max: int = 67_108_864  # read and not yet to be committed: what one that succeeds this reads again
    alarm_share: float = 0.1  # of dead letters, over the window
    alarm_least: int = 100  # records that a share is told of
    window_s: float = 60.0
    pauses: bool = False  # whether a partition is paused above that share
    pause_s: float = 60.0  # then it is tried again
    drain_s: float = 20.0


class _Chunk:
    """Records read together: where to resume once all of them are acknowledged, and all of those before them."""

    __slots__ = ("encoded", "is_done", "letters", "resume", "size_bytes")

    def __init__(self, resume: dict[Partition, int], encoded: Encoded, letters: Sequence[Letter]) -> None:
        self.resume = resume
        self.encoded = encoded
        self.letters = letters
        self.size_bytes = _CHUNK_BYTES + encoded.size_bytes + sum(len(letter.value) for letter in letters)
        self.is_done = False


class RawTopic:
    """One consumer of the group; one thread calls `run`, or `start`, `step` and `close`.

    `find_shops` reads the names of all shops from the log, when an event names one that `encoder` does not know yet.
    """

    def __init__(
        self,
        consumer: RecordConsumer,
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
        self._chunks: deque[_Chunk] = deque()  # in the order in which they were read
        self._chunks_bytes = 0
        self._unwritten: list[_Chunk] = []
        self._retries: list[tuple[float, _Chunk]] = []
        self._assigned: set[Partition] = set()
        self._resume: dict[Partition, int] = {}  # acknowledged, not yet committed
        self._committed_s = 0.0
        self._room_s = time.monotonic()
        self._held = False
        self._asked_s = float("-inf")
        self._shares: dict[Partition, Share] = {}
        self._paused: dict[Partition, float] = {}
        self._refused: Defect | None = None
        self._buffer = buffer_for(0)

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
        """Serve what is due, then read and write one chunk; how many records it had. Takes a tenth of a second.

        Raises Defect when Kafka will never take what it was given, however often it is tried.
        """
        self._publisher.poll()
        if self._refused is not None:
            raise self._refused
        self._retry()
        self._commit(at_once=False)
        self._wake()
        if self._is_full():
            self._publisher.poll(0.05)
            return 0
        return self._read()

    def close(self) -> None:
        """Wait for what is in flight, commit, leave the group."""
        self._drain()
        self._consumer.close()

    # -- records in

    def _read(self) -> int:
        """Read until there are enough, or the linger is over, encoding as they come; then write all together."""
        limits = self._limits
        count = 0
        wait_s, linger_s = _IDLE_S, limits.linger_ms / 1000
        end_s = time.monotonic() + linger_s
        while count < limits.chunk_events:
            most = min(_TOGETHER, limits.chunk_events - count)
            with self._consumer.consume(most, wait_s, linger_s) as records:
                if not count:
                    end_s = time.monotonic() + limits.linger_ms / 1000
                self._take(records)
                count += len(records)
                if len(records) < most:
                    break
            wait_s = linger_s = max(0.0, end_s - time.monotonic())
        self._flush()
        return count

    def _take(self, records: Records) -> None:
        if len(records):
            self._unwritten.append(self._chunk(records))

    def _flush(self) -> None:
        """Write what was read."""
        if self._unwritten:
            chunks, self._unwritten = self._unwritten, []
            self._chunks += chunks
            self._chunks_bytes += sum(chunk.size_bytes for chunk in chunks)
            self._publisher.publish([self._member(chunk) for chunk in chunks])

    def _chunk(self, records: Records) -> _Chunk:
        times = records.times_ms if records.time_kind == APPEND_TIME else None
        problems: dict[int, tuple[Problem, ...]] = {}
        if _is_plain(records, self._limits.event_bytes_max):
            self._buffer = buffer_for(int(records.sizes_bytes.sum()) + len(records), self._buffer)
            spans = records.pack(self._buffer)
            encoded = self._encode(lambda times: self._encoder.encode_packed(self._buffer, spans, times, times), times)
        else:
            values, problems = _values(records, self._limits.event_bytes_max)
            encode = self._encoder.encode
            encoded = self._encode(lambda times: encode(values, received_ms=times, arrival_ms=times), times)
        for refusal in encoded.refusals:
            problems.setdefault(refusal.index, refusal.problems)
        bytes_max = self._limits.dead_letter_bytes_max
        letters = [letter_of(records[place], problems[place], bytes_max) for place in sorted(problems)]
        self._watch_share(records.partitions, sorted(problems))
        self._metrics.events.labels("raw", "accepted").inc(encoded.accepted)
        self._metrics.events.labels("raw", "rejected").inc(len(letters))
        return _Chunk(self._resumes(records), encoded, letters)

    def _resumes(self, records: Records) -> dict[Partition, int]:
        """Where each partition goes on after these."""
        numbers = records.partitions
        lasts = [*np.flatnonzero(np.diff(numbers)).tolist(), len(records) - 1]  # of each stretch of one partition
        return {(self._limits.topic, int(numbers[at])): int(records.offsets[at]) + 1 for at in lasts}

    def _encode(self, encode: Encode, times: Times) -> Encoded:
        encoded = encode(times)
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
        return encode(times)

    # -- records out

    def _member(self, chunk: _Chunk) -> Member:
        def done(error: Exception | None) -> None:
            if error is None:
                chunk.is_done = True
                self._metrics.dead_letters.inc(len(chunk.letters))
            elif isinstance(error, Refused):
                self._refused = Defect(str(error))
            else:
                self._log.warning("not_acknowledged", reason=str(error))
                self._retries.append((time.monotonic() + _RETRY_S, chunk))

        return Member(chunk.encoded, done, chunk.letters)

    def _retry(self) -> None:
        if self._retries and self._retries[0][0] <= time.monotonic():
            due, self._retries = self._retries, []
            self._publisher.publish([self._member(chunk) for _, chunk in due])

    def _is_full(self) -> bool:
        """Whether too much waits for Kafka, or, acknowledged or not, behind what does. If it stays so, nothing is
        fetched, and the group is still attended to.
        """
        now_s = time.monotonic()
        if self._chunks_bytes < self._limits.in_flight_bytes_max:
            self._room_s = now_s
            if self._held:
                self._held = False
                self._consumer.resume(self._assigned - self._paused.keys())
            return False
        if now_s - self._room_s > _HELD_S:
            if not self._held:
                self._held = True
                self._consumer.pause(self._assigned)
            with self._consumer.consume(1, 0.0) as records:  # one that was already on its way
                self._take(records)
            self._flush()
        return True

    # -- offsets and the group

    def _commit(self, *, at_once: bool) -> None:
        while self._chunks and self._chunks[0].is_done:
            done = self._chunks.popleft()
            self._chunks_bytes -= done.size_bytes
            self._resume.update(done.resume)
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
        self._flush()
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
            for chunk in self._chunks:  # should the partition come back, others may have got further by then
                chunk.resume.pop(partition, None)
            self._shares.pop(partition, None)
            if self._paused.pop(partition, None) is not None:
                self._metrics.paused.set(len(self._paused))

    # -- too many dead letters

    def _watch_share(self, numbers: npt.NDArray[np.int64], problems: Sequence[int]) -> None:
        """Count the records by their partitions' numbers, and those with problems."""
        limits = self._limits
        counts = np.bincount(numbers)
        refused = np.bincount(numbers[problems], minlength=len(counts)) if problems else np.zeros_like(counts)
        for number in np.flatnonzero(counts).tolist():
            partition = (limits.topic, number)
            share = self._shares.get(partition)
            if share is None:
                share = self._shares[partition] = Share(limits.window_s, limits.alarm_least, time.monotonic)
            is_alarm = share.add(int(counts[number]), int(refused[number])) > limits.alarm_share
            self._metrics.dead_letter_alarm.labels(str(number)).set(is_alarm)
            if is_alarm and limits.pauses and partition not in self._paused:
                self._log.error("partition_paused", partition=number, share_limit=limits.alarm_share)
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


def _is_plain(records: Records, bytes_max: int) -> bool:
    """Whether the values are JSON events as they stand, none of them too large."""
    return not records.any_unusual and int(records.sizes_bytes.max()) <= bytes_max


def _values(records: Records, bytes_max: int) -> tuple[list[bytes], dict[int, tuple[Problem, ...]]]:
    """Each record as one JSON object, and what is wrong with those that are none."""
    values: list[bytes] = []
    problems: dict[int, tuple[Problem, ...]] = {}
    for place in range(len(records)):
        record = records[place]
        value = b""
        try:
            value = structured(record.value, record.headers)
        except EventError as error:
            problems[place] = error.problems
        if len(value) > bytes_max:
            problems[place] = (Problem("", f"is larger than {bytes_max} bytes"),)
            value = b""
        values.append(value)
    return values, problems
