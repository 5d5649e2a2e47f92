"""The check of the law and the confirmation, each by itself, of orders that a desk of this process has made."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import uuid4

from benchmarks.checkout.example import SHOP, put_by_desk
from benchmarks.report import Measure
from relance.rules.law.book import RULES, Book
from relance.rules.law.calendar import paris_date
from relance.rules.law.document import Document
from relance.rules.law.verdict import check
from services.checkout.adapters.printing import Printing
from services.checkout.application.desk import Desk
from services.checkout.domain.checkouts import Contact, GiveContact, Press
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import View
from services.checkout.domain.records import Address, CartLine, NewCart, PressActs
from services.checkout.domain.viewing import see
from services.checkout.store import MasterKey, open_store

__all__ = ["law", "paper"]

T = TypeVar("T")

_LINES: Final = 20
_TIMES: Final = 4  # 5 articles, 4 times: 20 lines
_ROUNDS: Final = 2_000
_WARM: Final = 200
_PRINTED: Final = 30
_HOME: Final = Address(name="Camille Durand", line1="12 rue des Carmes", postcode="44000", city="Nantes")
_ACTS: Final = PressActs(early_start=True, loss_acknowledged=True)


class _Case(NamedTuple):
    """An order at its click: as the law sees it, and what its confirmation is made of."""

    document: Document
    facts: ConfirmationFacts


def law(directory: Path, told: Callable[[str], None]) -> list[Measure]:
    """Every rule of the book against an order of 20 lines, as it stands when the button is pressed."""
    told("law: checking an order of 20 lines")
    book = Book.load(RULES)
    document = asyncio.run(_ordered(directory, book, [_LINES]))[0].document
    day = paris_date(document.at)
    if len(document.lines) != _LINES or not check(document, book).allowed:
        raise RuntimeError(f"the law refuses the order of the bench: {check(document, book).blockers[:1]}")
    took_us = _checked(document, book, day)
    return [
        Measure(
            name="law, order of 20 lines, median", value=round(statistics.median(took_us), 1), unit="us",
            target=1_000.0, at_least=False,
            note=f"{len(book.on(day))} rules; p99 {_quantile(took_us, 0.99):,.0f} us, of {_ROUNDS} checks",
        )
    ]  # fmt: skip


def _checked(document: Document, book: Book, day: date) -> list[float]:
    took_us = []
    for _ in range(_WARM):
        check(document, book, day)
    for _ in range(_ROUNDS):
        began = time.perf_counter_ns()
        check(document, book, day)
        took_us.append((time.perf_counter_ns() - began) / 1_000)
    return took_us


def paper(directory: Path, told: Callable[[str], None]) -> list[Measure]:
    """The confirmation by the service's own printing process, once warm: of an order of two lines, and of 20."""
    told("paper: printing confirmations")
    book = Book.load(RULES)
    small, large = asyncio.run(_ordered(directory, book, [2, _LINES]))
    took_ms, pdf_bytes = asyncio.run(_printed(small.facts))
    long_ms, long_bytes = asyncio.run(_printed(large.facts))
    return [
        Measure(
            name="paper, PDF of two lines, median", value=round(statistics.median(took_ms), 1), unit="ms",
            target=300.0, at_least=False,
            note=f"longest {max(took_ms):.0f} ms of {_PRINTED}; {pdf_bytes:,} bytes; both parts of the mail included",
        ),
        Measure(
            name="paper, PDF of 20 lines, median", value=round(statistics.median(long_ms), 1), unit="ms",
            note=f"longest {max(long_ms):.0f} ms of {_PRINTED}; {long_bytes:,} bytes",
        ),
    ]  # fmt: skip


async def _printed(facts: ConfirmationFacts) -> tuple[list[float], int]:
    """Milliseconds of each confirmation, asked for one after the other, and bytes of its PDF."""
    printing = Printing(RULES)
    printing.begin()
    took_ms: list[float] = []
    pdf_bytes = 0
    try:
        for number in range(_PRINTED + 1):
            began = time.perf_counter()
            made = await printing.confirmation(facts)
            if isinstance(made, tuple):
                raise RuntimeError(f"the confirmation of the bench is refused: {made[0]}")  # noqa: TRY004 - an answer
            pdf_bytes = len(made.pdf)
            if number:  # the first one waits for the process
                took_ms.append((time.perf_counter() - began) * 1_000)
    finally:
        printing.close()
    return took_ms, pdf_bytes


async def _ordered(directory: Path, book: Book, sizes: Sequence[int]) -> list[_Case]:
    """One order of the example shop for each number of lines, made by a desk over a database of this run."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        store = await open_store(f"sqlite:///{folder}/desk.db", MasterKey(secret=os.urandom(32)))
        try:
            desk = Desk(store, book, {})
            skus = await put_by_desk(desk, _TIMES)
            return [await _order(desk, _chosen(skus, size)) for size in sizes]
        finally:
            await store.close()


def _chosen(skus: Sequence[str], size: int) -> list[str]:
    """A coffee maker and a book, or the whole shelf."""
    return ["LL-CAFETIERE", "LIVRE-LUMIERE"] if size == 2 else list(skus[:size])


async def _order(desk: Desk, skus: Sequence[str]) -> _Case:
    cart = NewCart(cart_id=str(uuid4()), lines=tuple(CartLine(sku, 1) for sku in skus), locale="fr")
    view = await _done(desk.create(SHOP, cart, str(uuid4())))
    id_ = view.checkout.id
    contact = Contact(email="camille@client.example", first_name="Camille", last_name="Durand")
    await _done(desk.give_contact(SHOP, id_, GiveContact(contact=contact, objected=False, objection_text_version="2")))
    await _done(desk.choose_delivery(SHOP, id_, "home", _HOME))
    await _done(desk.choose_means(SHOP, id_, "transfer"))
    shown, _ = await _done(desk.show_recap(SHOP, id_, lambda seen: seen.recap_hash.encode()))
    document = await _seen(desk, shown)
    press = Press(recap_hash=shown.recap_hash, terms_accepted=True)
    pressed = await _done(desk.press(SHOP, id_, press, _ACTS))
    asked: list[ConfirmationFacts] = []

    async def kept(facts: ConfirmationFacts) -> tuple[Refusal, ...]:
        asked.append(facts)
        return (Refusal("paper", "is printed later"),)

    await desk.acknowledge(SHOP, pressed.order_id, kept)
    return _Case(document, asked[0])


async def _seen(desk: Desk, view: View) -> Document:
    """The checkout as the law sees it under the click."""
    at = datetime.now(UTC)
    basis = await desk.look(lambda tx: desk.basis(tx, view.shop, view.record, (), lock=False))
    return see(view.checkout, view.record, basis, at, desk.law(at), _ACTS).document


async def _done(work: Awaitable[T | Refusal]) -> T:
    found = await work
    if isinstance(found, Refusal):
        raise RuntimeError(f"the desk refuses: {found}")  # noqa: TRY004 - a refusal is an answer, not a wrong type
    return found


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
