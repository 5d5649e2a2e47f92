"""Who may: answers that were given under an idempotency key, and tokens, of which only hashes are kept."""

from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, select, update

from relance.database.statements import Statement, insertion
from relance.kernel.instants import to_ms
from services.checkout.store.errors import Conflict, KeyReused
from services.checkout.store.part import Part
from services.checkout.store.schema import ANSWERS, TOKENS

__all__ = ["Access", "Token"]

_ANSWER: Final = Statement(
    select(ANSWERS.c.fingerprint, ANSWERS.c.body).where(
        ANSWERS.c.shop == bindparam("shop"), ANSWERS.c.method == bindparam("method"), ANSWERS.c.key == bindparam("key")
    )
)
_ANSWERED: Final = insertion(
    ANSWERS, "shop", "method", "key", "fingerprint", "body", "kept_at_ms", unless_there=True
)  # fmt: skip
_ISSUED: Final = insertion(TOKENS, "hash", "purpose", "shop", "subject", "data", "expires_at_ms")
_GOOD: Final = (
    TOKENS.c.hash == bindparam("of_hash"),
    TOKENS.c.purpose == bindparam("of_purpose"),
    TOKENS.c.expires_at_ms > bindparam("now_ms"),
    TOKENS.c.revoked_at_ms.is_(None),
)
_LOOK: Final = Statement(select(TOKENS).where(*_GOOD))
_TAKE: Final = Statement(update(TOKENS).where(*_GOOD).values(revoked_at_ms=bindparam("now_ms")).returning(TOKENS))
_REVOKED: Final = update(TOKENS).where(TOKENS.c.revoked_at_ms.is_(None)).values(revoked_at_ms=bindparam("now_ms"))
_REVOKE: Final = Statement(_REVOKED.where(TOKENS.c.hash == bindparam("of_hash")))
_REVOKE_ALL: Final = Statement(
    _REVOKED.where(
        TOKENS.c.shop == bindparam("of_shop"), TOKENS.c.purpose == bindparam("of_purpose"),
        TOKENS.c.subject == bindparam("of_subject"),
    )
)  # fmt: skip


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
        await self._write_waiting("answers")
        row = await self._row(_ANSWER, {"shop": shop, "method": method, "key": key})
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
        if not self._waits("answers", row) and await self._run(_ANSWERED, row) != 1:
            raise Conflict("the same request was answered meanwhile", 0.0)

    async def put_token(
        self, token: str, purpose: str, shop: str, subject: str, expires_at: datetime, data: str = ""
    ) -> None:
        """Let a token (128 random bits or more) open `subject` for this purpose until `expires_at`."""
        row = {
            "hash": _hash(token), "purpose": purpose, "shop": shop, "subject": subject, "data": data,
            "expires_at_ms": to_ms(expires_at),
        }  # fmt: skip
        if not self._waits("tokens", row):
            await self._run(_ISSUED, row)

    async def look_token(self, token: str, purpose: str, now: datetime) -> Token | None:
        """What a token opens; None when it is unknown, of another purpose, expired or revoked."""
        await self._write_waiting("tokens")
        return _token(await self._row(_LOOK, _named(token, purpose, now)))

    async def take_token(self, token: str, purpose: str, now: datetime) -> Token | None:
        """As `look_token`, once: of two who take it, one gets None."""
        await self._write_waiting("tokens")
        return _token(await self._row(_TAKE, _named(token, purpose, now)))

    async def revoke_token(self, token: str) -> None:
        """The token opens nothing any more."""
        await self._write_waiting("tokens")
        await self._run(_REVOKE, {"of_hash": _hash(token), "now_ms": self._around.now_ms()})

    async def revoke_tokens(self, shop: str, purpose: str, subject: str) -> None:
        """No token of this purpose opens the subject any more."""
        of = {"of_shop": shop, "of_purpose": purpose, "of_subject": subject}
        await self._write_waiting("tokens")
        await self._run(_REVOKE_ALL, of | {"now_ms": self._around.now_ms()})


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _named(token: str, purpose: str, now: datetime) -> dict[str, Any]:
    return {"of_hash": _hash(token), "of_purpose": purpose, "now_ms": to_ms(now)}


def _token(row: Any) -> Token | None:
    return None if row is None else Token(purpose=row.purpose, shop=row.shop, subject=row.subject, data=row.data)
