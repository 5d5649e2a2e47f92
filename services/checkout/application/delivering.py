"""Delivery that is late or fails: what consumers write of it, what befalls parcels, what cannot be supplied."""

from datetime import date, datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from relance.rules.law.calendar import paris_date
from services.checkout.application.aftercaring import Aftercaring, AfterView, Words
from services.checkout.application.singly import looked_at, unread
from services.checkout.domain import promises
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.follow_up import Outcome, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.promises import (
    DeliveryAct,
    Late,
    NotifyLate,
    RefuseLiability,
    ReportIncident,
    ReportUnavailable,
    ResolveLate,
    Suspend,
)  # fmt: skip
from services.checkout.store import Transaction

__all__ = ["Delivering", "LateOrder"]


class LateOrder(NamedTuple):
    """An order of which something is still to come after its last day. `after`: its notices and incidents."""

    order: Order
    after: Aftercare
    late: tuple[Late, ...]


class Delivering(Aftercaring):
    """What is done when goods do not come. An act that is repeated changes nothing."""

    async def late_deliveries(
        self, shop: str, *, at: datetime | None = None, after: str = "", limit: int = 20
    ) -> list[LateOrder]:  # fmt: skip
        """A shop's orders that are late at an instant, now when none is given, by id, from the one after `after`. They
        are known from the first look after their last day on.
        """
        on = paris_date(at or self.clock())
        found: list[LateOrder] = []
        more = True
        while more and len(found) < limit:
            afters, orders, lost = await self.look(partial(_late_page, shop, after, limit))
            for id_ in lost:
                unread(shop, id_)
            found += self._late_of(shop, afters, orders, on)
            more = len(afters) == limit
            after = next(reversed(afters), after)
        return found[:limit]

    def _late_of(
        self, shop: str, afters: dict[str, Aftercare], orders: dict[str, Order], on: date
    ) -> list[LateOrder]:  # fmt: skip
        return [
            LateOrder(orders[id_], one, late)
            for id_, one in afters.items()
            if id_ in orders and (late := looked_at(shop, id_, partial(promises.late, orders[id_], one, on, self.book)))
        ]

    async def notify_late(
        self, shop: str, order_id: UUID, act: NotifyLate, words: Words | None = None
    ) -> AfterView | Refusal:  # fmt: skip
        """The consumer gives notice, with extra time."""
        return await self._deliver_act(shop, order_id, act, words)

    async def suspend(
        self, shop: str, order_id: UUID, act: Suspend, words: Words | None = None
    ) -> AfterView | Refusal:  # fmt: skip
        """The consumer holds back what is still to be paid, or goes on."""
        return await self._deliver_act(shop, order_id, act, words)

    async def resolve_late(
        self, shop: str, order_id: UUID, act: ResolveLate, words: Words | None = None
    ) -> AfterView | Refusal:  # fmt: skip
        """The consumer ends the contract: what is undone of it is owed within fourteen days."""
        return await self._deliver_act(shop, order_id, act, words)

    async def report_incident(self, shop: str, order_id: UUID, act: ReportIncident) -> AfterView | Refusal:
        """A parcel was lost, damaged, refused or came back."""
        return await self._deliver_act(shop, order_id, act)

    async def report_unavailable(self, shop: str, order_id: UUID, act: ReportUnavailable) -> AfterView | Refusal:
        """Units can no longer be supplied."""
        return await self._deliver_act(shop, order_id, act)

    async def refuse_liability(self, shop: str, order_id: UUID, act: RefuseLiability) -> AfterView | Refusal:
        """The shop would not answer for a delivery: refused, with rule and article."""
        return await self._deliver_act(shop, order_id, act)

    async def _deliver_act(
        self, shop: str, order_id: UUID, act: DeliveryAct, words: Words | None = None
    ) -> AfterView | Refusal:  # fmt: skip
        return await self.follow(shop, order_id, partial(_step, act), words=words)


async def _late_page(
    shop: str, after: str, limit: int, tx: Transaction
) -> tuple[dict[str, Aftercare], dict[str, Order], tuple[str, ...]]:  # fmt: skip
    afters, lost = await tx.legible_page(Aftercare, shop, key=("delivery", "late"), after=after, limit=limit)
    orders, lost_too = await tx.legible_of(Order, shop, tuple(afters))
    return afters, orders, (*lost, *lost_too)


def _step(act: DeliveryAct, order: Order, after: Aftercare, setting: Setting) -> Outcome | Refusal:
    return promises.step(order, after, act, setting)
