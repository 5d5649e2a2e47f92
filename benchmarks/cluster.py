"""The bench's topics on the broker, and the log that every system drains."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from benchmarks.workload import EVENT_BYTES, VISITOR, Workload
from relance.events.topics import Topic
from relance.kafka.admin import topic_config

__all__ = ["Cluster"]

_TIMEOUT_S: Final = 30.0
_SESSION_S: Final = 60.0  # no client here has a longer session
_ROWS: Final = 20_000


class Cluster:
    """The broker of the bench, as its administrator."""

    def __init__(self, kafka: str) -> None:
        self.kafka = kafka
        self._admin = AdminClient({"bootstrap.servers": kafka, "log_level": 2})

    def allow_times_ahead(self) -> None:
        """Let producers write event times that lie ahead of the clock, as the workload's do."""
        entry = ConfigEntry(
            "log.message.timestamp.after.max.ms", str(2**63 - 1), incremental_operation=AlterConfigOpType.SET
        )
        resources = [
            ConfigResource(ResourceType.BROKER, str(broker), incremental_configs=[entry])
            for broker in self._admin.list_topics(timeout=_TIMEOUT_S).brokers
        ]
        for future in self._admin.incremental_alter_configs(resources).values():
            future.result(_TIMEOUT_S)

    def make(self, name: str, *, partitions: int = 1, config: dict[str, str] | None = None) -> None:
        """Make a topic; it must not be there."""
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
        for future in self._admin.create_topics([topic]).values():
            future.result(_TIMEOUT_S)

    def make_topic(self, topic: Topic, *, partitions: int | None = None) -> None:
        """Make one of Relance's topics as the map of topics says, with `partitions` instead of its own where given."""
        self.make(topic.name, partitions=partitions or topic.partitions, config=topic_config(topic))

    def topics(self) -> set[str]:
        """The names of all topics."""
        return set(self._admin.list_topics(timeout=_TIMEOUT_S).topics)

    def drop(self, names: Iterable[str]) -> None:
        """Delete topics; those that are not there do not matter."""
        wanted = list(names)
        if not wanted:
            return
        for future in self._admin.delete_topics(wanted, operation_timeout=_TIMEOUT_S).values():
            try:
                future.result(_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise

    def forget(self, groups: Iterable[str]) -> None:
        """Delete consumer groups; those that are not there do not matter. A dead member's session is waited for."""
        waiting = set(groups)
        until = time.monotonic() + _SESSION_S
        while waiting:
            for group, future in self._admin.delete_consumer_groups(sorted(waiting)).items():
                try:
                    future.result(_TIMEOUT_S)
                except KafkaException as error:
                    code = error.args[0].code()
                    if code == KafkaError.NON_EMPTY_GROUP and time.monotonic() < until:
                        continue
                    if code != KafkaError.GROUP_ID_NOT_FOUND:
                        raise
                waiting.discard(group)
            if waiting:
                time.sleep(1.0)

    def groups(self) -> set[str]:
        """The ids of all consumer groups."""
        return {group.group_id for group in self._admin.list_consumer_groups().result(_TIMEOUT_S).valid}

    def stable(self, group: str) -> bool:
        """Whether every member of a group has its assignment."""
        found = self._admin.describe_consumer_groups([group])[group].result(_TIMEOUT_S)
        return bool(found.state == ConsumerGroupState.STABLE)

    def committed(self, group: str, topic: str) -> int:
        """How far a group has committed on the single partition of a topic; 0 when it never did."""
        request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0)])
        try:
            found = self._admin.list_consumer_group_offsets([request])[group].result(_TIMEOUT_S)
        except KafkaException:
            return 0  # the group is not known yet
        offset: int = found.topic_partitions[0].offset
        return max(0, offset)

    def preload(self, topic: str, workload: Workload) -> None:
        """Fill a topic of one partition with the log, keyed by visitor, lz4, in order."""
        producer = Producer(
            {
                "bootstrap.servers": self.kafka, "compression.type": "lz4", "linger.ms": 50, "batch.size": 262_144,
                "queue.buffering.max.messages": 1_000_000, "enable.idempotence": True, "log_level": 2,
            }
        )  # fmt: skip
        failed: list[KafkaError] = []

        def told(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failed.append(error)

        with Path(workload.file).open("rb") as log:
            while chunk := log.read(_ROWS * EVENT_BYTES):
                for start in range(0, len(chunk), EVENT_BYTES):
                    row = chunk[start : start + EVENT_BYTES]
                    producer.produce(topic, value=row, key=row[VISITOR], partition=0, on_delivery=told)
                producer.flush(_TIMEOUT_S)
        if failed or len(producer):
            message = f"the log did not reach {topic}: {failed[:1] or 'time is over'}"
            raise RuntimeError(message)

    def append(self, topic: str, row: bytes) -> None:
        """Append one event to a topic of one partition."""
        producer = Producer({"bootstrap.servers": self.kafka, "log_level": 2})
        producer.produce(topic, value=row, key=row[VISITOR], partition=0)
        producer.flush(_TIMEOUT_S)
