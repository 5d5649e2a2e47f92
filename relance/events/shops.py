"""A shop as `tracking.shops.v1` keeps it: keys (hashed), limits, windows."""

from typing import Literal

import msgspec

from relance.rules.windows import Definitions

__all__ = ["DEFAULTS", "Key", "Shop"]

DEFAULTS = "*"  # the key of the record that holds the default definitions


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One API key. `sha256` is the hex digest of the whole key; the key itself is shown once and never kept."""

    kind: Literal["publishable", "secret"]
    sha256: str
    hint: str  # its last four characters
    created_at_ms: int
    expires_at_ms: int | None = None  # set by rotation: the old key works until then


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """One shop; a greater `version` replaces a smaller one."""

    shop: str
    version: int
    keys: tuple[Key, ...] = ()
    origins: tuple[str, ...] = ()  # allowed for the browser endpoint; empty: none
    events_per_second: int = 0  # 0: no limit
    definitions: Definitions | None = None  # None: the default set
    definitions_version: int = 0
