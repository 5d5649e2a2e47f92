"""The raw topic's loop as a process of its own, with its own metrics and health."""

import gc
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import Final

import msgspec
import numpy as np
from confluent_kafka import Producer

from relance.events.shops import DEFAULTS
from relance.events.topics import SHOPS
from relance.kafka.admin import partition_count
from relance.kafka.consumer import consumer_config
from relance.kafka.records import RecordConsumer
from relance.kafka.shops import ShopDirectory, ShopRegister
from relance.kernel.errors import RelanceError
from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Health, Heartbeat
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.rows import WIDTH, to_batch
from services.tracking.domain.shops import ShopTable
from services.tracking.metrics import Metrics
from services.tracking.topology.publisher import Limits, Publisher, Topics, producer_config
from services.tracking.topology.raw import RawLimits, RawTopic

__all__ = ["RawProcess", "RawSettings", "load", "serve"]

_HEARTBEAT_S: Final = 30.0
_SHOPS_S: Final = 2.0


class RawSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that the process needs to know; it travels to it as it is."""

    kafka: str
    group: str = "tracking"
    log_level: str = "info"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    links_max: int = 1_000_000
    raw: RawLimits = RawLimits()
    out: Limits = Limits()
    topics: Topics = Topics()
    partitions: int | None = None  # of the topic of batches; None: as many as Kafka says
    shops: str = SHOPS.name
    consumer: dict[str, str | int | bool] = {}  # more settings of the client


class RawProcess:
    """The process, seen from the service that starts it.

    `forked`: it begins as a copy of this process, with all that is imported and compiled. Only where no other thread
    runs yet, and no client of Kafka was made: their locks would be copied as they are. Elsewhere it is `spawn`ed.
    """

    def __init__(self, settings: RawSettings, *, forked: bool = False) -> None:
        method = "fork" if forked and sys.platform == "linux" else "spawn"
        process = multiprocessing.get_context(method).Process  # type: ignore[attr-defined]
        self._process = process(target=_main, args=(settings,), name="tracking-raw", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._process.start()

    @property
    def pid(self) -> int | None:
        """None before the start."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.exitcode

    def stop(self, timeout_s: float) -> bool:
        """End it in order; False when it had to be killed."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(timeout_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(5.0)
            return False
        return True


def load() -> None:
    """Load what is compiled (compile it at the first start of all), so that a forked process has it already."""
    Encoder(ShopTable())
    to_batch(np.zeros((1, WIDTH), np.int64), b"", [""])


def _main(settings: RawSettings) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    threading.Thread(target=_end_with_parent, args=(stopping,), name="parent", daemon=True).start()
    logs.configure("tracking-raw", settings.log_level)
    try:
        serve(settings, stopping)
    except RelanceError as error:
        logs.logger("raw").error("ended", reason=str(error))
        sys.exit(1)


def _end_with_parent(stopping: threading.Event) -> None:
    """A service that was killed cannot end its process; its successor would share the partitions with it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stopping.set()


def serve(settings: RawSettings, stopping: threading.Event) -> None:
    """Read until `stopping`; blocks. Raises Defect when it cannot go on, InputError when a topic is not there."""
    heartbeat = Heartbeat(_HEARTBEAT_S, time.monotonic)
    registry = make_registry()
    exposition = Exposition(settings.metrics_host, settings.metrics_port, registry, Health(live={"loop": heartbeat}))
    directory = ShopDirectory(settings.kafka, topic=settings.shops)
    directory.start()
    try:
        while not directory.wait_ready(_SHOPS_S):
            logs.logger("raw").warning("waiting_for_shops", reason=directory.unready())
            if stopping.is_set():
                return
        exposition.start()
        shops = ShopTable()
        seen = [-1]

        def beat() -> None:
            heartbeat.beat()
            if seen[0] != directory.version:  # one thread alone touches the table
                seen[0] = directory.version
                shops.set_known(shop.shop for shop in directory.all())

        beat()
        topic = _topic(settings, shops, Metrics(registry))
        gc.freeze()
        gc.enable()
        topic.run(stopping.is_set, beat)
    finally:
        directory.close()
        exposition.close()


def _topic(settings: RawSettings, shops: ShopTable, metrics: Metrics) -> RawTopic:
    config = consumer_config(settings.kafka, settings.group) | {
        "isolation.level": "read_committed",  # shops may write in transactions
        "session.timeout.ms": 10_000,  # how long the partitions of one that was killed wait; librdkafka's is 45 s
        "partition.assignment.strategy": "range,roundrobin",  # librdkafka's cooperative one has stalled for others
        "fetch.queue.backoff.ms": 5,  # a full queue is empty again after some 50 ms; librdkafka would wait a second
        "fetch.message.max.bytes": 1_048_576,  # a fetch and what is queued should stay in the processor's cache
        "queued.max.messages.kbytes": 16_384,
    }
    producer = Producer(producer_config(settings.kafka, settings.out.queue_bytes_max))

    partitions = settings.partitions or partition_count(settings.kafka, settings.topics.batches)

    def find_shops() -> Iterable[str]:
        return [name for name in ShopRegister(settings.kafka, topic=settings.shops).read() if name != DEFAULTS]

    return RawTopic(
        RecordConsumer(config | settings.consumer),
        Publisher(producer, settings.out, metrics, partitions=partitions, topics=settings.topics),
        Encoder(shops, settings.links_max),
        find_shops,
        settings.raw,
        metrics,
    )
