"""Who calls: a shop by its token, another service or the operator by theirs. Of tokens only hashes are kept."""

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple

import grpc

from relance.custody.secret_files import kept_secret
from services.checkout.api.refusals import Refused
from services.checkout.store import Store

__all__ = ["Caller", "Doors", "local_token"]

Kind = Literal["shop", "operator", "notification"]
PURPOSE: Final = "api"
FOREVER: Final = timedelta(days=3653)
LOOKED_UP_S: Final = 5.0  # so long may a token that was revoked elsewhere still open
_KNOWN_MAX: Final = 10_000
_TOKEN_BYTES: Final = 32
_SHORTEST: Final = 22  # letters that hold 128 bits


class Caller(NamedTuple):
    """Whose call it is. `shop` is empty for the operator and for other services."""

    kind: Kind
    shop: str


class Doors:
    """Tokens of one process: looked up, made, ended."""

    def __init__(self, store: Store, own: Mapping[Kind, str], clock: Callable[[], datetime]) -> None:
        """`own`: the tokens of the operator and of other services, from the settings; an empty one opens nothing."""
        self._store = store
        self._own = {kind: _hash(token) for kind, token in own.items() if len(token) >= _SHORTEST}
        self._clock = clock
        self._known: dict[bytes, tuple[Caller, datetime]] = {}

    async def caller(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """Who speaks. Raises Refused: UNAUTHENTICATED."""
        token = _bearer(metadata)
        hashed = _hash(token)
        for kind, own in self._own.items():
            if hmac.compare_digest(own, hashed):
                return Caller(kind, "")
        now = self._clock()
        known = self._known.get(hashed)
        if known is not None and now < known[1]:
            return known[0]
        async with self._store.transaction() as tx:
            found = await tx.look_token(token, PURPOSE, now)
        if found is None:
            self._known.pop(hashed, None)
            raise _unknown("no token that is known: `relance checkout token create` makes one")
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        caller = Caller("shop", found.shop)
        self._known[hashed] = (caller, now + timedelta(seconds=LOOKED_UP_S))
        return caller

    async def create(self, shop: str, lasts: timedelta | None) -> tuple[str, datetime]:
        """A new token of a shop, and when it ends."""
        token = f"ct_{shop}_{secrets.token_urlsafe(_TOKEN_BYTES)}"
        ends = self._clock() + (FOREVER if lasts is None else lasts)
        async with self._store.transaction() as tx:
            await tx.put_token(token, PURPOSE, shop, "", ends)
        return token, ends

    async def revoke(self, token: str) -> None:
        """The token opens nothing any more: here at once, in other processes within seconds."""
        async with self._store.transaction() as tx:
            await tx.revoke_token(token)
        self._known.pop(_hash(token), None)


def local_token(given: str, home: Path, name: str) -> str:
    """The token that the setting gives, else that of this machine in `<home>/checkout/<name>.token`, which the first
    call makes and its owner alone can read.
    """
    if given.strip():
        return given.strip()
    return kept_secret(home / "checkout" / f"{name}.token")


def _bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    given = [value for name, value in metadata if name == "authorization"]
    text = given[0] if len(given) == 1 and isinstance(given[0], str) else ""
    scheme, _, token = text.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _unknown("metadata `authorization: Bearer <token>` is needed")
    return token.strip()


def _unknown(text: str) -> Refused:
    return Refused(grpc.StatusCode.UNAUTHENTICATED, text)


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()
