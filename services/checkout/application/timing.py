"""What time does: pages left open fail, orders lapse, checkouts expire, and the provider is asked what became of money.

Webhooks are hints that may never come; so whatever is under way is asked about until it is decided.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final

import msgspec

from relance.kernel.errors import NotNow
from relance.observability import logs
from services.checkout.application.desk import Desk
from services.checkout.application.ordering import Watch, order_due, watched
from services.checkout.domain import checkouts
from services.checkout.domain.checkouts import Checkout, Expire
from services.checkout.domain.orders import ClockMoved, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.metrics import DeskMetrics
from services.checkout.store import ANY, Transaction

__all__ = ["Timekeeper"]

replace = msgspec.structs.replace

_EVERY_S: Final = 0.5
_BATCH: Final = 100
_LONGEST_S: Final = 900.0
_SWEEP_EVERY: Final = timedelta(hours=1)


class Timekeeper:
    """Acts when the clock says so. Several processes may run one each: what one has done the others leave."""

    def __init__(self, desk: Desk, metrics: DeskMetrics) -> None:
        self._desk = desk
        self._metrics = metrics
        self._log = logs.logger("timing")
        self._swept = desk.clock()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            try:
                done = await self.round()
            except NotNow as error:
                self._log.warning("database_away", error=str(error))
                done = 0
            if not done:
                try:
                    async with asyncio.timeout(_EVERY_S):
                        await stop.wait()
                except TimeoutError:
                    continue

    async def round(self) -> int:
        """Act on all that is due; how many."""
        now = self._desk.clock()
        orders = await self._desk.look(lambda tx: tx.due(Order, now, _BATCH))
        for shop, order in orders:
            await self._guarded("order", self._order(shop, str(order.id)))
        ended = await self._desk.look(lambda tx: tx.due(Checkout, now, _BATCH))
        for shop, checkout in ended:
            await self._guarded("checkout", self._expire(shop, str(checkout.id)))
        looks = await self._desk.look(lambda tx: tx.due(Watch, now, _BATCH))
        await asyncio.gather(*(self._guarded("watch", self._look(shop, watch)) for shop, watch in looks))
        if now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            await self._desk.again(lambda tx: tx.sweep(now))
        if orders:
            self._desk.nudge()
        return len(orders) + len(ended) + len(looks)

    async def _guarded(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except NotNow:
            raise
        except Exception as error:  # noqa: BLE001 - one order must not keep the others from being looked at
            self._metrics.timers.labels(what, "failed").inc()
            self._log.error("timer_failed", what=what, error=type(error).__name__, text=str(error)[:200])
        else:
            self._metrics.timers.labels(what, "done").inc()

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

        await self._desk.again(work)

    async def _look(self, shop: str, watch: Watch) -> None:
        """Ask about each attempt and refund of an order that is not decided; again later while one is not."""
        order = await self._desk.look(lambda tx: tx.get(Order, shop, watch.id))
        for attempt in order.attempts if order is not None else ():
            if attempt.open_at_psp:
                await self._desk.ask(shop, watch.id, attempt.id)
        for refund in order.refunds if order is not None else ():
            if refund.attempt_id and refund.state in {"requested", "pending", "redirected"}:
                await self._desk.refund(shop, watch.id, refund.id, first=False)
        wait_s = min(_LONGEST_S, self._desk.terms.early_look_s * (1 << min(watch.looks, 10)))

        async def work(tx: Transaction) -> None:
            now = await tx.get(Order, shop, watch.id)
            if now is None or not watched(now):
                await tx.remove(Watch, shop, watch.id)
                return
            again = Watch(id=watch.id, looks=watch.looks + 1)
            await tx.put(shop, watch.id, again, before=ANY, due_at=self._desk.clock() + timedelta(seconds=wait_s))

        await self._desk.again(work)
