"""kill -9 at every transition of what follows an order: withdrawals, refunds, credit notes, claims, terminations.

As in `test_service_kills`; whatever was cut, what was stated is on record and acknowledged, each sum goes back once,
each letter is sent under one id, and papers are numbered without a gap.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from relance.events.topics import ALL
from relance.kafka.admin import ensure_topics
from tests.integration.checkout.after_kills_kit import AFTER, AfterStory, numbers_without_gap, told_after
from tests.integration.checkout.cuts_kit import Cut, Plot, Share, Turn, shares_for
from tests.integration.checkout.kills_kit import House, house

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(600)]

TOPICS: Final = {"shop-events", "checkout.orders.v1", "checkout.messages.v1", "notification.outcomes.v1"}
PLOT: Final = Plot(AfterStory, AFTER)
SHARES: Final = 10


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


async def test_killed_at_any_transition_what_follows_an_order_is_done_once(
    home: House, share: Share, every: list[Cut], capsys: pytest.CaptureFixture[str]
) -> None:
    turn = Turn(home, share, PLOT)
    if not every:
        every += await turn.find()
    said = await turn.play(every)
    home.end()
    store = await home.open()
    try:
        await told_after(home.kafka, store, turn.orders)
        await numbers_without_gap(store)
    finally:
        await store.close()
    home.told(turn.orders)
    await home.verify()
    assert turn.reached
    if share.of:
        with capsys.disabled():
            print(f"\n{said}")  # noqa: T201 - all of them take long
    assert not turn.missed_too_many, turn.missed
