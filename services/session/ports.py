"""What the session service's gRPC needs of the outside."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from relance.events.signals import Signal
from services.session.domain.engine import Engine

__all__ = ["Owners", "SignalFeed", "SignalReader"]


class Owners(Protocol):
    """Who owns which partition of the input topic."""

    def engine(self, partition: int) -> Engine | None:
        """This worker's engine, None when it does not own the partition or has not restored it; to be read only."""
        ...

    def owner(self, partition: int) -> str | None:
        """host:port of the owner's gRPC, None when it is not known."""
        ...


class SignalReader(Protocol):
    """One subscription."""

    async def next(self) -> Signal | None:
        """The next signal; None when the subscription was cut off."""
        ...


class SignalFeed(Protocol):
    """Signals of all partitions as they become readable in Kafka."""

    def subscribe(self, wanted: Callable[[Signal], bool], *, with_ended: bool) -> AbstractContextManager[SignalReader]:
        """Signals from now on for which `wanted` holds; endings only when asked for."""
        ...
