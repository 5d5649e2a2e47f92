"""Keeps the raw topic's process running: whatever ends it, HTTP and gRPC go on, and it is started again later."""

import threading
import time
from collections.abc import Callable
from typing import Final

from relance.observability.logs import logger
from services.tracking.topology.raw_process import RawProcess

__all__ = ["RawKeeper"]

_BACK_OFF_S: Final = 1.0  # after the first end; twice as long after each further one
_BACK_OFF_MAX_S: Final = 60.0
_STEADY_S: Final = 120.0  # a process that ran for so long begins anew with the shortest


class RawKeeper:
    """Keeps `first`, which runs, and its successors, which `make` makes. `look` often; `stop` at the end.

    What a process ended for may last (Kafka refuses a dead letter for good), so it is tried less and less often.
    """

    def __init__(
        self, first: RawProcess, make: Callable[[], RawProcess], clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._process = first
        self._make = make
        self._clock_s = clock_s
        self._started_s = clock_s()
        self._again_s: float | None = None  # when it is started again; None while it runs
        self._back_off_s = _BACK_OFF_S
        self._stopping = False
        self._lock = threading.Lock()
        self._log = logger("raw")

    def look(self) -> bool:
        """Start what has ended when its time has come; whether that was now. Takes some milliseconds then."""
        with self._lock:
            code = self._process.exit_code
            if self._stopping or code is None:
                return False
            now_s = self._clock_s()
            if self._again_s is None:
                if now_s - self._started_s >= _STEADY_S:
                    self._back_off_s = _BACK_OFF_S
                self._log.error("raw_topic_stands_still", exit_code=code, again_in_s=self._back_off_s)
                self._again_s = self._put_off(now_s)
            if now_s < self._again_s:
                return False
            following = self._make()
            try:
                following.start()
            except OSError as error:  # no memory or no process to be had: as if it had ended at once
                self._log.warning("raw_topic_not_started", reason=str(error), again_in_s=self._back_off_s)
                self._again_s = self._put_off(now_s)
                return False
            self._process = following
            self._started_s, self._again_s = now_s, None
            return True

    def _put_off(self, now_s: float) -> float:
        """When it is tried next."""
        again_s = now_s + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, _BACK_OFF_MAX_S)
        return again_s

    def trouble(self) -> str | None:
        """Why the raw topic is not read here; None while its process runs."""
        code = self._process.exit_code
        if code is None or self._stopping:
            return None
        return f"its process ended with {code}; nothing of the raw topic is read here until it is started again"

    def stop(self, timeout_s: float) -> bool:
        """End the process in order, for good; False when it had to be killed."""
        with self._lock:
            self._stopping = True
            return self._process.stop(timeout_s)
