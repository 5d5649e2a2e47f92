"""`relance orders export`: invoices and credit notes as a table, out of the checkout's database."""

import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from relance.cli import evidence_stored as stored
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from services.checkout.domain.papers import Paper
    from services.checkout.store import Store

__all__ = ["export"]


def export(
    shop: Annotated[str, typer.Argument(metavar="SHOP", help="Whose papers.")],
    first: Annotated[str, typer.Option("--from", help="The first Paris date.", metavar="DATE")],
    last: Annotated[str, typer.Option("--to", help="The last Paris date, itself included.", metavar="DATE")],
    database: stored.Database = "",
) -> None:
    """Write all invoices and credit notes of a time to standard output, as CSV (RFC 4180, UTF-8).

    Each series is without gaps. Sums of credit notes are below zero. What a spreadsheet would take for a formula gets
    an apostrophe before it.
    """
    from services.checkout.domain.paper_table import table

    begin, end = _day("--from", first), _day("--to", last)
    if end < begin:
        raise InputError(f"--to: {end} is before {begin}")
    found = stored.in_store(database, lambda store: _papers(store, shop, begin, end))
    sys.stdout.buffer.write(table(found).encode())
    sys.stdout.flush()


async def _papers(store: "Store", shop: str, first: date, last: date) -> "list[Paper]":
    from services.checkout.application.papering import papers_between

    return await papers_between(store, shop, first, last)


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option}: not a date such as 2026-11-22: {text[:40]!r}") from None
