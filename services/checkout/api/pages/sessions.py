"""Who may see what: a signed cookie that names the checkouts and orders of this browser, and how much of each.

A browser that only has a link or was sent here by the shop sees a checkout without personal data. When it gives the
contact, and again when it orders, it gets a new entry with a new secret: whoever knew the cookie before knows nothing
of what comes after. The token in the forms is bound to the entry's secret.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Literal

import msgspec

__all__ = ["COOKIE", "Entry", "Keys", "Session"]

COOKIE: Final = "__Host-relance"
LIVES_S: Final = 14 * 86_400
ENTRIES_MAX: Final = 8  # the newest; a cookie is bounded
_BYTES_MAX: Final = 3_800

Kind = Literal["checkout", "order"]
Level = Literal["open", "contact", "masked", "full"]
_RANK: Final = {"open": 0, "contact": 1, "masked": 0, "full": 1}


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One checkout or order of a shop. `open`: before the contact; `masked`: an order without personal data."""

    kind: Kind
    shop: str
    id: str
    level: Level
    secret: str
    at_s: int


class Session(msgspec.Struct, frozen=True):
    """The entries of one browser, newest first."""

    entries: tuple[Entry, ...] = ()

    def find(self, kind: Kind, id: str) -> Entry | None:  # noqa: A002 - the word of the domain
        """The entry of a checkout or an order."""
        return next((entry for entry in self.entries if entry.kind == kind and entry.id == id), None)

    def newest(self, shop: str, other_than: str = "") -> Entry | None:
        """The checkout of a shop that was opened last on this device."""
        return next(
            (one for one in self.entries if one.kind == "checkout" and one.shop == shop and one.id != other_than), None
        )

    def having(self, entry: Entry) -> Session:
        """With an entry in front, in the place of the one of the same thing."""
        others = (one for one in self.entries if (one.kind, one.id) != (entry.kind, entry.id))
        return Session((entry, *others)[:ENTRIES_MAX])

    def without(self, entry: Entry) -> Session:
        """Without what an entry names."""
        return Session(tuple(one for one in self.entries if (one.kind, one.id) != (entry.kind, entry.id)))


class Keys:
    """Signs and reads the cookie, and makes the tokens of forms. `secrets`: the first signs, all are believed."""

    def __init__(self, secrets: Sequence[str], fresh: Callable[[], str]) -> None:
        if not secrets or not all(len(secret) >= 32 for secret in secrets):
            raise ValueError("a key of the pages has at least 32 letters")
        self._keys = [sha256(b"relance pages\0" + secret.encode()).digest() for secret in secrets]
        self._fresh = fresh

    def entry(self, kind: Kind, shop: str, id: str, level: Level, at_s: int) -> Entry:  # noqa: A002
        """A new entry, with a secret that nobody knew before."""
        return Entry(kind, shop, id, level, self._fresh(), at_s)

    def keep(self, session: Session, before: Entry | None, entry: Entry) -> tuple[Session, Entry]:
        """The session with `entry`, unless it has at least that already."""
        if before is not None and before.shop == entry.shop and _RANK[before.level] >= _RANK[entry.level]:
            return session, before
        return session.having(entry), entry

    def write(self, session: Session) -> str:
        """The cookie's value."""
        body = urlsafe_b64encode(msgspec.msgpack.encode(session.entries)).rstrip(b"=").decode()
        return f"{body}.{self._sign(self._keys[0], 'cookie', body)}"

    def read(self, value: str | None, now_s: int) -> Session:
        """The session of a cookie; an empty one when it is not ours, and without entries that are too old."""
        if not value or len(value) > _BYTES_MAX:
            return Session()
        body, _, signature = value.rpartition(".")
        given = signature.encode(errors="replace")
        if not any(hmac.compare_digest(self._sign(key, "cookie", body).encode(), given) for key in self._keys):
            return Session()
        try:
            packed = urlsafe_b64decode(body + "=" * (-len(body) % 4))
            entries = msgspec.msgpack.decode(packed, type=tuple[Entry, ...])
        except (binascii.Error, msgspec.DecodeError, UnicodeError):
            return Session()
        return Session(tuple(one for one in entries if 0 <= now_s - one.at_s < LIVES_S))

    def form_token(self, secret: str) -> str:
        """What the forms of an entry, or of a link, carry."""
        return self._sign(self._keys[0], "form", secret)

    def form_token_holds(self, secret: str, token: str) -> bool:
        """Whether a form was made for this entry or link."""
        given = token.encode(errors="replace")
        return any(hmac.compare_digest(self._sign(key, "form", secret).encode(), given) for key in self._keys)

    @staticmethod
    def _sign(key: bytes, purpose: str, text: str) -> str:
        made = hmac.new(key, f"{purpose}\0{text}".encode(errors="replace"), sha256).digest()
        return urlsafe_b64encode(made).rstrip(b"=").decode()
