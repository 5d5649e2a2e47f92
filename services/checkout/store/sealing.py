"""Sealing: each minute a signed checkpoint over the chains that moved, into a keeper outside the database."""

import asyncio
import contextlib
import time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import bindparam, select, update

from relance.custody.ports import CheckpointSink
from relance.custody.signing_keys import SigningKeys
from relance.evidence.checkpoints import Checkpoint, seal
from relance.evidence.entries import Head
from relance.kernel.errors import RelanceError
from relance.observability import logs
from services.checkout.store.schema import CHAINS
from services.checkout.store.store import Store

__all__ = ["Sealing"]

EVERY_S: Final = 60.0
_RETRY_S: Final = 5.0
_NOTED_AT_ONCE: Final = 500


class Sealing:
    """Seals the evidence of a store. Of processes that share a database one does; the others stand by. A key that waits
    to take over (`SigningKeys.begin`) is handed over to by the next checkpoint.

    `sealed_at_ms`: the time of the newest checkpoint that this process wrote, 0 before the first; its age is to be
    watched. `failures` counts since then.
    """

    def __init__(
        self, store: Store, sink: CheckpointSink, key: Ed25519PrivateKey | SigningKeys, every_s: float = EVERY_S
    ) -> None:
        self._store = store
        self._sink = sink
        self._key = key
        self._every_s = every_s
        self._log = logs.logger("sealing")
        self.sealed_at_ms = 0
        self.failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Seal until `stop`, and once more then. What fails is logged and tried again: no order waits for it."""
        while not stop.is_set():
            try:
                async with self._store.database.leading("sealing") as held:
                    while held is not None and not stop.is_set() and await held():
                        await self.seal_now()
                        await _wait(stop, self._every_s)
                    if held is not None and await held():
                        await self.seal_now()
            except (RelanceError, OSError) as error:
                self.failures += 1
                self._log.warning("not_sealed", reason=str(error), failures=self.failures)
            await _wait(stop, min(self._every_s, _RETRY_S))

    async def seal_now(self) -> Checkpoint:
        """One checkpoint, also when nothing moved. Raises NotNow, InputError (the key is not the one that the log names
        next, or its newest line is none) and OSError.
        """
        statement = select(CHAINS).where(CHAINS.c.sealed < CHAINS.c.length)
        async with self._store.database.reading() as connection:
            moved = [
                Head(shop=row.shop, order=row.chain, length=row.length, hash=row.head)
                for row in await connection.execute(statement)
            ]
        checkpoint = await asyncio.to_thread(self._append, moved)
        await self._note(moved)
        self.sealed_at_ms, self.failures = checkpoint.header.at_ms, 0
        return checkpoint

    def _append(self, moved: list[Head]) -> Checkpoint:
        last = self._sink.last()
        key, next_key = self._key.at(last) if isinstance(self._key, SigningKeys) else (self._key, None)
        checkpoint = seal(last, moved, time.time_ns() // 1_000_000, key, next_key)
        self._sink.append(checkpoint)
        return checkpoint

    async def _note(self, sealed: list[Head]) -> None:
        """That they are sealed saves work; who loses this note seals the same heads again, which is harmless."""
        statement = (
            update(CHAINS)
            .where(CHAINS.c.shop == bindparam("of_shop"), CHAINS.c.chain == bindparam("of_chain"))
            .where(CHAINS.c.sealed < bindparam("up_to"))
            .values(sealed=bindparam("up_to"))
        )
        rows: list[dict[str, Any]] = [
            {"of_shop": head.shop, "of_chain": head.order, "up_to": head.length}
            for head in sorted(sealed, key=lambda head: (head.shop, head.order))
        ]
        for at in range(0, len(rows), _NOTED_AT_ONCE):  # few at a time: orders that go on wait for these rows
            async with self._store.database.writing() as connection:
                await connection.execute(statement, rows[at : at + _NOTED_AT_ONCE])


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
