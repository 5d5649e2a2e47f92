"""What time does: pages left open fail, orders lapse, checkouts expire, and the provider is asked what became of money.

Webhooks are hints that may never come; so whatever is under way is asked about until it is decided.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

import msgspec

from relance.kernel.errors import NotNow
from relance.observability import logs
from services.checkout.application import telling
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.application.forgetting import forget_papers, forget_strays
from services.checkout.application.ordering import Watch
from services.checkout.domain import checkouts
from services.checkout.domain.checkouts import Checkout, Expire
from services.checkout.domain.due import may_change, order_due, watched
from services.checkout.domain.orders import ClockMoved, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.metrics import DeskMetrics
from services.checkout.store import ANY, Conflict, Transaction
from services.checkout.store.sweeping import date_begun, sweep

__all__ = ["Timekeeper"]

replace = msgspec.structs.replace

_EVERY_S: Final = 0.5
_BATCH: Final = 100
_LONGEST_S: Final = 900.0
_SWEEP_EVERY: Final = timedelta(hours=1)
_PUT_OFF: Final = timedelta(minutes=1)
_DAY_EVERY: Final = timedelta(minutes=1)

T = TypeVar("T", Order, Checkout, Watch)


class Timekeeper:
    """Acts when the clock says so. Several processes may run one each: what one has done the others leave."""

    def __init__(self, desk: Desk, metrics: DeskMetrics) -> None:
        self._desk = desk
        self._metrics = metrics
        self._log = logs.logger("timing")
        self._swept = desk.clock()
        self._dated = False
        self.daily = Daily(desk)
        self._wrong: dict[str, str] = {}

    @property
    def problem(self) -> str | None:
        """What time does not do at present, and why."""
        return "; ".join(f"{name}: {why}" for name, why in sorted(self._wrong.items())) or None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        work = (self._orders, self._checkouts, self._watches, self._day, self._sweep)  # none waits for another
        await asyncio.gather(*(self._repeat(one, stop) for one in work))

    async def _repeat(self, work: Callable[[], Awaitable[int]], stop: asyncio.Event) -> None:
        name = work.__name__.strip("_")
        while not stop.is_set():
            done = 0
            try:
                done = await work()
                self._wrong.pop(name, None)
            except NotNow as error:
                if name not in self._wrong:  # once, not at each turn of a long outage
                    self._log.warning("database_away", what=name, error=str(error))
                self._wrong[name] = "the database is away"
            except Exception as error:  # noqa: BLE001 - time goes on whatever was read
                self._wrong[name] = type(error).__name__
                self._log.error("timing_failed", what=name, error=type(error).__name__)
            if not done:
                try:
                    async with asyncio.timeout(_EVERY_S):
                        await stop.wait()
                except TimeoutError:
                    continue

    async def round(self) -> int:
        """Act on all that is due; how many were done."""
        done = await self._orders() + await self._checkouts() + await self._watches()
        return done + await self._daily(self._desk.clock()) + await self._sweep()

    async def _orders(self) -> int:
        done = await self._all_due(Order, lambda shop, order: self._order(shop, str(order.id)))
        if done:
            self._desk.nudge()
        return done

    async def _checkouts(self) -> int:
        return await self._all_due(Checkout, lambda shop, checkout: self._expire(shop, str(checkout.id)))

    async def _watches(self) -> int:
        return await self._all_due(Watch, self._look, at_once=_BATCH)

    async def _day(self) -> int:
        """What the day brings, once a minute: the clock that it is done by is this one."""
        now, last = self._desk.clock(), self.daily.ran_at
        if last is not None and timedelta() <= now - last < _DAY_EVERY:  # a clock that was ahead is no reason to wait
            return 0
        return await self._daily(now)

    async def _daily(self, now: datetime) -> int:
        report = await self.daily.work(now)
        for result, count in (("done", report.looked), ("failed", report.failed)):
            self._metrics.timers.labels("aftercare", result).inc(count)
        return report.looked

    async def _sweep(self) -> int:
        """A few rows of each table a turn, once an hour until none is left. What processes of an older release left
        undone is done once, an hour after this one began: by then they are gone.
        """
        now = self._desk.clock()
        if timedelta() <= now - self._swept < _SWEEP_EVERY:
            return 0
        store = self._desk.store
        done = await sweep(store, now) + await forget_strays(store, now)
        done += await forget_papers(store, self._desk.book, now)
        if not self._dated:
            dated = await date_begun(store)
            done, self._dated = done + dated, not dated
        if not done:
            self._swept = now
        return done

    async def _all_due(self, type_: type[T], act: Callable[[str, T], Awaitable[None]], at_once: int = 1) -> int:
        now = self._desk.clock()
        due = await self._due(type_, now)
        done = 0
        for start in range(0, len(due), at_once):
            some = due[start : start + at_once]
            done += sum(await asyncio.gather(*(self._guarded(type_, shop, value, act) for shop, value in some)))
        return done

    async def _due(self, type_: type[T], now: datetime) -> list[tuple[str, T]]:
        """What is due. A row that cannot be read makes way for the others, as what cannot be done does."""
        try:
            return await self._desk.look(lambda tx: tx.due(type_, now, _BATCH))
        except msgspec.DecodeError:
            names = await self._desk.look(lambda tx: tx.due_names(type_, now, _BATCH))
        found: list[tuple[str, T]] = []
        for shop, id_ in names:
            try:
                value = await self._desk.look(partial(_read, type_, shop, id_))
            except msgspec.DecodeError:
                await self._put_off(type_, shop, id_, "unreadable")
            else:
                found += [] if value is None else [(shop, value)]
        return found

    async def _put_off(self, type_: type[T], shop: str, id_: str, error: str) -> None:
        what, until = type_.__name__.lower(), self._desk.clock() + _PUT_OFF
        self._metrics.timers.labels(what, "failed").inc()
        self._log.error("timer_failed", what=what, shop=shop, id=id_, error=error)
        await self._desk.again(lambda tx: tx.put_off(type_, shop, id_, until))

    async def _guarded(self, type_: type[T], shop: str, value: T, act: Callable[[str, T], Awaitable[None]]) -> bool:
        """Whether it was done. What could not be done makes way for the others: its time comes again in a minute."""
        try:
            await act(shop, value)
        except Exception as error:
            if isinstance(error, NotNow) and not isinstance(error, Conflict):
                raise
            await self._put_off(type_, shop, str(value.id), type(error).__name__)
            return False
        self._metrics.timers.labels(type_.__name__.lower(), "done").inc()
        return True

    async def _order(self, shop: str, order_id: str) -> None:
        async def work(tx: Transaction) -> None:
            moved = await self._desk.advance(tx, shop, order_id, ClockMoved())
            if isinstance(moved, Refusal) or moved.transition:
                return
            order = moved.state
            soon = self._desk.clock() + timedelta(minutes=1)
            due = order_due(order)
            after = replace(order, version=order.version + 1)
            await tx.put(shop, order_id, after, before=order.version, state=order.state,
                         due_at=None if due is None else max(due, soon))  # fmt: skip

        await self._desk.again(work)

    async def _expire(self, shop: str, checkout_id: str) -> None:
        async def work(tx: Transaction) -> None:
            checkout = await tx.get(Checkout, shop, checkout_id, lock=True)
            if checkout is None:
                return
            moved = checkouts.step(checkout, Expire(), self._desk.clock())
            if isinstance(moved, Refusal):
                return
            after = moved.state if moved.transition else replace(checkout, version=checkout.version + 1)
            await tx.put(shop, checkout_id, after, before=checkout.version, state=after.state, due_at=None)
            await tx.say(moved.events)
            if moved.transition:
                await tx.record(shop, checkout_id, [telling.happened("expired", self._desk.clock(), "checkout", {})])

        await self._desk.again(work)

    async def _look(self, shop: str, watch: Watch) -> None:
        """Ask about each attempt and refund of an order that is not decided; again later while one is not."""
        order = await self._desk.look(lambda tx: tx.get(Order, shop, watch.id))
        for attempt in order.attempts if order is not None else ():
            if attempt.open_at_psp:
                await self._desk.ask(shop, watch.id, attempt.id)
        for refund in order.refunds if order is not None else ():
            if may_change(refund, self._desk.clock()):
                await self._desk.refund(shop, watch.id, refund.id, first=False)
        wait_s = min(_LONGEST_S, self._desk.terms.early_look_s * (1 << min(watch.looks, 10)))

        async def work(tx: Transaction) -> None:
            now = await tx.get(Order, shop, watch.id)
            at = self._desk.clock()
            if now is None or not watched(now, at):
                await tx.remove(Watch, shop, watch.id)
                return
            again = Watch(id=watch.id, looks=watch.looks + 1)
            wait = _rest(now, at) or timedelta(seconds=wait_s)
            await tx.put(shop, watch.id, again, before=ANY, due_at=at + wait)

        await self._desk.again(work)


async def _read(type_: type[T], shop: str, id_: str, tx: Transaction) -> T | None:
    return await tx.get(type_, shop, id_)


def _rest(order: Order, at: datetime) -> timedelta | None:
    """How long nobody need be asked: all is done, and only money that was given back may come back. A day at first,
    then twice as long each time. None while something is under way.
    """
    if any(one.open_at_psp for one in order.attempts) or any(
        one.state != "succeeded" and may_change(one, at) for one in order.refunds
    ):
        return None
    done = [one.succeeded_at for one in order.refunds if one.succeeded_at is not None and may_change(one, at)]
    return max(timedelta(days=1), at - max(done)) if done else None
