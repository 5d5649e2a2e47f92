"""The numbers of a harness, for metrics and for people."""

from typing import TYPE_CHECKING

import msgspec

from relance.kafka.harness.clock import now_ms

if TYPE_CHECKING:
    from relance.kafka.harness.core import Harness

__all__ = ["HarnessStatus", "PartitionStatus", "status_of"]


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One owned partition."""

    partition: int
    offset: int  # of the last record applied
    lag: int  # records in the log that were not applied
    stream_ms: int
    live: bool  # not in a rebalance
    caught_up: bool  # the replay has passed what the checkpoint holds
    records: int
    dead_letters: int
    checkpoint_bytes: int  # of the buckets that this owner has saved
    checkpoint_age_s: float | None  # since the oldest of them was saved; None until each was
    restored_s: float  # how long the machine took to restore


class HarnessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One worker."""

    generation: int
    outputs_in_flight: int
    partitions: tuple[PartitionStatus, ...]


def status_of(harness: "Harness") -> HarnessStatus:
    """The numbers now."""
    at_ms = now_ms()
    partitions = tuple(
        PartitionStatus(
            partition=owned.number,
            offset=owned.offset,
            lag=owned.lag,
            stream_ms=owned.machine.stream_ms,
            live=owned.live,
            caught_up=owned.caught_up,
            records=owned.records,
            dead_letters=owned.dead_letters,
            checkpoint_bytes=sum(owned.bucket_bytes.values()),
            checkpoint_age_s=(
                (at_ms - min(owned.saved_ms.values())) / 1_000 if len(owned.saved_ms) == owned.ledger.buckets else None
            ),
            restored_s=owned.restored_s,
        )
        for owned in sorted(harness.owned.values(), key=lambda owned: owned.number)
    )
    return HarnessStatus(
        generation=max((owned.generation for owned in harness.owned.values()), default=-1),
        outputs_in_flight=harness.outbox.in_flight,
        partitions=partitions,
    )
