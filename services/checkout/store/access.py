"""Who may: answers that were given under an idempotency key, and tokens, of which only hashes are kept."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import delete, select, update

from relance.kernel.instants import to_ms
from services.checkout.store.errors import Conflict, KeyReused
from services.checkout.store.part import Part
from services.checkout.store.schema import ANSWERS, INBOX, TOKENS

__all__ = ["ANSWERS_KEPT", "Access", "Token"]

ANSWERS_KEPT: Final = timedelta(days=30)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What a token opens. `data` is the issuer's own."""

    purpose: str
    shop: str
    subject: str
    data: str


class Access(Part):
    """The room of answers and tokens in a transaction."""

    async def answer(self, shop: str, key: str, method: str, fingerprint: str) -> bytes | None:
        """The answer that was given to this request before. Raises KeyReused when the key came with another one."""
        at = (ANSWERS.c.shop == shop, ANSWERS.c.method == method, ANSWERS.c.key == key)
        row = (await self._execute(select(ANSWERS.c.fingerprint, ANSWERS.c.body).where(*at))).first()
        if row is None:
            return None
        if row.fingerprint != fingerprint:
            raise KeyReused(f"the idempotency key {key!r} was used for another request")
        return bytes(row.body)

    async def keep_answer(self, shop: str, key: str, method: str, fingerprint: str, body: bytes) -> None:
        """Keep an answer for thirty days. Raises Conflict when the same request was answered meanwhile: ask `answer`
        again in another transaction.
        """
        row = {
            "shop": shop, "method": method, "key": key, "fingerprint": fingerprint, "body": body,
            "kept_at_ms": self._around.now_ms(),
        }  # fmt: skip
        added = await self._execute(self._insert(ANSWERS).values(**row).on_conflict_do_nothing())
        if added.rowcount != 1:
            raise Conflict("the same request was answered meanwhile", 0.0)

    async def put_token(
        self, token: str, purpose: str, shop: str, subject: str, expires_at: datetime, data: str = ""
    ) -> None:
        """Let a token (128 random bits or more) open `subject` for this purpose until `expires_at`."""
        row = {
            "hash": _hash(token), "purpose": purpose, "shop": shop, "subject": subject, "data": data,
            "expires_at_ms": to_ms(expires_at),
        }  # fmt: skip
        await self._execute(self._insert(TOKENS).values(**row))

    async def look_token(self, token: str, purpose: str, now: datetime) -> Token | None:
        """What a token opens; None when it is unknown, of another purpose, expired or revoked."""
        statement = select(TOKENS).where(*_good(token, purpose, now))
        return _token((await self._execute(statement)).first())

    async def take_token(self, token: str, purpose: str, now: datetime) -> Token | None:
        """As `look_token`, once: of two who take it, one gets None."""
        statement = update(TOKENS).where(*_good(token, purpose, now)).values(revoked_at_ms=to_ms(now)).returning(TOKENS)
        return _token((await self._execute(statement)).first())

    async def revoke_token(self, token: str) -> None:
        """The token opens nothing any more."""
        await self._revoke(TOKENS.c.hash == _hash(token))

    async def revoke_tokens(self, shop: str, purpose: str, subject: str) -> None:
        """No token of this purpose opens the subject any more."""
        await self._revoke(TOKENS.c.shop == shop, TOKENS.c.purpose == purpose, TOKENS.c.subject == subject)

    async def sweep(self, now: datetime) -> int:
        """Delete answers and heard messages older than thirty days, and tokens expired for as long; how many."""
        border = to_ms(now - ANSWERS_KEPT)
        old = (
            delete(ANSWERS).where(ANSWERS.c.kept_at_ms < border),
            delete(INBOX).where(INBOX.c.heard_at_ms < border),
            delete(TOKENS).where(TOKENS.c.expires_at_ms < border),
        )
        return sum([(await self._execute(statement)).rowcount for statement in old])

    async def _revoke(self, *which: Any) -> None:
        revoked = update(TOKENS).where(*which, TOKENS.c.revoked_at_ms.is_(None))
        await self._execute(revoked.values(revoked_at_ms=self._around.now_ms()))


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _good(token: str, purpose: str, now: datetime) -> tuple[Any, ...]:
    return (
        TOKENS.c.hash == _hash(token),
        TOKENS.c.purpose == purpose,
        TOKENS.c.expires_at_ms > to_ms(now),
        TOKENS.c.revoked_at_ms.is_(None),
    )


def _token(row: Any) -> Token | None:
    return None if row is None else Token(purpose=row.purpose, shop=row.shop, subject=row.subject, data=row.data)
