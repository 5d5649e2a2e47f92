"""Where stories are cut: at every point that passes while nobody is killed, in shares, or at a few of them."""

import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import pytest
from typing_extensions import override

from services.checkout.domain.orders import Order
from tests.integration.checkout.kills_kit import House, Story
from tests.integration.checkout.wire_kit import Point

__all__ = ["Cut", "Plot", "Share", "Turn", "shares_for"]

ALL_FROM_SEEDS: Final = 10  # `make chaos`: every point once; below that a few, drawn
SAMPLED: Final = 2
LEFT: Final = 3  # of each share, points that nobody comes back after, beside those that somebody does
MISSED_MAX: Final = 0.2  # of a share: what runs beside an order (looks at the bank) does not pass as often each time
SHARE_S: Final = 135.0  # of a share, so that ten of them take less than 25 minutes


class Plot(NamedTuple):
    """Stories of one kind: how one is begun by its name, and in which state each leaves its order."""

    make: Callable[..., Story]
    ends: Mapping[str, str]


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


def shares_for(metafunc: pytest.Metafunc, shares: int) -> list[Share]:
    """The shares of a test: all of them when every point is wanted, else one that draws a few."""
    config = metafunc.config
    seed = random.Random(f"{config.getoption('randomly_seed')}/{metafunc.function.__name__}").randrange(10**6)
    every = config.getoption("--seeds") >= ALL_FROM_SEEDS
    return [Share(seed, number, shares) for number in range(shares)] if every else [Share(seed, 0, 0)]


class Turn:
    """One share of the cuts of a plot, in a house of its own."""

    def __init__(self, home: House, share: Share, plot: Plot) -> None:
        self.home, self.share, self.plot = home, share, plot
        self.orders: list[Order] = []
        self.reached: list[Cut] = []
        self.missed: list[Cut] = []
        self._begun_s = time.monotonic()

    async def find(self) -> list[Cut]:
        """All that passes while nobody is killed: in all stories, or in one where only a few points are cut."""
        cuts: list[Cut] = []
        ends = sorted(self.plot.ends.items())
        for end, state in ends if self.share.of else random.Random(self.share.seed).sample(ends, 1):
            story = self.plot.make(self.home, end)
            self.home.trap.set(None)
            story.begin()
            self.home.trap.set(None)
            story.tell()
            order = await story.settles()
            assert order is not None
            assert order.state == state
            self.orders.append(order)
            cuts += [Cut(end, point) for point in sorted(set(self.home.trap.passed))]
        return cuts

    async def play(self, every: Sequence[Cut]) -> str:
        """Cut them, as many as there is time for; what is to be said of it."""
        cuts = self.share.cuts(every)
        while cuts and len(self.reached) < self.share.most and time.monotonic() - self._begun_s < SHARE_S:
            cut = cuts.pop()
            await self._comes_back(cut)
            if not self.home.trap.sprung and self.share.of:
                await self._comes_back(cut)
            (self.reached if self.home.trap.sprung else self.missed).append(cut)
        left = [self._told_until(cut, leaves=True) for cut in self.share.left(self.reached)]
        self.home.trap.set(None)
        self.home.leap(hours=25)
        self.orders += [found for found in [await story.settles() for story in left] if found is not None]
        told = f"{self.share}: {len(self.reached)} of {len(every)} points, {len(left)} again with nobody who comes back"
        told += f", {time.monotonic() - self._begun_s:.0f} s; not reached: "
        return f"{told}{'; '.join(map(str, self.missed)) or 'none'}; not begun for want of time: {len(cuts)}"

    @property
    def missed_too_many(self) -> bool:
        """Whether the points are not those that pass."""
        return bool(self.share.of) and len(self.missed) > MISSED_MAX * (len(self.reached) + len(self.missed))

    async def _comes_back(self, cut: Cut) -> None:
        """The order of a story that is cut, and goes on."""
        story = self._told_until(cut, leaves=False)
        order = await story.settles()
        assert order is not None, cut
        assert order.state == self.plot.ends[cut.end], cut
        self.orders.append(order)

    def _told_until(self, cut: Cut, *, leaves: bool) -> Story:
        """A story that is cut at the point, where it is reached."""
        print(f"{cut}, {'leaves' if leaves else 'comes back'}")  # noqa: T201 - said when it fails
        self.home.trap.set(None)
        self.home.revive()  # the one before may have been cut as it ended
        story = self.plot.make(self.home, cut.end, leaves=leaves)
        story.begin()
        self.home.trap.set(cut.point, self.home.running.kill)
        story.tell()
        return story
