"""Confirmations are rendered in a process of their own: a PDF takes tenths of a second, and no click waits for it."""

import asyncio
import atexit
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relance.kernel.errors import NotNow
from relance.rules.law.book import Book
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop

if TYPE_CHECKING:  # fonts and the library that sets pages are loaded by the other process
    from services.checkout.adapters.documents import Documents, Rendered

__all__ = ["LegalShelf", "Printing"]

_NICE: Final = 5  # pages first

_documents: "Documents | None" = None  # of the printing process


class Printing:
    """One printing process; it is started by `begin` or the first confirmation, and anew when it died."""

    def __init__(self, rules: Path) -> None:
        self._rules = rules
        self._pool: ProcessPoolExecutor | None = None

    async def confirmation(self, facts: ConfirmationFacts) -> "Rendered | tuple[Refusal, ...]":
        """The confirmation, or what it lacks. Raises NotNow when the process died: try again."""
        pool = self._started()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _render, facts)
        except BrokenProcessPool:
            if self._pool is pool:
                self._pool = None
            pool.shutdown(wait=False, cancel_futures=True)
            raise NotNow("the process that prints has ended: it is started anew") from None

    def begin(self) -> None:
        """Start the process, so that the first order does not wait for it."""
        self._started().submit(os.getpid)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(str(self._rules),)
            )
        return self._pool

    def close(self) -> None:
        """End the process once it has made what it makes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin(rules: str) -> None:
    from services.checkout.adapters.documents import Documents  # noqa: PLC0415 - loaded in this process alone

    global _documents  # noqa: PLW0603 - what a process of a pool keeps between its tasks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service says when it ends
    os.nice(_NICE)
    atexit.register(os._exit, 0)  # fonts that are taken apart while the interpreter ends complain on stderr
    _documents = Documents(Book.load(Path(rules)))
    _documents.warm()


def _render(facts: ConfirmationFacts) -> "Rendered | tuple[Refusal, ...]":
    assert _documents is not None
    return _documents.confirmation(facts, _documents.accepted_terms(facts))


class LegalShelf:
    """The legal pages of shops; fonts are loaded when the first is asked for."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._documents: Documents | None = None

    def terms(self, shop: Shop, language: str) -> bytes | Refusal:
        """The terms of sale as PDF."""
        return self._made().terms(shop, language)

    def page(self, shop: Shop, name: str, language: str) -> bytes | Refusal:
        """A legal page as HTML; a missing fact refuses with its rule."""
        return self._made().page(shop, name, language)

    def _made(self) -> "Documents":
        if self._documents is None:
            from services.checkout.adapters.documents import Documents  # noqa: PLC0415 - tenths of a second

            self._documents = Documents(self._book)
        return self._documents
