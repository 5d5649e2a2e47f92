"""Claims requests whose time has come, and sends them: `services.notification.domain.deliveries` tells how."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple
from uuid import uuid4

import msgspec

from relance.kernel.errors import InputError, NotNow
from relance.kernel.instants import to_ms
from relance.observability.logs import logger
from services.notification.application.preparing import HashMismatch, Prepared, Preparing
from services.notification.domain.deliveries import Delivery, Settled
from services.notification.domain.failures import Failure, Schedule, is_final, retry_at_ms, suppresses
from services.notification.domain.kinds import Kinds
from services.notification.domain.pacing import Pace
from services.notification.metrics import Metrics
from services.notification.ports import Accepted, Mailer, Unknown, Withdrawn
from services.notification.store.ledger import Ledger

__all__ = ["Limits", "Parts", "Sending"]

_UNCERTAIN_AT_ONCE: Final = 50
_UNKNOWN_LASTS_MS: Final = 86_400_000  # that there is no such kind is then said, not that its time is over


class Limits(msgspec.Struct, frozen=True):
    """How much at a time, and for how long (seconds). `claim_s` bounds an attempt up to its message's end."""

    at_once: int
    claim_s: float
    answer_s: float
    uncertain_s: float
    poll_s: float
    schedule: Schedule


class Parts(NamedTuple):
    """What sending works with."""

    ledger: Ledger
    preparing: Preparing
    mailer: Mailer
    pace: Pace
    metrics: Metrics
    kinds: Kinds
    reports_read: Callable[[], bool]  # whether all reports that have come are taken in


class Sending:
    """The loop that sends. `wake` it when something was heard."""

    def __init__(self, parts: Parts, limits: Limits, now_ms: Callable[[], int], chance: Callable[[], float]) -> None:
        self._ledger = parts.ledger
        self._preparing = parts.preparing
        self._mailer = parts.mailer
        self._pace = parts.pace
        self._metrics = parts.metrics
        self._kinds = parts.kinds
        self._reports_read = parts.reports_read
        self._resolves_from_ms = now_ms() + round(limits.uncertain_s * 1_000)
        self._limits = limits
        self._now_ms = now_ms
        self._chance = chance
        self._woken = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._log = logger("sending")

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; what is under way then goes on: see `drain`."""
        while not stop.is_set():
            self._woken.clear()
            try:
                await self.resolve()
                begun = await self.begin()
            except NotNow as error:
                self._log.warning("database_away", reason=str(error))
                begun = 0
            if not begun or len(self._under_way) >= self._limits.at_once:
                await self._pause()

    async def drain(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def cancel(self) -> None:
        """End what is under way; what has not sent its end is sent by the next process."""
        for task in self._under_way:
            task.cancel()
        await self.drain()

    async def begin(self) -> int:
        """Claim what is due and there is room for, and begin to send it; how many."""
        room = self._limits.at_once - len(self._under_way)
        if room <= 0:
            return 0
        now_ms = self._now_ms()
        lapses_ms = now_ms + round(self._limits.claim_s * 1_000)
        begun = 0
        for delivery in await self._ledger.claim(uuid4().hex, room, now_ms, lapses_ms):
            if at_ms := self._pace.begin(delivery.domain, now_ms):
                await self._ledger.release(delivery, at_ms)
                continue
            task = asyncio.create_task(self._attempt(delivery))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
            begun += 1
        return begun

    async def resolve(self) -> None:
        """Decide about messages whose fate nobody knows, after the time for reports has passed, for this process too:
        what came while none ran is read first.
        """
        if self._now_ms() < self._resolves_from_ms or not self._reports_read():
            return
        for delivery, again in await self._ledger.uncertain(self._now_ms(), _UNCERTAIN_AT_ONCE, self._kinds.sent_again):
            self._metrics.uncertain.labels("again" if again else "given_up").inc()
            self._log.warning("uncertain", request=str(delivery.request.id), again=again)
            if not again:
                settled = Settled("failed", "nobody knows whether the server took it, and it is not sent twice")
                await self._settle(delivery, settled, "")

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._limits.poll_s)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("attempt_broke", error=repr(error)[:300])  # its claim lapses, and it is tried again

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            async with asyncio.timeout(self._limits.claim_s + self._limits.answer_s):
                await self._send(delivery)
        except NotNow as error:
            self._log.warning("attempt_put_off", request=str(delivery.request.id), reason=str(error))
        finally:
            self._pace.end(delivery.domain)

    async def _send(self, delivery: Delivery) -> None:
        request = delivery.request
        if self._now_ms() >= to_ms(request.requested_at) + self._lasts_ms(request.kind):
            await self._settle(delivery, Settled("failed", "its time is over"), "")
            return
        if await self._ledger.is_suppressed(request.shop, delivery.address_hash, self._kinds.class_of(request.kind)):
            self._alert("suppressed", delivery)
            await self._settle(delivery, Settled("bounced", "the address bounced before", "5.1.1"), "")
            return
        try:
            prepared = await self._preparing.prepare(request)
        except HashMismatch as error:
            self._alert("hash_mismatch", delivery)
            await self._settle(delivery, Settled("dead", str(error)), "")
        except InputError as error:
            self._alert("dead", delivery)
            await self._settle(delivery, Settled("dead", str(error)), "")
        except NotNow as error:
            await self._failed(delivery, Failure("documents", detail=str(error)[:300]), "")
        else:
            await self._deliver(delivery, prepared)

    async def _deliver(self, delivery: Delivery, prepared: Prepared) -> None:
        limits = self._limits

        async def may_end() -> bool:
            uncertain_at_ms = self._now_ms() + round((limits.answer_s + limits.uncertain_s) * 1_000)
            return await self._ledger.begin_sending(delivery, prepared.message_id, uncertain_at_ms)

        answer = await self._mailer.send(prepared.envelope, prepared.content, may_end)
        if isinstance(answer, Accepted):
            if await self._settle(delivery, Settled("accepted", answer.detail), prepared.message_id):
                delay_ms = self._now_ms() - to_ms(delivery.request.requested_at)
                self._metrics.seconds.labels(delivery.request.kind).observe(max(delay_ms, 0) / 1_000)
        elif isinstance(answer, Unknown):
            self._metrics.attempts.labels("uncertain").inc()
            now_ms = self._now_ms()
            await self._ledger.wonder(delivery, now_ms + round(limits.uncertain_s * 1_000), now_ms, answer.detail)
        elif isinstance(answer, Withdrawn):
            self._log.warning("claim_lapsed", request=str(delivery.request.id))
        else:
            await self._failed(delivery, answer, prepared.message_id)

    async def _failed(self, delivery: Delivery, failure: Failure, message_id: str) -> None:
        self._metrics.attempts.labels(failure.sort).inc()
        now_ms = self._now_ms()
        if is_final(failure.sort):
            if failure.sort == "policy":
                self._alert("policy", delivery)
            settled = Settled("bounced", failure.detail, failure.status or f"{failure.code}")
            await self._settle(delivery, settled, message_id, failure)
            return
        at_ms = retry_at_ms(failure.sort, delivery.attempts, now_ms, self._limits.schedule, self._chance())
        if at_ms >= to_ms(delivery.request.requested_at) + self._lasts_ms(delivery.request.kind):
            settled = Settled("failed", f"{failure.sort}: {failure.detail}", failure.status)
            await self._settle(delivery, settled, message_id, failure)
            return
        await self._ledger.retry(delivery, failure, at_ms, now_ms)

    async def _settle(
        self, delivery: Delivery, settled: Settled, message_id: str, failure: Failure | None = None
    ) -> bool:
        done = await self._ledger.settle(
            delivery, settled, message_id, self._now_ms(),
            failure=failure, suppress=failure is not None and suppresses(failure),
        )  # fmt: skip
        if not done:
            self._log.warning("settled_before", request=str(delivery.request.id))
            return False
        self._metrics.outcomes.labels(delivery.request.kind, settled.outcome).inc()
        kind = self._kinds.get(delivery.request.kind)
        if kind is not None and kind.alerts and settled.outcome != "accepted":
            self._alert("unconfirmed", delivery)
        return True

    def _lasts_ms(self, kind: str) -> int:
        return self._kinds[kind].lasts_ms if kind in self._kinds else _UNKNOWN_LASTS_MS

    def _alert(self, reason: str, delivery: Delivery) -> None:
        self._metrics.alerts.labels(reason).inc()
        self._log.error(
            "alert", reason=reason, request=str(delivery.request.id), shop=delivery.request.shop,
            order=str(delivery.request.order_id), kind=delivery.request.kind,
        )  # fmt: skip
