"""All wiring of the tracking service: one process, one event loop, ended in order by SIGTERM."""

import asyncio
import contextlib
import gc
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import uvloop
from confluent_kafka import KafkaException, Producer

from relance.events.topics import BATCHES
from relance.kafka.admin import partition_count
from relance.kafka.shops import ShopDirectory
from relance.kernel.errors import Defect, InputError, NotNow, RelanceError
from relance.kernel.settings import explained, read
from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Health, Heartbeat
from relance.observability.shutdown import stop_requested, wind_down
from services.tracking.api.collect import BrowserRates, Collect
from services.tracking.api.door import Door
from services.tracking.api.foreign import Ga4, Segment
from services.tracking.api.gather import Gatherer
from services.tracking.api.grpc import GrpcEdge
from services.tracking.api.http import Events
from services.tracking.api.intake import Intake
from services.tracking.api.keys import KeyRing
from services.tracking.api.server import HttpServer, listen
from services.tracking.api.site import Site, build
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.shops import ShopTable
from services.tracking.metrics import EdgeMetrics, Metrics, ReaderMetrics
from services.tracking.settings import Settings
from services.tracking.topology.batcher import Batcher
from services.tracking.topology.publisher import Limits, Publisher, producer_config
from services.tracking.topology.raw import RawLimits
from services.tracking.topology.raw_keeper import RawKeeper
from services.tracking.topology.raw_process import RawProcess, RawSettings, load

__all__ = ["main"]

_TRACKER: Final = Path(__file__).parent / "static" / "relance.js"
_HEARTBEAT_LIMIT_S: Final = 10.0
_PROBE_S: Final = 2.0
_LOOK_S: Final = 0.5


def main() -> None:
    """Run until SIGTERM; the exit code is 0 after an orderly end, 1 after a defect, 2 for wrong settings."""
    try:
        if (text := explained(Settings, "RELANCE_TRACKING", sys.argv[1:])) is not None:
            sys.stdout.write(text)
            return
        settings = read(Settings, "RELANCE_TRACKING", os.environ)
        logs.configure("tracking", settings.log_level)
        raw = _start_raw(settings)
        try:
            code = uvloop.run(_Service(settings, raw).run())
        finally:
            if raw is not None:
                raw.stop(settings.drain_s)  # does nothing when it has ended in order
    except RelanceError as error:
        sys.stderr.write(f"tracking: {error}\n")
        code = 2 if isinstance(error, InputError) else 1
    sys.exit(code)


def _start_raw(settings: Settings) -> RawKeeper | None:
    """The raw topic's process: a copy of this one, before it has threads, clients and sockets."""
    load()
    gc.freeze()  # what lives as long as the processes need not be looked through again, nor be copied for that
    if not settings.raw_topic:
        return None
    told = RawSettings(
        kafka=settings.kafka, log_level=settings.log_level, metrics_host=settings.metrics_host,
        metrics_port=settings.raw_metrics_port, links_max=settings.linked_max, out=_limits(settings),
        raw=RawLimits(alarm_share=settings.raw_dead_letter_share_max, pauses=settings.raw_pauses),
    )  # fmt: skip
    first = RawProcess(told, forked=True)
    first.start()
    return RawKeeper(first, lambda: RawProcess(told))


def _limits(settings: Settings) -> Limits:
    return Limits(
        linger_ms=settings.linger_ms, batch_events_max=settings.batch_events_max,
        batch_bytes_max=settings.batch_bytes_max, queue_bytes_max=settings.queue_bytes_max,
    )  # fmt: skip


class _Service:
    """The parts of the process and the order of their lives."""

    def __init__(self, settings: Settings, raw: RawKeeper | None) -> None:
        self._settings = settings
        self._raw = raw
        self._log = logs.logger("app")
        self._registry = make_registry()
        self._metrics = Metrics(self._registry)
        self._edge_metrics = EdgeMetrics(self._registry)
        self._reader_metrics = ReaderMetrics(self._registry)
        self._heartbeat = Heartbeat(_HEARTBEAT_LIMIT_S, time.monotonic)
        self._kafka_reason: str | None = "not asked yet"
        self._health = Health(
            live={"loop": self._heartbeat},
            ready={"kafka": lambda: self._kafka_reason},
            troubles={"raw_topic": raw.trouble} if raw is not None else None,
        )
        self._table = ShopTable()
        self._limits = _limits(settings)
        self._defect: Defect | None = None

    async def run(self) -> int:
        """Start, serve, end; returns the exit code."""
        settings = self._settings
        stop = stop_requested(asyncio.get_running_loop())
        listening = listen(settings.host, settings.port)
        producer = Producer(producer_config(settings.kafka, settings.queue_bytes_max))
        async with self._shops(stop) as directory:
            keys = KeyRing(directory, self._table.set_known)
            door = Door(keys, settings.refused_keys_per_second, settings.trusted_proxies)
            partitions = await asyncio.to_thread(partition_count, settings.kafka, BATCHES.name)
            batcher = self._batcher(producer, partitions, stop)
            encoder = Encoder(self._table, settings.linked_max)
            intake = Intake(Gatherer(encoder, batcher, settings.request_deadline_s), self._metrics, settings)
            http = HttpServer(self._site(intake, door), settings)
            grpc = GrpcEdge(intake, door, settings, self._edge_metrics)
            exposition = Exposition(settings.metrics_host, settings.metrics_port, self._registry, self._health)
            exposition.start()
            self._watch(http, intake)
            probing = asyncio.create_task(self._probe(producer))
            keeping = asyncio.create_task(self._keep_raw())
            serving = asyncio.create_task(http.serve([listening]))
            serving.add_done_callback(lambda _done: stop.set())
            grpc_port = await grpc.start(settings.host, settings.grpc_port)
            gc.freeze()
            gc.enable()
            self._log.info("listening", http=listening.getsockname()[1], grpc=grpc_port, metrics=exposition.port)
            await stop.wait()
            probing.cancel()
            keeping.cancel()
            unfinished = await self._end(http, serving, grpc, batcher)
            exposition.close()
        return 1 if self._defect or unfinished else 0

    @contextlib.asynccontextmanager
    async def _shops(self, stop: asyncio.Event) -> AsyncIterator[ShopDirectory]:
        directory = ShopDirectory(self._settings.kafka)
        directory.start()
        try:
            while not await asyncio.to_thread(directory.wait_ready, _PROBE_S):
                self._log.warning("waiting_for_shops", reason=directory.unready())
                if stop.is_set():
                    raise NotNow("ended before the shops could be read")
            self._health.add_ready("shops", directory.unready)
            yield directory
        finally:
            await asyncio.to_thread(directory.close)

    def _batcher(self, producer: Producer, partitions: int, stop: asyncio.Event) -> Batcher:
        def on_fatal(defect: Defect) -> None:
            self._broken(defect, stop)

        publisher = Publisher(producer, self._limits, self._metrics, partitions=partitions)
        return Batcher(publisher, self._limits, self._metrics, on_fatal=on_fatal)

    def _broken(self, defect: Defect, stop: asyncio.Event) -> None:
        """End with exit code 1: whoever started this process starts it again."""
        self._defect = defect
        self._log.error("broken", reason=str(defect))
        stop.set()

    def _site(self, intake: Intake, door: Door) -> Site:
        settings, metrics = self._settings, self._edge_metrics
        rates = BrowserRates(settings)
        segment = Segment(intake, door, settings, metrics, rates)
        hot = {
            "/v1/events": Events(intake, door, settings, metrics),
            "/v1/collect": Collect(intake, door, settings, metrics, rates),
            "/v1/ga4": Ga4(intake, door, settings, metrics, rates),
            **{f"/v1/segment/{call}": segment for call in Segment.CALLS},
        }
        return build(hot, self._health, _TRACKER.read_bytes())

    def _watch(self, http: HttpServer, intake: Intake) -> None:
        self._edge_metrics.connections.set_function(lambda: len(http.server_state.connections))
        self._edge_metrics.waiting.set_function(lambda: intake.in_flight)

    async def _keep_raw(self) -> None:
        """Look after the process of the raw topic: this one answers on without it."""
        while (raw := self._raw) is not None:
            if await asyncio.to_thread(raw.look):
                self._reader_metrics.restarts.inc()
            self._reader_metrics.down.set(raw.trouble() is not None)
            await asyncio.sleep(_LOOK_S)

    async def _probe(self, producer: Producer) -> None:
        """Beat for liveness, and ask Kafka for readiness without holding up the loop."""
        while True:
            self._heartbeat.beat()
            try:
                await asyncio.to_thread(producer.list_topics, BATCHES.name, _PROBE_S)
                self._kafka_reason = None
            except KafkaException as error:
                self._kafka_reason = f"Kafka cannot be reached: {error.args[0]}"
            await asyncio.sleep(_PROBE_S)

    async def _end(self, http: HttpServer, serving: asyncio.Task[None], grpc: GrpcEdge, batcher: Batcher) -> list[str]:
        """Readiness off, no new work, what is in flight is finished, then the producer is emptied."""
        settings, raw = self._settings, self._raw
        self._health.drain()

        async def answer_the_last() -> None:
            http.should_exit = True
            await asyncio.gather(serving, grpc.stop())

        async def end_the_raw_topic() -> None:
            if raw is not None and not await asyncio.to_thread(raw.stop, settings.drain_s):
                raise TimeoutError

        async def empty_the_producer() -> None:
            if not await batcher.drain(settings.drain_s):
                raise TimeoutError

        return await wind_down(
            [
                ("say_not_serving", grpc.drain, 1.0),
                ("answer_the_last", answer_the_last, settings.drain_s + 2),
                ("end_the_raw_topic", end_the_raw_topic, settings.drain_s + 7),
                ("empty_the_producer", empty_the_producer, settings.drain_s + 2),
            ]
        )
