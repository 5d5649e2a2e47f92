"""What is saved of a partition: which entries to restore from, and which of them nobody needs any more. Pure.

**Why a worker that lost its partition without knowing (stopped past its session, cut off) cannot spoil a later
restore**, whatever it still writes, and whenever that arrives:

1. No key is written twice, so a late write replaces nothing.
2. A machine is a function of the log, so a late bucket is true at its offset. Restore takes, of each bucket, the entry
   with the greatest offset, whoever wrote it: a late one is ignored, or spares some replay.
3. An owner removes another's (or its own older) entry only for one of its own that is acknowledged and does as well:
   a bucket for the same bucket at the same or a greater offset; a piece for its own pieces of the same records. So
   the greatest saved offset of a bucket never falls, nor does the smallest of these, where the next owner resumes.
4. It removes pieces that are expired or replaced at the smallest offset of its own buckets. By 3 all later owners
   resume there or after it. So nothing that is needed is ever removed, and it does not matter when a removal arrives.

Pieces are grouped into *frames*, one for each time that they were cut: all that came after one offset up to another.
Frames of one owner touch; those of several may overlap, and then agree. Each bucket says where its frames end and each
frame where the one before it does, so that a restore that has not been given everything is noticed, and is a defect,
not a quiet loss.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from relance.kafka.harness.entries import (
    COMPLETE_KEY,
    BucketEntry,
    CompleteEntry,
    PieceEntry,
    bucket_key,
    decode,
    encode,
    owner_of,
    piece_key,
)
from relance.kafka.machine import Bucket, Checkpoint, Piece
from relance.kernel.errors import Defect

__all__ = ["Ledger", "choose"]

NOTHING: Final = Checkpoint(offset=-1, stream_ms=-1, buckets=(), pieces=())
Write = tuple[bytes, bytes]


class Frame(NamedTuple):
    """All that came after the record at `start` up to the one at `end`, with the stream times after these."""

    start: int
    start_ms: int
    end: int
    end_ms: int


START: Final = Frame(-1, -1, -1, -1)


class Held(NamedTuple):
    """An entry in the changelog, without its content: `end` is the greatest offset that it speaks of."""

    sort: str  # bucket, frame or whole
    kind: str
    start: int  # of a bucket: its index
    end: int
    stream_ms: int


class Ledger:
    """The book of one owner of a partition: what it found, what it has saved since, what may go."""

    def __init__(
        self,
        owner: str,
        *,
        buckets: int,
        retention_ms: int,
        checkpoint: Checkpoint = NOTHING,
        framed: Frame = START,
        found: Mapping[bytes, Held],
    ) -> None:
        self.owner = owner
        self.complete = bool(checkpoint.buckets)  # each bucket was saved at least once, by whomever
        self.said = max((bucket.offset for bucket in checkpoint.buckets), default=-1)
        self._restored = checkpoint.offset
        self._retention_ms = retention_ms
        self._saved: list[tuple[int, int] | None] = [None] * buckets  # offset and stream time, once saved by this owner
        self._replaced: list[bytes] = []
        self._base = framed.end  # what came later is in frames of this owner
        self._framed = framed  # the last one
        self._found = dict(found)
        self._own: dict[bytes, Held] = {}
        self._wholes: dict[str, list[int]] = defaultdict(list)
        for held in sorted(self._found.values(), key=lambda held: held.end):
            if held.sort == "whole" and held.end <= checkpoint.offset:
                self._wholes[held.kind].append(held.end)

    def frame(self, pieces: Sequence[Piece]) -> list[Write]:
        """The writes that save what was cut, to be acknowledged before any bucket that is snapshot after the cut."""
        adding = [piece for piece in pieces if not piece.whole]
        whole = [piece for piece in pieces if piece.whole]
        writes = [
            self._piece(piece, Frame(piece.last, piece.stream_ms, piece.last, piece.stream_ms)) for piece in whole
        ]
        if adding:
            end, end_ms = max(piece.last for piece in adding), max(piece.stream_ms for piece in adding)
            self._framed = Frame(self._framed.end, self._framed.end_ms, end, end_ms)
            writes += [self._piece(piece, self._framed, part, len(adding)) for part, piece in enumerate(adding)]
        return writes

    def bucket(self, index: int, offset: int, stream_ms: int, value: bytes) -> Write:
        """The write that saves a bucket; all pieces up to `offset` have been given to `frame` before."""
        wholes = {kind: ends[-1] for kind, ends in self._wholes.items() if ends}
        entry = BucketEntry(index, offset, stream_ms, self._framed.end, self._framed.end_ms, wholes, value)
        return bucket_key(self.owner, index, offset), encode(entry)

    def saved(self, index: int, offset: int, stream_ms: int) -> None:
        """The bucket's write was acknowledged."""
        last = self._saved[index]
        if last is not None and last[0] != offset:
            self._replaced.append(bucket_key(self.owner, index, last[0]))
        self._saved[index] = offset, stream_ms

    @property
    def buckets(self) -> int:
        """How many buckets there are."""
        return len(self._saved)

    def is_stale(self, index: int, offset: int) -> bool:
        """Whether this owner has not saved the bucket as it was after `offset`."""
        saved = self._saved[index]
        return saved is None or saved[0] < offset

    def resume(self) -> tuple[int, int] | None:
        """Offset and stream time to resume after, by this owner's buckets alone; None until it has saved each."""
        if any(saved is None for saved in self._saved):
            return None
        return min(saved for saved in self._saved if saved is not None)

    def mark_complete(self) -> Write:
        """The write that says that each bucket is there; set `complete` when it was acknowledged."""
        return COMPLETE_KEY, encode(CompleteEntry(len(self._saved)))

    def replaced(self) -> list[bytes]:
        """Keys to remove: this owner's buckets of which it has saved a newer state. They are then forgotten."""
        keys, self._replaced = self._replaced, []
        return keys

    def removable(self) -> list[bytes]:
        """Keys to remove: what this owner has saved itself, and what it does not need to resume; then forgotten."""
        gone = {key for key, held in self._found.items() if self._covered(held)}
        resume = self.resume()
        if resume is not None:
            offset, stream_ms = resume
            oldest_ms = stream_ms - self._retention_ms
            newest = {kind: max(ends) for kind, ends in self._upto(offset).items()}
            known = self._found | self._own
            gone |= {key for key, held in known.items() if _past(held, oldest_ms, newest)}
            for kind, last in newest.items():
                self._wholes[kind] = [end for end in self._wholes[kind] if end >= last]
        for key in gone:
            self._found.pop(key, None)
            self._own.pop(key, None)
        return sorted(gone)

    def _upto(self, offset: int) -> dict[str, list[int]]:
        kinds = {kind: [end for end in ends if end <= offset] for kind, ends in self._wholes.items()}
        return {kind: ends for kind, ends in kinds.items() if ends}

    def _covered(self, held: Held) -> bool:
        """Whether this owner has saved under its own keys what does as well."""
        if held.sort == "bucket":
            saved = self._saved[held.start]
            return saved is not None and saved[0] >= held.end
        if held.sort == "whole":
            return held.end > self._restored and held.end in self._wholes.get(held.kind, ())
        return held.start >= self._base and held.end <= self._framed.end

    def _piece(self, piece: Piece, frame: Frame, part: int = 0, parts: int = 1) -> Write:
        entry = PieceEntry(
            kind=piece.kind,
            first=piece.first,
            last=piece.last,
            stream_ms=piece.stream_ms,
            whole=piece.whole,
            framed_from=frame.start,
            framed_from_ms=frame.start_ms,
            framed_to=frame.end,
            framed_ms=frame.end_ms,
            part=part,
            parts=parts,
            value=piece.value,
        )
        key = piece_key(self.owner, entry)
        self._own[key] = _held(entry)
        if piece.whole:
            self._wholes[piece.kind].append(piece.last)
        return key, encode(entry)


def choose(entries: Mapping[bytes, bytes], owner: str, *, buckets: int, retention_ms: int) -> tuple[Checkpoint, Ledger]:
    """What to restore a machine from, and the book of the new `owner`. `entries`: all that the changelog holds.

    Raises Defect when a bucket or a piece is missing, or was saved with another number of buckets.
    """
    decoded = {key: decode(key, value) for key, value in entries.items()}
    mark = decoded.pop(COMPLETE_KEY, None)
    found = {key: _held(entry) for key, entry in decoded.items() if not isinstance(entry, CompleteEntry)}
    if not isinstance(mark, CompleteEntry):
        return NOTHING, Ledger(owner, buckets=buckets, retention_ms=retention_ms, found=found)
    if mark.buckets != buckets:
        raise Defect(f"saved in {mark.buckets} buckets, and to be restored in {buckets}: their number is fixed")
    saved = _newest(entry for entry in decoded.values() if isinstance(entry, BucketEntry))
    if missing := [index for index in range(buckets) if index not in saved]:
        raise Defect(f"the changelog lacks {len(missing)} of {buckets} buckets, the first is {missing[0]}")
    resume = min(saved.values(), key=lambda entry: entry.offset)
    pieces = [(owner_of(key), entry) for key, entry in decoded.items() if isinstance(entry, PieceEntry)]
    parts = _cover([(whose, entry) for whose, entry in pieces if not entry.whole], resume, retention_ms)
    checkpoint = Checkpoint(
        offset=resume.offset,
        stream_ms=resume.stream_ms,
        buckets=[_bucket(saved[index]) for index in range(buckets)],
        pieces=sorted(parts + _wholes([entry for _, entry in pieces if entry.whole], resume), key=lambda p: p.last),
    )
    framed = Frame(resume.framed_to, resume.framed_ms, resume.framed_to, resume.framed_ms)
    ledger = Ledger(
        owner, buckets=buckets, retention_ms=retention_ms, checkpoint=checkpoint, framed=framed, found=found
    )
    return checkpoint, ledger


def _newest(entries: Iterable[BucketEntry]) -> dict[int, BucketEntry]:
    newest: dict[int, BucketEntry] = {}
    for entry in entries:
        if entry.index not in newest or entry.offset > newest[entry.index].offset:
            newest[entry.index] = entry
    return newest


def _cover(entries: Sequence[tuple[bytes, PieceEntry]], resume: BucketEntry, retention_ms: int) -> list[Piece]:
    """The pieces of frames without a gap, back from the resume offset to where all is expired."""
    frames: dict[tuple[bytes, int, int], dict[int, PieceEntry]] = defaultdict(dict)
    for owner, entry in entries:
        frames[owner, entry.framed_from, entry.framed_to][entry.part] = entry
    whole = {(start, end): parts for (_, start, end), parts in frames.items() if len(parts) == parts[max(parts)].parts}
    chosen: list[Piece] = []
    end, end_ms = resume.framed_to, resume.framed_ms
    while end_ms >= 0 and end_ms >= resume.stream_ms - retention_ms:
        fitting = [span for span in whole if span[0] < end <= span[1]]
        if not fitting:
            raise Defect(f"the changelog lacks the pieces that came with records up to {end}")
        parts = whole[min(fitting)]
        chosen += [_piece(parts[part]) for part in sorted(parts)]
        end, end_ms = parts[0].framed_from, parts[0].framed_from_ms
    return chosen


def _wholes(entries: Sequence[PieceEntry], resume: BucketEntry) -> list[Piece]:
    by_end = {(entry.kind, entry.last): entry for entry in entries}
    for kind, last in resume.wholes.items():
        if (kind, last) not in by_end:
            raise Defect(f"the changelog lacks the {kind} that hold at {resume.offset}")
    return [_piece(by_end[kind, last]) for kind, last in resume.wholes.items()]


def _piece(entry: PieceEntry) -> Piece:
    return Piece(entry.kind, entry.first, entry.last, entry.stream_ms, entry.value, entry.whole)


def _bucket(entry: BucketEntry) -> Bucket:
    return Bucket(entry.index, entry.offset, entry.stream_ms, entry.value)


def _held(entry: BucketEntry | PieceEntry) -> Held:
    if isinstance(entry, BucketEntry):
        return Held("bucket", "", entry.index, entry.offset, entry.stream_ms)
    if entry.whole:
        return Held("whole", entry.kind, entry.framed_from, entry.last, entry.stream_ms)
    return Held("frame", entry.kind, entry.framed_from, entry.framed_to, entry.framed_ms)


def _past(held: Held, oldest_ms: int, newest: Mapping[str, int]) -> bool:
    if held.sort == "whole":
        return held.kind in newest and held.end < newest[held.kind]
    return held.sort == "frame" and held.stream_ms < oldest_ms
