"""Visitor ids that are no UUIDs, and the UUIDs that stand for them."""

from collections.abc import Iterable

import msgspec

from relance.kernel.ids import is_uuid, visitor_uuid
from relance.kernel.partitioning import murmur2

__all__ = ["Visitor", "Visitors"]


class Visitor(msgspec.Struct, frozen=True, gc=False):
    """A visitor's UUID as two little-endian words and as text, and the hash that chooses its partition."""

    first: int
    second: int
    partition_hash: int
    text: str


class Visitors:
    """Remembers between half of `most` and `most` pairs, the latest used; a forgotten one counts as new again."""

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._young: dict[tuple[str, str], Visitor] = {}
        self._old: dict[tuple[str, str], Visitor] = {}

    def of(self, shop: str, visitorid: str) -> tuple[Visitor, bool]:
        """The visitor, and whether the pair must be made known."""
        key = (shop, visitorid)
        found = self._young.get(key)
        if found is not None:
            return found, False
        found = self._old.get(key)
        new = found is None
        if found is None:
            found = _visitor(shop, visitorid)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = found
        return found, new and not is_uuid(visitorid)

    def forget(self, pairs: Iterable[tuple[str, str]]) -> None:
        """The pairs were not made known after all."""
        for pair in pairs:
            self._young.pop(pair, None)
            self._old.pop(pair, None)


def _visitor(shop: str, visitorid: str) -> Visitor:
    visitor = visitor_uuid(shop, visitorid)
    first = int.from_bytes(visitor.bytes[:8], "little", signed=True)
    second = int.from_bytes(visitor.bytes[8:], "little", signed=True)
    return Visitor(first, second, murmur2(visitor.bytes) & 0x7FFF_FFFF, str(visitor))
