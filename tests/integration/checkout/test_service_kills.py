"""kill -9 at every transition of an order, from outside: before and after each commit, and each call of the bank.

What cuts is beside the service, on its wires to PostgreSQL and to the bank. It is started anew, and the shopper and his
shop come back or do not: the order finishes or lapses, and money, stock, evidence and what was said agree.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from relance.events.topics import ALL
from relance.kafka.admin import ensure_topics
from tests.integration.checkout.cuts_kit import Cut, Plot, Share, Turn, shares_for
from tests.integration.checkout.kills_kit import House, Story, house

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(600)]

TOPICS: Final = {"shop-events", "checkout.orders.v1", "checkout.messages.v1", "notification.outcomes.v1"}
PLOT: Final = Plot(Story, {"sent": "delivered", "cancelled": "cancelled"})
SHARES: Final = 10  # into which every point is divided, each with a service and a database of its own


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("share", shares_for(metafunc, SHARES), ids=str)


@pytest.fixture
def home(tmp_path: Path, kafka: str, fresh_postgres: Callable[[], str]) -> Iterator[House]:
    ensure_topics(kafka, topics=[topic for topic in ALL if topic.name in TOPICS])
    with house(tmp_path, kafka, fresh_postgres()) as made:
        yield made


@pytest.fixture(scope="module")
def every() -> list[Cut]:
    """All that passes in the stories while nobody is killed; found by the first test, and the same for all shares."""
    return []


async def test_killed_at_any_transition_an_order_finishes_or_lapses(
    home: House, share: Share, every: list[Cut], capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(home, share, PLOT)
    if not every:
        every += await turn.find()
    said = await turn.play(every)
    home.end()
    home.told(turn.orders)
    await home.verify()
    assert turn.reached
    if share.of:
        with capsys.disabled():
            print(f"\n{said}")  # noqa: T201 - all of them take long
    assert not turn.missed_too_many, turn.missed
