"""Ticks, control records and the watchdog: what is done because time passes, not because a record came."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from relance.events.batch import TICK
from relance.kafka.harness.clock import now_ms
from relance.kafka.harness.partition import Owned
from relance.kernel.errors import Defect

if TYPE_CHECKING:
    from relance.kafka.harness.core import Harness

__all__ = ["watch"]

_LOOK_S = 0.01
_CONTROL_MS = 1_000


async def watch(harness: "Harness") -> None:
    """Look at each partition a hundred times a second, until cancelled. Raises Defect for what stands still."""
    while not harness.failure.done():
        await asyncio.sleep(_LOOK_S)
        at_ms = now_ms()
        if stood_s := harness.pulse.stood_s():
            raise Defect(f"stood still for {stood_s:.1f} s, longer than the session: others own the partitions by now")
        harness.look_at_ends()
        for owned in list(harness.owned.values()):
            if owned.live:
                _watch_over(harness, owned, at_ms)
        # Seen once in some hundred rebalances: Faust waits for ever for changelog records that nobody fetches.
        if harness.read_for_ms(at_ms) > harness.settings.restore_limit_s * 1_000:
            raise Defect(f"changelogs are read, and nothing came for {harness.settings.restore_limit_s} s")
        limit_s = harness.settings.rebalance_limit_s
        if harness.settled_ms is None and at_ms - harness.unsettled_ms > limit_s * 1_000:
            raise Defect(f"no assignment, or none restored, for {limit_s} s")


def _watch_over(harness: "Harness", owned: Owned, at_ms: float) -> None:
    if owned.early is not None and at_ms - owned.early[1] > harness.settings.hole_limit_s * 1_000:
        raise Defect(f"partition {owned.number}: record {owned.early[0]} came, {owned.offset + 1} was next")
    if owned.lag:
        limit_s = harness.settings.watchdog_s
        if at_ms - owned.progressed_ms > limit_s * 1_000:
            raise Defect(f"partition {owned.number}: {owned.lag} records wait, none was applied for {limit_s} s")
        return
    owned.progressed_ms = at_ms
    if owned.asked or not owned.caught_up:
        return
    control: Sequence[bytes] = ()
    if harness.control is not None and at_ms - owned.controlled_ms >= _CONTROL_MS:
        owned.controlled_ms = at_ms
        control = harness.control(owned.number, owned.machine)
        for value in control:
            _ask(harness, owned, value)
    if not control and _tick_due(harness, owned, at_ms):
        owned.ticked_ms = at_ms
        _ask(harness, owned, TICK)


def _tick_due(harness: "Harness", owned: Owned, at_ms: float) -> bool:
    since_ms = at_ms - owned.ticked_ms
    if since_ms < harness.settings.tick_ms:
        return False
    if min(since_ms, at_ms - owned.heard_ms) >= harness.settings.idle_tick_ms:
        return True
    due_ms = owned.machine.next_deadline()
    broker_ms = owned.clock.estimate(at_ms)
    return due_ms is not None and broker_ms is not None and broker_ms >= due_ms


def _ask(harness: "Harness", owned: Owned, value: bytes) -> None:
    def told(offset: int | None) -> None:
        owned.asked -= 1
        if offset is not None:
            owned.high = max(owned.high, offset + 1)

    owned.asked += 1
    harness.outbox.ask(harness.settings.input_topic, owned.number, value, told)
