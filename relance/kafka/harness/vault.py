"""The Faust table in which checkpoints are kept, on a store of our own.

Faust restores it from its changelog; the harness takes the entries of a partition out when it makes the machine, and
nothing of them stays in memory: the machine is the state, and a second copy, compressed or not, would serve nobody. A
partition that is kept through a rebalance needs nothing from the changelog; for any other the store makes Faust read it
from its beginning.
"""

from collections.abc import Callable, Iterable
from typing import Any

import faust
from faust.stores import memory
from faust.types import TP

from relance.kafka.harness.clock import now_ms

__all__ = ["VaultTable"]

Keep = Callable[[set[int], int], set[int]]
"""Given the partitions assigned and the generation: those whose machines live on."""


class VaultTable(faust.Table):
    """The table; set `keep` before the app starts."""

    keep: Keep

    def _new_store(self) -> "VaultStore":
        return VaultStore("memory:", self.app, self, table_name=self.name, loop=self.loop)

    @property
    def heard_ms(self) -> float:
        """When Faust last read something into the table, by `now_ms`; 0 before."""
        heard: float = self.data.heard_ms
        return heard

    def take(self, partition: int) -> dict[bytes, bytes]:
        """All live entries of a partition that was just restored; the table holds them no longer."""
        entries: dict[bytes, bytes] = self.data.take(partition)
        return entries


class VaultStore(memory.Store):
    """Entries by partition, between their restoration by Faust and their use."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._entries: dict[int, dict[bytes, tuple[int, bytes | None]]] = {}
        self._acknowledged: dict[TP, int] = {}
        self.heard_ms = 0.0

    def take(self, partition: int) -> dict[bytes, bytes]:
        """See VaultTable.take."""
        entries = self._entries.pop(partition, {})
        return {key: value for key, (_, value) in entries.items() if value is not None}

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Any, to_value: Any) -> None:  # noqa: ARG002 - Faust's
        """Take in what Faust read: of each key the newest, a record without value removes it."""
        self.heard_ms = now_ms()
        for event in batch:
            message = event.message
            entries = self._entries.setdefault(message.partition, {})
            if message.key not in entries or message.offset >= entries[message.key][0]:
                entries[message.key] = message.offset, message.value

    async def on_rebalance(
        self,
        assigned: set[TP],
        revoked: set[TP],  # noqa: ARG002 - Faust's
        newly_assigned: set[TP],  # noqa: ARG002 - Faust's
        generation_id: int = 0,
    ) -> None:
        """Called before Faust decides what to read: what is kept reads nothing, the others read all."""
        changelog = self.table.changelog_topic_name
        kept = self.table.keep({tp.partition for tp in assigned if tp.topic == changelog}, generation_id)
        self._entries.clear()
        self._acknowledged = {tp: offset for tp, offset in self._acknowledged.items() if tp.partition in kept}
        for tp in assigned:
            if tp.topic == changelog and tp.partition not in kept:
                self.app.tables.recovery.revoke(tp)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """What was restored has been taken by then."""

    def persisted_offset(self, tp: TP) -> int | None:
        """Where Faust may begin to read: after our own last write for what is kept."""
        return self._acknowledged.get(tp)

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """A write of ours was acknowledged at this offset."""
        self._acknowledged[TP(*tp)] = max(offset, self._acknowledged.get(TP(*tp), -1))
