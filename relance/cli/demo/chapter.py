"""The order that a shopper places while the shop is open: told beside the show, in a thread of its own."""

import threading
from collections.abc import Callable

from relance.cli.demo_checkout.stage import Stage
from relance.cli.demo_checkout.story import Told, play

__all__ = ["Chapter"]


class Chapter:
    """`begin` it once; it ends by itself, or with what `check` raises."""

    def __init__(self, stage: Stage, kafka: str, tell: Callable[[str, bool], None]) -> None:
        """`tell` gets each line, and whether Relance says it."""
        self._stage = stage
        self._kafka = kafka
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self.told: Told | None = None

    def begin(self) -> None:
        """Play it. Does nothing when it was begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._play, name="chapter", daemon=True)
            self._thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether it was played to its end, good or bad."""
        return self._thread is not None and not self._thread.is_alive()

    def check(self) -> None:
        """Raise what ended it too early."""
        if self._failure is not None:
            raise self._failure

    def _play(self) -> None:
        try:
            self.told = play(self._stage, self._kafka, self._tell)
        except Exception as error:  # noqa: BLE001 - told to the thread that shows
            self._failure = error
