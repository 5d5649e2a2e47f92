"""API keys: from what a sender shows to the shop that it may speak for."""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

import msgspec

from relance.events.shops import Shop

__all__ = ["Grant", "KeyRing", "Shops"]

_KEY_BYTES_MAX: Final = 256
_MEMO_MAX: Final = 16_384
_PREFIX: Final = 16  # hex digits by which a hash is looked up; the rest is compared in constant time


class Shops(Protocol):
    """The shops known by now, kept up to date by somebody else."""

    @property
    def version(self) -> int:
        """Grows with every change."""

    def all(self) -> "list[Shop]":
        """Every shop, the record of the default set excepted."""


class Grant(msgspec.Struct, frozen=True):
    """What a key allows: to speak for `shop`, with a secret or only as a browser, until it expires (ms since 1970)."""

    shop: Shop
    kind: Literal["publishable", "secret"]
    sha256: str
    expires_at_ms: int | None


class KeyRing:
    """Finds the grant of a key. Keys that were seen are remembered, so that the hot path hashes nothing.

    Both memos are bounded, and forgotten whenever a shop changes: a revoked key stops, a new key works, with the next
    request.
    """

    def __init__(self, shops: Shops, on_change: Callable[[Iterable[str]], None] = lambda _names: None) -> None:
        """`on_change` is told the names of all shops at the first look-up, and whenever they have changed."""
        self._shops = shops
        self._on_change = on_change
        self._version = -1
        self._grants: dict[str, list[Grant]] = {}
        self._origins: set[str] = set()
        self._known: dict[bytes, Grant] = {}
        self._unknown: set[bytes] = set()

    def find(self, key: bytes, now_ms: int) -> Grant | None:
        """The grant of `key`, or None for one that is unknown, expired or ill-formed."""
        self.refresh()
        grant = self._known.get(key)
        if grant is None:
            if key in self._unknown or not 0 < len(key) <= _KEY_BYTES_MAX:
                return None
            grant = self._look_up(key)
            if grant is None:
                return None
        if grant.expires_at_ms is not None and grant.expires_at_ms <= now_ms:
            return None
        return grant

    def origin_known(self, origin: bytes) -> bool:
        """Whether any shop has this origin: all that can be asked where a preflight shows no key."""
        self.refresh()
        return origin.decode("latin-1") in self._origins

    def _look_up(self, key: bytes) -> Grant | None:
        digest = hashlib.sha256(key).hexdigest()
        for grant in self._grants.get(digest[:_PREFIX], ()):
            if hmac.compare_digest(grant.sha256, digest):
                if len(self._known) >= _MEMO_MAX:
                    self._known.clear()
                self._known[key] = grant
                return grant
        if len(self._unknown) >= _MEMO_MAX:
            self._unknown.clear()
        self._unknown.add(key)
        return None

    def refresh(self) -> None:
        """Take in what has changed; every look-up does."""
        if self._shops.version != self._version:
            self._rebuild()

    def _rebuild(self) -> None:
        self._version = self._shops.version
        self._on_change([shop.shop for shop in self._shops.all()])
        self._known.clear()
        self._unknown.clear()
        self._grants = {}
        self._origins = {origin for shop in self._shops.all() for origin in shop.origins}
        for shop in self._shops.all():
            for key in shop.keys:
                grant = Grant(shop, key.kind, key.sha256, key.expires_at_ms)
                self._grants.setdefault(key.sha256[:_PREFIX], []).append(grant)
