"""The orderly end: SIGTERM and SIGINT set an event; what follows is the app's own list of steps."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence

from relance.observability.logs import logger

__all__ = ["stop_requested", "wind_down"]

Step = tuple[str, Callable[[], Awaitable[object]], float]


def stop_requested(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; the second signal ends the process the hard way."""
    event = asyncio.Event()

    def on_signal(number: int) -> None:
        logger("shutdown").info("stop_requested", signal=signal.Signals(number).name)
        event.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return event


async def wind_down(steps: Sequence[Step]) -> list[str]:
    """Take the steps (name, what to await, limit in seconds) in order; returns the names of those that did not finish.

    A step that fails or takes too long does not keep the later ones from being taken.
    """
    unfinished: list[str] = []
    log = logger("shutdown")
    for name, step, limit_s in steps:
        try:
            async with asyncio.timeout(limit_s):
                await step()
        except TimeoutError:
            log.error("step_timed_out", step=name, limit_s=limit_s)  # noqa: TRY400 - where it hung says nothing here
            unfinished.append(name)
        except Exception:
            log.exception("step_failed", step=name)
            unfinished.append(name)
        else:
            log.info("step_done", step=name)
    return unfinished
