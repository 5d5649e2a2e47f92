"""All wiring of the checkout service: one process, one event loop, ended in order by SIGTERM."""

import asyncio
import gc
import hmac
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop
from prometheus_client import CollectorRegistry

from relance.custody.checkpoint_file import CheckpointFile
from relance.events.topics import OUTCOMES
from relance.kernel.errors import InputError, RelanceError
from relance.kernel.settings import explained, read
from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Check, Health, Heartbeat
from relance.observability.loops import Loops
from relance.observability.shutdown import stop_requested, wind_down
from relance.rules.law.book import RULES, Book
from relance.rules.law.calendar import paris_date
from relance.rules.law.checks import MEANINGS
from services.checkout.adapters.inbox import Inbox
from services.checkout.adapters.printing import LegalShelf, Printing
from services.checkout.adapters.relay import Relay
from services.checkout.adapters.stripe_connection import Connection
from services.checkout.adapters.stripe_provider import StripeProvider
from services.checkout.api.checkout import CheckoutServicer, make_servicer
from services.checkout.api.grpc import GrpcEdge
from services.checkout.api.http import HttpEdge, make_webhooks
from services.checkout.api.law import LawServicer
from services.checkout.api.pages import PageSettings, make_pages
from services.checkout.api.tokens import local_token
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.gauging import DayGauges
from services.checkout.application.reviewing import ShopReview
from services.checkout.application.room import Terms
from services.checkout.application.timing import Timekeeper
from services.checkout.application.watching import OutboxGauges
from services.checkout.metrics import AfterMetrics, CallMetrics, DeskMetrics, LawMetrics, StandingMetrics
from services.checkout.settings import Settings
from services.checkout.store import (
    MasterKey,
    Store,
    find_master_key,
    open_store,
    signing_keys,
)
from services.checkout.store.outbox import Outbox
from services.checkout.store.sealing import Sealing

__all__ = ["main"]

_HEARTBEAT_LIMIT_S: Final = 10.0
_BEAT_S: Final = 0.5
_GARBAGE: Final = 20_000  # objects that outlive their call, until it is looked for rings of them: some tens of pages
_GROUP: Final = "checkout"


def main() -> None:
    """Run until SIGTERM; the exit code is 0 after an orderly end, 1 after a defect, 2 for wrong settings or rules."""
    try:
        if (text := explained(Settings, "RELANCE_CHECKOUT", sys.argv[1:])) is not None:
            sys.stdout.write(text)
            return
        settings = read(Settings, "RELANCE_CHECKOUT", os.environ)
        logs.configure("checkout", settings.log_level)
        rules = Path(settings.rules) if settings.rules else RULES
        code = uvloop.run(_Service(settings, _book(rules), rules).run())
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


class _Till:
    """All that needs the database: desk, pages, effects, timers, relay, sealing, inbox."""

    def __init__(
        self, settings: Settings, book: Book, rules: Path, store: Store, master: MasterKey, registry: CollectorRegistry
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._stop = asyncio.Event()
        self._providers = _providers(settings)
        if not self._providers:
            logs.logger("app").warning("no_provider", effect="orders by card or wallet are refused at the click")
        terms = Terms(
            base_url=settings.base_url.rstrip("/"),
            attempts_per_address=settings.attempts_per_address,
            early_look_s=settings.first_look_s,
            lease_s=settings.lease_s,
        )
        self._legal = LegalShelf(book)
        self.desk = Desk(store, book, self._providers, terms, terms_sha256=self._legal.terms_sha256)
        self.printing = Printing(rules, settings.print_limit_s)
        self._cookies = _cookie_secrets(settings, master)
        self.http: HttpEdge | None = None
        self._last_stop = asyncio.Event()
        self._metrics = metrics = DeskMetrics(registry)
        died: Callable[[str], None] = lambda name: metrics.deaths.labels(name).inc()  # noqa: E731
        self._loops, self._last = Loops(died), Loops(died)
        self._troubles: dict[str, Check] = {}
        self._away: list[Check] = []

    def servicer(self) -> CheckoutServicer:
        """CheckoutService over the desk."""
        settings = self._settings
        given = {"operator": settings.operator_token, "notification": settings.notification_token}
        own: Any = {kind: local_token(token, Path(settings.home), kind) for kind, token in given.items()}
        return make_servicer(self.desk, self._store, CallMetrics(self._registry), own)

    async def start(self) -> int:
        """Begin to serve pages and to do what is due; returns the port of the pages."""
        settings, metrics = self._settings, self._metrics
        effects = EffectRunner(self.desk, self.printing.confirmation, metrics, self.printing.paper)
        self._away.append(lambda: effects.problem)
        self._loops.start("effects", effects.run, self._stop)
        clock = Timekeeper(self.desk, metrics)
        self._loops.start("timing", clock.run, self._stop)
        self._troubles["timing"] = lambda: clock.problem
        gauges = DayGauges(self.desk, lambda: clock.daily.ran_at, AfterMetrics(self._registry))
        self._loops.start("worklists", gauges.run, self._stop)
        self._loops.start("standing", ShopReview(self.desk, StandingMetrics(self._registry)).run, self._stop)
        self._seal()
        self._last.start("outbox", OutboxGauges(_outbox(self._store), metrics).run, self._last_stop)
        if settings.kafka:
            self._join_kafka(settings.kafka)
        self.printing.begin()
        self.http = self._edge()
        return await self.http.start(settings.http_host, settings.http_port)

    def _seal(self) -> None:
        settings, home = self._settings, Path(self._settings.home)
        checkpoints = Path(settings.checkpoints) if settings.checkpoints else home / "checkout" / "checkpoints.log"
        key = signing_keys(settings.signing_key, home)
        sealing = Sealing(self._store, CheckpointFile(checkpoints), key)
        self._metrics.sealed.set_function(lambda: sealing.sealed_at_ms / 1000)
        self._troubles["sealing"] = lambda: f"failed {sealing.failures} times" if sealing.failures else None
        self._last.start("sealing", sealing.run, self._last_stop)

    def _join_kafka(self, bootstrap: str) -> None:
        heard = self._metrics.heard
        inbox = Inbox(bootstrap, OUTCOMES.name, _GROUP, self.desk.message_sent, lambda how: heard.labels(how).inc())
        self._troubles["inbox"] = lambda: inbox.problem
        self._loops.start("inbox", inbox.run, self._stop)
        relay = Relay(_outbox(self._store), bootstrap, self._store.said)
        self._metrics.relayed.set_function(lambda: relay.relayed)
        self._troubles["relay"] = lambda: relay.problem
        self._last.start("relay", relay.run, self._last_stop)

    def problem(self) -> str | None:
        """Why this process is not ready, None when it is: a loop has died and is not well again, or what it works on
        is away.
        """
        if self._stop.is_set():
            return None
        found = (self._loops.problem(), self._last.problem(), *(away() for away in self._away))
        return "; ".join(one for one in found if one) or None

    def troubles(self) -> str | None:
        """What is wrong and holds up nobody: what Kafka does not take, what is not sealed yet."""
        found = {name: trouble() for name, trouble in self._troubles.items()}
        return "; ".join(f"{name}: {said}" for name, said in found.items() if said) or None

    def _edge(self) -> HttpEdge:
        settings = self._settings
        origins = [one.strip() for one in settings.stripe_origins.split(",") if one.strip()]
        if settings.bank_url:
            parts = urlsplit(settings.bank_url)
            origins.append(f"{parts.scheme}://{parts.netloc}")
        pages = PageSettings(secrets=self._cookies, payment_origins=tuple(origins))
        return HttpEdge(
            make_pages(self.desk, pages, self._legal),
            make_webhooks(self.desk),
            trusted_proxies=settings.trusted_proxies,
            connections_max=settings.http_connections_max,
            drain_s=settings.drain_s,
        )

    async def stop_serving(self) -> None:
        """Answer the last requests for pages."""
        if self.http is not None:
            await self.http.stop()

    async def stop_working(self) -> None:
        """Finish the effects that are under way."""
        self._stop.set()
        self.desk.nudge()
        await self._loops.ended()

    async def stop_saying(self) -> None:
        """Relay and seal a last time."""
        self._last_stop.set()
        await self._last.ended()

    async def close(self) -> None:
        """Let go of database, provider and printing process."""
        await asyncio.to_thread(self.printing.close)
        for provider in self._providers.values():
            await provider.aclose()
        await self._store.close()


def _outbox(store: Store) -> Outbox:
    return Outbox(store.database, lambda: time.time_ns() // 1_000_000)


def _providers(settings: Settings) -> Mapping[str, StripeProvider]:
    found: dict[str, StripeProvider] = {}
    try:
        if settings.stripe_key:
            secrets = [one.strip() for one in settings.stripe_webhook_secrets.split(",")]
            connection = Connection(settings.stripe_key, settings.stripe_url)
            found["stripe"] = StripeProvider(connection, secrets, timeout_s=settings.psp_timeout_s)
        if settings.bank_url:
            connection = Connection(settings.bank_key, settings.bank_url)
            bank = StripeProvider(connection, [settings.bank_webhook_secret], timeout_s=settings.psp_timeout_s)
            found["simulator"] = bank
    except ValueError as error:
        raise InputError(f"settings of payment: {error}") from None
    return found


def _cookie_secrets(settings: Settings, master: MasterKey) -> tuple[str, ...]:
    given = tuple(one.strip() for one in settings.cookie_secrets.split(",") if one.strip())
    if any(len(one) < 32 for one in given):
        raise InputError("RELANCE_CHECKOUT_COOKIE_SECRETS: each has 32 letters at least")
    return given or (hmac.new(master.secret, b"relance cookies", sha256).hexdigest(),)


class _Service:
    """The parts of the process and the order of their lives."""

    def __init__(self, settings: Settings, book: Book, rules: Path) -> None:
        self._settings = settings
        self._book = book
        self._rules = rules
        self._log = logs.logger("app")
        self._registry = make_registry()
        self._heartbeat = Heartbeat(_HEARTBEAT_LIMIT_S, time.monotonic)
        self._starting: str | None = "starting"
        self._till: _Till | None = None
        self._health = Health(
            live={"loop": self._heartbeat},
            ready={"grpc": lambda: self._starting, "work": lambda: self._of_till(_Till.problem)},
            troubles={"work": lambda: self._of_till(_Till.troubles)},
        )
        self._law = LawServicer(book, _today, LawMetrics(self._registry), settings.request_deadline_s)
        self._exposition = self._expose(self._registry)

    def _of_till(self, ask: Callable[[_Till], str | None]) -> str | None:
        return None if self._till is None else ask(self._till)

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
        beating = asyncio.create_task(self._beat())
        till = self._till = await self._open()
        edge = GrpcEdge(self._law, settings, None if till is None else till.servicer())
        exposition.start()
        http = await till.start() if till is not None else None
        port = await edge.start(settings.host, settings.grpc_port)
        self._starting = None
        gc.collect()
        gc.freeze()  # the book lives as long as the process: it need not be looked through again
        gc.set_threshold(_GARBAGE, 20, 10)
        rules = len(self._book.on(_today()))
        self._log.info("listening", grpc=port, http=http, metrics=exposition.port, rules=rules)
        await stop.wait()
        self._health.drain()
        unfinished = await wind_down(self._ends(edge, till))
        beating.cancel()
        exposition.close()
        return 1 if unfinished else 0

    async def _open(self) -> _Till | None:
        """The till, when there is a database. Raises InputError, NotNow."""
        settings = self._settings
        if not settings.database:
            return None
        master = find_master_key(settings.master_key, Path(settings.home))
        store = await open_store(
            settings.database, master, migrate=settings.migrate, connections=settings.connections
        )  # fmt: skip
        return _Till(settings, self._book, self._rules, store, master, self._registry)

    def _ends(self, edge: GrpcEdge, till: _Till | None) -> list[tuple[str, Callable[[], Awaitable[object]], float]]:
        limit_s = self._settings.drain_s + 2
        ends: list[tuple[str, Callable[[], Awaitable[object]], float]] = [("say_not_serving", edge.drain, 1.0)]
        if till is not None:
            ends.append(("answer_the_last_pages", till.stop_serving, limit_s))
        ends.append(("answer_the_last", edge.stop, limit_s))
        if till is not None:
            ends += [
                ("finish_effects", till.stop_working, self._settings.psp_timeout_s + 2),
                ("say_the_last", till.stop_saying, limit_s),
                ("close", till.close, 5.0),
            ]
        return ends

    async def _beat(self) -> None:
        while True:
            self._heartbeat.beat()
            await asyncio.sleep(_BEAT_S)
