"""Loops that never should end: one that dies is begun again after a pause, and the process says so meanwhile."""

import asyncio
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, Final

from relance.observability import logs

__all__ = ["Loop", "Loops"]

Loop = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Works until the event is set. It deals with what it expects to fail, and raises for the rest."""

FIRST_S: Final = 0.5
_LONGEST_S: Final = 30.0
_WELL_S: Final = 30.0  # a loop that ran so long has recovered: its next pause is a short one


class Loops:
    """The loops of a process. `died` is told the name of each that ended before it was to; `first_s`: the first pause,
    which doubles with each death up to half a minute.
    """

    def __init__(self, died: Callable[[str], None], *, first_s: float = FIRST_S, well_s: float = _WELL_S) -> None:
        self._died = died
        self._first_s = first_s
        self._well_s = well_s
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._rests: dict[str, str] = {}
        self._log = logs.logger("loops")

    def start(self, name: str, loop: Loop, stop: asyncio.Event) -> None:
        """Run a loop until `stop`."""
        self._tasks[name] = asyncio.create_task(self._keep(name, loop, stop), name=name)

    def problem(self) -> str | None:
        """Which loops have died and do not work at present, None when all do."""
        ended = {name: "ended" for name, task in self._tasks.items() if task.done()}
        return "; ".join(f"{name}: {why}" for name, why in sorted((self._rests | ended).items())) or None

    async def ended(self) -> None:
        """Wait until all have ended; what they raise then is logged."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _keep(self, name: str, loop: Loop, stop: asyncio.Event) -> None:
        deaths = 0
        while not stop.is_set():
            began_s = time.monotonic()
            running = asyncio.ensure_future(loop(stop))
            reason = await self._until_dead(name, running)
            if stop.is_set():
                return
            deaths = 1 if time.monotonic() - began_s >= self._well_s else deaths + 1
            self._rests[name] = reason
            self._died(name)
            await _wait(stop, min(_LONGEST_S, self._first_s * (1 << min(deaths - 1, 16))))

    async def _until_dead(self, name: str, running: "asyncio.Future[None]") -> str:
        """Why a loop has ended. One that has run for a while is no problem any more."""
        try:
            await asyncio.wait({running}, timeout=min(self._well_s, self._first_s * 4))
            if not running.done():
                self._rests.pop(name, None)
            await running
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                running.cancel()
                raise
            return "was cancelled"
        except Exception as error:  # noqa: BLE001 - whatever it was, the loop has to go on
            trace = traceback.format_tb(error.__traceback__)[-6:]
            self._log.error("loop_died", loop=name, error=type(error).__name__, trace=trace)
            return f"died of {type(error).__name__}"
        return "has ended"


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
