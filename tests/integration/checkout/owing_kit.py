"""A shop that owes: orders paid by gift card and transfer, received, withdrawn from, returned."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from relance.events.messages import MessageRequest, decode_request
from relance.evidence.entries import Entry, decode
from relance.rules.law.calendar import paris_date
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.domain.aftercare import Due
from services.checkout.domain.orders import Deliver, Received, Ship
from services.checkout.domain.statements import ProveDispatch, RecordReturn, StateWithdrawal
from services.checkout.domain.tenders import Purse
from services.checkout.metrics import DeskMetrics
from services.checkout.store import Store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, at_recap, ok, ordered
from tests.integration.checkout.payments_kit import _unprinted as unprinted

GIFT_MINOR = 2000


async def works(desk: Desk) -> None:
    """Do all that is due now."""
    await EffectRunner(desk, unprinted, DeskMetrics(CollectorRegistry())).drain()


async def bought(desk: Desk, key: str, quantity: int = 2) -> UUID:
    """Lamps that have come: 49.90 each, delivered at 4.90."""
    order_id = await paid(desk, key, quantity)
    ok(await desk.act(SHOP.id, order_id, Ship(parcel_id="p1", units={"1": quantity})))
    ok(await desk.act(SHOP.id, order_id, Deliver(parcel_id="p1", received_by="consumer")))
    await works(desk)
    return order_id


async def paid(desk: Desk, key: str, quantity: int = 2) -> UUID:
    """The same before they are shipped: 20.00 on a gift card named after the key, the rest by transfer."""
    assert await desk.put_purses(SHOP.id, [Purse(ref=f"G-{key}", means="gift", balance_minor=GIFT_MINOR)]) is None
    view = await at_recap(desk, key, quantity=quantity, means="transfer", purses=(f"G-{key}",))
    order_id = (await ordered(desk, view)).order_id
    await works(desk)
    total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
    ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total - GIFT_MINOR, received_at=desk.clock())))
    await works(desk)
    return order_id


async def withdrawn(desk: Desk, order_id: UUID, units: int = 1) -> str:
    """A statement about some of the lamps: its id."""
    at = desk.clock()
    act = StateWithdrawal(id=str(uuid4()), channel="web", stated_at=at, received_at=at, units={"1": units})
    ok(await desk.state_withdrawal(SHOP.id, order_id, act, Words(name="Ada Martin")))
    await works(desk)
    return act.id


async def returned(desk: Desk, order_id: UUID, statement: str) -> None:
    """The goods are back today."""
    act = RecordReturn(statement_id=statement, on=paris_date(desk.clock()))
    ok(await desk.answer_withdrawal(SHOP.id, order_id, act))
    await works(desk)


async def dispatched(desk: Desk, order_id: UUID, statement: str) -> None:
    """The consumer proves that he sent them today."""
    act = ProveDispatch(statement_id=statement, on=paris_date(desk.clock()))
    ok(await desk.answer_withdrawal(SHOP.id, order_id, act))
    await works(desk)


async def seen(desk: Desk, order_id: UUID) -> AfterView:
    found = ok(await desk.aftercare(SHOP.id, order_id))
    assert isinstance(found, AfterView)
    return found


async def only(desk: Desk, order_id: UUID) -> tuple[Due, Any]:
    """The one due of an order, and how it stands now."""
    view = await seen(desk, order_id)
    (due,) = view.after.dues
    return due, view.standings[due.id]


async def letters(store: Store, order_id: UUID) -> list[MessageRequest]:
    told = await Outbox(store.database, lambda: 0).unsent(10_000)
    found = [decode_request(one.value) for one in told if one.topic == "checkout.messages.v1"]
    return [one for one in found if one.order_id == order_id]


async def noted(store: Store, order_id: UUID) -> list[Entry]:
    """Evidence of the order's money."""
    async with store.reading() as tx:
        found = [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]
    return [one for one in found if one.what == "refund"]


async def balance(store: Store, ref: str) -> int:
    async with store.reading() as tx:
        purse = await tx.get(Purse, SHOP.id, ref)
    assert purse is not None
    return purse.balance_minor


def days(count: float) -> timedelta:
    return timedelta(days=count)
