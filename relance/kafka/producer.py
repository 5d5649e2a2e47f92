"""What leaves through librdkafka: nothing twice, in order, on all in-sync replicas, from any thread or event loop."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

import confluent_kafka
import msgspec
from confluent_kafka import KafkaError, KafkaException

from relance.kernel.errors import Defect, NotNow

__all__ = ["Placed", "Producer", "is_final", "producer_config"]

Headers = Sequence[tuple[str, bytes]]
_POLL_S: Final = 0.1
_RETRY_AFTER_S: Final = 1.0
_NEVER: Final = frozenset(
    {
        KafkaError._INVALID_ARG, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_RECORD,
        KafkaError.INVALID_REQUIRED_ACKS, KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.POLICY_VIOLATION,
        KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.TOPIC_EXCEPTION,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    }
)  # fmt: skip


def is_final(error: KafkaError) -> bool:
    """Whether Kafka will say the same however often the record is sent: something must be set right first."""
    return error.code() in _NEVER


class Placed(msgspec.Struct, frozen=True):
    """Where a record stands; `append_ms` is its timestamp, which is the append time where the topic says so."""

    topic: str
    partition: int
    offset: int
    append_ms: int


Reported = Callable[[Placed | None, NotNow | None], None]
"""Told once what became of a record: its place, or why it has none. Called in the producer's thread: be brief."""


def producer_config(
    bootstrap: str,
    *,
    linger_ms: float = 5,
    queue_bytes_max: int = 67_108_864,
    message_bytes_max: int = 4_194_304,
    delivery_timeout_s: float = 30.0,
) -> dict[str, Any]:
    """Settings: idempotent, acknowledged by all in-sync replicas, bounded in memory and time."""
    return {
        "bootstrap.servers": bootstrap,
        "log_level": 3,  # errors; what passes by itself is retried in silence
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": linger_ms,
        "delivery.timeout.ms": round(delivery_timeout_s * 1_000),
        "message.max.bytes": message_bytes_max,
        "partitioner": "murmur2_random",
        "queue.buffering.max.kbytes": max(queue_bytes_max // 1_024, 1_024),
        "queue.buffering.max.messages": 1_000_000,
        "socket.nagle.disable": True,
        # A broker that comes back is found within a second.
        "reconnect.backoff.max.ms": 1_000,
    }


class Producer:
    """An idempotent producer with a thread of its own that serves reports.

    `on_fatal` is called once, in that thread, when the producer is beyond repair (a record's order or uniqueness can no
    longer be kept): end the process.
    """

    def __init__(self, config: dict[str, Any], on_fatal: Callable[[Defect], None]) -> None:
        self._on_fatal = on_fatal
        self._fatal: Defect | None = None
        self._producer = confluent_kafka.Producer(config | {"error_cb": self._on_error})
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kafka-producer", daemon=True)
        self._thread.start()

    @property
    def fatal(self) -> Defect | None:
        """Why nothing can be produced any more; None while all is well."""
        return self._fatal

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        reported: Reported | None = None,
    ) -> None:
        """Queue a record. Does not block. Raises NotNow when the queue is full, Defect after a fatal error."""
        if self._fatal is not None:
            raise self._fatal
        place = {} if partition is None else {"partition": partition}
        try:
            self._producer.produce(
                topic, value, key, headers=list(headers), on_delivery=lambda e, m: self._report(e, m, reported), **place
            )
        except BufferError:
            raise NotNow("the queue to Kafka is full", _RETRY_AFTER_S) from None
        except KafkaException as error:
            raise NotNow(f"Kafka does not take the record: {error.args[0].str()}", _RETRY_AFTER_S) from error

    def submit(self, topic: str, value: bytes | None, **how: Any) -> "Future[Placed]":
        """As `produce`, with a future for threads: a Placed, or NotNow."""
        future: Future[Placed] = Future()

        def reported(placed: Placed | None, error: NotNow | None) -> None:
            if placed is None:
                future.set_exception(error or NotNow("Kafka did not acknowledge"))
            else:
                future.set_result(placed)

        self.produce(topic, value, reported=reported, **how)
        return future

    async def send(self, topic: str, value: bytes | None, **how: Any) -> Placed:
        """As `produce`; returns once all in-sync replicas have the record. Raises NotNow when they did not in time."""
        return await asyncio.wrap_future(self.submit(topic, value, **how))

    def queued(self) -> int:
        """Number of records whose report is still to come."""
        return len(self._producer)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all queued records are reported; False when time ran out first."""
        return not self._producer.flush(timeout_s)

    def close(self, timeout_s: float = 30.0) -> bool:
        """Flush, then stop; False when something was left unsaid."""
        done = self.flush(timeout_s)
        self._stopping.set()
        self._thread.join(5.0)
        return done

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_S)

    def _report(self, error: Any, message: Any, reported: Reported | None) -> None:
        if error is not None and error.fatal():
            self._end(error)
        if reported is None:
            return
        if error is not None:
            reported(None, NotNow(f"Kafka did not acknowledge: {error.str()}", _RETRY_AFTER_S))
        else:
            reported(Placed(message.topic(), message.partition(), message.offset(), message.timestamp()[1]), None)

    def _on_error(self, error: Any) -> None:
        # Other errors are news of connections; librdkafka deals with them, and delivery reports tell what failed.
        if error.fatal() or error.code() == KafkaError._FATAL:
            self._end(error)

    def _end(self, error: Any) -> None:
        if self._fatal is None:
            self._fatal = Defect(f"the producer cannot go on: {error.str()}")
            self._on_fatal(self._fatal)
