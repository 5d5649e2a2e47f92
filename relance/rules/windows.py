"""Windows: the definitions that a marketer writes as YAML. Meaning: docs/detection.md."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

__all__ = ["ControlRecord", "Definitions", "When", "Window"]

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
