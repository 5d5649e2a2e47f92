"""What a shop owes its consumers: the worklist, and what it does about each sum."""

from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from typing import Final, Literal, NamedTuple
from uuid import UUID

from relance.rules.law.calendar import paris_date
from services.checkout.application.aftercaring import Aftercaring, AfterView, Words
from services.checkout.application.refunding import BY_HAND, Agreement, Refunding
from services.checkout.application.singly import looked_at, unread
from services.checkout.domain import discharge, dues
from services.checkout.domain.aftercare import Aftercare, Due, Payout, Voucher
from services.checkout.domain.dues import Standing, Step
from services.checkout.domain.follow_up import Outcome, Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.refunds import Redirect
from services.checkout.store import Transaction

__all__ = ["DueView", "Owing", "Which"]

Which = Literal["soon", "late", "open", "all"]

_PAGE: Final = 200
_STATES: Final[dict[Which, frozenset[str]]] = {
    "soon": frozenset({"soon"}),
    "late": frozenset({"late", "paid"}),
    "open": frozenset({"waiting", "open", "soon", "late", "paid"}),
    "all": frozenset({"waiting", "open", "soon", "late", "paid", "settled"}),
}


class DueView(NamedTuple):
    """A due with its order, as it stands on the day of a worklist. `place`: where the next page begins."""

    order: Order
    after: Aftercare
    due: Due
    standing: Standing
    forecast: tuple[Step, ...]

    @property
    def place(self) -> str:
        """The oldest date comes first; a due without one after all of them."""
        day = self.standing.due_on
        return f"{'9999-12-31' if day is None else day.isoformat()}/{self.due.id}"


class Owing(Refunding, Aftercaring):
    """Dues of orders."""

    async def dues(
        self, shop: str, which: Which = "open", *, on: date | None = None, within_days: int | None = None,
        after: str = "", limit: int = 20,
    ) -> list[DueView]:  # fmt: skip
        """A shop's dues as they stand on a Paris date (today), by their dates, from the one after the place `after`.

        `soon`: due within `within_days` (the shop's own when none are given); `late`: after their date, or paid but for
        what the lateness costs; `open`: all that is not settled.
        """
        wanted = _STATES[which]
        found: list[DueView] = []
        read = await self.look(lambda tx: self.shop(tx, shop))
        if isinstance(read, Refusal):
            return []
        soon = read.aftercare.ahead_days if within_days is None else within_days
        async for order, held in self.owing_orders(shop, settled_too=which == "all"):
            views = looked_at(shop, held.id, partial(self._stands, order, held, on or paris_date(self.clock()), soon))
            found += [one for one in views or () if one.standing.state in wanted]
        found.sort(key=lambda one: one.place)
        return [one for one in found if one.place > after][:limit]

    def _stands(self, order: Order, held: Aftercare, on: date, soon: int) -> list[DueView]:
        return [
            DueView(
                order, held, due, dues.standing(order, held, due, on, self.book, soon),
                dues.forecast(order, held, due, self.book),
            )
            for due in held.dues
        ]  # fmt: skip

    async def pay_due(self, shop: str, order_id: UUID, due_id: str) -> AfterView | Refusal:
        """Ask for a due's refund now, whatever the law still allows. Asked again nothing happens."""
        return await self.follow(shop, order_id, partial(_asked, due_id))

    async def agree_voucher(
        self, shop: str, order_id: UUID, due_id: str, way: tuple[str, str], agreement: Agreement
    ) -> AfterView | Refusal:
        """The consumer chose another way, `(means, purse)`, before his money was asked for; his words are evidence."""
        means, purse = way
        chosen = Voucher(means=means, purse=purse, agreed_at=agreement.at)
        words = Words(text=agreement.statement)
        work = partial(_agreed, due_id, chosen, agreement.medium)

        async def done(tx: Transaction) -> AfterView | Refusal:
            if not agreement.statement.strip():
                return Refusal("agreement.statement", "the consumer's own words", "B14", "L221-24 al. 3")
            act = Redirect(refund_id=due_id, means=means, purse=purse, agreed_at=agreement.at)
            if refused := await self.no_way(tx, shop, act):
                return refused
            followed = await self.follow_in(tx, shop, order_id, work, words=words)
            return followed if isinstance(followed, Refusal) else await self._after_view(tx, shop, str(order_id))

        view = await self.undone_when_refused(done)
        self.nudge()
        return view

    async def pay_out(self, shop: str, order_id: UUID, due_id: str, payout: Payout) -> AfterView | Refusal:
        """Record what the shop has paid by itself, by a means that it has. The same payout again changes nothing."""
        found = await self.look(lambda tx: self.shop(tx, shop))
        if isinstance(found, Refusal):
            return found
        if payout.means not in BY_HAND | {one.id for one in found.all_means}:
            return Refusal("payout.means", f"one of the shop's means, or {', '.join(sorted(BY_HAND))}")
        return await self.follow(shop, order_id, partial(_paid_out, due_id, payout))

    async def owing_orders(
        self, shop: str, *, settled_too: bool = False, lost: list[str] | None = None
    ) -> AsyncIterator[tuple[Order, Aftercare]]:  # fmt: skip
        """Orders of which a shop owes something, with their aftercare; or all of them. `lost` gets the ids of those
        that cannot be read.
        """
        after, state = "", None if settled_too else "owing"
        while True:
            some, orders, illegible = await self.look(partial(_page, shop, state, after))
            for id_ in illegible:
                unread(shop, id_)
            if lost is not None:
                lost += illegible
            for id_, held in some.items():
                if id_ in orders:
                    yield orders[id_], held
            after = max((*some, *illegible), default="")
            if len({*some, *illegible}) < _PAGE:
                return


async def _page(
    shop: str, state: str | None, after: str, tx: Transaction
) -> tuple[dict[str, Aftercare], dict[str, Order], tuple[str, ...]]:
    some, lost = await tx.legible(Aftercare, shop, state=state, after=after, limit=_PAGE)
    orders, lost_too = await tx.legible_of(Order, shop, list(some))
    return some, orders, (*lost, *lost_too)


def _asked(due_id: str, order: Order, after: Aftercare, setting: Setting) -> Outcome | Refusal:
    return discharge.ask_now(order, after, due_id, setting)


def _agreed(
    due_id: str, way: Voucher, medium: str, order: Order, after: Aftercare, setting: Setting
) -> Outcome | Refusal:  # fmt: skip
    return discharge.agree_voucher(order, after, due_id, way, setting, medium)


def _paid_out(due_id: str, payout: Payout, order: Order, after: Aftercare, setting: Setting) -> Outcome | Refusal:
    return discharge.pay_out(order, after, due_id, payout, setting)
