"""Definitions in the form that kernels read, and what changes when new ones come."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from relance.events.catalog import CHANNEL_BIT, CODE, DEVICES, STAGES
from relance.rules.windows import Definitions, Window
from services.session.domain.interning import Interned
from services.session.domain.layout import DEFINITION, WINDOW

__all__ = ["DefinitionBook", "pack_currency", "unpack_currency"]

_NEVER: Final = -1


def pack_currency(code: str | None) -> int:
    """Three letters in 15 bits; 0 for None."""
    if code is None:
        return 0
    packed = 0
    for letter in code:
        packed = packed << 5 | ord(letter) - 64
    return packed


def unpack_currency(packed: int) -> str | None:
    """The inverse of `pack_currency`."""
    if packed == 0:
        return None
    return "".join(chr((packed >> shift & 31) + 64) for shift in (10, 5, 0))


def _ms(duration: object) -> int:
    return round(duration.total_seconds() * 1000)  # type: ignore[attr-defined]


class Entry(msgspec.Struct, frozen=True):
    """The definitions of one shop, or the default set, as they are in force."""

    version: int
    definitions: Definitions
    since: dict[str, int]  # window id -> definition sequence at which it became what it is, for this shop
    follows: bool = False  # a shop that had a set of its own and fell back to the default set


class DefinitionBook:
    """All definitions of a partition, as the log told them, and their compiled form.

    Index 0 of `definitions` is the default set; `shop_definition` maps each interned shop to its entry.
    """

    def __init__(self, shops: Interned, names: Interned) -> None:
        self._shops = shops
        self._names = names
        self.sequence = 0
        self.default = Entry(version=-1, definitions=Definitions(), since={})
        self.own: dict[str, Entry] = {}

    def version(self, shop: str) -> int:
        """Version of the last word on a shop (`*`: the default set), -1 before the first."""
        entry = self.default if shop == "*" else self.own.get(shop)
        return entry.version if entry else -1

    def define(self, shop: str, version: int, definitions: Definitions | None) -> dict[str, tuple[Entry, Entry]]:
        """Put definitions in force; returns what changed, by shop, as (before, now): nothing for an old version."""
        if version <= self.version(shop):
            return {}
        self.sequence += 1
        if shop != "*":
            before = self.of(shop)
            fresh = definitions or self.default.definitions
            now = Entry(version, fresh, self._since(before, fresh), follows=definitions is None)
            self.own[shop] = now
            return {shop: (before, now)}
        fresh = definitions or Definitions()
        before = self.default
        self.default = Entry(version, fresh, self._since(before, fresh))
        changed = {"*": (before, self.default)}
        for other, entry in self.own.items():
            if entry.follows:
                self.own[other] = Entry(entry.version, fresh, self._since(entry, fresh), follows=True)
                changed[other] = (entry, self.own[other])
        return changed

    def _since(self, before: Entry, fresh: Definitions) -> dict[str, int]:
        old = {window.id: window for window in before.definitions.windows}
        return {
            window.id: before.since[window.id] if old.get(window.id) == window else self.sequence
            for window in fresh.windows
        }

    def of(self, shop: str) -> Entry:
        """What is in force for a shop."""
        return self.own.get(shop, self.default)

    def kept(self, before: Entry, now: Entry) -> NDArray[np.bool_]:
        """By window name: whether the window has the same content in both."""
        old = {window.id: window for window in before.definitions.windows}
        same = [window.id for window in now.definitions.windows if old.get(window.id) == window]
        places = [self._names.intern(name) for name in same]
        flags = np.zeros(len(self._names) + 1, np.bool_)
        flags[places] = True
        return flags

    def compile(self) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.int32]]:
        """(definitions, windows, shop_definition) for `Tables`."""
        entries = [self.default, *self.own.values()]
        place = {shop: index for index, shop in enumerate(self.own, start=1)}
        definitions = np.zeros(len(entries), DEFINITION)
        count = sum(len(entry.definitions.windows) for entry in entries)
        windows = np.zeros(max(count, 1), WINDOW)
        at = 0
        for index, entry in enumerate(entries):
            definitions[index]["begin"] = at
            for window in entry.definitions.windows:
                self._compile_window(windows[at], window, entry.since[window.id])
                at += 1
            definitions[index]["end"] = at
            _compile_definitions(definitions[index], entry.definitions)
        shop_definition = np.array([place.get(shop, 0) for shop in self._shops.words] or [0], np.int32)
        return definitions, windows, shop_definition

    def _compile_window(self, row: np.void, window: Window, since: int) -> None:
        when = window.when
        row["inactivity"] = _ms(window.inactivity)
        row["name"] = self._names.intern(window.id)
        row["since"] = since
        row["stage"] = STAGES[window.stage] if window.stage else 0
        row["event"] = CODE[window.event] if window.event else 0
        row["total_at_least"] = _or(when.cart_total_at_least_minor, _NEVER)
        row["total_below"] = _or(when.cart_total_below_minor, _NEVER)
        row["price_at_least"] = _or(when.item_price_at_least_minor, _NEVER)
        row["items_at_least"] = _or(when.items_at_least, _NEVER)
        row["events_at_least"] = _or(when.events_at_least, _NEVER)
        row["currency"] = pack_currency(when.currency)
        row["device"] = DEVICES[when.device] if when.device else 0
        row["person"] = _NEVER if when.known_person is None else int(when.known_person)
        row["returning"] = _NEVER if when.returning is None else int(when.returning)
        row["consent"] = CHANNEL_BIT[when.consent] if when.consent else 0


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _compile_definitions(row: np.void, definitions: Definitions) -> None:
    gap = _ms(definitions.session_gap)
    row["gap"] = gap
    row["grace"] = _ms(definitions.grace)
    row["lateness"] = _ms(definitions.allowed_lateness)
    longest = [gap] * 6
    shortest = [-1] * 6
    mask = 0
    for window in definitions.windows:
        if window.stage:
            stage = STAGES[window.stage]
            inactivity = _ms(window.inactivity)
            longest[stage] = max(longest[stage], inactivity)
            shortest[stage] = inactivity if shortest[stage] < 0 else min(shortest[stage], inactivity)
        elif window.event:
            mask |= 1 << CODE[window.event]
    row["longest"] = longest
    row["shortest"] = [low if low >= 0 else high for low, high in zip(shortest, longest, strict=True)]
    row["event_mask"] = mask
