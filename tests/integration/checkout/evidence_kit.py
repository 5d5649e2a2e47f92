"""Orders with evidence in a store, sealed into a file."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Executable

from relance.custody.checkpoint_file import CheckpointFile
from relance.evidence.checkpoints import key_hex
from relance.evidence.entries import Act, RuleRef
from services.checkout.store import MasterKey, Sealing, Store, Transaction

SHOP = "atelier"
MASTER = MasterKey(b"m" * 32)
KEY = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PUBLIC = key_hex(KEY.public_key())
TERMS = "Conditions générales de vente\n".encode()
PAGE = "<p>Récapitulatif pour Léa, 1 rue de la Paix</p>".encode()
EMAIL = "lea@example.fr"
TERMS_RULE = RuleRef(id="A09", version=1, article="1127-1")
BUTTON_RULE = RuleRef(id="A04", version=1, article="L221-14 al. 2")
ROOT = UUID(int=4)


def checkout(number: int) -> str:
    return str(uuid5(ROOT, f"checkout/{number}"))


def order(number: int) -> str:
    return str(uuid5(ROOT, f"order/{number}"))


def _now() -> datetime:
    return datetime.now(UTC)


def _act(**fields: Any) -> Act:
    return Act(at_ms=int(_now().timestamp() * 1_000), **fields)


async def open_checkout(store: Store, number: int) -> None:
    """What is recorded before the click."""
    id_ = checkout(number)

    async def work(tx: Transaction) -> None:
        terms = await tx.keep(SHOP, TERMS, "text/plain")
        email = await tx.seal(SHOP, id_, f"p-{number}", "email", EMAIL)
        recap = await tx.keep(SHOP, PAGE, "text/html", subject=f"p-{number}", order=id_)
        acts = [
            _act(act="shown", what="terms", rules=(TERMS_RULE,), document=terms),
            _act(act="chosen", what="contact", personal=(email,)),
            _act(act="shown", what="recap", document=recap, facts={"total_minor": 4_200}),
        ]
        await tx.record(SHOP, id_, acts)

    await store.run(work, most=500)


async def place(store: Store, number: int) -> None:
    """The click, and what is recorded after it."""
    button = _act(act="accepted", what="button", rules=(BUTTON_RULE,), facts={"words": "Commander"})
    async with store.transaction() as tx:
        await tx.record(SHOP, checkout(number), [button])
        await tx.adopt(SHOP, checkout(number), order(number), _now())
    async with store.transaction() as tx:
        paid = _act(act="happened", what="payment", by="payment", facts={"status": "captured"})
        await tx.record(SHOP, order(number), [paid])


async def world(store: Store, log: Path, orders: int = 3) -> Sealing:
    """Orders of one shop, sealed before the click, after it, and once more."""
    sealing = Sealing(store, CheckpointFile(log), KEY)
    for step in (open_checkout, place):
        for number in range(orders):
            await step(store, number)
        await sealing.seal_now()
    await sealing.seal_now()
    return sealing


async def change(store: Store, *statements: Executable) -> None:
    """What somebody does who can write to the database, and not to the file."""
    async with store.database.writing() as connection:
        for statement in statements:
            await connection.execute(statement)


Tampering = Callable[[Store, Path], Any]
