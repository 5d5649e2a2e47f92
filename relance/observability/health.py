"""Health: live (this process can still make progress) and ready (it may be given work).

Liveness never asks after the broker: an outage there would restart everything. Readiness does, where the service cannot
do its work without it.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

__all__ = ["Check", "Health", "Heartbeat", "Report"]

Check = Callable[[], str | None]
"""Says None when all is well, otherwise the reason in a few words. Must not block and must not raise."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a probe is told. `reasons` names each check that fails, `troubles` what is wrong and fails no probe."""

    status: Literal["ok", "failing", "draining"]
    reasons: dict[str, str]
    troubles: dict[str, str] = {}

    @property
    def http_status(self) -> int:
        """200, or 503 for a probe that fails."""
        return 200 if self.status == "ok" else 503


class Health:
    """The checks of one service. Called from the loop and from the exposition's threads: checks only read.

    `troubles` are told with the answer to a readiness probe, and do not make it fail: work can still be given.
    """

    def __init__(
        self,
        live: Mapping[str, Check] | None = None,
        ready: Mapping[str, Check] | None = None,
        troubles: Mapping[str, Check] | None = None,
    ) -> None:
        self._live = dict(live or {})
        self._ready = dict(ready or {})
        self._troubles = dict(troubles or {})
        self._draining = False

    def add_ready(self, name: str, check: Check) -> None:
        """One more check for readiness."""
        self._ready = {**self._ready, name: check}

    def drain(self) -> None:
        """From now on not ready: the first step of an orderly end, so that no new work is sent here."""
        self._draining = True

    @property
    def draining(self) -> bool:
        """Whether the end has begun."""
        return self._draining

    def live(self) -> Report:
        """The answer to a liveness probe."""
        return _report(self._live)

    def ready(self) -> Report:
        """The answer to a readiness probe."""
        if self._draining:
            return Report("draining", {})
        return _report(self._ready, self._troubles)


class Heartbeat:
    """A check that fails when `beat` has not been called for `limit_s` seconds: a loop that hangs is not live."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """The loop is alive."""
        self._last = self._clock()

    def __call__(self) -> str | None:
        """The check itself."""
        silent_s = self._clock() - self._last
        return None if silent_s <= self._limit_s else f"no heartbeat for {silent_s:.1f} s"


def _report(checks: Mapping[str, Check], troubles: Mapping[str, Check] | None = None) -> Report:
    reasons = _failing(checks)
    return Report("failing" if reasons else "ok", reasons, _failing(troubles or {}))


def _failing(checks: Mapping[str, Check]) -> dict[str, str]:
    return {name: reason for name, check in checks.items() if (reason := check()) is not None}
