"""Distinct visitors of a shop's pages, counted in the log of events as long as Kafka keeps it."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final, NamedTuple

from relance.kernel.errors import InputError
from relance.kernel.instants import format_ms, to_ms

__all__ = ["Visitors", "count_visitors"]

_ARROW: Final = b"\xff\xff\xff\xff"
_MARGIN_MS: Final = 3_600_000  # an event may be told as of a time somewhat after it was appended


class Visitors(NamedTuple):
    """`number` of distinct visitors. `since`: when the log begins, if it lacks a part of the time; else empty."""

    number: int
    since: str


def count_visitors(kafka: str, shop: str, first: date, last: date) -> Visitors:
    """Those who did anything in the shop from `first` to `last`, Paris dates, both in. Ids are compared and forgotten.

    Raises InputError when there is no such topic, NotNow when Kafka does not answer.
    """
    from relance.events.topics import BATCHES
    from relance.kafka.admin import partition_count
    from relance.kafka.consumer import read_partition
    from relance.rules.law.calendar import first_instant, first_instant_after

    begin, end = to_ms(first_instant(first)), to_ms(first_instant_after(last))
    found: set[bytes] = set()
    since = 0
    for partition in range(partition_count(kafka, BATCHES.name)):
        since = max(since, _partition(read_partition(kafka, (BATCHES.name, partition)), shop, (begin, end), found))
    return Visitors(len(found), format_ms(since) if since > begin else "")


def _partition(records: Iterable[Any], shop: str, time_ms: tuple[int, int], found: set[bytes]) -> int:
    """Take the visitors of a partition; when it begins, 0 when nothing of it was deleted yet."""
    since: int | None = None
    for message in records:
        append_ms = message.timestamp()[1]
        if since is None:
            since = append_ms if message.offset() else 0
        value = message.value() or b""
        if value.startswith(_ARROW) and append_ms >= time_ms[0] - _MARGIN_MS:
            found.update(_visitors(value, append_ms, shop, time_ms))
    return since or 0


def _visitors(value: bytes, append_ms: int, shop: str, time_ms: tuple[int, int]) -> Iterable[bytes]:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        with pa.ipc.open_stream(value) as stream:
            table = stream.read_all()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"a record appended at {format_ms(append_ms)} is no batch: {error}") from error
    named = pc.equal(pc.cast(table["shop"], pa.utf8()), shop)
    in_time = pc.and_(pc.greater_equal(table["time"], time_ms[0]), pc.less(table["time"], time_ms[1]))
    visitors: list[bytes] = pc.unique(table["visitor"].filter(pc.and_(named, in_time))).to_pylist()
    return visitors
