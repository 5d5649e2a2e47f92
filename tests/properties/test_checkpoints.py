"""Checkpoints under every order of writes, deaths and late writes: what is restored is what the log says.

Owners come one after the other. Each restores from what the changelog holds, applies and saves in turn. One that was
taken to be dead may go on all the same, as if nothing had happened, and its removals may arrive at any time.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from relance.kafka.harness.ledger import choose
from relance.kafka.machine import Record
from tests.integration.harness_machine import BUCKETS, RETENTION_MS, CountingFactory, CountingMachine, recomputed

Entries = dict[bytes, bytes]


class Step(NamedTuple):
    """What happens next: who (0 the newest owner, 1 the one before, …) does what, how often."""

    who: int
    what: str
    times: int


steps = st.lists(
    st.builds(
        Step,
        st.sampled_from([0, 0, 0, 1, 2]),
        st.sampled_from(["apply", "apply", "save", "round", "take over"]),
        st.integers(1, 9),
    ),
    min_size=5,
    max_size=40,
)


def log_of(seed: int) -> list[Record]:
    """Sixty records, with gaps in which the filter of duplicates forgets."""
    draw, clock, log = random.Random(seed), 1_000_000, []
    for offset in range(60):
        clock += draw.choice([0, 1, 50, 2_000, 9_000, 25_000])
        word = draw.choice([str(draw.randrange(40))] * 8 + [f"factor {draw.randrange(9)}", "bad"])
        log.append(Record(offset, clock, word.encode()))
    return log


class Owner:
    """What `partition.Owned` does, with the waiting taken out: writes reach the changelog when told."""

    def __init__(self, entries: Entries, log: Sequence[Record], number: int) -> None:
        self.entries, self.log = entries, log
        checkpoint, self.ledger = choose(dict(entries), f"owner{number}", buckets=BUCKETS, retention_ms=RETENTION_MS)
        self.machine: CountingMachine = CountingFactory().restore(0, checkpoint)
        self.offset = checkpoint.offset
        self.turn = 0

    def apply(self) -> None:
        if self.offset + 1 < len(self.log):
            self.offset += 1
            if not self.log[self.offset].value.startswith(b"bad"):
                self.machine.apply(self.log[self.offset])

    def save(self) -> list[bytes]:
        """The keys to remove: that reaches the changelog at any later time."""
        if self.offset < max(self.ledger.said, 0):
            return []
        index, self.turn = self.turn, (self.turn + 1) % BUCKETS
        stream_ms = self.machine.stream_ms
        self.entries.update(self.ledger.frame(self.machine.cut()))
        self.entries.update([self.ledger.bucket(index, self.offset, stream_ms, self.machine.snapshot(index))])
        self.ledger.saved(index, self.offset, stream_ms)
        return self.ledger.replaced()

    def round(self) -> list[bytes]:
        """Save all, and finish; again the keys to remove."""
        gone = [key for _ in range(BUCKETS) for key in self.save()]
        if self.ledger.resume() is not None:
            self.entries.update([self.ledger.mark_complete()])
            self.ledger.complete = True
        return gone + self.ledger.removable()


def restored(entries: Entries, log: Sequence[Record]) -> CountingMachine:
    owner = Owner(entries, log, 99)
    while owner.offset + 1 < len(log):
        owner.apply()
    return owner.machine


def same(machine: CountingMachine, log: Sequence[Record]) -> bool:
    state, expected = machine.state(), recomputed(log)
    return all(state[name] == expected[name] for name in ("counts", "factor", "seen"))


@given(steps, st.integers(0, 10**9), st.randoms(use_true_random=False))
def test_any_restore_is_exact(script: list[Step], seed: int, arrival: random.Random) -> None:
    log = log_of(seed)
    entries: Entries = {}
    owners = [Owner(entries, log, 0)]
    late: list[bytes] = []  # removals that were sent and have not arrived
    for step in script:
        owner = owners[-1 - min(step.who, len(owners) - 1)]
        late += take(step, owner)
        if step.what == "take over":
            owners.append(Owner(entries, log, len(owners)))
        while late and arrival.random() < 0.7:
            entries.pop(late.pop(0), None)
        assert same(restored(entries, log), log)
    for key in late:
        entries.pop(key, None)
    assert same(restored(entries, log), log)


def take(step: Step, owner: Owner) -> list[bytes]:
    """Take a step; the keys whose removal it sends."""
    if step.what == "round":
        return owner.round()
    gone: list[bytes] = []
    for _ in range(step.times):
        if step.what == "apply":
            owner.apply()
        elif step.what == "save":
            gone += owner.save()
    return gone
