"""What comes in through librdkafka: batches of records, committed by hand, and whole topics read to their end."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from relance.kernel.errors import Defect, InputError, NotNow

__all__ = ["BatchConsumer", "consumer_config", "read_all", "read_partition", "tail"]

Partition = tuple[str, int]
Changed = Callable[[list[Partition]], None]
_TIMEOUT_S: Final = 30.0
_MISSING: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)


def consumer_config(bootstrap: str, group: str, *, start: str = "earliest") -> dict[str, Any]:
    """Settings: offsets are committed by hand alone, uncommitted records are read, memory is bounded."""
    return {
        "bootstrap.servers": bootstrap,
        "log_level": 3,  # errors; what passes by itself is retried in silence
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": start,
        "isolation.level": "read_uncommitted",
        "allow.auto.create.topics": False,
        "fetch.message.max.bytes": 8_388_608,
        "fetch.wait.max.ms": 20,
        "queued.max.messages.kbytes": 65_536,
        "reconnect.backoff.max.ms": 1_000,
        "socket.nagle.disable": True,
    }


class BatchConsumer:
    """One consumer, used by one thread at a time. Choose `subscribe` (a group shares the partitions) or `assign`."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._consumer = confluent_kafka.Consumer(config)

    def subscribe(
        self, topics: Sequence[str], on_assigned: Changed | None = None, on_revoked: Changed | None = None
    ) -> None:
        """Join the group. The callbacks run inside `consume`; in `on_revoked` offsets can still be committed."""

        def assigned(_consumer: Any, partitions: Iterable[Any]) -> None:
            if on_assigned is not None:
                on_assigned([(place.topic, place.partition) for place in partitions])

        def revoked(_consumer: Any, partitions: Iterable[Any]) -> None:
            if on_revoked is not None:
                on_revoked([(place.topic, place.partition) for place in partitions])

        self._consumer.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on (OFFSET_BEGINNING and OFFSET_END are offsets too)."""
        self._consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in offsets.items()])

    def consume(self, most: int, timeout_s: float) -> list[Any]:
        """At most `most` records: what is there, else what comes first within `timeout_s`; maybe none.

        Raises InputError when a topic is not there, Defect when the client cannot go on. A broker that is away is
        waited for.
        """
        try:
            messages = self._consumer.consume(1, timeout_s)  # the client waits for all that it is asked for
            if messages and most > 1:
                messages += self._consumer.consume(most - 1, 0)
        except KafkaException as error:
            raise _as_defect(error.args[0]) from error
        return [message for message in messages if _is_record(message)]

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit the offsets of the records to read next; returns when Kafka has them. Raises NotNow."""
        places = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
        try:
            for place in self._consumer.commit(offsets=places, asynchronous=False):
                if place.error is not None:
                    raise NotNow(f"offset of {place.topic}/{place.partition} not committed: {place.error.str()}")
        except KafkaException as error:
            raise NotNow(f"offsets not committed: {error.args[0].str()}") from error

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Read no more of these until `resume`."""
        self._consumer.pause([TopicPartition(topic, number) for topic, number in partitions])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Go on where `pause` stopped."""
        self._consumer.resume([TopicPartition(topic, number) for topic, number in partitions])

    def seek(self, partition: Partition, offset: int) -> None:
        """Read `offset` next."""
        self._consumer.seek(TopicPartition(*partition, offset))

    def assignment(self) -> list[Partition]:
        """The partitions that are read."""
        return [(place.topic, place.partition) for place in self._consumer.assignment()]

    def committed(self, partitions: Iterable[Partition], timeout_s: float = _TIMEOUT_S) -> dict[Partition, int]:
        """Committed offsets; partitions without one are left out. Raises NotNow."""
        places = [TopicPartition(topic, number) for topic, number in partitions]
        try:
            found = self._consumer.committed(places, timeout=timeout_s)
        except KafkaException as error:
            raise NotNow(f"Kafka does not tell offsets: {error.args[0].str()}") from error
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def ends(self, partitions: Iterable[Partition], timeout_s: float = _TIMEOUT_S) -> dict[Partition, tuple[int, int]]:
        """(first offset kept, offset of the next record) of each. Raises NotNow."""
        try:
            return {
                place: self._consumer.get_watermark_offsets(TopicPartition(*place), timeout=timeout_s)
                for place in partitions
            }
        except KafkaException as error:
            raise NotNow(f"Kafka does not tell offsets: {error.args[0].str()}") from error

    def partitions(self, topic: str, timeout_s: float = _TIMEOUT_S) -> list[Partition]:
        """All partitions of a topic. Raises InputError when it is not there, NotNow."""
        try:
            metadata = self._consumer.list_topics(topic, timeout=timeout_s).topics[topic]
        except KafkaException as error:
            raise NotNow(f"Kafka does not answer: {error.args[0].str()}") from error
        if metadata.error is not None or not metadata.partitions:
            raise InputError(f"topic {topic} is not there: run `relance topics create`")
        return [(topic, number) for number in sorted(metadata.partitions)]

    def close(self) -> None:
        """Leave the group in order."""
        self._consumer.close()


def read_all(bootstrap: str, topic: str, *, timeout_s: float = _TIMEOUT_S) -> Iterator[Any]:
    """Every record that the topic holds now, partition by partition, in order.

    Raises InputError when the topic is not there, NotNow when `timeout_s` passes without news.
    """
    consumer = BatchConsumer(consumer_config(bootstrap, "relance-reader"))
    try:
        places = consumer.partitions(topic)
    finally:
        consumer.close()
    for place in places:
        yield from read_partition(bootstrap, place, timeout_s=timeout_s)


def read_partition(bootstrap: str, partition: Partition, *, timeout_s: float = _TIMEOUT_S) -> Iterator[Any]:
    """Every record that the partition holds now, in order. Raises NotNow when `timeout_s` passes without news."""
    consumer = confluent_kafka.Consumer(consumer_config(bootstrap, "relance-reader") | {"enable.partition.eof": True})
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=timeout_s)
        consumer.assign([TopicPartition(*partition, OFFSET_BEGINNING)])
        heard_s = time.monotonic()
        while time.monotonic() - heard_s < timeout_s:
            for message in consumer.consume(1_000, 0.05):
                heard_s = time.monotonic()
                # Not the count of records tells the end: compaction and transactions leave gaps, also at the end.
                if message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF:
                    return
                if not _is_record(message):
                    continue
                if message.offset() >= end:
                    return
                yield message
                if message.offset() == end - 1:
                    return
    except KafkaException as error:
        raise NotNow(f"Kafka does not answer: {error.args[0].str()}") from error
    finally:
        consumer.close()
    raise NotNow(f"no news of {partition[0]}/{partition[1]} for {timeout_s:.0f} s")


def tail(
    bootstrap: str, topics: Sequence[str], *, beginning: bool = False, stop: threading.Event | None = None
) -> Iterator[list[Any]]:
    """Records as they come, in batches, from now on or from the `beginning`, until `stop`; empty batches mark quiet.

    Raises InputError when a topic is not there.
    """
    consumer = BatchConsumer(consumer_config(bootstrap, "relance-tail"))
    try:
        places = [place for topic in topics for place in consumer.partitions(topic)]
        ends = consumer.ends(places)  # fixed offsets, so that nothing is missed before the first fetch
        consumer.assign({place: OFFSET_BEGINNING if beginning else ends[place][1] for place in places})
        while stop is None or not stop.is_set():
            yield consumer.consume(10_000, 0.1)
    finally:
        consumer.close()


def _is_record(message: Any) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() in _MISSING:
        raise InputError(f"topic {message.topic()} is not there: run `relance topics create`")
    if error.fatal() or error.code() == KafkaError._MAX_POLL_EXCEEDED:
        raise _as_defect(error)
    return False


def _as_defect(error: Any) -> Defect:
    return Defect(f"the consumer cannot go on: {error.str()}")
