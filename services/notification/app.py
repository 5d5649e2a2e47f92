"""All wiring of the notification service: one process, one event loop, ended in order by SIGTERM."""

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import uvloop
import yaml
from prometheus_client import CollectorRegistry

from relance.custody.secret_files import kept_secret
from relance.kernel.errors import Defect, InputError, NotNow, RelanceError
from relance.kernel.settings import explained, read
from relance.observability import logs
from relance.observability.exposition import Exposition, make_registry
from relance.observability.health import Health, Heartbeat
from relance.observability.shutdown import stop_requested, wind_down
from services.notification.adapters.dkim_keys import DkimKeys, make_key, make_missing, record_of
from services.notification.adapters.documents import CheckoutDocuments
from services.notification.adapters.inbox import Inbox
from services.notification.adapters.mail.registry import load_kinds
from services.notification.adapters.maildir import Maildir
from services.notification.adapters.relay import Relay
from services.notification.adapters.smtp import SmtpPool
from services.notification.application.hearing import Hearing
from services.notification.application.preparing import Preparing
from services.notification.application.reporting import Reporting
from services.notification.application.sending import Limits, Parts, Sending
from services.notification.domain.addresses import address_hash, parse_address
from services.notification.domain.failures import Schedule
from services.notification.domain.pacing import Pace
from services.notification.domain.reports import BYTES_MAX
from services.notification.domain.senders import DkimKey, Sender, read_senders
from services.notification.metrics import Metrics
from services.notification.settings import Settings
from services.notification.store.ledger import Ledger
from services.notification.store.opening import open_engine

__all__ = ["main"]

_HEARTBEAT_LIMIT_S: Final = 10.0
_BEAT_S: Final = 0.5
_COUNT_S: Final = 5.0
_DAY_MS: Final = 86_400_000
_TEMPORARY: Final = 75  # sysexits.h: a mail server that pipes a report here tries again
_COMMANDS: Final = (
    "commands: key DOMAIN [SELECTOR], bounce FILE (- for standard input), lift SHOP ADDRESS, again REQUEST|dead, "
    "erase SHOP ORDER"
)


def main() -> None:
    """Serve until SIGTERM, or run one command. The exit code is 0 after an orderly end, 1 after a defect, 2 for wrong
    settings or a wrong command, 75 when a command is to be repeated.
    """
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(f"{_COMMANDS}\n\n{explained(Settings, 'RELANCE_NOTIFICATION', arguments)}")
        return
    try:
        code = _command(arguments) if arguments else _serve()
    except RelanceError as error:
        sys.stderr.write(f"notification: {error}\n")
        code = 2 if isinstance(error, InputError) else _TEMPORARY if isinstance(error, NotNow) and arguments else 1
    sys.exit(code)


def _settings() -> Settings:
    settings = read(Settings, "RELANCE_NOTIFICATION", os.environ)
    logs.configure("notification", settings.log_level)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # that the tables are up to date is no news
    return settings


def _serve() -> int:
    settings = _settings()
    return uvloop.run(_Service(settings).run())


def _command(arguments: list[str]) -> int:
    match arguments:
        case ["key", domain] | ["key", domain, _]:
            directory = _settings().keys_directory
            key = DkimKey(domain, *arguments[2:])
            parse_address(f"a@{domain}")
            made = make_key(directory, key)
            sys.stderr.write(f"{made}: keep it secret; publish this record, then name the key in senders\n")
            sys.stdout.write(record_of(directory, key) + "\n")
            return 0
        case ["again", "dead"]:
            sys.stdout.write(asyncio.run(_with_ledger(_settings(), lambda ledger, _: _again(ledger, None))))
            return 0
        case ["again", request]:
            id_ = _uuid(request)
            sys.stdout.write(asyncio.run(_with_ledger(_settings(), lambda ledger, _: _again(ledger, id_))))
            return 0
        case ["erase", shop, order]:
            order_id = _uuid(order)
            sys.stdout.write(asyncio.run(_with_ledger(_settings(), lambda ledger, _: _erase(ledger, shop, order_id))))
            return 0
        case ["bounce", name]:
            raw = sys.stdin.buffer.read(BYTES_MAX + 1) if name == "-" else _file(Path(name))
            sys.stdout.write(asyncio.run(_with_ledger(_settings(), lambda ledger, made: _bounce(ledger, made, raw))))
            return 0
        case ["lift", shop, address]:
            sys.stdout.write(
                asyncio.run(_with_ledger(_settings(), lambda ledger, made: _lift(ledger, made, shop, address)))
            )
            return 0
    raise InputError(_COMMANDS)


async def _with_ledger(settings: Settings, act: Callable[[Ledger, Settings], Awaitable[str]]) -> str:
    ledger = Ledger(await open_engine(settings.database_url, 1), load_kinds())
    try:
        return await act(ledger, settings)
    finally:
        await ledger.close()


async def _bounce(ledger: Ledger, settings: Settings, raw: bytes) -> str:
    reporting = Reporting(ledger, load_kinds(), _secret(settings), Metrics(CollectorRegistry()), _now_ms)
    return await reporting.take(raw) + "\n"


async def _lift(ledger: Ledger, settings: Settings, shop: str, address: str) -> str:
    digest = address_hash(_secret(settings), shop, parse_address(address))
    return f"{await ledger.lift(shop, digest)}\n"


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(BYTES_MAX + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _secret(settings: Settings) -> bytes:
    return (settings.secret or kept_secret(settings.room / "secret")).encode()


def _senders(path: Path) -> dict[str, Sender]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"senders: {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"senders: {path}: not YAML: {' '.join(str(error).split())}") from None
    return read_senders(document)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class _Service:
    """The parts of the process and the order of their lives."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = _secret(settings)
        self._senders = _senders(settings.senders_file)
        if settings.make_keys:
            make_missing(settings.keys_directory, self._senders.values())
        self._keys = DkimKeys(settings.keys_directory, self._senders.values())
        self._log = logs.logger("app")
        registry = make_registry()
        self._metrics = Metrics(registry)
        self._heartbeat = Heartbeat(_HEARTBEAT_LIMIT_S, time.monotonic)
        self._unready: str | None = "starting"
        self._health = Health(live={"loop": self._heartbeat}, ready={"database": lambda: self._unready})
        self._exposition = self._expose(registry)
        self._stop = asyncio.Event()
        self._quiet = asyncio.Event()  # nothing new is said: what the outbox holds is the last

    def _expose(self, registry: CollectorRegistry) -> Exposition:
        host, port = self._settings.metrics_host, self._settings.metrics_port
        try:
            return Exposition(host, port, registry, self._health)
        except OSError as error:
            raise InputError(f"cannot listen on {host}:{port} for metrics: {error.strerror}") from None

    async def run(self) -> int:
        """Start, serve, end; returns the exit code."""
        settings = self._settings
        self._stop = stop_requested(asyncio.get_running_loop())
        ledger = Ledger(await open_engine(settings.database_url, settings.connections), load_kinds())
        mailer = SmtpPool(settings)
        token = settings.checkout_token or kept_secret(Path(settings.home) / "checkout" / "notification.token")
        documents = CheckoutDocuments(settings.checkout, token, settings.checkout_timeout_s)
        preparing = Preparing(self._senders, documents, self._keys, self._secret, self._metrics)
        pace = Pace(settings.domain_at_once, settings.domain_per_minute)
        reporting = Reporting(ledger, load_kinds(), self._secret, self._metrics, _now_ms)
        maildir = Maildir(Path(settings.bounces), reporting.take, settings.poll_s) if settings.bounces else None
        parts = Parts(
            ledger, preparing, mailer, pace, self._metrics, load_kinds(), lambda: maildir is None or maildir.is_read
        )
        sending = Sending(parts, self._limits(), _now_ms, random.SystemRandom().random)
        hearing = Hearing(ledger, self._secret, self._metrics, _now_ms, sending.wake)
        inbox = Inbox(settings.kafka, settings.group, hearing.take)
        relay = Relay(settings.kafka, ledger)
        self._exposition.start()
        running: list[Coroutine[Any, Any, None]] = [
            inbox.run(self._stop), sending.run(self._stop), self._beat(), self._count(ledger),
        ]  # fmt: skip
        if maildir is not None:
            running.append(maildir.run(self._stop))
        tasks = [asyncio.create_task(part) for part in running]
        said = asyncio.create_task(relay.run(self._quiet))
        self._unready = None
        self._log.info("sending", metrics=self._exposition.port, shops=sorted(self._senders))
        failed = await self._until_the_end([*tasks, said])
        self._health.drain()
        unfinished = await wind_down(
            [
                ("finish_what_is_sent", sending.drain, settings.drain_s),
                ("break_off_the_rest", sending.cancel, 5.0),
                ("end_the_parts", lambda: _gathered(tasks), 15.0),
                ("say_the_last", lambda: self._say_the_last(said), 10.0),
                ("leave_the_server", mailer.close, 5.0),
                ("leave_checkout", documents.close, 5.0),
                ("leave_kafka", lambda: asyncio.to_thread(relay.close), 10.0),
                ("close_the_ledger", ledger.close, 5.0),
            ]
        )
        self._exposition.close()
        return 1 if unfinished or failed else 0

    def _limits(self) -> Limits:
        settings = self._settings
        schedule = Schedule(settings.greylisted_s, settings.deferred_s, settings.away_s, settings.longest_s)
        return Limits(
            settings.at_once, settings.claim_s, settings.smtp_answer_s, settings.uncertain_s, settings.poll_s, schedule
        )

    async def _until_the_end(self, tasks: list[asyncio.Task[None]]) -> bool:
        """Until the end is asked for, or a part ends by itself, which is a failure."""
        asked = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
        self._stop.set()
        broken = [task for task in done if task is not asked]
        for task in broken:
            error = task.exception() or Defect("a part ended by itself")
            self._log.error("part_failed", error=str(error))
        await asked
        return bool(broken)

    async def _say_the_last(self, said: asyncio.Task[None]) -> None:
        self._quiet.set()
        await said

    async def _beat(self) -> None:
        while not self._stop.is_set():
            self._heartbeat.beat()
            await asyncio.sleep(_BEAT_S)

    async def _forget(self, ledger: Ledger) -> None:
        """A few at a time: requests that go on wait for these rows."""
        forgotten, dropped = self._settings.forget_days, self._settings.drop_days
        while not self._stop.is_set() and await ledger.forget(_now_ms() - forgotten * _DAY_MS):
            self._heartbeat.beat()
        while not self._stop.is_set() and await ledger.drop(_now_ms() - dropped * _DAY_MS):
            self._heartbeat.beat()

    async def _count(self, ledger: Ledger) -> None:
        forgets_at_s = 0.0
        while not self._stop.is_set():
            try:
                counts = await ledger.open_counts(_now_ms())
                for state in ("queued", "claimed", "sending"):
                    self._metrics.open.labels(state).set(counts.get(state, (0, 0))[0])
                self._metrics.oldest.set(max((age for _, age in counts.values()), default=0) / 1_000)
                self._metrics.unsaid.set(await ledger.unsaid())
                if time.monotonic() > forgets_at_s:
                    await self._forget(ledger)
                    forgets_at_s = time.monotonic() + 3_600
                self._unready = None
            except NotNow as error:
                self._unready = str(error)
            await _sleep(self._stop, _COUNT_S)


async def _again(ledger: Ledger, request: UUID | None) -> str:
    return f"{await ledger.send_again(request, _now_ms())}\n"


async def _erase(ledger: Ledger, shop: str, order: UUID) -> str:
    return f"{await ledger.erase(shop, order)}\n"


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InputError(f"an id is a UUID, not {text[:80]!r}") from None


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _gathered(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
