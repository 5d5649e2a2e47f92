"""What the tests of the checkout begin with: databases, a clock, a store by that clock, and a shop that is open."""

from collections.abc import AsyncIterator

import pytest

from relance.kernel.instants import to_ms
from services.checkout.application.desk import Desk
from services.checkout.store import MasterKey, Store, open_store
from tests.integration.checkout.desk_kit import Clock, open_shop
from tests.integration.checkout.postgres import database_url, fresh_postgres, postgres
from tests.integration.checkout.service_kit import demo, other, service

__all__ = ["clock", "database_url", "demo", "desk", "fresh_postgres", "other", "postgres", "service", "store"]


@pytest.fixture
def clock() -> Clock:
    """Where no test has a clock of its own: one that stands."""
    return Clock()


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
