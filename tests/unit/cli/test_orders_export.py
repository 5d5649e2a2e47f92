"""`relance orders export`: papers of a time, out of a database, as a table that no spreadsheet runs."""

import asyncio
import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from relance.cli import orders
from services.checkout.domain.papers import Paper, PaperLine, numbered
from services.checkout.store import MasterKey, Transaction, open_store

PAID = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in (1, 15, 30)]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('papers') / 'checkout.db'}"
    asyncio.run(filled(url))
    return url


async def filled(url: str) -> None:
    store = await open_store(url, MasterKey(b"k" * 32))

    async def work(tx: Transaction) -> None:
        for at in PAID:
            place = await tx.count("lumen", "papers/F2026")
            paper = Paper(
                id=numbered("invoice", at.date(), place), shop="lumen", order_id=f"order-{place}", kind="invoice",
                cause="order", issued_at=at, total_minor=4990, taxed_minor={"20": 4990}, vat_minor={"20": 832},
                lines=(PaperLine(what="article", name="=HYPERLINK(1)", quantity=1, amount_minor=4990),), version=1,
            )  # fmt: skip
            await tx.put("lumen", paper.id, paper, before=None)

    await store.run(work)
    await store.close()


def asked(database: str, *more: str) -> Result:
    program = typer.Typer()
    orders.register(program)
    return CliRunner().invoke(program, ["orders", "export", "lumen", *more, "--database", database])


def test_papers_of_a_time_are_written_as_a_table(database: str, tmp_path: Path) -> None:
    result = asked(database, "--from", "2026-11-15", "--to", "2026-11-30")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout_bytes.decode(), newline="")))
    assert [row["number"] for row in rows] == ["F2026-000002", "F2026-000003"]
    assert {(row["total"], row["lines"]) for row in rows} == {("49.90", "1 x =HYPERLINK(1)")}
    assert asked(f"sqlite:///{tmp_path}/none.db", "--from", "2026-11-15", "--to", "2026-11-30").exit_code != 0


def test_a_french_spreadsheet_opens_it_with_sums_as_numbers(database: str) -> None:
    result = asked(database, "--from", "2026-11-15", "--to", "2026-11-30", "--spreadsheet")
    assert result.stdout_bytes.startswith(b"\xef\xbb\xbfnumber;kind;")
    (row, _) = csv.DictReader(io.StringIO(result.stdout_bytes.decode("utf-8-sig"), newline=""), delimiter=";")
    assert (row["number"], row["total"], row["before tax at 20 %"]) == ("F2026-000002", "49,90", "41,58")


def test_nothing_in_a_time_is_a_header_alone(database: str) -> None:
    result = asked(database, "--from", "2025-01-01", "--to", "2026-10-31")
    assert result.stdout_bytes == b"number,kind,date,order,corrects,currency,total,tax,lines\r\n"


@pytest.mark.parametrize(
    ("first", "last", "told"), [("2026-13-01", "2026-12-01", "--from"), ("2026-11-02", "2026-11-01", "before")]
)
def test_dates_that_are_none_are_refused(database: str, first: str, last: str, told: str) -> None:
    result = asked(database, "--from", first, "--to", last)
    assert result.exit_code != 0
    assert told in str(result.exception) + result.output
