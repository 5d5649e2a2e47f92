"""A machine restored from any checkpoint goes on as if nothing had happened, bucket by bucket."""

import json
import random
from collections.abc import Sequence

import msgspec
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from relance.events.batch import TICK
from relance.events.topics import ENDED
from relance.kafka.machine import Bucket, Checkpoint, Message, Piece
from relance.kafka.machine import Record as LogRecord
from relance.rules.windows import ControlRecord
from services.session.topology import SessionFactory, SessionMachine
from tests.reference.columns import batch_of
from tests.reference.model import Control, Events, Record
from tests.reference.shoppers import Shoppers

BUCKETS = 8
FACTORY = SessionFactory(BUCKETS)


def log_of(records: Sequence[Record]) -> list[LogRecord]:
    """The records as the broker holds them."""
    return [LogRecord(offset, record.append_ms, value_of(record)) for offset, record in enumerate(records)]


def value_of(record: Record) -> bytes:
    if isinstance(record, Events):
        batch = batch_of(record.events)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue().to_pybytes())
    if isinstance(record, Control):
        control = ControlRecord(shop=record.shop, version=record.version, definitions=record.definitions)
        return msgspec.json.encode(control)
    return TICK


def said(messages: Sequence[Message]) -> list[str]:
    """What the messages say, one text a signal, sorted: order in a topic is not part of the promise."""
    texts = []
    for message in messages:
        if message.topic == ENDED.name:
            with pa.ipc.open_stream(message.value) as stream:
                texts += [repr(sorted(row.items())) for row in stream.read_all().to_pylist()]
        else:
            texts.append(json.dumps(json.loads(message.value), sort_keys=True))
    return sorted(texts)


class Store:
    """What a changelog would hold: the newest of each bucket, and all pieces."""

    def __init__(self) -> None:
        self.buckets: dict[int, Bucket] = {}
        self.pieces: list[Piece] = []

    def checkpoint(self) -> Checkpoint:
        """From the smallest offset among the buckets on."""
        if not self.buckets:
            return Checkpoint(-1, -1, (), ())
        first = min(self.buckets.values(), key=lambda bucket: bucket.offset)
        whole = [piece for piece in self.pieces if piece.whole and piece.last <= first.offset]
        newest = {piece.kind: piece for piece in sorted(whole, key=lambda piece: piece.last)}
        since = first.stream_ms - FACTORY.retention_ms
        others = [p for p in self.pieces if not p.whole and p.first <= first.offset and p.stream_ms >= since]
        pieces = sorted([*newest.values(), *others], key=lambda piece: piece.last)
        return Checkpoint(first.offset, first.stream_ms, [self.buckets[n] for n in range(BUCKETS)], pieces)

    def reach(self) -> int:
        """The greatest bucket offset: outputs up to there were acknowledged."""
        return max((bucket.offset for bucket in self.buckets.values()), default=-1)

    def save(self, machine: SessionMachine, offset: int, buckets: Sequence[int]) -> None:
        """Pieces first, then these buckets; the first time all of them."""
        self.pieces += machine.cut()
        for number in buckets if self.buckets else range(BUCKETS):
            if buckets:
                self.buckets[number] = Bucket(number, offset, machine.stream_ms, machine.snapshot(number))


def cut_and_resume(draw: random.Random, records: Sequence[Record], crash_percent: int) -> int:
    """Play the log with checkpoints and crashes at random places; returns how many restores there were."""
    log = log_of(records)
    undisturbed = FACTORY.restore(0, Checkpoint(-1, -1, (), ()))
    expected = [said(undisturbed.apply(record)) for record in log]
    store = Store()
    machine = FACTORY.restore(0, store.checkpoint())
    offset = restores = 0
    turn = 0
    while offset < len(log):
        found = said(machine.apply(log[offset]))
        assert machine.stream_ms <= undisturbed.stream_ms
        if offset > store.reach():
            assert found == expected[offset], f"after {restores} restores, at offset {offset}"
            if draw.randrange(100) < 60:
                count = draw.choice([0, 1, 1, 2, 3])
                store.save(machine, offset, [(turn + n) % BUCKETS for n in range(count)])
                turn += count
        else:
            assert set(found) <= set(expected[offset]), f"while catching up, at offset {offset}"
        offset += 1
        if draw.randrange(100) < crash_percent and restores < 30:
            checkpoint = store.checkpoint()
            machine = FACTORY.restore(0, checkpoint)
            assert machine.stream_ms == checkpoint.stream_ms
            offset = checkpoint.offset + 1
            restores += 1
    assert machine.engine.live == undisturbed.engine.live
    return restores


@settings(max_examples=50)
@given(st.randoms(use_true_random=False), st.integers(1, 15))
def test_short_logs_cut_anywhere(draw: random.Random, count: int) -> None:
    cut_and_resume(draw, Shoppers.drawn(draw).records(count), crash_percent=30)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_long_logs_cut_anywhere(seed: int) -> None:
    draw = random.Random(seed)
    cut_and_resume(draw, Shoppers.drawn(draw).records(150), crash_percent=10)


def test_very_long_logs_cut_anywhere(chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    assert cut_and_resume(draw, Shoppers.drawn(draw).records(1000), crash_percent=4) > 3
