"""What is owed while the bank will not give it back: it stays owed, and goes another way once the consumer agreed."""

from uuid import UUID, uuid4

import pytest

from services.checkout.application.refunding import Agreement
from services.checkout.domain.orders import Deliver, Order, Ship
from services.checkout.domain.refunds import Redirect, Retry, Settle
from tests.integration.checkout.desk_kit import SHOP, at_recap, ok, ordered
from tests.integration.checkout.owing_kit import letters, noted, only, returned, withdrawn
from tests.integration.checkout.payments_kit import Till

FAILS, FAILS_LATE = "4000009900000079", "4000000000005126"


async def given_back(till: Till, key: str, number: str) -> UUID:
    """A lamp that was paid with a card, received, withdrawn from and returned: its refund is asked for."""
    pressed = await ordered(till.desk, await at_recap(till.desk, f"{key}-{uuid4().hex[:8]}", quantity=2))
    assert pressed.redirect_url is not None
    assert await till.pays(pressed.redirect_url, number) == 303
    assert all(await till.hears())
    await till.works()
    order_id = pressed.order_id
    await till.does(order_id, Ship(parcel_id="p1", units={"1": 2}))
    await till.does(order_id, Deliver(parcel_id="p1", received_by="consumer"))
    till.passes(days=1)
    statement = await withdrawn(till.desk, order_id)
    await returned(till.desk, order_id, statement)
    await until(till, order_id, "failed")
    return order_id


async def until(till: Till, order_id: UUID, state: str) -> Order:
    """The order once its refund is in a state; the provider is asked again and again, at longer intervals."""
    order = await till.order(order_id)
    for _ in range(40):
        if order.refunds and order.refunds[0].state == state:
            return order
        await till.lives_through(1, 15)
        order = await till.order(order_id)
    pytest.fail(f"{[one.state for one in order.refunds]}, not {state}")


async def test_what_the_bank_refuses_stays_owed_until_it_goes_another_way(till: Till) -> None:
    order_id = await given_back(till, "refused", FAILS)
    due, stands = await only(till.desk, order_id)
    assert (stands.open_minor, stands.state) == (4990, "open")
    (refund,) = (await till.order(order_id)).refunds
    assert due.refund_ids == (refund.id,)
    kinds = [one.kind for one in await letters(till.store, order_id)]
    assert kinds.count("refund.failed") == 1
    assert "refund.made" not in kinds
    again = await till.desk.pay_due(SHOP.id, order_id, due.id)
    assert (getattr(again, "rule", ""), getattr(again, "article", "")) == ("F11", "L221-24 al. 3")

    await till.does(order_id, Retry(refund_id=refund.id, key="again"))
    await till.works()
    await until(till, order_id, "failed")
    kinds = [one.kind for one in await letters(till.store, order_id)]
    assert kinds.count("refund.failed") == 2, "a second try that failed is told too"
    said = Agreement(at=till.clock(), statement="Oui, par virement.", medium="email")
    way = Redirect(refund_id=refund.id, means="bank_transfer", agreed_at=said.at, key="way")
    ok(await till.desk.redirect_refund(SHOP.id, order_id, way, said))
    await till.works()
    assert (await only(till.desk, order_id))[1].open_minor == 4990
    await till.does(order_id, Settle(refund_id=refund.id, sent_at=till.clock()))
    await till.works()
    assert (await only(till.desk, order_id))[1].state == "settled"
    (made,) = [one.facts for one in await letters(till.store, order_id) if one.kind == "refund.made"]
    assert (made["means"], made["amount"]) == ("virement bancaire", "49,90 EUR")
    assert till.at_bank(order_id)[1] == 2 * 4990 + 490, "the bank gave nothing back"


async def test_money_that_comes_back_is_owed_again_and_becomes_late(till: Till) -> None:
    order_id = await given_back(till, "returns", FAILS_LATE)
    order = await till.order(order_id)
    assert order.refunds[0].returns == 1
    steps = [one.facts["step"] for one in await noted(till.store, order_id) if "step" in one.facts]
    assert steps[:3] == ["opened", "asked", "settled"]
    _, stands = await only(till.desk, order_id)
    assert stands.open_minor == 4990
    till.passes(days=20)
    await till.works()
    assert (await only(till.desk, order_id))[1].state == "late"
    steps = [one.facts["step"] for one in await noted(till.store, order_id) if "step" in one.facts]
    assert steps == ["opened", "asked", "settled", "late"]
    kinds = [one.kind for one in await letters(till.store, order_id)]
    assert (kinds.count("refund.made"), kinds.count("refund.failed")) == (1, 1)
