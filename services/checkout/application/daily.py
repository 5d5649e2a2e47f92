"""The daily job: all that a new day brings to orders, contracts and worklists. It takes its clock as an argument.

What the job does at midnight is what a click would do at noon; who runs it twice does nothing the second time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from relance.kernel.errors import NotNow
from relance.observability import logs
from relance.rules.law.calendar import paris_date
from services.checkout.application.desk import Desk
from services.checkout.domain import dues, guarantees, lateness, looking
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.contracts import Contract
from services.checkout.domain.follow_up import Outcome, Setting
from services.checkout.domain.orders import GiveBack, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import Shop
from services.checkout.metrics import AfterMetrics
from services.checkout.store import Conflict, Transaction

__all__ = ["Daily", "DayGauges", "DayReport", "Figures", "figures"]

_PAGE: Final = 100
_PUT_OFF: Final = timedelta(hours=1)
_EVERY_S: Final = 60.0
_SLOW: Final = timedelta(seconds=60)  # an acknowledgement leaves within seconds, or somebody has to look

Look = Callable[[str, str, datetime], Awaitable[Outcome | None]]


class DayReport(NamedTuple):
    """What a run did: orders looked at, those that could not be, refunds asked for, letters; and what then stands in
    the worklists of all shops.
    """

    looked: int = 0
    failed: int = 0
    asked: int = 0
    letters: int = 0
    soon: int = 0
    late: int = 0


class Figures(NamedTuple):
    """What waits for a shop on a day: dues by their dates, today's surcharge in cents and dues of which no legal rate
    is known; late deliveries (orders) and claims; statements not acknowledged, and those that name no order.
    """

    soon: int = 0
    late: int = 0
    surcharge_minor: int = 0
    missing: int = 0
    deliveries: int = 0
    claims: int = 0
    unacknowledged: int = 0
    strays: int = 0


class Daily:
    """Looks at whatever has its day."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log = logs.logger("daily")
        self.ran_at: datetime | None = None

    async def run(self, at: datetime) -> DayReport:
        """Do what is due by `at`, as of then, and count the worklists. What fails is put off an hour, and holds up no
        other. Raises NotNow when the database is away.
        """
        report = await self.work(at)
        found = await figures(self._desk, at)
        return report._replace(
            soon=sum(one.soon for one in found.values()), late=sum(one.late for one in found.values())
        )  # fmt: skip

    async def work(self, at: datetime) -> DayReport:
        """As `run`, without counting."""
        report = await self._all(Aftercare, self._look, at)
        others = await self._all(Contract, self._look_at_contract, at)
        report = DayReport(*(one + other for one, other in zip(report, others, strict=True)))
        self.ran_at = at
        if report.looked:
            self._desk.nudge()
        return report

    async def _all(self, type_: type[msgspec.Struct], look: Look, at: datetime) -> DayReport:
        report, seen = DayReport(), set[tuple[str, str]]()
        while names := await self._desk.look(lambda tx: tx.due_names(type_, at, _PAGE)):
            for shop, id_ in names:
                outcome = None if (shop, id_) in seen else await self._guarded(look, shop, id_, at)
                seen.add((shop, id_))
                if outcome is None:
                    await self._put_off(type_, shop, id_, at)
                    report = report._replace(failed=report.failed + 1)
                    continue
                asked = sum(isinstance(act, GiveBack) for act in outcome.acts)
                report = report._replace(
                    looked=report.looked + 1, asked=report.asked + asked,
                    letters=report.letters + len(outcome.letters),
                )  # fmt: skip
        return report

    async def _guarded(self, look: Look, shop: str, id_: str, at: datetime) -> Outcome | None:
        try:
            return await look(shop, id_, at)
        except Exception as error:
            if isinstance(error, NotNow) and not isinstance(error, Conflict):
                raise
            self._log.error("day_failed", shop=shop, id=id_, error=type(error).__name__, text=str(error)[:200])
            return None

    async def _put_off(self, type_: type[msgspec.Struct], shop: str, id_: str, at: datetime) -> None:
        await self._desk.again(lambda tx: tx.put_off(type_, shop, id_, at + _PUT_OFF))

    async def _look_at_contract(self, shop: str, contract_id: str, at: datetime) -> Outcome | None:
        """A contract is looked at with its order."""
        found = await self._desk.look(lambda tx: tx.get(Contract, shop, contract_id))
        return None if found is None else await self._look(shop, found.order_id, at)

    async def _look(self, shop: str, order_id: str, at: datetime) -> Outcome | None:
        found: list[Outcome] = []

        def look(order: Order, after: Aftercare, setting: Setting) -> Outcome:
            found.append(looking.look(order, after, setting))
            return found[-1]

        async def work(tx: Transaction) -> object:
            return await self._desk.follow_in(tx, shop, UUID(order_id), look, looks=False, at=at)

        done = await self._desk.undone_when_refused(work)
        if isinstance(done, Refusal):
            self._log.error("day_refused", shop=shop, order=order_id, field=done.field, reason=done.reason)
            return None
        return found[-1]


class DayGauges:
    """Shows what waits for shops, now and then."""

    def __init__(self, desk: Desk, daily: Daily, metrics: AfterMetrics, every_s: float = _EVERY_S) -> None:
        self._desk = desk
        self._daily = daily
        self._metrics = metrics
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. While the database is away the last numbers stand."""
        while not stop.is_set():
            try:
                found = await figures(self._desk, self._desk.clock())
            except NotNow:
                pass
            else:
                self._metrics.tell({shop: one._asdict() for shop, one in found.items()}, self._daily.ran_at)
            try:
                async with asyncio.timeout(self._every_s):
                    await stop.wait()
            except TimeoutError:
                continue


async def figures(desk: Desk, at: datetime) -> dict[str, Figures]:
    """What waits for each shop at an instant."""
    shops = await desk.look(lambda tx: tx.all(Shop, "*"))
    return {shop: await _of_shop(desk, found, at) for shop, found in shops.items()}


async def _of_shop(desk: Desk, shop: Shop, at: datetime) -> Figures:
    strays = await desk.look(lambda tx: tx.all(Stray, shop.id, state="open"))
    total = Figures(strays=len(strays), unacknowledged=sum(_waits(one, at) for one in strays.values()))
    async for order, after in desk.owing_orders(shop.id):
        one = _of_order(order, after, Setting(at, desk.book, shop.aftercare))
        total = Figures(*(mine + more for mine, more in zip(total, one, strict=True)))
    return total


def _of_order(order: Order, after: Aftercare, setting: Setting) -> Figures:
    stands = list(dues.standings(order, after, setting).values())
    on, book = paris_date(setting.at), setting.book
    return Figures(
        soon=sum(one.state == "soon" for one in stands),
        late=sum(one.state in {"late", "paid"} for one in stands),
        surcharge_minor=sum(one.surcharge_minor or 0 for one in stands),
        missing=sum(one.surcharge_minor is None for one in stands),
        deliveries=bool(lateness.late(order, after, on, book)),
        claims=len(guarantees.late_claims(order, after, on, book)),
        unacknowledged=sum(_waits(one, setting.at) for one in after.statements),
    )


def _waits(said: Any, at: datetime) -> bool:
    """Whether a statement should have been acknowledged by now."""
    return said.acknowledged_at is None and at - said.recorded_at > _SLOW
