"""The Faust app as the harness needs it: every setting that differs from Faust's own has its reason here."""

from collections.abc import Callable

import faust
import mode
from faust.types import TP

from relance.kafka.harness.settings import HarnessSettings
from relance.kafka.harness.vault import VaultTable

__all__ = ["generation", "input_partitions", "make_app", "make_table", "prepare_consumer"]

_FETCH_WAIT_MS = 200


def make_app(settings: HarnessSettings) -> faust.App:
    """An app with neither web server nor topic creation."""
    return faust.App(
        settings.app_id,
        broker=[f"kafka://{host.strip()}" for host in settings.kafka.split(",")],
        store="memory://",
        datadir=settings.datadir,
        autodiscover=False,
        web_enabled=False,  # its table pages are open to everyone
        canonical_url=settings.advertised or "http://localhost",
        topic_partitions=settings.partitions,
        topic_allow_declare=False,  # a topic made after the start is not seen for minutes
        topic_disable_leader=True,
        table_standby_replicas=0,  # in memory they are thrown away when they would be needed
        stream_wait_empty=False,  # True hangs a rebalance while anything is unacknowledged, and here all is
        stream_buffer_maxsize=16,  # less to skip and to redo at a rebalance
        agent_supervisor=mode.CrashingSupervisor,  # the default restarts an agent past the record that it failed at
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_request_timeout=settings.request_timeout_s,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_commit_interval=1.0,  # commits nothing, since nothing is acknowledged; the harness commits
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4_194_304,
        producer_acks=-1,
        producer_request_timeout=settings.changelog_timeout_s,  # the default hides a refused write for 20 minutes
        producer_max_request_size=4_194_304,
    )


def make_table(app: faust.App, settings: HarnessSettings) -> VaultTable:
    """The table of checkpoints; keys and values are bytes as they are."""
    table = VaultTable(
        app,
        name=settings.table,
        schema=faust.Schema(key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"),
        key_type=bytes,
        value_type=bytes,
        partitions=settings.partitions,
        recovery_buffer_size=4,  # values are large: a thousand of them would be half a gigabyte
    )
    app.tables.add(table)
    return table


def generation(app: faust.App) -> int:
    """The group generation that this worker is in at the moment, negative when the group does not know it any more."""
    consumer = app.consumer._thread._consumer
    return -1 if consumer is None else int(consumer._coordinator.generation)


def prepare_consumer(app: faust.App, settled: Callable[[], bool]) -> None:
    """Set what Faust has no settings for, in a consumer that has started. What is prepared stays as it is.

    - The broker answers a fetch that finds nothing after a fifth of a second, not Faust's one and a half. Until it has
      answered, nothing else is fetched from it: each rebalance would wait for that long before it reads on.
    - Faust seeks to the committed offsets only where it must: after a rebalance, when all is `settled`. Its reader also
      seeks on its own when it is stopped in the middle of a fetch. It then asks for offsets of an assignment that is
      being replaced, and nobody ever answers: nothing would be read again.
    """
    consumer = app.consumer
    if "perform_seek" in vars(consumer):
        return
    consumer._thread._consumer._fetcher._fetch_max_wait_ms = _FETCH_WAIT_MS
    seek = consumer.perform_seek

    async def perform_seek() -> None:
        if settled():
            await seek()

    consumer.perform_seek = perform_seek


def input_partitions(app: faust.App, topic: str) -> dict[int, TP]:
    """The partitions of a topic that are assigned to this worker."""
    return {tp.partition: tp for tp in app.consumer.assignment() if tp.topic == topic}
