"""A mail server, checkout's documents and a sender for each test of notification."""

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry

from relance.events.messages import MessageOutcome, MessageRequest, decode_outcome, encode
from relance.events.topics import MESSAGES, OUTCOMES
from relance.kernel.settings import read
from services.notification.adapters.dkim_keys import DkimKeys
from services.notification.adapters.documents import CheckoutDocuments
from services.notification.adapters.mail.registry import load_kinds
from services.notification.adapters.smtp import SmtpPool
from services.notification.application.hearing import Hearing
from services.notification.application.preparing import Preparing
from services.notification.application.reporting import Reporting
from services.notification.application.sending import Limits, Parts, Sending
from services.notification.domain.deliveries import Source
from services.notification.domain.failures import Schedule
from services.notification.domain.pacing import Pace
from services.notification.domain.senders import read_senders
from services.notification.metrics import Metrics
from services.notification.ports import Queued
from services.notification.settings import Settings
from services.notification.store.ledger import Ledger
from services.notification.store.opening import open_engine
from tests.integration.checkout.postgres import database_url, fresh_postgres, postgres
from tests.integration.notification.mail_kit import (
    SECRET,
    MailServer,
    Shelf,
    house,
    mail_server,
    sender_document,
    shelf_server,
)  # fmt: skip

__all__ = ["database_url", "fresh_postgres", "postgres"]


class Clock:
    """Milliseconds that only a test moves."""

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.ms


class Office(NamedTuple):
    """A notification service without Kafka, in the test's own loop."""

    ledger: Ledger
    sending: Sending
    hearing: Hearing
    reporting: Reporting
    clock: Clock
    registry: CollectorRegistry
    offsets: list[int]
    mailer: SmtpPool

    async def hear(self, *requests: MessageRequest) -> None:
        records = [(Source(MESSAGES.name, 0, len(self.offsets) + n), encode(each)) for n, each in enumerate(requests)]
        self.offsets.extend(range(len(requests)))
        await self.hearing.take(records)

    async def step(self) -> None:
        """Send what is due, to the end of each attempt."""
        await self.sending.resolve()
        while await self.sending.begin():
            await self.sending.drain()

    async def state(self, request: MessageRequest) -> str:
        found = await self.ledger.state(request.id)
        return "" if found is None else found.state

    async def said(self) -> list[Queued]:
        return await self.ledger.queued(1_000)

    async def outcomes(self) -> list[MessageOutcome]:
        return [decode_outcome(row.value) for row in await self.said() if row.topic == OUTCOMES.name]

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"relance_notification_{name}", labels) or 0.0


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture(scope="session")
def shelves() -> Iterator[tuple[Shelf, str]]:
    with shelf_server() as running:
        yield running


@pytest.fixture
def shelf(shelves: tuple[Shelf, str]) -> Iterator[Shelf]:
    yield shelves[0]
    shelves[0].lies, shelves[0].away = False, 0


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    place = tmp_path_factory.mktemp("notification")
    return place, house(place)


@pytest.fixture
async def open_office(
    home: tuple[Path, dict[str, str]], shelves: tuple[Shelf, str], server: MailServer, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Office]]]:
    """Makes offices: `await open_office(RELANCE_NOTIFICATION_SMTP_TLS="starttls", database=url)`."""
    made: list[tuple[Office, SmtpPool, CheckoutDocuments]] = []

    async def make(*, database: str = "", at_once: int = 4, pace: Pace | None = None, **variables: str) -> Office:
        environ = home[1] | {"RELANCE_NOTIFICATION_SMTP_PORT": str(server.port)} | variables
        settings = read(Settings, "RELANCE_NOTIFICATION", environ)
        ledger = Ledger(await open_engine(database or f"sqlite:///{tmp_path}/notification.db", 8), load_kinds())
        registry = CollectorRegistry()
        metrics, clock, secret = Metrics(registry), Clock(), SECRET.encode()
        senders = read_senders(sender_document())
        mailer = SmtpPool(settings)
        documents = CheckoutDocuments(shelves[1], "token", 5.0)
        preparing = Preparing(senders, documents, DkimKeys(home[0] / "dkim", senders.values()), secret, metrics)
        limits = Limits(at_once, 30.0, settings.smtp_answer_s, settings.uncertain_s, 0.05, Schedule())
        parts = Parts(ledger, preparing, mailer, pace or Pace(4, 0), metrics, load_kinds(), lambda: True)
        sending = Sending(parts, limits, clock, random.Random(7).random)
        hearing = Hearing(ledger, secret, metrics, clock, sending.wake)
        office = Office(
            ledger,
            sending,
            hearing,
            Reporting(ledger, load_kinds(), secret, metrics, clock),
            clock,
            registry,
            [],
            mailer,
        )
        made.append((office, mailer, documents))
        return office

    yield make
    for office, mailer, documents in made:
        await office.sending.cancel()
        await mailer.close()
        await documents.close()
        await office.ledger.close()


@pytest.fixture
async def office(open_office: Callable[..., Awaitable[Office]]) -> Office:
    return await open_office()
