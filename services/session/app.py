"""All wiring of the session service: one process, one event loop, handed over in order by SIGTERM."""

import asyncio
import ctypes
import gc
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec
import uvloop
from confluent_kafka.admin import AdminClient

from relance.events.shops import DEFAULTS
from relance.events.topics import BATCHES, SESSION_DEAD_LETTERS
from relance.kafka.harness import Harness, HarnessSettings
from relance.kafka.machine import Machine
from relance.kafka.shops import ShopDirectory
from relance.kernel.errors import InputError, RelanceError
from relance.kernel.settings import explained, read
from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Health, Heartbeat
from relance.observability.shutdown import stop_requested
from relance.rpc.session.v1 import session_pb2, session_pb2_grpc
from relance.rules.windows import ControlRecord
from relance.serving.grpc_server import UNBOUNDED, GrpcServer, authority
from services.session.adapters.feed import KafkaSignalFeed
from services.session.api import SessionServicer
from services.session.domain.engine import Engine
from services.session.domain.warming import warm
from services.session.metrics import SessionCollector
from services.session.settings import Settings
from services.session.topology import SessionFactory, SessionMachine

__all__ = ["main"]

_HEARTBEAT_LIMIT_S: Final = 30.0  # a restore of many millions of sessions holds the loop for a while
_ASK_LIMIT_S: Final = 15.0
_LIBC: Final = ctypes.CDLL(None)  # other C libraries lack what glibc has
_M_MMAP_THRESHOLD: Final = -3  # malloc.h
_LARGE_BLOCK_BYTES: Final = 2_097_152
_TRIM_S: Final = 30.0
_GC_THRESHOLD: Final = 20_000  # objects; little here is cyclic
_QUESTION_BYTES_MAX: Final = 65_536
_SERVICE: Final = session_pb2.DESCRIPTOR.services_by_name["SessionService"].full_name


def main() -> None:
    """Run until SIGTERM; the exit code is 0 after an orderly hand-over, 1 after a defect, 2 for wrong settings."""
    try:
        if (text := explained(Settings, "RELANCE_SESSION", sys.argv[1:])) is not None:
            sys.stdout.write(text)
            return
        settings = read(Settings, "RELANCE_SESSION", os.environ)
        logs.configure("session", settings.log_level)
        _return_large_blocks()
        uvloop.install()  # for the loop in the consumer's thread too
        code = asyncio.run(_Service(settings).run())
    except RelanceError as error:
        sys.stderr.write(f"session: {error}\n")
        code = 2 if isinstance(error, InputError) else 1
    sys.stderr.flush()
    os._exit(code)  # after a failure the clients' threads may not end by themselves


def _return_large_blocks() -> None:
    """Let glibc give memory of larger blocks back when it is freed. By itself it soon stops to, after the first large
    ones: tables that were replaced by larger ones then stay resident, in pieces, for as long as the process lives.
    """
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


async def _return_small_blocks() -> None:
    """From time to time give back what a restore or a burst of records has left free."""
    while hasattr(_LIBC, "malloc_trim"):
        await asyncio.sleep(_TRIM_S)
        await asyncio.to_thread(_LIBC.malloc_trim, 0)


class _Service:
    """The parts of the process and the order of their lives."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = logs.logger("app")
        self._harness: Harness | None = None
        self._shops = ShopDirectory(settings.kafka)
        self._heartbeat = Heartbeat(_HEARTBEAT_LIMIT_S, time.monotonic)
        self._health = Health(
            live={"loop": self._heartbeat}, ready={"partitions": self._unready, "shops": self._shops.unready}
        )

    async def run(self) -> int:
        """Start, work, end; returns the exit code."""
        settings = self._settings
        stop = stop_requested(asyncio.get_running_loop())
        warm()
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked through again
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        gc.enable()
        partitions = await asyncio.to_thread(_partitions, settings.kafka)
        self._shops.start()
        server = GrpcServer(
            [_SERVICE],
            calls_max=settings.grpc_calls_max,
            connection_calls_max=settings.grpc_calls_max,  # a worker asks another over one connection
            received_bytes_max=_QUESTION_BYTES_MAX,
            sent_bytes_max=UNBOUNDED,  # a session or a signal, bounded themselves
        )
        port = server.bind(settings.host, settings.grpc_port)
        address = settings.advertised or authority(settings.host, port)
        harness = self._harness = Harness(
            self._harness_settings(partitions, address),
            SessionFactory(settings.buckets, settings.hash_key.encode()),
            self._control,
        )
        feed = KafkaSignalFeed(settings.kafka, settings.stream_backlog_max)
        servicer = SessionServicer(self, feed, partitions)
        session_pb2_grpc.add_SessionServiceServicer_to_server(servicer, server.server)
        registry = make_registry()
        SessionCollector(registry, self._owned)
        exposition = Exposition(settings.metrics_host, settings.metrics_port, registry, self._health)
        exposition.start()
        await server.start(serving=False)
        beating = asyncio.create_task(self._beat(server))
        trimming = asyncio.create_task(_return_small_blocks())
        self._log.info("listening", grpc=port, metrics=exposition.port, partitions=partitions)
        draining = asyncio.create_task(self._drain(stop))
        code = await harness.run(stop)
        beating.cancel()
        trimming.cancel()
        draining.cancel()
        feed.close()
        self._shops.close()
        await server.stop(1.0)
        await servicer.close()
        exposition.close()
        return code

    def _harness_settings(self, partitions: int, address: str) -> HarnessSettings:
        settings = self._settings
        return HarnessSettings(
            kafka=settings.kafka,
            app_id="session",
            table="sessions",
            input_topic=BATCHES.name,
            partitions=partitions,
            dead_letter_topic=SESSION_DEAD_LETTERS.name,
            advertised=f"http://{address}",
            round_s=settings.round_s,
            watchdog_s=settings.watchdog_s,
            session_timeout_s=settings.session_timeout_s,
            heartbeat_s=settings.session_timeout_s / 3,
            request_timeout_s=settings.session_timeout_s * 1.5,
        )

    # -- the log's definitions --------------------------------------------------------------------------------------

    def _control(self, _partition: int, machine: Machine) -> Sequence[bytes]:
        """Definitions that the shops' topic has and the partition's log has not told yet."""
        known = cast("SessionMachine", machine)
        records = [
            ControlRecord(shop=shop.shop, version=shop.definitions_version, definitions=shop.definitions)
            for shop in self._shops.by_name().values()
            if shop.definitions_version > max(known.version(shop.shop), 0)
        ]
        records.sort(key=lambda record: (record.shop != DEFAULTS, record.shop))
        return [msgspec.json.encode(record) for record in records]

    # -- ports ------------------------------------------------------------------------------------------------------

    def engine(self, partition: int) -> Engine | None:
        """This worker's engine of a partition."""
        machine = self._harness.machine(partition) if self._harness else None
        return cast("SessionMachine", machine).engine if machine is not None else None

    def owner(self, partition: int) -> str | None:
        """host:port of the worker that owns a partition."""
        url = self._harness.owner_url(partition) if self._harness else None
        return url.removeprefix("http://").rstrip("/") if url else None

    def _owned(self) -> list[tuple[Any, SessionMachine]]:
        if self._harness is None:
            return []
        machines = {number: cast("SessionMachine", one.machine) for number, one in self._harness.owned.items()}
        return [
            (numbers, machines[numbers.partition])
            for numbers in self._harness.status().partitions
            if numbers.partition in machines
        ]

    # -- health -----------------------------------------------------------------------------------------------------

    def _unready(self) -> str | None:
        return self._harness.unready() if self._harness else "starting"

    async def _beat(self, server: GrpcServer) -> None:
        while True:
            self._heartbeat.beat()
            await server.tell(serving=self._health.ready().status == "ok")
            await asyncio.sleep(0.5)

    async def _drain(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._health.drain()


def _partitions(kafka: str) -> int:
    """How many partitions the input has. Raises InputError that says what to do when it is not there."""
    topics = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=_ASK_LIMIT_S).topics
    if BATCHES.name not in topics or not topics[BATCHES.name].partitions:
        message = f"topic {BATCHES.name} does not exist: run `relance topics create`"
        raise InputError(message)
    return len(topics[BATCHES.name].partitions)
