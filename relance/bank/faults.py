"""How the bank errs when it is told to: answers that never come, come late, or are errors."""

from typing import Literal

import msgspec

__all__ = ["Fault", "Faults"]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """`match`: the beginning of a method and path such as `POST /v1/refunds`. `mode`: hang_after does the work and
    answers `delay_s` later, hang_before waits first, error_after does the work and answers `status`, error_before does
    none, error_kept neither, and the error is the answer under the request's key for as long as keys are kept, as at
    Stripe when its own work failed. `times`: how often.
    """

    match: str
    mode: Literal["hang_after", "hang_before", "error_after", "error_before", "error_kept"]
    times: int = 1
    delay_s: float = 30.0
    status: int = 503


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Err so from now on."""
        self._pending.append(fault)

    def clear(self) -> None:
        """Err no more."""
        self._pending.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request, which is then used up by one."""
        for fault in self._pending:
            if f"{method} {path}".startswith(fault.match):
                fault.times -= 1
                if fault.times <= 0:
                    self._pending.remove(fault)
                return fault
        return None
