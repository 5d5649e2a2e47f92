"""`relance evidence erase`: a person's data, out of the checkout and of notification's ledger."""

import subprocess
import sys
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from relance.cli import evidence_stored as stored
from relance.cli.console import NOTES, OUT
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from services.checkout.application.erasing import Erased
    from services.checkout.domain.outcomes import Refusal
    from services.checkout.store import Store

__all__ = ["erase"]


def erase(
    target: Annotated[str, typer.Argument(metavar="ORDER|PERSON", help="An order's id, or the shop's id of a person.")],
    shop: Annotated[str, typer.Option(help="Whose person; of an order it is found.", metavar="SHOP")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking: it cannot be undone.")] = False,
    database: stored.Database = "",
) -> None:
    """Erase the person of an order: all of his orders in the shop, or of a guest that one.

    Refused, with rule and article, where a law asks to keep a contract (120 EUR and more: ten years), where it is
    performed or something is owed. Chains of evidence still verify; exports show that personal data were erased.
    """
    if not yes:
        typer.confirm(f"Erase the person of {target} for ever?", abort=True)
    done = stored.in_store(database, lambda store: _erase(store, target, shop))
    if isinstance(done, list):
        for refusal in done:
            law = f"{refusal.rule} {refusal.article}".strip()
            NOTES.print(f"kept: {refusal.field}: {refusal.reason} ({law})", markup=False)
        raise typer.Exit(1)
    place, erased = done
    OUT.print(f"{erased.subject}: erased from {len(erased.checkouts)} checkouts and {len(erased.orders)} orders",
              markup=False)  # fmt: skip
    for number, until in erased.papers:
        OUT.print(f"{number} stays in the accounts until {until} (G10 C. com. L123-22)", markup=False)
    for about in dict.fromkeys((*erased.orders, *erased.checkouts, *erased.strays)):
        _erase_messages(place, about)
    OUT.print("copies of the database made before hold the person's key still: let them expire")


async def _erase(store: "Store", target: str, shop: str) -> "tuple[str, Erased] | list[Refusal]":
    from datetime import UTC, datetime

    from relance.rules.law.book import default_book
    from services.checkout.application.erasing import erase_person, person_of
    from services.checkout.store import find_chains

    subject, place = target, shop
    if stored.is_order(target):
        places = await find_chains(store, str(UUID(target)))
        found = [each for each in places if shop in {"", each.shop}]
        if len(found) != 1:
            raise InputError(
                f"{target}: {len(found)} orders of this id: give --shop" if found else f"{target}: no order"
            )
        place = found[0].shop
        subject = await person_of(store, place, target) or f"guest-{found[0].chain}"
    elif not shop:
        raise InputError("whose person is that: give --shop")
    done = await erase_person(store, place, subject, default_book(), datetime.now(UTC))
    return done if isinstance(done, list) else (place, done)


def _erase_messages(shop: str, about: str) -> None:
    """In notification's own database, by its own command."""
    command = [sys.executable, "-m", "services.notification", "erase", shop, about]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if ended.returncode:
        said = ended.stderr.strip().splitlines()[-1:] or ["no answer"]
        NOTES.print(f"messages about {about} are not erased: {said[0]}; run `{' '.join(command[1:])}`", markup=False)
        raise typer.Exit(1)
