"""What waits for each shop, as numbers: legal dates that near, dates that were missed, work that does not get done."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from relance.kernel.errors import NotNow
from relance.kernel.instants import to_ms
from relance.rules.law.calendar import first_instant_after, paris_date
from services.checkout.application.desk import Desk
from services.checkout.application.singly import looked_at, unread
from services.checkout.domain import contracts, dues, guarantees, lateness
from services.checkout.domain.aftercare import Aftercare, Stray
from services.checkout.domain.contracts import Contract
from services.checkout.domain.follow_up import Setting
from services.checkout.domain.orders import Order
from services.checkout.domain.shops import Shop
from services.checkout.metrics import AfterMetrics
from services.checkout.store import Transaction

__all__ = ["DayGauges", "Figures", "figures", "stuck"]

_PAGE: Final = 500
_TOGETHER: Final = 25  # are reckoned before others have their turn: clicks wait for milliseconds
_LONGEST_TURN_S: Final = 0.05
_RESTS: Final = 10  # times as long as the numbers took, before they are taken anew
_LONGEST_REST_S: Final = 300.0  # the day is told with them
_EVERY_S: Final = 60.0
_SLOW: Final = timedelta(seconds=60)  # an acknowledgement leaves within seconds, or somebody has to look
_TRIED: Final = 7  # times that work was put off, each time for twice as long: more than a minute


class Figures(NamedTuple):
    """What waits for a shop on a day.

    Money: dues that are `soon` due, and `late`, with today's surcharge in cents, and those of which a legal rate is
    `missing`. Delivery: orders of which something should come soon, or should have come; late ones whose consumer's
    extra time ends soon or is over (`notices`). Claims likewise. Statements that are `unacknowledged`, those that no
    mail acknowledges (`by_post`), orders that are `unconfirmed` (their confirmation did not leave, or came back),
    `strays`: statements that name no order. Renewals: contracts whose window of notice is open and that have none
    (`unannounced`), and those that run on without a valid one (`leavable`). `failing`: what cannot be read or looked at
    (orders, contracts, statements, the shop itself), which is in none of these but `strays`.
    """

    soon: int = 0
    late: int = 0
    surcharge_minor: int = 0
    missing: int = 0
    deliveries_soon: int = 0
    deliveries: int = 0
    notices: int = 0
    claims_soon: int = 0
    claims: int = 0
    unacknowledged: int = 0
    by_post: int = 0
    unconfirmed: int = 0
    strays: int = 0
    unannounced: int = 0
    leavable: int = 0
    failing: int = 0


class _Turns:
    """Lets others work between a few orders and the next, for as long as those took."""

    def __init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._since = self._time()
        self._count = 0

    async def took_one(self) -> None:
        self._count += 1
        if self._count % _TOGETHER == 0:
            await asyncio.sleep(min(_LONGEST_TURN_S, self._time() - self._since))
            self._since = self._time()


class DayGauges:
    """Shows what waits for shops, now and then. `ran_at`: by when all that has its day was done last."""

    def __init__(
        self, desk: Desk, ran_at: Callable[[], datetime | None], metrics: AfterMetrics, every_s: float = _EVERY_S
    ) -> None:
        self._desk = desk
        self._ran_at = ran_at
        self._metrics = metrics
        self._every_s = every_s

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. While the database is away the last numbers stand."""
        time = asyncio.get_running_loop().time
        while not stop.is_set():
            began = time()
            self._metrics.tell_day(self._ran_at())  # by itself: that the day is done hangs on no number
            try:
                found = await figures(self._desk, self._desk.clock())
                waiting = await stuck(self._desk)
            except NotNow:
                pass
            else:
                self._metrics.tell({shop: one._asdict() for shop, one in found.items()})
                self._metrics.tell_stuck(waiting)
            try:
                async with asyncio.timeout(max(self._every_s, min(_LONGEST_REST_S, _RESTS * (time() - began)))):
                    await stop.wait()
            except TimeoutError:
                continue


async def figures(desk: Desk, at: datetime) -> dict[str, Figures]:
    """What waits for each shop at an instant. Whatever cannot be read is `failing`, and hides nothing else."""
    shops, unreadable = await desk.look(lambda tx: tx.legible(Shop, "*"))
    found = {shop: await _of_shop(desk, one, at) for shop, one in shops.items()}
    found |= dict.fromkeys(_said(unreadable), Figures(failing=1))
    furthest = max((one.aftercare.ahead_days for one in shops.values()), default=0)
    turns = _Turns()
    async for order, after in _nearing(desk, at, furthest):
        await turns.took_one()
        shop = shops.get(order.context.shop)
        if shop is not None and _comes_soon(order, after, Setting(at, desk.book, shop.aftercare)):
            one = found[shop.id]
            found[shop.id] = one._replace(deliveries_soon=one.deliveries_soon + 1)
    return found


async def stuck(desk: Desk) -> dict[tuple[str, str], int]:
    """Work that was tried for more than a minute, by shop and kind: papers to be printed, confirmations, letters."""
    return await desk.look(lambda tx: tx.stuck(_TRIED))


async def _of_shop(desk: Desk, shop: Shop, at: datetime) -> Figures:
    setting = Setting(at, desk.book, shop.aftercare)
    strays, illegible = await desk.look(lambda tx: tx.legible(Stray, shop.id, state="open"))
    total = Figures(
        strays=len(strays) + len(illegible), by_post=sum(_by_post(one) for one in strays.values()),
        unacknowledged=sum(_waits(one, at) for one in strays.values()),
    )  # fmt: skip
    lost, turns = _said(illegible, shop.id), _Turns()
    async for order, after in desk.owing_orders(shop.id, lost=lost):
        await turns.took_one()
        one = looked_at(shop.id, after.id, partial(_of_order, order, after, setting)) or Figures(failing=1)
        total = _added(total, one)
    async for contract in _running(desk, shop.id, lost):
        await turns.took_one()
        one = looked_at(shop.id, contract.order_id, partial(_of_contract, contract, setting)) or Figures(failing=1)
        total = _added(total, one)
    return total._replace(failing=total.failing + len(lost))


def _added(total: Figures, one: Figures) -> Figures:
    return Figures(*(mine + more for mine, more in zip(total, one, strict=True)))


def _of_order(order: Order, after: Aftercare, setting: Setting) -> Figures:
    stands = list(dues.standings(order, after, setting).values())
    on, book = setting.on, setting.book
    is_late = bool(lateness.late(order, after, on, book))
    ahead = on + timedelta(days=setting.terms.ahead_days)
    rights = [guarantees.right_until(one, order, book) for one in after.claims if one.state in guarantees.OPEN]
    return Figures(
        soon=sum(one.state == "soon" for one in stands),
        late=sum(one.state in {"late", "paid"} for one in stands),
        surcharge_minor=sum(one.surcharge_minor or 0 for one in stands),
        missing=sum(one.surcharge_minor is None for one in stands),
        deliveries=is_late,
        notices=is_late and any(one.until <= ahead for one in after.late_notices),
        claims_soon=sum(on <= day <= ahead for day in rights),
        claims=sum(day < on for day in rights),
        unacknowledged=sum(_waits(one, setting.at) for one in after.statements),
        by_post=sum(_by_post(one) for one in after.statements),
        unconfirmed=order.confirmed_at is not None
        and after.confirmed_at is None
        and setting.at - order.confirmed_at > _SLOW,
    )


def _of_contract(contract: Contract, setting: Setting) -> Figures:
    """Of a contract that runs: the notice of its next renewal, and that of the last."""
    renews = contracts.renews_on(contract, setting.on)
    if renews is None or contract.termination is not None:
        return Figures()
    within = contracts.window(contract, renews, setting.law)
    untold = contracts.valid_notice(contract, renews, setting.law) is None
    return Figures(
        unannounced=untold and within.first <= setting.on <= within.last,
        leavable=contracts.free_to_leave(contract, setting.on),
    )


def _comes_soon(order: Order, after: Aftercare, setting: Setting) -> bool:
    """Whether something of an order is to come within the shop's days of warning."""
    look = partial(_days_of_awaited, order, after, setting)
    days = looked_at(order.context.shop, after.id, look) or ()
    return any(setting.on <= day <= setting.on + timedelta(days=setting.terms.ahead_days) for day in days)


def _days_of_awaited(order: Order, after: Aftercare, setting: Setting) -> list[date]:
    lines = {line.id: line for line in order.lines}
    days = lateness.latest(order, after, setting.book)
    return [day for line_id, day in days.items() if lateness.awaited(order, after, lines[line_id])]


async def _nearing(desk: Desk, at: datetime, days: int) -> AsyncIterator[tuple[Order, Aftercare]]:
    """Orders of all shops of which something changes by itself within so many days."""
    until = first_instant_after(paris_date(at) + timedelta(days=days))
    place = to_ms(at), "", ""
    while True:
        names = await desk.look(partial(_ahead, place, until))
        for shop in sorted({shop for _, shop, _ in names}):
            ids = [id_ for _, of_shop, id_ in names if of_shop == shop]
            afters, orders = await desk.look(partial(_read, shop, ids))
            for id_, held in afters.items():
                if id_ in orders:
                    yield orders[id_], held
        if len(names) < _PAGE:
            return
        place = names[-1]


async def _ahead(after: tuple[int, str, str], until: datetime, tx: Transaction) -> list[tuple[int, str, str]]:
    return await tx.ahead(Aftercare, until, after, _PAGE)


async def _read(shop: str, ids: list[str], tx: Transaction) -> tuple[dict[str, Aftercare], dict[str, Order]]:
    """What can be read of them; what cannot is told with what is owed."""
    afters, _ = await tx.legible_of(Aftercare, shop, ids)
    orders, _ = await tx.legible_of(Order, shop, ids)
    return afters, orders


async def _running(desk: Desk, shop: str, lost: list[str]) -> AsyncIterator[Contract]:
    """A shop's contracts that run; `lost` gets the ids of those that cannot be read."""
    after, more = "", True
    while more:
        some, illegible = await desk.look(partial(_contracts, shop, after))
        lost += _said(illegible, shop)
        for one in some.values():
            yield one
        more = len(some) == _PAGE
        after = next(reversed(some), after)


async def _contracts(shop: str, after: str, tx: Transaction) -> tuple[dict[str, Contract], tuple[str, ...]]:
    return await tx.legible_page(Contract, shop, state="running", after=after, limit=_PAGE)


def _said(illegible: Iterable[str], shop: str = "") -> list[str]:
    """What cannot be read is in the log; of all shops, each is its own."""
    for id_ in illegible:
        unread(shop or id_, id_)
    return list(illegible)


def _waits(said: Any, at: datetime) -> bool:
    """Whether a statement should have been acknowledged by now."""
    return said.acknowledged_at is None and not said.by_post and at - said.recorded_at > _SLOW


def _by_post(said: Any) -> bool:
    """Whether no mail acknowledges it: the shop does, by letter."""
    return said.acknowledged_at is None and said.by_post
