"""A consumer for many small records: they stay where librdkafka has read them, for compiled code to look at."""

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError

from relance.kafka import librdkafka, record_kernel
from relance.kafka.librdkafka import LIBRARY, partition_list
from relance.kernel.errors import Defect, InputError, NotNow

__all__ = ["APPEND_TIME", "Record", "RecordConsumer", "Records"]

Partition = tuple[str, int]
Changed = Callable[[list[Partition]], None]
APPEND_TIME: Final = 2  # kind of a time that the broker has set
_CONSUMER: Final = 1  # RD_KAFKA_CONSUMER
_SYNCHRONOUS: Final = 0
_TEXT_BYTES: Final = 512
_MISSING: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
_FINAL: Final = (KafkaError._FATAL, KafkaError._MAX_POLL_EXCEEDED)
_LOOKED_UP: Final = np.array(
    [librdkafka.address_of(name) for name in ("message_timestamp", "message_headers", "header_get_all")], np.int64
)
_DESTROY: Final = librdkafka.address_of("message_destroy")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record as Python objects, for those few that are looked at one by one."""

    topic: str
    partition: int
    offset: int
    time_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class Records:
    """Records read together; their memory is given back at the end of the block.

    `partitions`, `offsets`, `sizes_bytes`, `times_ms`: int64 of shape (records,). `time_kind` is that of the first.
    """

    def __init__(self, messages: npt.NDArray[np.int64], table: npt.NDArray[np.int64]) -> None:
        self._messages = messages
        self._table = table

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        record_kernel.release(self._messages, _DESTROY)
        self._messages = self._messages[:0]
        self._table = self._table[:, :0]

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def partitions(self) -> npt.NDArray[np.int64]:
        """Partition of each."""
        return self._table[record_kernel.PARTITION]

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Offset of each."""
        return self._table[record_kernel.OFFSET]

    @property
    def sizes_bytes(self) -> npt.NDArray[np.int64]:
        """Size of each value; 0 without one."""
        return self._table[record_kernel.SIZE]

    @property
    def times_ms(self) -> npt.NDArray[np.int64]:
        """Time of each."""
        return self._table[record_kernel.TIME]

    @property
    def time_kind(self) -> int:
        """`APPEND_TIME` when the broker has set the times."""
        return int(self._table[record_kernel.KIND, 0])

    @property
    def any_unusual(self) -> bool:
        """Whether any has no value, or a header that begins with ``ce_``."""
        return bool(self._table[record_kernel.FLAGS].any())

    def pack(self, buffer: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        """Copy the values into `buffer`, a NUL behind each; where each begins and ends.

        `buffer` has room for all `sizes_bytes`, and a byte more for each record.
        """
        spans = np.empty((len(self), 2), np.int64)
        record_kernel.pack(self._table, buffer, spans)
        return spans

    def __getitem__(self, place: int) -> Record:
        address = int(self._messages[place])
        message = librdkafka.Message.from_address(address)
        return Record(
            topic=LIBRARY.topic_name(message.topic).decode(),
            partition=message.partition,
            offset=message.offset,
            time_ms=librdkafka.time_of(address)[1],
            key=_bytes_at(message.key, message.key_size),
            value=_bytes_at(message.payload, message.size),
            headers=librdkafka.headers_of(address),
        )


class RecordConsumer:
    """One member of a group, used by one thread at a time; partitions are given and taken all at once (eager)."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._on_assigned: Changed | None = None
        self._on_revoked: Changed | None = None
        self._failure: BaseException | None = None
        self._rebalance = librdkafka.REBALANCE(self._rebalanced)  # librdkafka keeps no reference to it
        conf = librdkafka.configuration(config)
        LIBRARY.conf_set_rebalance_cb(conf, self._rebalance)
        text = ctypes.create_string_buffer(_TEXT_BYTES)
        self._client: int | None = LIBRARY.new(_CONSUMER, conf, text, _TEXT_BYTES)
        if not self._client:
            LIBRARY.conf_destroy(conf)
            raise InputError(text.value.decode(errors="replace"))
        LIBRARY.poll_set_consumer(self._client)
        self._queue: int = LIBRARY.queue_get_consumer(self._client)

    def subscribe(
        self, topics: Sequence[str], on_assigned: Changed | None = None, on_revoked: Changed | None = None
    ) -> None:
        """Join the group. The callbacks run inside `consume`; in `on_revoked` offsets can still be committed."""
        self._on_assigned, self._on_revoked = on_assigned, on_revoked
        with partition_list([(topic, -1) for topic in topics]) as places:
            error = LIBRARY.subscribe(self._client, places)
        if error:
            raise Defect(f"the consumer cannot subscribe: {librdkafka.describe(error)}")

    def consume(self, most: int, timeout_s: float, linger_s: float = 0.0) -> Records:
        """At most `most` records: the first within `timeout_s`, the others within `linger_s` after it; maybe none.

        Raises InputError when a topic is not there, Defect when the client cannot go on. A broker that is away is
        waited for.
        """
        messages = np.empty(most, np.int64)
        count = self._read(messages[:1], timeout_s)
        if count and most > 1:
            count += self._read(messages[1:], linger_s)
        messages = messages[:count]
        table = np.empty((record_kernel.LINES, count), np.int64)
        errors = record_kernel.look(messages, table, _LOOKED_UP)
        try:
            self._raise_failure()
            if errors:
                self._judge(messages, table)
        except BaseException:
            record_kernel.release(messages, _DESTROY)
            raise
        if errors:
            wrong = table[record_kernel.ERROR] != 0
            record_kernel.release(messages[wrong], _DESTROY)
            messages, table = messages[~wrong], np.ascontiguousarray(table[:, ~wrong])
        return Records(messages, table)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit the offsets of the records to read next; returns when Kafka has them. Raises NotNow."""
        with partition_list(offsets) as places:
            error = LIBRARY.commit(self._client, places, _SYNCHRONOUS)
            if error:
                raise NotNow(f"offsets not committed: {librdkafka.describe(error)}")
            for (topic, number), refused in librdkafka.partitions_in(places):
                if refused:
                    raise NotNow(f"offset of {topic}/{number} not committed: {librdkafka.describe(refused)}")

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Read no more of these until `resume`."""
        with partition_list(partitions) as places:
            LIBRARY.pause_partitions(self._client, places)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Go on where `pause` stopped."""
        with partition_list(partitions) as places:
            LIBRARY.resume_partitions(self._client, places)

    def close(self) -> None:
        """Leave the group in order; all records must have been given back. Raises what `on_revoked` raised."""
        if self._client is None:
            return
        client = self._client
        LIBRARY.consumer_close(client)  # `on_revoked` runs in here, and may commit
        self._client = None
        LIBRARY.queue_destroy(self._queue)
        LIBRARY.destroy(client)
        self._raise_failure()

    def _raise_failure(self) -> None:
        """What a callback has raised."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _read(self, messages: npt.NDArray[np.int64], timeout_s: float) -> int:
        count = LIBRARY.consume_batch_queue(self._queue, int(timeout_s * 1000), messages.ctypes.data, len(messages))
        if count < 0:
            raise Defect(f"the consumer cannot go on: {librdkafka.describe(LIBRARY.last_error())}")
        return int(count)

    def _judge(self, messages: npt.NDArray[np.int64], table: npt.NDArray[np.int64]) -> None:
        """Raise for errors that do not pass by themselves."""
        for place in np.flatnonzero(table[record_kernel.ERROR]).tolist():
            error = int(table[record_kernel.ERROR, place])
            if error in _MISSING:
                topic = librdkafka.Message.from_address(int(messages[place])).topic
                name = LIBRARY.topic_name(topic).decode() if topic else "subscribed to"
                raise InputError(f"topic {name} is not there: run `relance topics create`")
            reason = librdkafka.fatal_error(self._client or 0)
            if error in _FINAL or reason:
                raise Defect(f"the consumer cannot go on: {reason or librdkafka.describe(error)}")

    def _rebalanced(self, client: int, error: int, places: Any, _opaque: object) -> None:
        found = [partition for partition, _ in librdkafka.partitions_in(places)]
        is_given = error == KafkaError._ASSIGN_PARTITIONS
        told = self._on_assigned if is_given else self._on_revoked
        if is_given:  # first, for only then can it be paused
            LIBRARY.assign(client, places)
        try:
            if told is not None:
                told(found)
        except BaseException as failure:  # noqa: BLE001 - C code cannot pass it on: `consume` raises it
            self._failure = failure
        if not is_given:
            LIBRARY.assign(client, None)


def _bytes_at(address: int | None, size: int) -> bytes | None:
    return None if address is None else ctypes.string_at(address, size)
