"""A machine small enough to be recomputed by hand: counts and sums what comes, once each, and rings alarms.

Records are text: a number is counted in bucket `number % BUCKETS`, times the factor in force, unless it came within
RETENTION_MS; `factor 3` sets the factor; `alarm 500` rings 500 ms later; a tick moves the clock; anything else is bad.
"""

import json
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from relance.events.batch import TICK
from relance.kafka.machine import BadRecord, Checkpoint, Message, Piece, Record

BUCKETS = 8
RETENTION_MS = 8_000
OUTPUTS = "outputs"


class CountingMachine:
    """State: per bucket count, sum, duplicates and pending alarms; for the partition the factor and the numbers
    seen."""

    def __init__(self, partition: int, checkpoint: Checkpoint, outputs: str) -> None:
        self.partition = partition
        self.outputs = outputs
        self.stream_ms = checkpoint.stream_ms
        self.factor = 1
        self.joins = [-1] * BUCKETS
        self.counts = [[0, 0, 0] for _ in range(BUCKETS)]
        self.alarms: list[list[int]] = [[] for _ in range(BUCKETS)]
        self.seen: dict[int, int] = {}
        self.order: deque[tuple[int, int, int]] = deque()  # offset, stream time, number
        self.fresh: list[tuple[int, int, int]] = []
        self.factors: list[Piece] = []
        for bucket in checkpoint.buckets:
            self.joins[bucket.number] = bucket.offset
            row = json.loads(zlib.decompress(bucket.value))
            self.counts[bucket.number], self.alarms[bucket.number] = row["counts"], row["alarms"]
        for piece in checkpoint.pieces:
            self._restore_piece(piece, checkpoint.offset)

    def _restore_piece(self, piece: Piece, upto: int) -> None:
        if piece.whole:
            self.factor = int(piece.value)
            return
        for offset, stream_ms, number in json.loads(zlib.decompress(piece.value)):
            if offset <= upto and (not self.order or offset > self.order[-1][0]):
                self._see(offset, stream_ms, number)

    def _see(self, offset: int, stream_ms: int, number: int) -> None:
        self.order.append((offset, stream_ms, number))
        self.seen[number] = stream_ms

    def apply(self, record: Record) -> Sequence[Message]:
        words = record.value.decode(errors="replace").split()
        if record.value != TICK and not (words and (words[0].isdigit() or words[0] in {"factor", "alarm", "defect"})):
            raise BadRecord(f"neither number nor order: {record.value[:20]!r}")
        if words[0] == "defect":
            raise RuntimeError("told to")
        self.stream_ms = max(self.stream_ms, record.append_ms)
        said = self._ring(record)
        if words[0] == "factor":
            self.factor = int(words[1])
            self.factors.append(
                Piece("factor", record.offset, record.offset, self.stream_ms, words[1].encode(), whole=True)
            )
        elif words[0] == "alarm":
            if self._joined(0, record):
                self.alarms[0].append(self.stream_ms + int(words[1]))
        elif words[0].isdigit():
            said += self._count(record, int(words[0]))
        return said

    def _joined(self, bucket: int, record: Record) -> bool:
        return record.offset > self.joins[bucket]

    def _count(self, record: Record, number: int) -> list[Message]:
        while self.order and self.order[0][1] < self.stream_ms - RETENTION_MS:
            _, stream_ms, old = self.order.popleft()
            if self.seen.get(old) == stream_ms:
                del self.seen[old]
        twice = number in self.seen
        if not twice:
            self._see(record.offset, self.stream_ms, number)
            self.fresh.append((record.offset, self.stream_ms, number))
        bucket = number % BUCKETS
        if not self._joined(bucket, record):
            return []
        row = self.counts[bucket]
        if twice:
            row[2] += 1
            return []
        row[0] += 1
        row[1] += number * self.factor
        return [self._message(record.offset, {"number": number, "factor": self.factor})]

    def _ring(self, record: Record) -> list[Message]:
        said = []
        if self._joined(0, record):
            for alarm in sorted(alarm for alarm in self.alarms[0] if alarm <= self.stream_ms):
                self.alarms[0].remove(alarm)
                said.append(self._message(record.offset, {"alarm": alarm}))
        return said

    def _message(self, offset: int, body: dict[str, int]) -> Message:
        key = f"{self.partition}/{offset}"
        return Message(self.outputs, key.encode(), json.dumps(body).encode())

    def next_deadline(self) -> int | None:
        return min(self.alarms[0], default=None)

    def snapshot(self, bucket: int) -> bytes:
        return zlib.compress(json.dumps({"counts": self.counts[bucket], "alarms": self.alarms[bucket]}).encode())

    def cut(self) -> Sequence[Piece]:
        pieces, self.factors = self.factors, []
        fresh, self.fresh = self.fresh, []
        for place in range(0, len(fresh), 2_000):
            rows = fresh[place : place + 2_000]
            value = zlib.compress(json.dumps(rows).encode())
            pieces.append(Piece("seen", rows[0][0], rows[-1][0], rows[-1][1], value))
        return pieces

    def state(self) -> dict[str, Any]:
        """What two machines are compared by."""
        alive = {number for number, stream_ms in self.seen.items() if stream_ms >= self.stream_ms - RETENTION_MS}
        return {"counts": self.counts, "alarms": self.alarms, "factor": self.factor, "seen": alive}


class CountingFactory:
    buckets = BUCKETS
    retention_ms = RETENTION_MS

    def __init__(self, outputs: str = OUTPUTS) -> None:
        self.outputs = outputs

    def restore(self, partition: int, checkpoint: Checkpoint) -> CountingMachine:
        return CountingMachine(partition, checkpoint, self.outputs)


def recomputed(records: Iterable[Record]) -> dict[str, Any]:
    """The same, said plainly, over a whole log: the machine shares no line with it."""
    clock, factor = -1, 1
    counts = [[0, 0, 0] for _ in range(BUCKETS)]
    said: dict[int, object] = {}
    last_seen: dict[int, int] = {}
    for record in records:
        text = record.value.decode(errors="replace")
        if not (record.value == TICK or text.isdigit() or text.startswith(("factor ", "alarm ", "defect"))):
            continue
        clock = max(clock, record.append_ms)
        if text.startswith("factor "):
            factor = int(text[7:])
        if text.isdigit():
            number = int(text)
            if last_seen.get(number, -RETENTION_MS) >= clock - RETENTION_MS:
                counts[number % BUCKETS][2] += 1
            else:
                last_seen[number] = clock
                counts[number % BUCKETS][0] += 1
                counts[number % BUCKETS][1] += number * factor
                said[record.offset] = {"number": number, "factor": factor}
    alive = {number for number, stream_ms in last_seen.items() if stream_ms >= clock - RETENTION_MS}
    return {"counts": counts, "factor": factor, "seen": alive, "said": said}
