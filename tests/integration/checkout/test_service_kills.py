"""kill -9 at every transition of an order, from outside: before and after each commit, and each call of the bank.

What cuts is beside the service, on its wires to PostgreSQL and to the bank. It is started anew, and the shopper and his
shop come back or do not: the order finishes or lapses, and money, stock, evidence and what was said agree.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from typing_extensions import override

from relance.events.topics import ALL
from relance.kafka.admin import ensure_topics
from services.checkout.domain.orders import Order
from tests.integration.checkout.kills_kit import House, Story, house
from tests.integration.checkout.wire_kit import Point

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.timeout(600)]

ENDS: Final = {"sent": "delivered", "cancelled": "cancelled"}  # how a story ends, and the state of its order then
TOPICS: Final = {"shop-events", "checkout.orders.v1", "checkout.messages.v1", "notification.outcomes.v1"}
ALL_FROM_SEEDS: Final = 10  # `make chaos`: every point once; below that a few, drawn
SHARES: Final = 10  # into which every point is divided, each with a service and a database of its own
SAMPLED: Final = 2
LEFT: Final = 3  # of each share, points that nobody comes back after, beside those that somebody does
MISSED_MAX: Final = 0.2  # of a share: what runs beside an order (looks at the bank) does not pass as often each time
SHARE_S: Final = 135.0  # of a share, so that all of them take less than 25 minutes


class Cut(NamedTuple):
    """One story, and where it is cut."""

    end: str
    point: Point

    @override
    def __str__(self) -> str:
        return f"{self.end}: {self.point.moment} {self.point.name} {self.point.number}"


class Share(NamedTuple):
    """The `number`-th part of all cuts, of `of`; or a few that are drawn, where `of` is 0."""

    seed: int
    number: int
    of: int

    @override
    def __str__(self) -> str:
        return f"{self.number + 1}of{self.of}-seed={self.seed}" if self.of else f"seed={self.seed}"

    @property
    def most(self) -> int:
        """How many are to be reached."""
        return SAMPLED if not self.of else sys.maxsize

    def cuts(self, every: Sequence[Cut]) -> list[Cut]:
        """Whose turn it is, those to begin with at the end. A few are drawn of what differs, and in a share what
        differs comes first: most commits are of the queues.
        """
        drawn = self._drawn(every[self.number :: self.of or 1], None)
        if self.of:
            return sorted(drawn, key=lambda cut: -cut.point.number)
        return self._drawn([*{(cut.end, cut.point.name, cut.point.moment): cut for cut in drawn}.values()], None)

    def left(self, reached: Sequence[Cut]) -> list[Cut]:
        """Those that are cut once more, and nobody comes back."""
        return self._drawn(reached, min(len(reached), LEFT if self.of else 1))

    def _drawn(self, cuts: Sequence[Cut], count: int | None) -> list[Cut]:
        return random.Random(self.seed + self.number).sample(cuts, len(cuts) if count is None else count)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    seed = random.Random(f"{config.getoption('randomly_seed')}/{metafunc.function.__name__}").randrange(10**6)
    every = config.getoption("--seeds") >= ALL_FROM_SEEDS
    shares = [Share(seed, number, SHARES) for number in range(SHARES)] if every else [Share(seed, 0, 0)]
    metafunc.parametrize("share", shares, ids=str)


@pytest.fixture
def home(tmp_path: Path, kafka: str, fresh_postgres: Callable[[], str]) -> Iterator[House]:
    ensure_topics(kafka, topics=[topic for topic in ALL if topic.name in TOPICS])
    with house(tmp_path, kafka, fresh_postgres()) as made:
        yield made


@pytest.fixture(scope="module")
def every() -> list[Cut]:
    """All that passes in the stories while nobody is killed; found by the first test, and the same for all shares."""
    return []


async def _found(home: House) -> tuple[list[Cut], list[Order]]:
    """All that passes while nobody is killed, and the orders that it was found with."""
    cuts, orders = [], []
    for end, state in ENDS.items():
        home.trap.set(None)
        story = Story(home, end)
        story.tell()
        order = await story.settles()
        assert order is not None
        assert order.state == state
        orders.append(order)
        cuts += [Cut(end, point) for point in sorted(set(home.trap.passed))]
    return cuts, orders


async def test_killed_at_any_transition_an_order_finishes_or_lapses(
    home: House, share: Share, every: list[Cut], capsys: pytest.CaptureFixture[str]
) -> None:
    begun_s = time.monotonic()
    orders: list[Order] = []
    if not every:
        found, orders = await _found(home)
        every += found
    reached: list[Cut] = []
    missed: list[Cut] = []
    cuts = share.cuts(every)
    while cuts and len(reached) < share.most and time.monotonic() - begun_s < SHARE_S:
        cut = cuts.pop()
        orders.append(await _comes_back(home, cut))
        if not home.trap.sprung and share.of:
            orders.append(await _comes_back(home, cut))
        (reached if home.trap.sprung else missed).append(cut)
    left = [_told_until(home, cut, leaves=True) for cut in share.left(reached)]
    home.trap.set(None)
    home.leap(hours=25)
    orders += [found for found in [await story.settles() for story in left] if found is not None]
    home.end()
    home.told(orders)
    await home.verify()
    assert reached
    if share.of:
        told = f"{share}: {len(reached)} of {len(every)} points, {len(left)} again with nobody who comes back"
        told += f", {time.monotonic() - begun_s:.0f} s; not reached: {'; '.join(map(str, missed)) or 'none'}"
        with capsys.disabled():
            print(f"\n{told}; not begun for want of time: {len(cuts)}")  # noqa: T201 - all of them take long
        assert len(missed) <= MISSED_MAX * (len(reached) + len(missed)), missed


async def _comes_back(home: House, cut: Cut) -> Order:
    """The order of a story that is cut, and goes on."""
    story = _told_until(home, cut, leaves=False)
    order = await story.settles()
    assert order is not None, cut
    assert order.state == ENDS[cut.end], cut
    return order


def _told_until(home: House, cut: Cut, *, leaves: bool) -> Story:
    """A story that is cut at the point, where it is reached."""
    print(f"{cut}, {'leaves' if leaves else 'comes back'}")  # noqa: T201 - said when it fails
    home.trap.set(None)
    home.revive()  # the one before may have been cut as it ended
    home.trap.set(cut.point, home.running.kill)
    story = Story(home, cut.end, leaves)
    story.tell()
    return story
