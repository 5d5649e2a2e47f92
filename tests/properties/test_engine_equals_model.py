"""The engine and the plain model say the same about random shoppers: equal signals, in order."""

import random
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from relance.cli.simulate import signals_of
from tests.properties.machine import EngineMachine, play
from tests.reference.model import Control, Events, Model, Record, Tick, run
from tests.reference.shoppers import Shoppers


def assert_equal(records: list[Record]) -> tuple[Model, EngineMachine]:
    """Both machines say the same after each record, and count the same duplicates and late events."""
    model, machine = Model(), EngineMachine()
    for place, record in enumerate(records):
        expected, found = play(model, [record]), play(machine, [record])
        assert found == expected, f"record {place}: {record}"
    counts = machine.engine.counts
    assert (counts["duplicate"], counts["late"]) == (model.counts["duplicates"], model.counts["late"])
    assert machine.engine.live == len(model.sessions)
    return model, machine


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_short_logs(draw: random.Random, count: int) -> None:
    assert_equal(Shoppers.drawn(draw).records(count))


@given(st.integers(0, 2**32))
def test_long_logs(seed: int) -> None:
    assert_equal(Shoppers.drawn(random.Random(seed)).records(120))


def test_very_long_logs(chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    for _ in range(5):
        model, _ = assert_equal(Shoppers.drawn(draw).records(800))
        assert model.seen


def test_many_visitors_in_large_records(chaos_seed: int) -> None:
    """Tables grow, batches are long, and thousands of deadlines come up in one move."""
    draw = random.Random(chaos_seed)
    visitors = [UUID(int=draw.getrandbits(128)) for _ in range(3000)]
    shoppers = Shoppers(draw, unit_ms=draw.choice([50, 1000, 60_000]), visitors=visitors)
    records: list[Record] = [Control(shoppers.now_ms, "*", 0, shoppers.definitions())]
    for _ in range(25):
        shoppers.now_ms += draw.choice([0, 1, 1, 2, 5]) * shoppers.unit_ms
        records.append(Events(shoppers.now_ms, tuple(shoppers.event() for _ in range(draw.choice([1, 300, 900])))))
    assert_equal([*records, Tick(shoppers.now_ms + 10_000 * shoppers.unit_ms)])


def test_random_shoppers_reach_everything() -> None:
    """The generator is dense: each kind of signal, duplicates and late events occur often."""
    kinds: dict[str, int] = {}
    model = Model()
    for seed in range(10):
        model = Model()
        for signal in play(model, Shoppers.drawn(random.Random(seed)).records(300)):
            kinds[signal["kind"]] = kinds.get(signal["kind"], 0) + 1
        assert model.counts["duplicates"]
    assert set(kinds) == {"abandoned", "retracted", "converted", "ended"}
    assert min(kinds.values()) >= 50, kinds


def split(record: Record, draw: random.Random) -> list[Record]:
    """The same events in several records of the same append time."""
    if not isinstance(record, Events) or len(record.events) < 2:
        return [record]
    at = draw.randrange(1, len(record.events))
    return [Events(record.append_ms, record.events[:at]), Events(record.append_ms, record.events[at:])]


def merge(records: list[Record]) -> list[Record]:
    """Neighbouring records of one append time as one."""
    merged: list[Record] = []
    for record in records:
        last = merged[-1] if merged else None
        if isinstance(record, Events) and isinstance(last, Events) and record.append_ms == last.append_ms:
            merged[-1] = Events(last.append_ms, (*last.events, *record.events))
        else:
            merged.append(record)
    return merged


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_records_of_one_append_time_may_be_split_or_merged(draw: random.Random, count: int) -> None:
    records = Shoppers.drawn(draw).records(count)
    whole = play(EngineMachine(), records)
    assert play(EngineMachine(), merge(records)) == whole
    assert play(EngineMachine(), [part for record in records for part in split(record, draw)]) == whole


@given(st.randoms(use_true_random=False), st.integers(1, 25))
def test_ticks_anywhere_change_nothing(draw: random.Random, count: int) -> None:
    """Whether and how often the clock is asked does not matter: only the log's own records do."""
    records = Shoppers.drawn(draw).records(count)
    machine = EngineMachine()
    signals = []
    for record in records:
        deadline = machine.engine.next_deadline()
        while deadline is not None and machine.engine.stream_ms < deadline < record.append_ms:
            signals += machine.advance(deadline)
            deadline = machine.engine.next_deadline()
        signals += play(machine, [record])
    assert signals == play(EngineMachine(), records)


@given(st.randoms(use_true_random=False), st.integers(0, 30), st.booleans())
def test_simulate_equals_the_model(draw: random.Random, count: int, stops: bool) -> None:  # noqa: FBT001
    shoppers = Shoppers.drawn(draw)
    definitions = shoppers.definitions()
    lines = list(shoppers.lines(count))
    until_ms = shoppers.shifted([-40, -5, 0, 100]) if stops else None
    raw = [msgspec.json.encode(line) for line in lines]
    found = [msgspec.json.decode(msgspec.json.encode(signal)) for signal in signals_of(definitions, raw, until_ms)]
    assert found == run(lines, definitions, until_ms)
