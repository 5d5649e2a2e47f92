"""One owned partition: applies what comes, in order and once, and saves what it holds, bucket by bucket."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from relance.kafka.harness.clock import BrokerClock, now_ms
from relance.kafka.harness.ledger import Ledger
from relance.kafka.harness.outbox import Outbox
from relance.kafka.harness.settings import HarnessSettings
from relance.kafka.machine import BadRecord, Machine, Message, Record
from relance.kernel.errors import RelanceError

__all__ = ["Lost", "Owned", "Ways"]

# Buckets saved with one wait, and their bytes at the last save: a wait costs, and while they are copied records wait.
_SLICE_BUCKETS = 32
_SLICE_BYTES = 131_072


class Lost(RelanceError):  # noqa: N818 - it names what happened
    """The group has given the partition to another: nothing more is saved here."""


class Ways(NamedTuple):
    """The partition's ways to Kafka.

    `write(owned, key, value)` returns when the changelog has the entry (value None removes it) and raises Lost when the
    partition is not this worker's any more; `commit(owned, offset)` says whether the group's coordinator accepted it.
    """

    outbox: Outbox
    write: "Callable[[Owned, bytes, bytes | None], Awaitable[None]]"
    commit: "Callable[[Owned, int], Awaitable[bool]]"


class Owned:
    """A partition, its machine and its book; `offset` is that of the last record applied, or one before the first."""

    def __init__(
        self, number: int, machine: Machine, ledger: Ledger, offset: int, settings: HarnessSettings, ways: Ways
    ) -> None:
        self.number = number
        self.machine = machine
        self.ledger = ledger
        self.offset = offset
        self.generation = -1
        self.live = False  # may apply and save
        self.torn = False  # a save was broken off: the state in memory must not be used further
        self.clock = BrokerClock()
        self.high = 0  # the end of the partition, as far as was heard
        self.heard_ms = self.progressed_ms = self.ticked_ms = self.controlled_ms = now_ms()
        self.early: tuple[int, float] | None = None  # a record that came before the next one, and when
        self.asked = 0  # ticks and control records whose offset was not told yet
        self.records = self.dead_letters = 0
        self.restored_s = 0.0
        self.bucket_bytes: dict[int, int] = {}  # of those that this owner has saved
        self.sizes: dict[int, int] = {}  # bytes of each bucket when it was last saved, by whomever
        self.saved_ms: dict[int, float] = {}
        self._start = offset
        self._settings = settings
        self._ways = ways
        self._saving = asyncio.Lock()
        self._rounds: asyncio.Task[None] | None = None

    @property
    def caught_up(self) -> bool:
        """Whether the replay has passed all restored buckets."""
        return self.offset >= self.ledger.said

    @property
    def lag(self) -> int:
        """Records in the partition that were not applied, as far as is known."""
        return max(0, self.high - 1 - self.offset)

    def go_live(self, failed: Callable[[Exception], None]) -> None:
        """From now on records are applied and buckets saved; `failed` hears what ends the process."""
        self.live = True
        self.early = None
        self.heard_ms = self.progressed_ms = now_ms()
        self._rounds = asyncio.create_task(self._save_in_turn(failed))

    def apply(self, record: Record) -> bool:
        """Apply the next record, and send what the machine says; a record that is already in is ignored.

        Says whether there is a dead letter to wait for. Raises what the machine raises, but for BadRecord.
        """
        if record.offset <= self.offset:
            return False
        if record.offset != self.offset + 1:  # read before Faust sought (the next one comes yet), or records are lost
            self.early = self.early or (record.offset, now_ms())
            return False
        self.early = None
        replayed = record.offset <= self.ledger.said
        bad = False
        try:
            said = self.machine.apply(record)
        except BadRecord as error:
            bad = not replayed
            if bad:
                self._bury(record, str(error))
        else:
            if said and not replayed:
                self._ways.outbox.send(self.number, said)
        self.offset = record.offset
        self.records += 1
        self.heard_ms = self.progressed_ms = now_ms()
        self.clock.heard(record.append_ms, self.heard_ms)
        return bad

    async def buried(self) -> None:
        """Wait until the dead letters sent so far are acknowledged."""
        await self._ways.outbox.settled(self.number, self._ways.outbox.mark(self.number))

    async def hand_over(self) -> None:
        """Save what is not saved, in the time that there is; nothing is applied any more."""
        self.live = False
        try:
            async with asyncio.timeout(self._settings.hand_over_s):
                if self.caught_up and self.offset > self._start:
                    await self._save_all(range(self.ledger.buckets))
                else:
                    async with self._saving:  # what is being saved is let finish
                        pass
        except (TimeoutError, Lost):
            self.torn = True
        await self.stop()

    async def stop(self) -> None:
        """End the rounds; what is being saved is broken off."""
        self.live = False
        if self._rounds is not None:
            if self._saving.locked():
                self.torn = True
            self._rounds.cancel()
            with suppress(asyncio.CancelledError):
                await self._rounds
            self._rounds = None

    async def _save_in_turn(self, failed: Callable[[Exception], None]) -> None:
        try:
            await self._go_round()
        except Lost:
            self.torn = True
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be saved or committed after it
            failed(error)

    async def _go_round(self) -> None:
        buckets = range(self.ledger.buckets)
        pause_s = self._settings.round_s / len(buckets)
        while self._going():
            if not self.caught_up or self.offset == self._start:
                await asyncio.sleep(min(0.1, pause_s))
            elif not self.ledger.complete:
                await self._save_all(buckets)
            else:
                for indexes in self._slices(buckets):
                    await asyncio.sleep(pause_s * len(indexes))
                    if self._going():
                        await self._save_stale(indexes)
                if self._going():
                    await self._finish_round()

    def _going(self) -> bool:
        return self.live

    async def _save_all(self, indexes: Sequence[int]) -> None:
        for some in self._slices(indexes):
            await self._save_stale(some)
        await self._finish_round()

    def _slices(self, indexes: Sequence[int]) -> Iterator[list[int]]:
        """The buckets in groups that are small together."""
        group: list[int] = []
        size = 0
        for index in indexes:
            own = self.sizes.get(index, 0)
            if group and (len(group) == _SLICE_BUCKETS or size + own > _SLICE_BYTES):
                yield group
                group, size = [], 0
            group.append(index)
            size += own
        yield group

    async def _save_stale(self, indexes: Sequence[int]) -> None:
        stale = [index for index in indexes if self.ledger.is_stale(index, self.offset)]
        if stale:
            await self._save(stale)

    async def _save(self, indexes: Sequence[int]) -> None:
        """Save buckets as they are now: outputs first, then pieces, then buckets, each acknowledged before the next."""
        async with self._saving:
            offset, stream_ms = self.offset, self.machine.stream_ms
            self.torn = True  # until all is acknowledged: what was cut is nowhere else
            pieces = self.ledger.frame(self.machine.cut())
            buckets = [self.ledger.bucket(n, offset, stream_ms, self.machine.snapshot(n)) for n in indexes]
            await self._ways.outbox.settled(self.number, self._ways.outbox.mark(self.number))
            await self._write(pieces)
            await self._write(buckets)
            for index, (_, value) in zip(indexes, buckets, strict=True):
                self.ledger.saved(index, offset, stream_ms)
                self.bucket_bytes[index] = self.sizes[index] = len(value)
                self.saved_ms[index] = now_ms()
            self.torn = False
            await self._write([(key, None) for key in self.ledger.replaced()])

    async def _finish_round(self) -> None:
        """Remove what no later restore needs, and commit where to resume."""
        async with self._saving:
            resume = self.ledger.resume()
            if resume is None:
                return
            if not self.ledger.complete:
                await self._write([self.ledger.mark_complete()])
                self.ledger.complete = True
            await self._write([(key, None) for key in self.ledger.removable()])
            await self._ways.commit(self, resume[0] + 1)

    async def _write(self, entries: Sequence[tuple[bytes, bytes] | tuple[bytes, None]]) -> None:
        if entries:
            await asyncio.gather(*[self._ways.write(self, key, value) for key, value in entries])

    def _bury(self, record: Record, reason: str) -> None:
        settings = self._settings
        source = f"{settings.input_topic}/{self.number}/{record.offset}"
        value = record.value[: settings.dead_letter_max_bytes]
        headers = [
            ("reason", reason[:1_000].encode()),
            ("topic", settings.input_topic.encode()),
            ("partition", b"%d" % self.number),
            ("offset", b"%d" % record.offset),
            ("append_ms", b"%d" % record.append_ms),
        ]
        if len(value) < len(record.value):
            headers.append(("cut_from_bytes", b"%d" % len(record.value)))
        letter = Message(settings.dead_letter_topic, source.encode(), value)
        self._ways.outbox.send(self.number, [letter], headers)
        self.dead_letters += 1
