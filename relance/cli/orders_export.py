"""`relance orders export`: invoices and credit notes as a table, out of the checkout's database."""

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from relance.cli import evidence_stored as stored
from relance.cli.console import NOTES
from relance.kernel.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.checkout.application.paper_pages import Stretch
    from services.checkout.domain.papers import Paper
    from services.checkout.store import Store

__all__ = ["export"]

_TOLD_EVERY = 500


def export(
    shop: Annotated[str, typer.Argument(metavar="SHOP", help="Whose papers.")],
    first: Annotated[str, typer.Option("--from", help="The first Paris date.", metavar="DATE")],
    last: Annotated[str, typer.Option("--to", help="The last Paris date, itself included.", metavar="DATE")],
    spreadsheet: Annotated[
        bool, typer.Option("--spreadsheet", help="Semicolons, decimal commas and a mark of UTF-8 before them.")
    ] = False,
    database: stored.Database = "",
) -> None:
    """Write all invoices and credit notes of a time to standard output, as CSV (RFC 4180, UTF-8).

    Each series is without gaps. Sums of credit notes are below zero. What a spreadsheet would take for a formula gets
    an apostrophe before it. A French spreadsheet opens it with `--spreadsheet`.
    """
    begin, end = _day("--from", first), _day("--to", last)
    if end < begin:
        raise InputError(f"--to: {end} is before {begin}")
    stored.in_store(database, lambda store: _export(store, shop, (begin, end), spreadsheet=spreadsheet))
    sys.stdout.flush()


async def _export(store: "Store", shop: str, days: tuple[date, date], *, spreadsheet: bool) -> None:
    """Read twice, so that nothing is held: which rates there are, then the rows. Both times the same numbers."""
    from services.checkout.application.paper_pages import stretches
    from services.checkout.domain.paper_table import PLAIN, SPREADSHEET, head_of, row_of

    wanted = await stretches(store, shop, *days)
    form = SPREADSHEET if spreadsheet else PLAIN
    with _bar(2 * sum(one.size for one in wanted)) as went:
        found = {rate async for paper in _papers(store, shop, wanted, went) for rate in paper.taxed_minor}
        rates = sorted(found, key=Decimal)
        sys.stdout.buffer.write(head_of(rates, form).encode())
        async for paper in _papers(store, shop, wanted, went):
            sys.stdout.buffer.write(row_of(paper, rates, form).encode())


async def _papers(
    store: "Store", shop: str, wanted: "Sequence[Stretch]", went: Callable[[int], None]
) -> "AsyncIterator[Paper]":
    from services.checkout.application.paper_pages import papers_of

    count = 0
    for stretch in wanted:
        async for paper in papers_of(store, shop, stretch):
            yield paper
            count += 1
            if count % _TOLD_EVERY == 0:
                went(_TOLD_EVERY)
    went(count % _TOLD_EVERY)


@contextmanager
def _bar(in_all: int) -> "Iterator[Callable[[int], None]]":
    """On a terminal a bar says how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("papers"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=NOTES, transient=True, disable=not NOTES.is_terminal) as progress:
        task = progress.add_task("papers", total=in_all or None)
        yield lambda more: progress.advance(task, more)


def _day(option: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option}: not a date such as 2026-11-22: {text[:40]!r}") from None
