"""The daily job: all that a new day brings to orders and contracts. It takes its clock as an argument.

What the job does at midnight is what a click would do at noon; who runs it twice, in however many processes, or after
it was killed, does nothing the second time: each order is looked at in a transaction of its own. What is decided is
decided as of the clock that it is given; evidence and letters have the hour at which it is done.
"""

import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from relance.kernel.errors import InputError, NotNow
from relance.observability import logs
from services.checkout.application.desk import Desk
from services.checkout.application.gauging import figures
from services.checkout.domain import looking
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.contracts import Contract
from services.checkout.domain.follow_up import Outcome, Setting
from services.checkout.domain.orders import GiveBack, Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.store import Conflict, Transaction

__all__ = ["Daily", "DayReport"]

_PAGE: Final = 100
_PUT_OFF: Final = timedelta(hours=1)

Look = Callable[[str, str, datetime], Awaitable[Outcome | None]]


class DayReport(NamedTuple):
    """What a run did: orders looked at, those that could not be, refunds asked for, letters; and what then stands in
    the worklists of all shops. `left`: what is due and was not done, for a limit; then nothing is counted.
    """

    looked: int = 0
    failed: int = 0
    asked: int = 0
    letters: int = 0
    soon: int = 0
    late: int = 0
    left: int = 0


class Daily:
    """Looks at whatever has its day."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._log = logs.logger("daily")
        self.ran_at: datetime | None = None

    async def run(self, at: datetime, *, limit: int | None = None) -> DayReport:
        """Do what is due by `at`, as of then, and count the worklists; with a `limit` at most so many orders and
        contracts. What fails is put off an hour, and holds up no other. Raises NotNow when the database is away, and
        InputError for an instant that has not come: what is due then may still be settled before.
        """
        if at > self._desk.clock():
            raise InputError(f"{at.isoformat()} is in the future: a day is done once it has come")
        report = await self.work(at, limit=limit)
        if report.left:
            return report
        found = await figures(self._desk, at)
        return report._replace(
            soon=sum(one.soon for one in found.values()), late=sum(one.late for one in found.values())
        )  # fmt: skip

    async def work(self, at: datetime, *, limit: int | None = None) -> DayReport:
        """As `run`, without counting."""
        most = sys.maxsize if limit is None else limit
        report = await self._all(Aftercare, self._look, at, most)
        most -= report.looked + report.failed
        others = await self._all(Contract, self._look_at_contract, at, most)
        report = DayReport(*(one + other for one, other in zip(report, others, strict=True)))
        if limit is not None:
            report = report._replace(left=await self._desk.look(lambda tx: _left(tx, at)))
        if not report.left:
            self.ran_at = at
        if report.looked:
            self._desk.nudge()
        return report

    async def _all(self, type_: type[msgspec.Struct], look: Look, at: datetime, most: int) -> DayReport:
        report, seen = DayReport(), set[tuple[str, str]]()
        while names := await self._desk.look(partial(_names, type_, at, min(most, _PAGE))):
            most -= len(names)
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


async def _names(type_: type[msgspec.Struct], at: datetime, limit: int, tx: Transaction) -> list[tuple[str, str]]:
    return await tx.due_names(type_, at, limit)


async def _left(tx: Transaction, at: datetime) -> int:
    return await tx.due_count(Aftercare, at) + await tx.due_count(Contract, at)
