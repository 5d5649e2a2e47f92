"""What every use case works with: the store, the book of law, the clock, and how a cart's basis is read."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

import msgspec

from relance.rules.law.book import Book
from relance.rules.law.calendar import paris_date
from services.checkout.application.lately import Lately
from services.checkout.domain.articles import Article
from services.checkout.domain.coupons import Coupon, folded_code
from services.checkout.domain.offers import History
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.pricing import Basis
from services.checkout.domain.records import Record
from services.checkout.domain.shops import Shop
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Purse
from services.checkout.ports import PaymentProvider
from services.checkout.store import Store, Transaction, Wanted

__all__ = ["Room", "Terms", "TermsHash", "now"]

T = TypeVar("T")
TermsHash: TypeAlias = Callable[[Shop, str, date], Awaitable[str]]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the use cases. `base_url`: where the pages are, before every path of a link."""

    base_url: str = "http://127.0.0.1:8084"
    attempts_per_address: int = 30  # payments started from one network address within an hour: card testing
    tokens_last_days: int = 30
    view_lasts_days: int = 3653  # the archived contract is reached for ten years
    code_minutes: int = 15
    code_tries: int = 5
    link_minutes: int = 20  # how long a link that signs in holds
    purse_tries: int = 10  # unknown gift cards and vouchers that a checkout may name within an hour
    lease_s: float = 30.0  # how long what a process took waits for it, before another takes it: it may have died
    early_look_s: float = 20.0  # how long a payment under way waits for the first look of the reconciler
    session_hours: int = 12


def now() -> datetime:
    """The clock of the process."""
    return datetime.now(UTC)


class Room:
    """The parts that use cases share. One per process."""

    def __init__(
        self,
        store: Store,
        book: Book,
        providers: Mapping[str, PaymentProvider],
        terms: Terms = Terms(),  # noqa: B008 - frozen
        clock: Callable[[], datetime] = now,
        terms_sha256: TermsHash | None = None,
    ) -> None:
        self.store = store
        self.book = book
        self.providers = providers
        self.terms = terms
        self.clock = clock
        self._terms_sha256 = terms_sha256
        self._shops: dict[str, Shop] = {}
        self.lately = Lately()
        self._tried: set[UUID] = set()
        self._opening: dict[str, asyncio.Future[str | None]] = {}
        self.work_waits = asyncio.Event()

    def law(self, at: datetime) -> tuple[Book, date]:
        """The book, and the Paris date whose rules hold."""
        return self.book, paris_date(at)

    async def terms_as_shown(self, shop: Shop, language: str, at: datetime) -> str:
        """Hash of the PDF of the terms as the pages show them; "" where no pages are served."""
        return await self._terms_sha256(shop, language, paris_date(at)) if self._terms_sha256 is not None else ""

    def nudge(self) -> None:
        """Effects were queued: who does them need not wait for his next look."""
        self.work_waits.set()

    async def admit(self, who: str, most: int, times: int = 1) -> bool:
        """Whether somebody may try, `most` times within an hour over all processes; it counts from now on, so that
        many at once are many. Nobody in particular may always.
        """
        if not who:
            return True
        at = self.clock()
        if await self.again(lambda tx: tx.tried(who, at, times)) <= most:
            return True
        await self.take_back(who, times)
        return False

    async def take_back(self, who: str, times: int = 1) -> None:
        """The last tries were none."""
        if who and times:
            await self.again(lambda tx: tx.untried(who, times))

    @asynccontextmanager
    async def trying(self, who: str, what: UUID, most: int) -> AsyncIterator[Callable[[], None] | None]:
        """A try that counts from its beginning; afterwards it counts when the function that is given was called. None
        when there were too many. Those that are about the same thing at once are one: fifty clicks on one button.
        """
        is_first, is_kept = what not in self._tried, False

        def keep() -> None:
            nonlocal is_kept
            is_kept = True

        if not is_first:
            yield keep
            if is_kept:
                await self.admit(who, sys.maxsize)
            return
        self._tried.add(what)
        admitted = False
        try:
            admitted = await self.admit(who, most)
            yield keep if admitted else None
        finally:
            self._tried.discard(what)
            if admitted and not is_kept:
                await self.take_back(who)

    async def again(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """`work` in one transaction, repeated when another one overtook it. Raises NotNow when that does not end."""
        return await self.store.run(work)

    async def look(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """`work` that only reads: it waits for no writer."""
        async with self.store.reading() as tx:
            return await work(tx)

    async def shop(self, tx: Transaction, shop: str) -> Shop | Refusal:
        """The shop as it is now; an unknown one is refused."""
        (found,) = await tx.several(Wanted(Shop, "*", (shop,), settled=True))
        return self.same_shop(found.get(shop))

    def same_shop(self, found: Shop | None) -> Shop | Refusal:
        """One object for each version of a shop, so that what follows from it is cached; unknown shops are refused."""
        if found is None:
            return Refusal("shop", "there is no such shop")
        known = self._shops.get(found.id)
        if known is None or known.version != found.version:
            known = self._shops[found.id] = found
        return known  # of a version that has passed none is kept

    async def basis(self, tx: Transaction, shop: Shop, record: Record, purses: Sequence[str], *, lock: bool) -> Basis:
        """What prices a cart. `lock`: stock, uses and purses are about to be changed."""
        codes = [folded_code(code) for code in record.coupons]
        coupons: dict[str, Coupon] = await tx.many(Coupon, shop.id, codes) if codes else {}
        gifts = [one.gift.sku for one in coupons.values() if one.gift is not None]
        skus = list(dict.fromkeys([*(line.sku for line in record.lines), *gifts]))
        articles, histories, levels, held = await tx.several(
            Wanted(Article, shop.id, skus, settled=True),
            Wanted(History, shop.id, skus, settled=True),
            Wanted(Level, shop.id, () if lock else skus),
            Wanted(Purse, shop.id, () if lock else purses),
        )
        if lock:
            levels = await tx.many(Level, shop.id, skus, lock=True)
            held = await tx.many(Purse, shop.id, purses, lock=True)
        return Basis(
            shop=shop, articles=articles, histories=histories, levels=levels, coupons=coupons, purses=held
        )  # fmt: skip
