"""Reports that a mail server delivers into a maildir: each is taken in once, then moved from `new` to `cur`."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from relance.kernel.errors import InputError, NotNow
from relance.observability.logs import logger
from services.notification.domain.reports import BYTES_MAX

__all__ = ["Maildir"]

_AT_ONCE: Final = 100


class Maildir:
    """The maildir at `path`. Raises InputError when it cannot be made."""

    def __init__(self, path: Path, take: Callable[[bytes], Awaitable[object]], poll_s: float) -> None:
        self._path = path
        self._take = take
        self._poll_s = poll_s
        self._log = logger("maildir")
        self.is_read = False  # whether all that has come was taken in, at the last look
        try:
            for name in ("tmp", "new", "cur"):
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the maildir {path} cannot be used: {error.strerror}") from None

    async def run(self, stop: asyncio.Event) -> None:
        """Take in what comes, until `stop`."""
        while not stop.is_set():
            if not await self.step():
                await asyncio.sleep(self._poll_s)

    async def step(self) -> int:
        """Take in what is there; how many."""
        taken = 0
        for file in sorted((self._path / "new").iterdir())[:_AT_ONCE]:
            try:
                await self._take(await asyncio.to_thread(_read, file))
                file.rename(self._path / "cur" / f"{file.name}:2,S")
                taken += 1
            except (NotNow, OSError) as error:  # tried again: a report taken in twice changes nothing
                self._log.warning("report_waits", reason=str(error))
                self.is_read = False
                return taken
        self.is_read = taken < _AT_ONCE
        return taken


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(BYTES_MAX + 1)
