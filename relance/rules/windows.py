"""Windows: the definitions that a marketer writes as YAML. Meaning: docs/detection.md."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from relance.events.catalog import CHANNELS, CODE

__all__ = ["MAX_WINDOWS", "WINDOW_EVENTS", "ControlRecord", "Definitions", "Fault", "When", "Window", "faults"]

MAX_WINDOWS: Final = 64  # one bit each in a session's words
LONGEST: Final = timedelta(days=3660)  # keeps sums of times far from the ends of int64
LARGEST: Final = 2**62 - 1  # of a count: fits the engine's int64 with room
WINDOW_EVENTS: Final = tuple(name for name in CODE if name not in {"order.completed", "payment.succeeded"})

StageName = Literal["browse", "product", "cart", "checkout", "payment"]
Count = Annotated[int, msgspec.Meta(ge=0)]


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Predicates on the session's facts; all that are given must hold."""

    cart_total_at_least_minor: Count | None = None
    cart_total_below_minor: Count | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] | None = None
    item_price_at_least_minor: Count | None = None
    items_at_least: Count | None = None
    events_at_least: Count | None = None
    device: Literal["desktop", "mobile", "tablet"] | None = None
    known_person: bool | None = None
    returning: bool | None = None
    consent: str | None = None


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Either `stage` or `event` is given."""

    id: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    inactivity: timedelta
    stage: StageName | None = None
    event: str | None = None
    when: When = When()


class Definitions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One windows file."""

    session_gap: timedelta = timedelta(minutes=30)
    grace: timedelta = timedelta(seconds=2)
    allowed_lateness: timedelta = timedelta(minutes=5)
    windows: tuple[Window, ...] = ()


class ControlRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="definitions"):
    """Definitions on their way through the log; `definitions` null: the shop falls back to the default set."""

    shop: str
    version: int
    definitions: Definitions | None


class Fault(NamedTuple):
    """What is wrong with definitions: `place` is the window's, None for the whole; `field` is dotted below `when`."""

    place: int | None
    field: str
    reason: str


def faults(definitions: Definitions) -> Iterator[Fault]:
    """Everything that the types alone do not refuse, in the order of the file; the same for a file and for the log."""
    for field in ("session_gap", "grace", "allowed_lateness"):
        yield from _duration_faults(None, field, getattr(definitions, field))
    first: dict[str, int] = {}
    for place, window in enumerate(definitions.windows):
        if place == MAX_WINDOWS:
            yield Fault(place, "", f"more than {MAX_WINDOWS} windows")
        if first.setdefault(window.id, place) != place:
            yield Fault(place, "id", f"two windows have the id {window.id!r}")
        yield from _duration_faults(place, "inactivity", window.inactivity)
        yield from _kind_faults(place, window)
        if window.when.consent is not None and window.when.consent not in CHANNELS:
            yield Fault(place, "when.consent", f"unknown channel {window.when.consent!r}")
        for field in When.__struct_fields__:
            value = getattr(window.when, field)
            if type(value) is int and value > LARGEST:
                yield Fault(place, f"when.{field}", f"is larger than {LARGEST}")


def _duration_faults(place: int | None, field: str, duration: timedelta) -> Iterator[Fault]:
    if duration < timedelta(0):
        yield Fault(place, field, "a duration cannot be negative")
    elif duration > LONGEST:
        yield Fault(place, field, "a duration is at most ten years")
    elif duration % timedelta(milliseconds=1):
        yield Fault(place, field, "a duration has at most millisecond precision")


def _kind_faults(place: int, window: Window) -> Iterator[Fault]:
    if window.stage is None and window.event is None:
        yield Fault(place, "", f"window {window.id!r} needs a stage or an event")
    elif window.stage is not None and window.event is not None:
        yield Fault(place, "", f"window {window.id!r} has both a stage and an event")
    elif window.event in CODE and window.event not in WINDOW_EVENTS:
        yield Fault(place, "event", f"{window.event} concludes: no window can wait for it")
    elif window.event is not None and window.event not in CODE:
        yield Fault(place, "event", f"unknown event type {window.event!r}")
