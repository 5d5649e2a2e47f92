"""Records in, engine calls, messages out: the session service's state machine for the harness."""

import secrets
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa

from relance.events.batch import SCHEMA
from relance.events.topics import ENDED, SIGNALS
from relance.kafka.machine import BadRecord, Checkpoint, Message, Piece, Record
from relance.kernel.errors import Defect
from relance.rules.windows import ControlRecord, faults
from services.session.domain.buckets import rows_at_most
from services.session.domain.engine import Engine
from services.session.domain.layout import ABANDONED, KINDS
from services.session.domain.layout import ENDED as ENDED_KIND
from services.session.domain.memory import Run, decode_book, decode_seen, encode_book, encode_seen, ids_at_most
from services.session.domain.seen import WITHIN_MS
from services.session.domain.signals import Signals
from services.session.metrics import DELAY_BOUNDS_MS

__all__ = ["SessionFactory", "SessionMachine"]

DEFINITIONS: Final = "definitions"
SEEN: Final = "seen"
_IDS_A_PIECE: Final = 40_000  # 12 bytes each before compression, hashes do not compress: below 512 KB
_ENDED_A_MESSAGE: Final = 2_500  # a row has at most some 1,310 bytes: a message stays below the topic's 4 MB
_TIME_MAX_MS: Final = 253_402_300_800_000  # the year 10000


class Tick(msgspec.Struct, frozen=True, tag_field="kind", tag="tick"):
    """Moves the clock."""


_CONTROL: Final = msgspec.json.Decoder(Tick | ControlRecord)
_ENCODER: Final = msgspec.json.Encoder()


def _batch(value: bytes) -> pa.RecordBatch:
    """The one batch of a record. Raises BadRecord for anything that the kernels could stumble over."""
    try:
        with pa.ipc.open_stream(value) as stream:
            if not stream.schema.equals(SCHEMA, check_metadata=False):
                raise BadRecord("the schema is not that of relance.events.batch")
            batch = stream.read_next_batch()
            if next(iter(stream), None) is not None:
                raise BadRecord("more than one batch")
        batch.validate(full=True)
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise BadRecord(f"not an Arrow batch: {error or 'the stream is empty'}") from error
    if any(column.null_count for column in (*batch.columns, batch.column(1).dictionary)):
        raise BadRecord("a column has nulls")
    if batch.num_rows:
        times = np.asarray(batch.column(3))
        if times.min() < -_TIME_MAX_MS or times.max() > _TIME_MAX_MS:
            raise BadRecord("a time is out of range")
    return batch


def _control(value: bytes) -> Tick | ControlRecord:
    """What a record that is no batch says. Raises BadRecord, also for definitions that no windows file may hold."""
    try:
        control = _CONTROL.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRecord(f"neither a tick nor definitions: {error}") from error
    if isinstance(control, ControlRecord) and control.definitions is not None:
        fault = next(faults(control.definitions), None)
        if fault is not None:
            raise BadRecord(f"definitions of {control.shop}: {fault.field or 'windows'}: {fault.reason}")
    return control


class SessionMachine:
    """The sessions of one partition (`relance.kafka.machine.Machine`)."""

    def __init__(self, partition: int, engine: Engine) -> None:
        self.partition = partition
        self.engine = engine
        self.fired: Counter[tuple[str, str]] = Counter()  # (kind, window)
        self.delays: list[int] = [0] * (len(DELAY_BOUNDS_MS) + 1)  # firings by the time from due to append
        self.delay_sum_ms = 0
        self._waiting: list[tuple[int, int, bytes]] = []  # buckets that will join: (offset, index, value), last first
        self._pieces: list[Piece] = []
        self._runs: list[Run] = []
        self._seen_cut = engine.seen_position

    @property
    def stream_ms(self) -> int:
        """Stream time, -1 before the first record."""
        return self.engine.stream_ms

    def apply(self, record: Record) -> Sequence[Message]:
        """Apply a batch, a tick or definitions. Raises BadRecord."""
        value = record.value
        control: Tick | ControlRecord | None = None
        batch: pa.RecordBatch | None = None
        if value[:1] == b"{":
            control = _control(value)
        else:
            batch = _batch(value)
        while self._waiting and self._waiting[-1][0] < record.offset:
            self.engine.join(self._waiting.pop()[2])
        seen = self.engine.seen_position
        if batch is not None:
            said = self.engine.apply(batch, record.append_ms, record.offset)
        elif isinstance(control, ControlRecord):
            said = self._define(control, record)
        else:
            said = self.engine.advance(record.append_ms)
        if count := self.engine.seen_position - seen:
            self._runs.append(Run(record.offset, self.stream_ms, count))
        return self._messages(said) if len(said) else ()

    def version(self, shop: str) -> int:
        """Version of the definitions that the log has told for a shop (`*`: the default set)."""
        return self.engine.book.version(shop)

    def next_deadline(self) -> int | None:
        """When something is due next, in stream time."""
        return self.engine.next_deadline()

    def snapshot(self, bucket: int) -> bytes:
        """A bucket's rows as they are now."""
        return self.engine.snapshot(bucket)

    def cut(self) -> Sequence[Piece]:
        """Definitions and seen ids that came since the last cut."""
        pieces = [*self._pieces, *self._seen_pieces()]
        self._pieces.clear()
        self._runs.clear()
        self._seen_cut = self.engine.seen_position
        return pieces

    def _define(self, control: ControlRecord, record: Record) -> Signals:
        before = self.engine.book.sequence
        said = self.engine.define(record.append_ms, control.shop, control.version, control.definitions)
        if self.engine.book.sequence != before:
            value = encode_book(self.engine.book)
            self._pieces.append(Piece(DEFINITIONS, record.offset, record.offset, self.stream_ms, value, whole=True))
        return said

    def _seen_pieces(self) -> list[Piece]:
        """The ids since the last cut, in pieces that end with a record."""
        pieces: list[Piece] = []
        position = self._seen_cut
        group: list[Run] = []
        for run, following in zip_longest(self._runs, self._runs[1:]):
            group.append(run)
            count = sum(part.ids for part in group)
            if following is None or count + following.ids > _IDS_A_PIECE:
                pieces.append(self._seen_piece(group, position, position + count))
                position += count
                group = []
        return pieces

    def _seen_piece(self, runs: list[Run], begin: int, end: int) -> Piece:
        """One piece; ids that have left the filter meanwhile are left out, from the front."""
        there, hashes, shops = self.engine.seen_between(begin, end)
        missing = min(there, end) - begin
        kept: list[Run] = []
        for run in runs:
            gone = min(missing, run.ids)
            missing -= gone
            kept.append(run._replace(ids=run.ids - gone))
        value = encode_seen(kept, hashes, shops, self.engine.shops.words)
        first = runs[0].offset
        return Piece(SEEN, first, runs[-1].offset, runs[-1].stream_ms, value)

    def _messages(self, said: Signals) -> list[Message]:
        self._count(said)
        messages = [
            Message(SIGNALS.name, str(signal.visitor).encode(), _ENCODER.encode(signal))
            for signal in said.spoken().to_signals()
        ]
        if not (said.out["kind"] == ENDED_KIND).any():
            return messages
        ended = said.to_ended_batch()
        for begin in range(0, ended.num_rows, _ENDED_A_MESSAGE):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, ended.schema) as writer:
                writer.write_batch(ended.slice(begin, _ENDED_A_MESSAGE))
            messages.append(Message(ENDED.name, None, sink.getvalue().to_pybytes(), self.partition))
        return messages

    def _count(self, said: Signals) -> None:
        out = said.out
        for (kind, name), count in Counter(zip(out["kind"].tolist(), out["name"].tolist(), strict=True)).items():
            self.fired[KINDS[kind], self.engine.names.words[name] if name >= 0 else ""] += count
        timed = (out["kind"] == ABANDONED) | (out["kind"] == ENDED_KIND)
        delays = np.maximum(self.stream_ms - out["due"][timed], 0)
        self.delay_sum_ms += int(delays.sum())
        counted = np.bincount(np.searchsorted(DELAY_BOUNDS_MS, delays), minlength=len(self.delays))
        for place, count in enumerate(counted):
            self.delays[place] += int(count)

    def wait_for(self, waiting: list[tuple[int, int, bytes]]) -> None:
        """Buckets (offset, index, value) that join later."""
        for offset, index, _ in waiting:
            self.engine.await_bucket(index, offset)
        self._waiting = sorted(waiting, reverse=True)


class SessionFactory:
    """Makes and restores the machines (`relance.kafka.machine.Factory`)."""

    retention_ms = WITHIN_MS

    def __init__(self, buckets: int, key: bytes = b"") -> None:
        self.buckets = buckets
        self._key = key

    def restore(self, partition: int, checkpoint: Checkpoint) -> SessionMachine:
        """The machine as it was after `checkpoint.offset`. Raises Defect when a value cannot be read."""
        engine = Engine(self.buckets, key=self._key, seed=secrets.randbits(63))
        if checkpoint.offset < 0:
            return SessionMachine(partition, engine)
        if checkpoint.stream_ms < 0:
            message = f"partition {partition}: a checkpoint without a stream time"
            raise Defect(message)
        engine.start_at(checkpoint.stream_ms)
        engine.expect(
            sum(rows_at_most(bucket.value) for bucket in checkpoint.buckets),
            sum(ids_at_most(piece.value) for piece in checkpoint.pieces if piece.kind == SEEN),
        )
        _recall(engine, checkpoint)
        waiting: list[tuple[int, int, bytes]] = []
        for bucket in checkpoint.buckets:
            if bucket.offset > checkpoint.offset:
                waiting.append((bucket.offset, bucket.number, bucket.value))
            else:
                engine.join(bucket.value)
        machine = SessionMachine(partition, engine)
        machine.wait_for(waiting)
        return machine


def _recall(engine: Engine, checkpoint: Checkpoint) -> None:
    """Definitions and seen ids as they were at the checkpoint's offset."""
    taken = -1
    for piece in checkpoint.pieces:
        if piece.kind == DEFINITIONS:
            engine.restore_book(decode_book(piece.value, engine.shops, engine.names))
        elif piece.kind == SEEN:
            part = decode_seen(piece.value)
            at = 0
            for run in part.runs:
                end = at + run.ids
                if taken < run.offset <= checkpoint.offset:
                    engine.recall(part.hashes[at:end], part.shops[at:end], part.words, run.stream_ms)
                    taken = run.offset
                at = end
        else:
            message = f"a piece of an unknown kind: {piece.kind}"
            raise Defect(message)
    engine.forget_expired()
