"""What the tests of the checkout begin with: databases, a clock, a store by it, a shop that is open, and its bank."""

from collections.abc import AsyncIterator, Iterator

import pytest

from relance.kernel.instants import to_ms
from services.checkout.application.desk import Desk
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of, running_bank
from tests.integration.checkout.desk_kit import Clock, now_utc, open_shop
from tests.integration.checkout.payments_kit import Till, open_till
from tests.integration.checkout.postgres import database_url, fresh_postgres, postgres
from tests.integration.checkout.service_kit import demo, other, service

__all__ = [
    "bank", "clock", "database_url", "demo", "desk", "fresh_postgres", "other", "postgres", "service", "store", "till",
]  # fmt: skip


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    """Where a file has no bank of its own: one for all of its tests."""
    with running_bank() as running:
        yield running


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """Where no test has a clock of its own: one that stands, or begins now beside a bank, which knows no other day."""
    return Clock(now_utc()) if "bank" in request.fixturenames else Clock()


@pytest.fixture
async def store(database_url: str, clock: Clock) -> AsyncIterator[Store]:
    """An empty store, on each database in turn."""
    opened = await open_store(database_url, MasterKey(b"k" * 32), now_ms=lambda: to_ms(clock.at))
    yield opened
    await opened.close()


@pytest.fixture
async def desk(store: Store, clock: Clock) -> Desk:
    """The shop of the kit, open."""
    return await open_shop(store, clock)


@pytest.fixture
async def till(store: Store, clock: Clock, bank: RunningBank) -> AsyncIterator[Till]:
    """The shop of the kit with its bank, and a door for the bank's webhooks."""
    async with Receiver() as door, provider_of(bank.url, now=clock) as provider:
        yield await open_till(store, clock, bank, door, provider)
        bank.control("webhooks", url="")
