"""Topics as `relance.events.topics` maps them: created, compared with what is there, brought into line."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from relance.events.topics import ALL, BATCHES, Topic
from relance.kernel.errors import InputError, NotNow

__all__ = [
    "Drift",
    "TopicState",
    "align_topics",
    "describe_topics",
    "ensure_topics",
    "extents",
    "partition_count",
    "topic_config",
]

_TIMEOUT_S: Final = 30.0
_REPLICAS_WANTED: Final = 3
_SETTLING: Final = (  # a topic that was just created
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._TIMED_OUT,
)


class Drift(msgspec.Struct, frozen=True):
    """One setting that differs from the map. `partitions` can not be brought into line."""

    setting: str
    wanted: str
    found: str


class TopicState(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as the cluster has it; `partitions` 0: it is not there. `records` counts what is kept."""

    name: str
    created: bool = False
    partitions: int = 0
    replicas: int = 0
    records: int = 0
    drift: tuple[Drift, ...] = ()


def topic_config(topic: Topic, replicas: int = 1) -> dict[str, str]:
    """The topic's settings in Kafka's words."""
    config = {
        "cleanup.policy": "compact" if topic.compact else "delete",
        "message.timestamp.type": "LogAppendTime" if topic.append_time else "CreateTime",
        "max.message.bytes": str(topic.max_message_bytes),
        "segment.bytes": str(topic.segment_bytes),
        # With three replicas an acknowledged record survives the loss of one, and writing goes on meanwhile.
        "min.insync.replicas": "2" if replicas >= _REPLICAS_WANTED else "1",
        "unclean.leader.election.enable": "false",
    }
    if not topic.compact:
        config["retention.ms"] = str(topic.retention_ms)
    return config | topic.extra


def ensure_topics(
    bootstrap: str, partitions: int | None = None, *, topics: Sequence[Topic] = ALL, timeout_s: float = _TIMEOUT_S
) -> list[TopicState]:
    """Create the topics that are missing; on return each has its leaders. Existing ones stay as they are: see `drift`.

    `partitions` replaces the count of the topics that have more than one. Without it, topics made later follow the
    count that `tracking.batches.v1` was made with. Replication is 3, or the number of brokers. Raises NotNow.
    """
    admin = _admin(bootstrap)
    there, brokers = _there(admin, timeout_s)
    count = partitions if partitions is not None else there.get(BATCHES.name)
    replicas = min(_REPLICAS_WANTED, brokers)
    missing = [topic for topic in topics if topic.name not in there]
    new = [
        NewTopic(topic.name, _count(topic, count), replicas, config=topic_config(topic, replicas)) for topic in missing
    ]
    if new:
        for name, future in admin.create_topics(new, operation_timeout=timeout_s).items():
            try:
                future.result(timeout_s)
            except KafkaException as error:
                if _code(error) != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster
                    raise NotNow(f"topic {name} could not be created: {_words(error)}") from error
    names = {topic.name for topic in missing}
    return [
        msgspec.structs.replace(state, created=state.name in names)
        for state in describe_topics(bootstrap, count, topics=topics, timeout_s=timeout_s)
    ]


def describe_topics(
    bootstrap: str, partitions: int | None = None, *, topics: Sequence[Topic] = ALL, timeout_s: float = _TIMEOUT_S
) -> list[TopicState]:
    """Each topic of the map as the cluster has it. Raises NotNow when the cluster does not answer."""
    admin = _admin(bootstrap)
    there, _ = _there(admin, timeout_s)
    count = partitions if partitions is not None else there.get(BATCHES.name)
    found = [topic for topic in topics if topic.name in there]
    configs = _configs(admin, [topic.name for topic in found], timeout_s)
    metadata = _metadata(admin, timeout_s)
    records = _records(bootstrap, [(topic.name, there[topic.name]) for topic in found], timeout_s)
    states = []
    for topic in topics:
        if topic.name not in there:
            states.append(TopicState(name=topic.name))
            continue
        replicas = len(metadata.topics[topic.name].partitions[0].replicas)
        wanted = topic_config(topic, replicas)
        drift = [
            Drift(name, value, configs[topic.name].get(name, ""))
            for name, value in wanted.items()
            if configs[topic.name].get(name) != value
        ]
        if there[topic.name] != _count(topic, count):
            drift.append(Drift("partitions", str(_count(topic, count)), str(there[topic.name])))
        states.append(
            TopicState(name=topic.name, partitions=there[topic.name], replicas=replicas, records=records[topic.name],
                       drift=tuple(drift))
        )  # fmt: skip
    return states


def align_topics(bootstrap: str, states: Iterable[TopicState], *, timeout_s: float = _TIMEOUT_S) -> int:
    """Set what drifted to what the map wants; partition counts stay. Returns the number of settings changed."""
    resources = []
    changed = 0
    for state in states:
        entries = [
            ConfigEntry(drift.setting, drift.wanted, incremental_operation=AlterConfigOpType.SET)
            for drift in state.drift
            if drift.setting != "partitions"
        ]
        if entries:
            resources.append(ConfigResource(ResourceType.TOPIC, state.name, incremental_configs=entries))
            changed += len(entries)
    admin = _admin(bootstrap)  # held on to: its end would end what is under way
    if resources:
        for resource, future in admin.incremental_alter_configs(resources).items():
            try:
                future.result(timeout_s)
            except KafkaException as error:
                raise NotNow(f"{resource.name} could not be changed: {_words(error)}") from error
    return changed


def partition_count(bootstrap: str, topic: str, *, timeout_s: float = _TIMEOUT_S) -> int:
    """How many partitions the topic has. Raises InputError when it is not there."""
    there, _ = _there(_admin(bootstrap), timeout_s)
    if topic not in there:
        raise InputError(f"topic {topic} is not there: run `relance topics create`")
    return there[topic]


def extents(bootstrap: str, topic: str, partitions: Iterable[int], timeout_s: float) -> dict[int, tuple[int, int]]:
    """Of each partition the first offset that the log still holds, and the one after its last. Raises NotNow."""
    admin = _admin(bootstrap)
    places = [TopicPartition(topic, number) for number in partitions]
    ends = [
        admin.list_offsets(dict.fromkeys(places, spec), request_timeout=timeout_s)
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    ]
    try:
        first, last = ({place.partition: one.result().offset for place, one in end.items()} for end in ends)
    except KafkaException as error:
        raise NotNow(f"Kafka does not say how far {topic} reaches: {_words(error)}") from error
    return {number: (first[number], last[number]) for number in first}


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def _metadata(admin: AdminClient, timeout_s: float) -> Any:
    try:
        return admin.list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise NotNow(f"Kafka does not answer: {_words(error)}") from error


def _there(admin: AdminClient, timeout_s: float) -> tuple[dict[str, int], int]:
    """(partition count by topic, number of brokers)."""
    metadata = _metadata(admin, timeout_s)
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}, len(metadata.brokers)


def _count(topic: Topic, partitions: int | None) -> int:
    return topic.partitions if topic.partitions == 1 or partitions is None else partitions


def _configs(admin: AdminClient, names: Sequence[str], timeout_s: float) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in names])
    try:
        return {
            resource.name: {entry.name: entry.value for entry in future.result(timeout_s).values()}
            for resource, future in asked.items()
        }
    except KafkaException as error:
        raise NotNow(f"Kafka does not tell its settings: {_words(error)}") from error


def _records(bootstrap: str, topics: Sequence[tuple[str, int]], timeout_s: float) -> dict[str, int]:
    """Number of records kept by topic. It waits for the leaders of topics that were just created."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "relance-admin", "log_level": 0})
    counts = dict.fromkeys((name for name, _ in topics), 0)
    end_s = time.monotonic() + timeout_s
    try:
        for name, partitions in topics:
            for partition in range(partitions):
                low, high = _watermarks(consumer, TopicPartition(name, partition), end_s)
                counts[name] += high - low
    finally:
        consumer.close()
    return counts


def _watermarks(consumer: Consumer, place: TopicPartition, end_s: float) -> tuple[int, int]:
    while True:
        try:
            low, high = consumer.get_watermark_offsets(place, timeout=max(0.1, end_s - time.monotonic()))
        except KafkaException as error:
            if time.monotonic() > end_s or not (error.args[0].retriable() or _code(error) in _SETTLING):
                raise NotNow(f"Kafka does not tell offsets: {_words(error)}") from error
            time.sleep(0.1)
        else:
            return low, high


def _code(error: KafkaException) -> int:
    return int(error.args[0].code())


def _words(error: KafkaException) -> str:
    return str(error.args[0].str())
