"""Documents are printed in a process of their own: a PDF takes tenths of a second, and no click waits for it."""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from relance.kernel.errors import NotNow
from relance.observability import logs
from relance.rules.law.book import Book
from services.checkout.domain.confirmation import ConfirmationFacts
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.papers import PaperFacts
from services.checkout.domain.shops import Shop

if TYPE_CHECKING:  # fonts and the library that sets pages are loaded by the other process
    from services.checkout.adapters.documents import Documents, Rendered

__all__ = ["LegalShelf", "Printing"]

T = TypeVar("T")
_Facts: TypeAlias = ConfirmationFacts | PaperFacts

_NICE: Final = 10  # pages first: on one core a print gets a tenth of what they want
_LIMIT_S: Final = 30.0  # usual ones take a third of a second of a core that is their own
_START_S: Final = 60.0  # fonts and all, on a core that is busy with pages
_END_S: Final = 2.0
_ALONE_S: Final = 5.0
_HASHES_KEPT: Final = 10_000


class Printing:
    """One printing process; it is started by `begin` or the first document, and anew when it died or hung.

    `limit_s`: how long one document may take, those before it not counted.
    """

    def __init__(self, rules: Path, limit_s: float = _LIMIT_S) -> None:
        self._rules = rules
        self._limit_s = limit_s
        self._process: _Process | None = None
        self._thread = ThreadPoolExecutor(1, "printing")  # waits for the process, so that the event loop does not
        self._log = logs.logger("printing")

    async def confirmation(self, facts: ConfirmationFacts) -> "Rendered | tuple[Refusal, ...]":
        """The confirmation, or what it lacks. Raises NotNow when the process died or took too long: try again."""
        made: Rendered | tuple[Refusal, ...] = await self._made(facts)
        return made

    async def paper(self, facts: PaperFacts) -> bytes:
        """An invoice or a credit note as PDF. Raises NotNow as for a confirmation."""
        made: bytes = await self._made(facts)
        return made

    async def _made(self, facts: _Facts) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._print, facts)

    def _print(self, facts: _Facts) -> Any:
        process = self._started()
        try:
            process.within(_START_S, process.wait)
            return process.within(self._limit_s, lambda: process.render(facts))
        except (EOFError, OSError):
            self._process = None
            process.kill()
            if process.hung:
                self._log.error("print_hung", limit_s=self._limit_s)
                raise NotNow("the process that prints took too long: it is started anew") from None
            raise NotNow("the process that prints has ended: it is started anew") from None

    def begin(self) -> None:
        """Start the process, so that the first order does not wait for it."""
        self._thread.submit(self._started)

    def _started(self) -> "_Process":
        if self._process is None:
            self._process = _Process(self._rules)
        return self._process

    def close(self) -> None:
        """End the process once it has made what it makes."""
        self._thread.shutdown(cancel_futures=True)
        process, self._process = self._process, None
        if process is not None:
            process.end()


class _Process:
    """The other process and the way to it, for one thread. It has a folder for what it needs while it runs, fonts
    above all: whoever ends it removes that, for what is killed tidies nothing up.
    """

    def __init__(self, rules: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._way, other = context.Pipe()
        self._folder = tempfile.mkdtemp(prefix="relance-printing-")
        asked = (str(rules), other, os.getpid(), self._folder)
        self._process = context.Process(target=_print, args=asked, daemon=True, name="printing")
        self._process.start()
        other.close()  # its own end is the only one, so that its death is heard
        self._is_ready = False
        self.hung = False

    def within(self, limit_s: float, work: Callable[[], T]) -> T:
        """`work` of this process, which is killed when it takes longer: then it raises EOFError or OSError."""
        watch = Timer(limit_s, self._hang)
        watch.start()
        try:
            return work()
        finally:
            watch.cancel()

    def wait(self) -> None:
        """Until it has loaded what it needs. Raises EOFError or OSError when it has died."""
        if not self._is_ready:
            self._way.recv()
            self._is_ready = True

    def render(self, facts: _Facts) -> Any:
        """What it makes of the facts. Raises what it raised; EOFError or OSError when it has died."""
        self._way.send(facts)
        made = self._way.recv()
        if isinstance(made, Exception):
            raise made
        return made

    def _hang(self) -> None:
        self.hung = True
        self._process.kill()  # also one that is stopped

    def kill(self) -> None:
        """End it now."""
        self._way.close()
        self._process.kill()
        self._process.join(_END_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def end(self) -> None:
        """Let it end, and see to it that it does."""
        self._way.close()
        self._process.join(_END_S)
        self.kill()


def _print(rules: str, way: Connection, service: int, folder: str) -> None:
    """The printing process: it answers until nobody asks any more. `service`: the process that asks; `folder`: where it
    puts what it needs meanwhile.
    """
    tempfile.tempdir = folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service says when it ends
    os.nice(_NICE)
    with contextlib.suppress(EOFError, OSError):
        documents = _loaded(rules)
        way.send(os.getpid())
        gc.disable()  # between documents there is less to look through
        while True:
            while not way.poll(_ALONE_S):
                if os.getppid() != service:  # it was killed, and somebody else still holds its end of the way
                    raise EOFError
            way.send(_rendered(documents, way.recv()))
            gc.collect()
    shutil.rmtree(folder, ignore_errors=True)  # the service may have been killed, and removes nothing then
    os._exit(0)  # fonts that are taken apart while the interpreter ends complain on stderr


def _loaded(rules: str) -> "Documents":
    from services.checkout.adapters.documents import Documents  # noqa: PLC0415 - loaded in this process alone

    documents = Documents(Book.load(Path(rules)))
    documents.warm()
    return documents


def _rendered(documents: "Documents", facts: _Facts) -> "Rendered | tuple[Refusal, ...] | bytes | Exception":
    try:
        if isinstance(facts, PaperFacts):
            return documents.paper(facts)
        return documents.confirmation(facts, documents.accepted_terms(facts))
    except Exception as error:  # noqa: BLE001 - it is raised where the document was asked for
        return RuntimeError(f"printing: {type(error).__name__}: {error}")


class LegalShelf:
    """The legal pages of shops; fonts are loaded when the first is asked for. One thread at a time sets pages."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._documents: Documents | None = None
        self._hashes: dict[tuple[str, int, str, date], str] = {}
        self._hashing: dict[tuple[str, int, str, date], asyncio.Future[bytes | Refusal]] = {}
        self._alone = Lock()

    async def terms_sha256(self, shop: Shop, language: str, on: date) -> str:
        """Hash of the terms of sale as PDF under the law of `on`: what the link beside the button shows. "" when they
        may not be published. They are set once for each version of a shop, language and day, however many ask.
        """
        key = (shop.id, shop.version, shop.language(language), on)
        if key not in self._hashes:
            making = self._hashing.get(key)
            if making is None:
                making = asyncio.ensure_future(asyncio.to_thread(self._terms, shop, language, on))
                making.add_done_callback(lambda _: self._hashing.pop(key, None))
                self._hashing[key] = making
            made = await asyncio.shield(making)
            if len(self._hashes) >= _HASHES_KEPT:
                self._hashes.clear()
            self._hashes[key] = sha256(made).hexdigest() if isinstance(made, bytes) else ""
        return self._hashes[key]

    def _terms(self, shop: Shop, language: str, on: date | None = None) -> bytes | Refusal:
        with self._alone:
            return self._made().terms(shop, language, on)

    def terms(self, shop: Shop, language: str) -> bytes | Refusal:
        """The terms of sale as PDF."""
        return self._terms(shop, language)

    def page(self, shop: Shop, name: str, language: str) -> bytes | Refusal:
        """A legal page as HTML; a missing fact refuses with its rule."""
        with self._alone:
            return self._made().page(shop, name, language)

    def _made(self) -> "Documents":
        if self._documents is None:
            from services.checkout.adapters.documents import Documents  # noqa: PLC0415 - tenths of a second

            self._documents = Documents(self._book)
        return self._documents
