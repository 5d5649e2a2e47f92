"""All wiring of the checkout service: one process, one event loop, ended in order by SIGTERM."""

import asyncio
import gc
import os
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import uvloop
from prometheus_client import CollectorRegistry

from relance.kernel.errors import InputError, RelanceError
from relance.kernel.settings import read
from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Health, Heartbeat
from relance.observability.shutdown import stop_requested, wind_down
from relance.rules.law.book import RULES, Book
from relance.rules.law.calendar import paris_date
from relance.rules.law.checks import MEANINGS
from services.checkout.api.grpc import GrpcEdge
from services.checkout.api.law import LawServicer
from services.checkout.metrics import LawMetrics
from services.checkout.settings import Settings

__all__ = ["main"]

_HEARTBEAT_LIMIT_S: Final = 10.0
_BEAT_S: Final = 0.5


def main() -> None:
    """Run until SIGTERM; the exit code is 0 after an orderly end, 1 after a defect, 2 for wrong settings or rules."""
    try:
        settings = read(Settings, "RELANCE_CHECKOUT", os.environ)
        logs.configure("checkout", settings.log_level)
        book = _book(Path(settings.rules) if settings.rules else RULES)
        code = uvloop.run(_Service(settings, book).run())
    except RelanceError as error:
        sys.stderr.write(f"checkout: {error}\n")
        code = 2 if isinstance(error, InputError) else 1
    sys.exit(code)


def _book(directory: Path) -> Book:
    """The book of law. Raises InputError for a rule that cannot be used or that nothing here enforces."""
    book = Book.load(directory)
    for rule in book.all():
        if rule.severity != "out" and rule.id not in MEANINGS:
            raise InputError(f"{directory}: rule {rule.id} is to {rule.severity}, and nothing here knows its meaning")
    return book


def _today() -> date:
    return paris_date(datetime.now(UTC))


class _Service:
    """The parts of the process and the order of their lives."""

    def __init__(self, settings: Settings, book: Book) -> None:
        self._settings = settings
        self._log = logs.logger("app")
        registry = make_registry()
        self._heartbeat = Heartbeat(_HEARTBEAT_LIMIT_S, time.monotonic)
        self._starting: str | None = "starting"
        self._health = Health(live={"loop": self._heartbeat}, ready={"grpc": lambda: self._starting})
        self._law = LawServicer(book, _today, LawMetrics(registry), settings.request_deadline_s)
        self._exposition = self._expose(registry)
        self._rules = len(book.on(_today()))

    def _expose(self, registry: CollectorRegistry) -> Exposition:
        host, port = self._settings.metrics_host, self._settings.metrics_port
        try:
            return Exposition(host, port, registry, self._health)
        except OSError as error:
            raise InputError(f"cannot listen on {host}:{port} for metrics: {error.strerror}") from None

    async def run(self) -> int:
        """Start, serve, end; returns the exit code."""
        settings, exposition = self._settings, self._exposition
        stop = stop_requested(asyncio.get_running_loop())
        edge = GrpcEdge(self._law, settings)
        exposition.start()
        port = await edge.start(settings.host, settings.grpc_port)
        self._starting = None
        beating = asyncio.create_task(self._beat())
        gc.collect()
        gc.freeze()  # the book lives as long as the process: it need not be looked through again
        self._log.info("listening", grpc=port, metrics=exposition.port, rules=self._rules)
        await stop.wait()
        self._health.drain()
        unfinished = await wind_down(
            [
                ("say_not_serving", edge.drain, 1.0),
                ("answer_the_last", edge.stop, settings.drain_s + 2),
            ]
        )
        beating.cancel()
        exposition.close()
        return 1 if unfinished else 0

    async def _beat(self) -> None:
        while True:
            self._heartbeat.beat()
            await asyncio.sleep(_BEAT_S)
