"""The detection engine of one partition: events and time in, signals out. A pure function of what it was given.

The same engine runs in the session service, in `relance simulate` and in the tests. Meaning: docs/detection.md.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relance.kernel.errors import Defect
from relance.rules.windows import Definitions
from services.session.domain import buckets, origins
from services.session.domain.columns import to_columns
from services.session.domain.compiled import DefinitionBook
from services.session.domain.interning import Interned
from services.session.domain.layout import ABSENT, OUT, Register, Tables
from services.session.domain.running import DONE, ROOM, TEXT_ROOM, advance, earliest, recheck, run
from services.session.domain.seen import expire, note_many
from services.session.domain.signals import Signals, sort_out
from services.session.domain.tables import (
    fresh,
    make_room,
    reserve_lists,
    reserve_origins,
    reserve_rows,
    reserve_seen,
    state_bytes,
)
from services.session.domain.wheel import TICK_SHIFT

__all__ = ["COUNTS", "Engine"]

DEFAULT_BUCKETS: Final = 1024
ORIGINS_KEPT: Final = 65_536  # landing pages and campaigns are not looked through before there are so many
COUNTS: Final = {
    "applied": Register.APPLIED,
    "duplicate": Register.DUPLICATE,
    "late": Register.LATE,
    "quiet": Register.QUIET,
    "skipped": Register.SKIPPED,
    "fired": Register.FIRED,
    "evicted": Register.SEEN_EVICTED,
}


class Engine:
    """Live sessions of one partition.

    `buckets` is the number of checkpoint buckets. Calls are not thread-safe. `key` and `seed` (of 63 bits) are secrets
    that no signal depends on: with them nobody can choose visitors or events whose hashes collide. The seed is of this
    engine alone; the key decides in which bucket a session is saved, and so may never change once something was.
    """

    def __init__(self, buckets: int = DEFAULT_BUCKETS, *, key: bytes = b"", seed: int = 0) -> None:
        self._t = fresh(buckets, seed)
        self._key = key
        self._key_digest = _digest(b"", key).hex()
        self.shops = Interned()
        self.names = Interned()
        self.book = DefinitionBook(self.shops, self.names)
        self._parts: list[NDArray[np.void]] = []
        self._compile()

    @property
    def stream_ms(self) -> int:
        """Stream time, -1 before the first record."""
        stream = int(self._t.reg[Register.STREAM])
        return -1 if stream == ABSENT else stream

    @property
    def live(self) -> int:
        """How many sessions are live."""
        return int(self._t.reg[Register.LIVE])

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of the events so far, by fate, and how many signals there were."""
        return {name: int(self._t.reg[place]) for name, place in COUNTS.items()}

    @property
    def state_bytes(self) -> tuple[int, int]:
        """(bytes of session state in use, bytes of the duplicate filter)."""
        return state_bytes(self._t)

    @property
    def tables(self) -> Tables:
        """The tables as they are now, for those who read them (queries, checkpoints)."""
        return self._t

    def origin(self, number: int) -> tuple[str, str]:
        """Landing page and campaign of a row's `origin`; empty where there is none."""
        return origins.pair(self._t, number)

    def advance(self, append_ms: int) -> Signals:
        """Move the clock; returns what became due."""
        while advance(self._t, append_ms) != DONE:
            self._make_room()
        return self._taken()

    def apply(self, batch: pa.RecordBatch, append_ms: int | NDArray[np.int64], offset: int = 0) -> Signals:
        """Apply a batch of one record, or of many with one append time a row; the clock moves first.

        `offset` is the record's: events of buckets that already contain it are only noted as seen.
        Raises InputError, and changes nothing, when the batch has another schema.
        """
        if batch.num_rows == 0:
            return self.advance(append_ms) if isinstance(append_ms, int) else self._taken()
        known = len(self.shops)
        columns = to_columns(batch, self.shops, append_ms)
        if len(self.shops) != known:
            self._compile()
        reg = self._t.reg
        reg[Register.OFFSET] = offset
        reg[Register.NEXT_ROW] = 0
        while run(self._t, columns) != DONE:
            self._make_room()
        said = self._taken()
        if reg[Register.ORIGINS] > max(ORIGINS_KEPT, 2 * self.live):
            self._t = origins.forget(self._t)
        return said

    def define(self, append_ms: int, shop: str, version: int, definitions: Definitions | None) -> Signals:
        """A control record: moves the clock, then puts definitions in force for a shop (`*`: the default set)."""
        said = self.advance(append_ms)
        changed = self.book.define(shop, version, definitions)
        if not changed:
            return said
        numbers = {name: -1 if name == "*" else self.shops.intern(name) for name in changed}
        self._compile()
        self._t.reg[Register.SEQUENCE] = self.book.sequence
        for name, (before, now) in changed.items():
            self._recheck(numbers[name], self.book.kept(before, now))
        return said

    def _recheck(self, shop: int, kept: NDArray[np.bool_]) -> None:
        """Look again at the sessions of a shop, or (-1) of all shops without a set of their own."""
        place = 0 if shop < 0 else int(self._t.shop_definition[shop])
        self._t.reg[Register.NEXT_ROW] = 0
        while recheck(self._t, place, shop, kept) != DONE:
            self._make_room()

    def next_deadline(self) -> int | None:
        """The earliest stream time at which something is due; None when nothing is waited for."""
        if self._t.reg[Register.STREAM] == ABSENT:
            return None
        due = int(earliest(self._t))
        return None if due == ABSENT else due

    def snapshot(self, bucket: int) -> bytes:
        """The rows of one bucket as they are now."""
        gathered = buckets.gather(self._t, bucket, len(self._t.joined))
        return buckets.encode(gathered, self.shops.words, self.names.words, self._t, self._key_digest)

    def await_bucket(self, bucket: int, offset: int) -> None:
        """Leave a bucket alone until it joins: events of records up to `offset` are not applied to it."""
        self._t.joined[bucket] = offset

    def join(self, value: bytes) -> None:
        """Put a bucket's rows in; they are as they were at the present offset and stream time.

        Raises Defect when the value cannot be read, or was saved with another key.
        """
        bucket = buckets.decode(value)
        if len(bucket.rows) and bucket.key != self._key_digest:
            raise Defect(
                "this bucket was saved with another hash key: start with that one, for state is bound to its key"
            )
        known = len(self.shops)
        for word in bucket.shops:
            self.shops.intern(word)
        self._t = reserve_rows(self._t, self.live + len(bucket.rows) + 1)
        if len(self.shops) != known:
            self._compile()
        self._t = reserve_lists(self._t, len(bucket.nodes) + ROOM, len(bucket.rows) + ROOM)
        self._t = reserve_origins(self._t, len(bucket.origins.pages), len(bucket.origins.text) + TEXT_ROOM)
        buckets.enter(self._t, bucket, self.shops, self.names)

    def expect(self, sessions: int, seen: int) -> None:
        """Make room in a fresh engine for what will be restored: buckets join in the order of their hashes, and would
        all crowd into the first slots of an index that grows with them.
        """
        self._t = reserve_seen(reserve_rows(self._t, sessions + 1), seen)

    def start_at(self, stream_ms: int) -> None:
        """Set the clock of a fresh engine, as it was at the checkpoint."""
        self._t.reg[Register.STREAM] = stream_ms
        self._t.reg[Register.CUR] = stream_ms >> TICK_SHIFT

    @property
    def seen_position(self) -> int:
        """How many ids the duplicate filter has taken in so far."""
        return int(self._t.reg[Register.SEEN_TAIL])

    def seen_between(self, begin: int, end: int) -> tuple[int, NDArray[np.uint64], NDArray[np.uint32]]:
        """(first position that is still there, hashes, shop numbers) of the ids taken in between two positions."""
        begin = max(begin, int(self._t.reg[Register.SEEN_HEAD]))
        places = np.arange(begin, max(begin, end)) & (len(self._t.seen_hash) - 1)
        return begin, self._t.seen_hash[places], self._t.seen_shop[places]

    def recall(
        self, hashes: NDArray[np.uint64], shops: NDArray[np.uint32], words: Sequence[str], stream_ms: int
    ) -> None:
        """Tell the filter of a fresh engine what was seen at an instant, oldest first; `shops` point into `words`."""
        known = len(self.shops)
        numbers = np.array([self.shops.intern(word) for word in words] or [0], np.uint32)[shops]
        if len(self.shops) != known:
            self._compile()
        done = 0
        while done < len(hashes):
            done += note_many(self._t, hashes[done:], numbers[done:], stream_ms)
            self._t = make_room(self._t)

    def forget_expired(self) -> None:
        """Take out of the filter what has expired by now."""
        expire(self._t, self.stream_ms)

    def restore_book(self, book: DefinitionBook) -> None:
        """Put restored definitions in force; the book must use this engine's `shops` and `names`."""
        self.book = book
        self._t.reg[Register.SEQUENCE] = book.sequence
        self._compile()

    def _compile(self) -> None:
        definitions, windows, shop_definition = self.book.compile()
        keys = [int.from_bytes(_digest(word.encode(), self._key), "big") for word in self.shops.words]
        self._t = self._t._replace(
            definitions=definitions,
            windows=windows,
            shop_definition=shop_definition,
            shop_key=np.array(keys or [0], np.uint64),
        )

    def _make_room(self) -> None:
        """Take signals out and enlarge what is full."""
        self._take_out()
        self._t = make_room(self._t)

    def _take_out(self) -> None:
        reg = self._t.reg
        n = int(reg[Register.OUT_N])
        if n:
            self._parts.append(self._t.out[:n].copy())
            reg[Register.OUT_N] = 0

    def _taken(self) -> Signals:
        """The signals of this call, in order."""
        self._take_out()
        out = np.concatenate(self._parts) if self._parts else np.empty(0, OUT)
        self._parts.clear()
        names = int(self._t.reg[Register.AUX_N])
        aux = self._t.aux[:names].copy()
        self._t.reg[Register.AUX_N] = 0
        words = self.shops.words
        said = sort_out(out, words, self.names.words)
        return Signals(said, aux, words, self.names.words, (self._t.origins, self._t.origin_text))


def _digest(text: bytes, key: bytes) -> bytes:
    """64 bits of a shop's name: what its visitors' hashes, and so their buckets, depend on in every process."""
    return hashlib.blake2b(text, digest_size=8, key=key).digest()
