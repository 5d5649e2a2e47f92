"""Signals heard as they become readable, each once."""

import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

from relance.cli.playing import now_ms
from relance.cli.signals import signals_in
from relance.events.signals import Signal
from relance.events.topics import ENDED, SIGNALS
from relance.kafka.consumer import tail
from relance.kernel.errors import NotNow

__all__ = ["Hearing"]

_READY_S: Final = 30.0


class Hearing:
    """Follows both topics of the session service in a thread of its own, from the moment that `start` returns.

    `counts` is by (kind, window); `told` is called in that thread with each signal of the shops and the time at which
    it could be read, ms since 1970.
    """

    def __init__(self, kafka: str, shops: Collection[str], told: Callable[[Signal, int], None]) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failure: Exception | None = None
        self._kafka = kafka
        self._shops = shops
        self._told = told
        self._known: set[bytes] = set()
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="hearing", daemon=True)

    def start(self) -> None:
        """Nothing said after this is missed. Raises NotNow."""
        self._thread.start()
        if not self._ready.wait(_READY_S) or self.failure is not None:
            raise NotNow(f"the signals cannot be read: {self.failure or 'Kafka does not answer'}")

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(5.0)

    def check(self) -> None:
        """Raise what ended the hearing, if anything did."""
        if self.failure is not None:
            raise self.failure

    def total(self, *, with_ended: bool = True) -> int:
        """How many signals were heard."""
        return sum(count for (kind, _), count in self.counts.copy().items() if with_ended or kind != "ended")

    def _follow(self) -> None:
        try:
            for messages in tail(self._kafka, [SIGNALS.name, ENDED.name], stop=self._stop):
                self._ready.set()
                heard_ms = now_ms()
                for message in messages:
                    for signal in signals_in(message):
                        self._take(signal, heard_ms)
        except Exception as error:  # noqa: BLE001 - whatever it is, the main thread must hear of it
            self.failure = error
            self._ready.set()

    def _take(self, signal: Signal, heard_ms: int) -> None:
        # Delivery is at least once; the id tells what came twice.
        if signal.shop not in self._shops or signal.signal_id.bytes in self._known:
            return
        self._known.add(signal.signal_id.bytes)
        self.counts[signal.kind, signal.window or ""] += 1
        self._told(signal, heard_ms)
