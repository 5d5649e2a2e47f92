"""Effects: what follows from a transition, done at least once and in order for each order, also after a crash."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from relance.kernel.errors import NotNow
from relance.observability import logs
from services.checkout.application.acknowledging import Papers
from services.checkout.application.desk import Desk
from services.checkout.application.papering import PaperPress
from services.checkout.application.stocking import alert
from services.checkout.domain.attempts import News
from services.checkout.domain.presenting import Alert
from services.checkout.domain.refunds import RefundNews
from services.checkout.metrics import DeskMetrics
from services.checkout.store import QueuedEffect, Transaction

__all__ = ["EffectRunner"]

_BATCH: Final = 64
_AT_ONCE: Final = 48  # orders whose effects are under way, confirmations apart
_PRINTED_AT_ONCE: Final = 2  # one is set while the next is read
_IDLE_S: Final = 0.2
_AWAY_MAX_S: Final = 5.0
_LONGEST_S: Final = 600.0
_SLOW: Final = frozenset({"acknowledge", "print_paper"})  # tenths of a second each: money does not wait for them
_AFTER: Final = frozenset({"look_after", "write_letter", "print_paper", "acknowledge_stray", "seek_contract"})
_LOCAL: Final = frozenset(
    {"commit_stock", "release_stock", "promise_stock", "ship_stock", "redeem_tender", "release_tender",
     "restore_tender", "release_coupons"}
)  # fmt: skip


class _Later(Exception):  # noqa: N818 - a reason to wait
    """It could not be done yet."""


class EffectRunner:
    """Does the effects of a store. Several processes may run one each: they never take the same effect."""

    def __init__(self, desk: Desk, papers: Papers, metrics: DeskMetrics, press: PaperPress | None = None) -> None:
        self._desk = desk
        self._papers = papers
        self._press = press
        self._metrics = metrics
        self._log = logs.logger("effects")
        self._running: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._money: set[asyncio.Task[None]] = set()
        self._printing = asyncio.Semaphore(_PRINTED_AT_ONCE)
        self.problem: str | None = None  # why effects cannot be taken at present

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is under way then is finished. While the database is away it waits, and says so."""
        away_s = _IDLE_S
        while not stop.is_set():
            try:
                taken = await self._round()
                self.problem, away_s = None, _IDLE_S
            except NotNow as error:
                if self.problem is None:  # once, not at each turn of a long outage
                    self._log.warning("database_away", error=str(error))
                self.problem, taken = "the database is away", 0
                await _rest(stop, away_s)
                away_s = min(_AWAY_MAX_S, 2 * away_s)
            if not taken:
                await self._wait(stop)
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def drain(self) -> int:
        """Do all that is due now, and what follows from it; how many. For tests and orderly ends."""
        count = 0
        while taken := await self._round():
            count += taken
            while self._tasks:
                await asyncio.wait(self._tasks)
        return count

    async def _wait(self, stop: asyncio.Event) -> None:
        nudged = self._desk.work_waits
        waiting = [asyncio.ensure_future(one.wait()) for one in (stop, nudged)]
        await asyncio.wait(waiting, timeout=_IDLE_S, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        nudged.clear()

    async def _round(self) -> int:
        """Take effects, an order's in their order, and begin them."""
        if len(self._money) >= _AT_ONCE:
            await asyncio.wait(self._money, return_when=asyncio.FIRST_COMPLETED)
        now = self._desk.clock()
        lease = timedelta(seconds=self._desk.terms.lease_s)
        taken = await self._desk.again(lambda tx: tx.effects(_BATCH, now, lease))
        fresh = [effect for effect in taken if effect.id not in self._running]
        by_order: dict[str, list[QueuedEffect]] = {}
        for effect in fresh:
            by_order.setdefault(f"{effect.order}/{effect.id if effect.kind in _SLOW else ''}", []).append(effect)
        for effects in by_order.values():
            self._running |= {effect.id for effect in effects}
            task = asyncio.create_task(self._all(effects))
            for kept in (self._tasks,) if effects[0].kind in _SLOW else (self._tasks, self._money):
                kept.add(task)
                task.add_done_callback(kept.discard)
        return len(fresh)

    async def _all(self, effects: Sequence[QueuedEffect]) -> None:
        try:
            for effect in effects:
                await self._one(effect)
        finally:
            self._running -= {effect.id for effect in effects}

    async def _one(self, effect: QueuedEffect) -> None:
        result = "done"
        try:
            await self._do(effect)
        except (_Later, NotNow) as reason:
            result = "later"
            await self._put_off(effect, str(reason))
        except Exception as error:  # noqa: BLE001 - a defect in one effect must not keep the others from being done
            result = "failed"
            self._log.error("effect_failed", kind=effect.kind, error=type(error).__name__, text=str(error)[:200])
            await self._put_off(effect, f"{type(error).__name__}: {error}")
        self._metrics.effects.labels(effect.kind, result).inc()

    async def _put_off(self, effect: QueuedEffect, reason: str) -> None:
        wait_s = min(_LONGEST_S, 0.5 * (1 << min(effect.attempts, 12)))
        at = self._desk.clock() + timedelta(seconds=wait_s)
        with contextlib.suppress(NotNow):  # its lease ends by itself
            await self._desk.again(lambda tx: tx.later(effect.id, at, reason))

    async def _do(self, effect: QueuedEffect) -> None:
        if effect.kind in _LOCAL:
            await self._desk.again(lambda tx: self._settle(tx, effect))
            return
        if effect.kind in {"tell_shopper", "alert_shop", "acknowledge_withdrawal"}:
            await self._desk.again(lambda tx: self._say(tx, effect))
            self._desk.nudge()
            return
        if effect.kind == "acknowledge":
            async with self._printing:
                sent = await self._desk.acknowledge(effect.shop, effect.order, self._papers)
            if not sent:
                raise _Later("the confirmation lacks something")
        elif effect.kind in _AFTER:
            await self._follow_up(effect)
        else:
            await self._with_provider(effect)
        await self._desk.again(lambda tx: tx.done(effect.id))

    async def _follow_up(self, effect: QueuedEffect) -> None:
        """What follows an order: a look at what is to be done, letters, papers."""
        shop, order, ref = effect.shop, effect.order, effect.ref
        if effect.kind == "look_after":
            await self._desk.look_after(shop, order, of_before=ref == "before")
        elif effect.kind == "acknowledge_stray":
            if await self._desk.seek_order(shop, ref):
                await self._desk.write_letter(shop, order, "withdrawal.acknowledged", ref)
        elif effect.kind == "seek_contract":
            await self._desk.seek_contract(shop, ref)
        elif effect.kind == "write_letter":
            kind, _, about = ref.partition("#")
            await self._desk.write_letter(shop, order, kind, about)
        else:
            async with self._printing:
                await self._desk.print_paper(shop, order, ref, self._press)

    async def _settle(self, tx: Transaction, effect: QueuedEffect) -> None:
        await self._desk.settle(tx, effect)
        await tx.done(effect.id)

    async def _say(self, tx: Transaction, effect: QueuedEffect) -> None:
        at = self._desk.clock()
        if effect.kind == "tell_shopper":
            await self._desk.tell(tx, effect.shop, effect.order, effect.ref)
        elif effect.kind == "alert_shop":
            await alert(tx, effect.shop, effect.order, Alert("payment.look", at, effect.ref))
        else:
            await alert(tx, effect.shop, effect.order, Alert("withdrawal.requested", at))
        await tx.done(effect.id)

    async def _with_provider(self, effect: QueuedEffect) -> None:
        shop, order, ref = effect.shop, str(effect.order), effect.ref
        news: News | RefundNews | None = None
        if effect.kind == "call_psp":
            if await self._desk.is_unopened(shop, order, ref):  # else the click itself has opened it
                await self._desk.open_attempt(shop, order, ref)
                if await self._desk.is_unopened(shop, order, ref):
                    raise _Later("the provider did not answer")
        elif effect.kind == "cancel_at_psp":
            news = await self._desk.close_attempt(shop, order, ref)
        elif effect.kind == "ask_psp":
            news = await self._desk.ask(shop, order, ref)
        elif effect.kind != "refund_at_psp":
            raise _Later(f"nobody here knows how to do {effect.kind}")  # a newer release does, or somebody looks at it
        elif ref.startswith("look/"):
            news = await self._desk.refund(shop, order, ref.removeprefix("look/"), first=False)
        else:
            news = await self._desk.refund(shop, order, ref, first=True)
        if news is not None and _undecided(effect, news):
            raise _Later(f"the provider says {news.status}")


def _undecided(effect: QueuedEffect, news: News | RefundNews) -> bool:
    """Whether the provider is to be called again soon; else the reconciler goes on asking."""
    return effect.kind == "cancel_at_psp" and news.status in {"unknown", "sent", "action_required"}


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
