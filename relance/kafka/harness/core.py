"""The harness: carries one machine per assigned partition through rebalances, crashes and hand-overs, and loses
nothing.

What Faust does: it assigns partitions, tells of rebalances, restores the table of checkpoints, delivers records and
writes the changelog. What it is not trusted with: acknowledging (it commits past what it skipped, so `noack`), commits
(made here), the order of records (each must follow the last one applied), exceptions in agents (it would go on past the
record).

- **Restore**: in `on_rebalance_complete`, once Faust has restored the table and before it seeks, machines are made from
  the newest saved buckets, and the offset to resume at is committed, so that Faust seeks to it. Where to resume is what
  the checkpoint says; the group's committed offset is only for lag monitors.
- **Keep**: a machine lives on through a rebalance only if this worker owned its partition in the generation just
  before.
- **Apply**: record n + 1 after n. What is already in is ignored. What comes too early is not applied either, and when
  record n + 1 does not come soon after it, the process ends.
- **Save**: see `partition`. A refused write, an output that Kafka does not take, an exception of a machine: the process
  ends with exit code 1, and what it had not saved is replayed.
- **Lose**: a worker that stood still for longer than its session, or that the group does not know any more, saves
  nothing. What it may have had under way harms nobody: see `ledger`.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import faust
from faust.types import TP

from relance.kafka.admin import extents
from relance.kafka.harness.app import (
    generation,
    input_partitions,
    make_app,
    make_table,
    prepare_consumer,
)
from relance.kafka.harness.clock import Pulse, now_ms
from relance.kafka.harness.ledger import choose
from relance.kafka.harness.outbox import Outbox
from relance.kafka.harness.partition import Lost, Owned, Ways
from relance.kafka.harness.settings import HarnessSettings
from relance.kafka.harness.status import HarnessStatus, status_of
from relance.kafka.harness.watch import watch
from relance.kafka.machine import Factory, Machine, Record
from relance.kernel.errors import Defect
from relance.observability.logs import logger

__all__ = ["Control", "Harness"]

Control = Callable[[int, Machine], Sequence[bytes]]
"""Asked about once a second for each partition that is up to date: records to write into it, such as definitions that
are newer than the machine's. Not asked again before the machine has applied what it answered."""

_STOP_LIMIT_S = 20.0
_FAIL_LIMIT_S = 5.0
_LOG_APPEND_TIME = 1


class Harness:
    """One worker. Made and used in one event loop; `run` once."""

    def __init__(self, settings: HarnessSettings, factory: Factory, control: Control | None = None) -> None:
        self.settings = settings
        self.factory = factory
        self.control = control
        self.owned: dict[int, Owned] = {}
        self.failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.pulse = Pulse(settings.session_timeout_s)
        self.outbox = Outbox(settings, self.fail)
        self.settled_ms: float | None = None  # when the assignment became complete, None while it is not
        self.unsettled_ms = now_ms()
        self.reading_ms: float | None = None  # since when Faust reads the changelogs of what was assigned
        self._ways = Ways(self.outbox, self._write, self._commit)
        self._log = logger("harness")
        self._app = make_app(settings)
        self._table = make_table(self._app, settings)
        self._table.keep = self._keep
        self._connect()

    # -- for the service ------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set (hand over what is owned: 0) or something fails (1); the exit code.

        The caller ends the process then with `os._exit`: after a failure the client's threads may not end by
        themselves.
        """
        tasks = [
            asyncio.create_task(self._app.start()),
            asyncio.create_task(watch(self)),
            asyncio.create_task(self._app._crashed.wait()),
            asyncio.create_task(stop.wait()),
        ]
        start, watcher, crashed, stopped = tasks
        running: set[asyncio.Future[Any]] = {watcher, crashed, stopped, self.failure, start}
        while not (done := running & await _first(running)) - {start} and not start.exception():
            running -= done
        failed = not stopped.done() or self.failure.done() or crashed.done()
        if failed and not self.failure.done():
            reason = next((task.exception() for task in (start, watcher) if task.done() and task.exception()), None)
            self.fail(reason if isinstance(reason, Exception) else self._app.crash_reason or Defect("Faust ended"))
        await self._end(_FAIL_LIMIT_S if failed else _STOP_LIMIT_S)
        for task in tasks:
            task.cancel()
        return 1 if self.failure.done() else 0

    def machine(self, partition: int) -> Machine | None:
        """The machine of an owned partition, once it has passed its checkpoints; to be read only."""
        owned = self.owned.get(partition)
        return owned.machine if owned is not None and owned.live and owned.caught_up else None

    def owner_url(self, partition: int) -> str | None:
        """The advertised URL of the worker that owns a partition, as of the last rebalance; None when nobody does."""
        for url, topics in self._app.assignor.tables_metadata().items():
            if partition in topics.get(self._table.changelog_topic_name, ()):
                return str(url)
        return None

    def unready(self) -> str | None:
        """Why this worker is not ready; None when all that it is assigned is restored and past its checkpoints."""
        if self.failure.done():
            return "failed"
        if self.settled_ms is None:
            return "no assignment yet, or restoring"
        behind = [owned.number for owned in self.owned.values() if not owned.caught_up]
        return f"partitions {behind} replay what their checkpoints hold" if behind else None

    def read_for_ms(self, at_ms: float) -> float:
        """For how long Faust has been reading changelogs and nothing came; 0 when it reads none."""
        return 0.0 if self.reading_ms is None else at_ms - max(self.reading_ms, self._table.heard_ms)

    def status(self) -> HarnessStatus:
        """Numbers for metrics."""
        return status_of(self)

    def look_at_ends(self) -> None:
        """Hear from the consumer how far the partitions reach."""
        for number, owned in self.owned.items():
            if owned.live:
                end = self._app.consumer.highwater(TP(self.settings.input_topic, number))
                owned.high = max(owned.high, end or 0)

    def fail(self, error: Exception) -> None:
        """End the process with exit code 1; nothing more is applied, saved or committed."""
        if self.failure.done():
            return
        for owned in self.owned.values():
            owned.live = False
        self._log.error("harness_failed", error=repr(error), exc_info=error)
        self.failure.set_result(error)

    # -- records --------------------------------------------------------------------------------------------------

    async def _take(self, message: Any) -> None:
        await self.outbox.room()
        owned = self.owned.get(message.partition)
        if owned is None or not owned.live or self.failure.done():
            return  # not ours at the moment; when it is, it comes again
        if message.timestamp_type != _LOG_APPEND_TIME:
            raise Defect(f"{message.topic} does not have message.timestamp.type=LogAppendTime")
        record = Record(message.offset, round(message.timestamp * 1_000), message.value or b"")
        if owned.apply(record):
            await owned.buried()

    # -- rebalances -----------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        topic = self._app.topic(self.settings.input_topic, value_type=bytes, value_serializer="raw", key_type=bytes,
                                key_serializer="raw", partitions=self.settings.partitions)  # fmt: skip

        async def records(stream: faust.Stream) -> None:
            async for event in stream.noack().events():
                try:
                    await self._take(event.message)
                except Exception as error:  # noqa: BLE001 - whatever it is, the next record must not be applied
                    self.fail(error)
                    await asyncio.Event().wait()

        self._app.agent(topic, name="records", concurrency=1)(records)
        self._app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self._app.on_rebalance_complete.connect(self._on_complete, weak=False)
        self._app.on_before_shutdown.connect(self._on_shutdown, weak=False)

    async def _on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        self.settled_ms, self.unsettled_ms, self.reading_ms = None, now_ms(), None
        # This comes before the first assignment too, when the consumer has just started.
        prepare_consumer(self._app, lambda: self.settled_ms is not None)
        if generation(self._app) < 0:
            if self.owned:  # before the first assignment there are none
                self._log.warning("membership_lost", partitions=sorted(self.owned))
            await self._drop(list(self.owned))
        elif not self.failure.done():
            await self._hand_over()

    async def _on_shutdown(self, *_args: Any, **_kwargs: Any) -> None:
        if not self.failure.done():
            await self._hand_over()

    async def _hand_over(self) -> None:
        owned = [one for one in self.owned.values() if one.live]
        ends = await asyncio.gather(*[one.hand_over() for one in owned], return_exceptions=True)
        for error in ends:
            if isinstance(error, Exception):
                self.fail(error)

    def _keep(self, assigned: set[int], now: int) -> set[int]:
        """Called when partitions were assigned: drops the machines that must not live on, and says which do."""
        self.reading_ms = now_ms()
        for number, owned in list(self.owned.items()):
            if number in assigned and owned.generation == now - 1 and not owned.torn:
                owned.generation = now
            elif not (number in assigned and owned.generation == now):
                del self.owned[number]
        return set(self.owned)

    async def _on_complete(self, *_args: Any, **_kwargs: Any) -> None:
        self.reading_ms = None
        try:
            await self._take_over()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be applied on an unsure state
            self.fail(error)

    async def _take_over(self) -> None:
        # Faust lets records flow before it has sought, and then empties its queues: the first would be skipped.
        # It resumes what is stopped here once it has sought.
        self._app.consumer.stop_flow()
        self._app.flow_control.suspend()
        now = self._app.consumer_generation_id
        partitions = input_partitions(self._app, self.settings.input_topic)
        if partitions:
            reach = await self._extents(partitions)
            missing = sorted(partitions.keys() - self.owned.keys())
            restored = await asyncio.gather(*[self._restore(number, reach[number][0]) for number in missing])
            if self._app.consumer_generation_id != now:
                return  # a rebalance has begun again: what was restored may be another's by now
            for owned in restored:
                owned.generation = now
                self.owned[owned.number] = owned
            for number in partitions:
                self.owned[number].high = reach[number][1]
                _check_range(self.owned[number], *reach[number])
            resume = {tp: self.owned[number].offset + 1 for number, tp in partitions.items()}
            if not await self._app.consumer._commit(resume) or self._app.consumer_generation_id != now:
                return  # a rebalance has begun again: nothing goes live before it is over
        for number in partitions:
            self.owned[number].go_live(self.fail)
        self.settled_ms = now_ms()
        self._log.info("partitions_owned", generation=now, partitions={n: o.offset for n, o in self.owned.items()})

    async def _extents(self, numbers: Iterable[int]) -> dict[int, tuple[int, int]]:
        """How far partitions reach, by a connection of its own: the consumer's may be busy for a second and a half with
        a fetch that waits for records.
        """
        settings = self.settings
        return await asyncio.to_thread(
            extents, settings.kafka, settings.input_topic, numbers, settings.request_timeout_s
        )

    async def _restore(self, number: int, first: int) -> Owned:
        began = now_ms()
        entries = self._table.take(number)
        owner = secrets.token_hex(8)
        checkpoint, ledger = choose(
            entries, owner, buckets=self.factory.buckets, retention_ms=self.factory.retention_ms
        )
        machine = await asyncio.to_thread(self.factory.restore, number, checkpoint)
        offset = checkpoint.offset if ledger.complete else first - 1
        owned = Owned(number, machine, ledger, offset, self.settings, self._ways)
        owned.sizes = {bucket.number: len(bucket.value) for bucket in checkpoint.buckets}
        owned.restored_s = (now_ms() - began) / 1_000
        self._log.info(
            "partition_restored", partition=number, offset=offset, entries=len(entries), seconds=owned.restored_s
        )
        return owned

    async def _drop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            await self.owned.pop(number).stop()

    # -- ways to Kafka --------------------------------------------------------------------------------------------

    async def _write(self, owned: Owned, key: bytes, value: bytes | None) -> None:
        self._still_mine(owned)
        # Whoever waits may be cancelled; the write goes on, and Faust tells it its offset.
        await asyncio.shield(self._table.send_changelog(owned.number, key, value))

    async def _commit(self, owned: Owned, offset: int) -> bool:
        self._still_mine(owned)
        tp = TP(self.settings.input_topic, owned.number)
        return tp in self._app.consumer.assignment() and bool(await self._app.consumer._commit({tp: offset}))

    def _still_mine(self, owned: Owned) -> None:
        if self.failure.done() or self.pulse.stood_s() or owned.generation != generation(self._app):
            raise Lost(f"partition {owned.number} was owned in generation {owned.generation}")

    async def _end(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._app.stop()
        except Exception as error:  # noqa: BLE001 - the process ends either way; what was not saved is replayed
            self.fail(error)
        for owned in self.owned.values():
            with contextlib.suppress(Exception):
                await owned.stop()
        await self.outbox.close(limit_s)
        self.pulse.close()


def _check_range(owned: Owned, first: int, end: int) -> None:
    """The log must still hold the record after the last applied one, and have held that one."""
    if not first <= owned.offset + 1 <= end:
        raise Defect(
            f"partition {owned.number} is to resume at {owned.offset + 1}, and the log holds {first} to {end - 1}: "
            "records were removed before they were applied, or the topic was made anew"
        )


async def _first(futures: set[asyncio.Future[Any]]) -> set[asyncio.Future[Any]]:
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    return done
