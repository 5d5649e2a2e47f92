"""What a state machine owes the harness (`relance.kafka.harness`), and what the harness owes it.

A machine holds the state of one partition and is a pure function of that partition's records: no I/O, no clock, no
randomness. Two machines that were given the same records are in the same state, whoever runs them and whenever. The
harness stands on that: a saved bucket is true at its offset whoever wrote it, so the newest one is always the right one
to restore.

**Saved state** is of two kinds.

- *Buckets*: a fixed number; each holds the rows of some of the keys, as they were after one offset. They are saved in
  turn, so they have different offsets.
- *Pieces*: what belongs to the partition as a whole (definitions, the filter of duplicates). The resume offset is not
  known when they are saved, and lies before some of them, so each piece tells by offset what came with which record.

**Restore**: the resume offset is the smallest among the restored buckets. Records are applied from the one after it. A
bucket *joins* with the first record whose offset is greater than the bucket's own; until then neither events nor time
nor definitions touch it. The harness saves nothing until all have joined, and drops outputs up to the greatest bucket
offset: outputs were acknowledged before that bucket was saved.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from relance.kernel.errors import RelanceError

__all__ = ["BadRecord", "Bucket", "Checkpoint", "Factory", "Machine", "Message", "Piece", "Record"]


class BadRecord(RelanceError):  # noqa: N818 - it names the record, and what is done with it: a dead letter
    """The record cannot be understood; the machine has not changed. Its text is the reason in the dead letter."""


class Record(NamedTuple):
    """One record of the input topic; `append_ms` is the broker's append time, ms since 1970 UTC (it may go back)."""

    offset: int
    append_ms: int
    value: bytes


class Message(NamedTuple):
    """One message to produce; without `partition` the key decides (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None


class Bucket(NamedTuple):
    """One saved bucket: what `Machine.snapshot(number)` gave after the record at `offset`, when it was `stream_ms`."""

    number: int
    offset: int
    stream_ms: int
    value: bytes


class Piece(NamedTuple):
    """What came with the records `first` to `last` (offsets, inclusive) of one kind of partition-wide state.

    `stream_ms` is the stream time after the record at `last`. A `whole` piece replaces all earlier ones of its `kind`:
    it is the whole state of that kind after the record at `last` (so one for each record that changed it, or whose
    change matters). Other pieces add up: pieces of one machine do not overlap and leave no gap in which something came.
    At most 512 KB each.
    """

    kind: str
    first: int
    last: int
    stream_ms: int
    value: bytes
    whole: bool = False


class Checkpoint(NamedTuple):
    """What a machine is restored from.

    `offset` and `stream_ms` are those after the last record that need not be applied again, -1 when nothing was saved
    yet (then there are no buckets and no pieces). `buckets` has one of each index, in order. `pieces` are ordered by
    `last`: of a whole kind the newest with `last` <= `offset`; of the others all that are not expired and begin at or
    before `offset`; several may cover an offset (they agree), and the last may reach past `offset`: the machine takes
    each offset once, and none past `offset`.
    """

    offset: int
    stream_ms: int
    buckets: Sequence[Bucket]
    pieces: Sequence[Piece]


class Machine(Protocol):
    """The state of one partition."""

    @property
    def stream_ms(self) -> int:
        """Stream time: the largest append time applied so far, -1 before the first record."""
        ...

    def apply(self, record: Record) -> Sequence[Message]:
        """Apply the record that follows the last one; return what it made the machine say, in order.

        Raises BadRecord, and then nothing has changed. Any other exception is a defect and ends the process.
        """
        ...

    def next_deadline(self) -> int | None:
        """Stream time (ms) at which something is due next, for then the broker is asked; None when nothing is."""
        ...

    def snapshot(self, bucket: int) -> bytes:
        """The rows of a bucket as they are now, also when empty: format version first, compressed, at most 512 KB."""
        ...

    def cut(self) -> Sequence[Piece]:
        """Partition-wide state that came since the last cut, or the restore; asked before buckets are saved.

        After a restore, pieces begin after the checkpoint's offset: what is at or before it is saved already.
        """
        ...


class Factory(Protocol):
    """Makes the machines of one service."""

    @property
    def buckets(self) -> int:
        """How many buckets each partition has; it never changes once something was saved."""
        ...

    @property
    def retention_ms(self) -> int:
        """How far before the stream time of the resume offset pieces that are not whole are still needed."""
        ...

    def restore(self, partition: int, checkpoint: Checkpoint) -> Machine:
        """The machine as it was after `checkpoint.offset`, with buckets that join later.

        Raises relance.kernel.errors.Defect when a value cannot be read.
        """
        ...
