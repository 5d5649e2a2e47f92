"""The whole way of a withdrawal: from the statement to the money at the bank, with what is told and proven between."""

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

from relance.events.messages import MessageRequest, decode_request
from relance.evidence.entries import Entry, decode
from relance.rules.law.calendar import paris_date
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.domain.orders import Deliver, Ship
from services.checkout.domain.statements import RecordReturn, StateWithdrawal
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.desk_kit import SHOP, at_recap, ok, ordered
from tests.integration.checkout.payments_kit import Till


async def received(till: Till, key: str) -> UUID:
    """Two lamps, paid by card and received."""
    pressed = await ordered(till.desk, await at_recap(till.desk, f"{key}-{uuid4().hex[:8]}", quantity=2))
    assert pressed.redirect_url is not None
    assert await till.pays(pressed.redirect_url) == 303
    assert all(await till.hears())
    await till.works()
    await till.does(pressed.order_id, Ship(parcel_id="p1", units={"1": 2}))
    await till.does(pressed.order_id, Deliver(parcel_id="p1", received_by="consumer"))
    await till.works()
    return pressed.order_id


async def after(till: Till, order_id: UUID) -> AfterView:
    found = ok(await till.desk.aftercare(SHOP.id, order_id))
    assert isinstance(found, AfterView)
    return found


async def letters(till: Till) -> list[MessageRequest]:
    told = await Outbox(till.store.database, lambda: 0).unsent(10_000)
    return [decode_request(one.value) for one in told if one.topic == "checkout.messages.v1"]


async def evidence(till: Till, order_id: UUID) -> list[Entry]:
    async with till.store.reading() as tx:
        return [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]


async def test_a_line_is_withdrawn_acknowledged_and_refunded_at_the_bank(till: Till) -> None:
    order_id = await received(till, "thread")
    till.passes(days=3)
    said = till.clock()
    act = StateWithdrawal(id=str(uuid4()), channel="web", stated_at=said, received_at=said, units={"1": 1})
    ok(await till.desk.state_withdrawal(SHOP.id, order_id, act, Words(name="Ada Martin", address="ada@example.org")))
    await till.works()
    view = await after(till, order_id)
    (statement,), (due,) = view.after.statements, view.after.dues
    assert (statement.acknowledged_at, [one.outcome for one in statement.decisions]) == (said, ["accepted"])
    assert (due.amount_minor, due.shipped, due.refund_ids) == (4990, True, ())
    assert view.standings[due.id].state == "waiting"
    kinds = [one.kind for one in await letters(till)]
    assert kinds.index("withdrawal.acknowledged") < kinds.index("withdrawal.decided")
    (letter,) = [one for one in await letters(till) if one.kind == "withdrawal.acknowledged"]
    assert (letter.to, letter.body_sha256 is not None) == ("ada@example.org", True)
    assert (await till.said(order_id))["withdrawal.requested"] == 1

    till.passes(days=4)
    back_on: date = paris_date(till.clock())
    ok(await till.desk.answer_withdrawal(SHOP.id, order_id, RecordReturn(statement_id=act.id, on=back_on)))
    await till.works()
    till.passes(minutes=2)
    await till.works()
    assert await asyncio.to_thread(till.at_bank, order_id) == (1, 4990 + 490)
    view = await after(till, order_id)
    (due,) = view.after.dues
    assert (due.recovered_on, len(due.refund_ids)) == (back_on, 1)
    stands = view.standings[due.id]
    assert (stands.state, stands.due_on, stands.open_minor) == ("settled", paris_date(said) + timedelta(days=14), 0)
    assert [one.kind for one in await letters(till)].count("refund.made") == 1
    steps = [one.facts.get("step") for one in await evidence(till, order_id) if one.what in {"withdrawal", "refund"}]
    assert [step for step in steps if step in {"acknowledged", "decided", "returned", "opened", "asked"}] != []
    assert (await till.order(order_id)).state == "delivered"
