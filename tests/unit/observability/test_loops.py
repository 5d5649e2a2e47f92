"""Loops that never should end: begun again when they die, and seen meanwhile."""

import asyncio
from collections import Counter

from relance.observability.loops import Loop, Loops


async def until(holds: object, timeout_s: float = 5.0) -> None:
    assert callable(holds)
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what it waits for says nothing by itself
            await asyncio.sleep(0.005)


def dying(times: int, began: list[int]) -> Loop:
    """A loop that dies so often before it works."""

    async def run(stop: asyncio.Event) -> None:
        began.append(1)
        if len(began) <= times:
            raise ValueError("a row that nobody can read")
        await stop.wait()

    return run


async def test_a_loop_that_dies_is_begun_again_after_pauses_and_is_seen() -> None:
    deaths: Counter[str] = Counter()
    stop, began = asyncio.Event(), list[int]()
    loops = Loops(lambda name: deaths.update([name]), first_s=0.02)
    loops.start("relay", dying(3, began), stop)
    await until(lambda: loops.problem() is not None)
    assert loops.problem() == "relay: died of ValueError"
    await until(lambda: len(began) == 4 and loops.problem() is None)
    assert deaths == {"relay": 3}
    stop.set()
    await loops.ended()
    assert loops.problem() is None


async def test_one_that_just_returns_or_is_cancelled_has_died_too_and_others_go_on() -> None:
    deaths: Counter[str] = Counter()
    stop, well = asyncio.Event(), asyncio.Event()
    loops = Loops(lambda name: deaths.update([name]), first_s=0.02)

    async def returns(_stop: asyncio.Event) -> None:
        return

    async def cancels(_stop: asyncio.Event) -> None:
        raise asyncio.CancelledError

    async def works(stop: asyncio.Event) -> None:
        well.set()
        await stop.wait()

    for name, loop in (("a", returns), ("b", cancels), ("c", works)):
        loops.start(name, loop, stop)
    await until(lambda: deaths["a"] >= 2 and deaths["b"] >= 2)
    assert well.is_set()
    assert deaths["c"] == 0
    assert loops.problem() == "a: has ended; b: was cancelled"
    stop.set()
    async with asyncio.timeout(5):
        await loops.ended()
