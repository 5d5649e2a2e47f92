"""A cart becomes an order, whoever races for it and whatever changes meanwhile; on both databases."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from relance.events.messages import decode_request
from services.checkout.application.desk import Desk
from services.checkout.domain.checkouts import Press
from services.checkout.domain.coupons import Coupon
from services.checkout.domain.offers import Price
from services.checkout.domain.orders import Order
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.presenting import Pressed, View
from services.checkout.domain.records import CartLine, NewCart, PressActs
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Purse
from services.checkout.store import Store
from services.checkout.store.outbox import Message, Outbox
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, at_recap, ok, open_shop, ordered, page_of

TRANSFER = "transfer"


async def pressed_by(desk: Desk, view: View, **acts: Any) -> Pressed | Refusal:
    press = Press(recap_hash=view.recap_hash, terms_accepted=True)
    return await desk.press(SHOP.id, view.checkout.id, press, PressActs(**{"button_text": view.button.text} | acts))


async def level_of(store: Store) -> Level:
    async with store.reading() as tx:
        found = await tx.get(Level, SHOP.id, "L-1")
    assert found is not None
    return found


async def orders_of(store: Store) -> list[Order]:
    async with store.reading() as tx:
        return list((await tx.all(Order, SHOP.id)).values())


async def test_a_cart_becomes_an_order(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, means=TRANSFER)
    assert view.sums.total_minor == 4990 + 490
    assert view.verdict.allowed
    pressed = await ordered(desk, view)
    order = ok(await desk.order(SHOP.id, pressed.order_id))
    assert (order.order.state, order.order.total_minor, order.email) == ("confirmed", 5480, "k1@example.org")
    assert not pressed.again
    again = await ordered(desk, view)
    assert (again.order_id, again.again) == (pressed.order_id, True)
    seen = ok(await desk.view(SHOP.id, view.checkout.id))
    assert (seen.checkout.state, seen.order_id) == ("ordered", pressed.order_id)


async def test_fifty_clicks_make_one_order(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, means=TRANSFER)
    pressed = await asyncio.gather(*(ordered(desk, view) for _ in range(50)))
    assert len({one.order_id for one in pressed}) == 1
    assert sum(not one.again for one in pressed) == 1
    assert (await level_of(store)).free == 99
    assert len(await orders_of(store)) == 1


async def test_the_last_unit_is_sold_once(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock, stock=1)
    views = [await at_recap(desk, f"k{n}", means=TRANSFER) for n in range(8)]
    answers = await asyncio.gather(*(pressed_by(desk, view) for view in views))
    refused = [one for one in answers if isinstance(one, Refusal)]
    assert (len(answers) - len(refused), len(await orders_of(store))) == (1, 1)
    assert {(one.field, one.rule) for one in refused} == {("lines.L-1", "C08")}
    assert (await level_of(store)).free == 0


async def test_a_coupon_for_one_use_is_used_once(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    coupon = Coupon(
        code="once", kind="percent", percent=Decimal(10), uses_max=1, starts_at=AT - timedelta(days=1),
        ends_at=AT + timedelta(days=1),
    )  # fmt: skip
    assert await desk.put_coupons(SHOP.id, [coupon]) is None
    views = [await at_recap(desk, f"k{n}", means=TRANSFER, coupons=(" Once",)) for n in range(6)]
    assert {view.sums.total_minor for view in views} == {4491 + 490}
    answers = await asyncio.gather(*(pressed_by(desk, view) for view in views))
    assert sum(isinstance(one, Pressed) for one in answers) == 1
    assert {one.field for one in answers if isinstance(one, Refusal)} == {"coupon.code"}
    assert (await level_of(store)).free == 99


async def test_no_cent_of_a_gift_card_is_spent_twice(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    assert await desk.put_purses(SHOP.id, [Purse(ref="G-1", means="gift", balance_minor=6000)]) is None
    views = [await at_recap(desk, f"k{n}", means=TRANSFER, purses=("G-1",)) for n in range(4)]
    answers = await asyncio.gather(*(pressed_by(desk, view) for view in views))
    assert sum(isinstance(one, Pressed) for one in answers) == 1  # each recap bound the whole card
    async with store.reading() as tx:
        purse = await tx.get(Purse, SHOP.id, "G-1")
    assert purse is not None
    assert purse.balance_minor == 6000 - 5480


async def test_who_guesses_gift_cards_is_stopped(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, means=TRANSFER)
    said = [await desk.choose_means(SHOP.id, view.checkout.id, TRANSFER, (f"X-{n}",)) for n in range(11)]
    assert all(isinstance(one, Refusal) for one in said)
    assert "too many" in getattr(said[-1], "reason", "")


async def test_a_change_of_price_shows_the_recap_anew(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, means=TRANSFER)
    lower = Price(id="p2", since=clock.at, price_minor=4500)
    assert await desk.put_prices(SHOP.id, "L-1", [lower]) is None
    refused = await pressed_by(desk, view)
    assert isinstance(refused, Refusal)
    assert (refused.field, refused.rule) == ("recap.hash", "A07")
    anew = ok(await desk.view(SHOP.id, view.checkout.id))
    assert ("total_minor", 5480, 4990) in anew.differences
    shown, _ = ok(await desk.show_recap(SHOP.id, view.checkout.id, page_of))
    assert isinstance(await pressed_by(desk, shown), Pressed)
    assert [order.total_minor for order in await orders_of(store)] == [4990]


@pytest.mark.parametrize(
    ("acts", "rule", "field"),
    [
        ({"button_text": "Valider"}, "A04", "recap.button.text"),
        ({"button_text": "Je me lance"}, "A04", "recap.button.text"),
        ({"early_start": True}, "A11", "lines.0.early.loss_acknowledged_at"),
    ],
)
async def test_an_unlawful_click_is_refused_with_rule_and_field(
    store: Store, clock: Clock, acts: dict[str, bool | str], rule: str, field: str
) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, sku="F-1", means=TRANSFER)
    refused = await pressed_by(desk, view, **acts)
    assert isinstance(refused, Refusal)
    assert (refused.rule, refused.field) == (rule, field)
    assert refused.article
    assert not await orders_of(store)
    assert isinstance(await pressed_by(desk, view, early_start=True, loss_acknowledged=True), Pressed)


async def test_terms_are_accepted_by_the_consumer(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, means=TRANSFER)
    press = Press(recap_hash=view.recap_hash, terms_accepted=False)
    refused = await desk.press(SHOP.id, view.checkout.id, press, PressActs())
    assert isinstance(refused, Refusal)
    assert refused.rule == "A09"


async def test_nobody_reaches_the_checkout_of_another_shop(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    view = await at_recap(desk, means=TRANSFER)
    pressed = await ordered(desk, view)
    for answer in (await desk.view("other", view.checkout.id), await desk.order("other", pressed.order_id)):
        assert isinstance(answer, Refusal)
    assert isinstance(await desk.order(SHOP.id, uuid4()), Refusal)


async def test_the_same_key_is_the_same_checkout_and_another_cart_is_refused(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    cart = NewCart(cart_id="c", lines=(CartLine("L-1", 1),))
    first, again = [ok(await desk.create(SHOP.id, cart, "k")) for _ in range(2)]
    assert first.checkout.id == again.checkout.id
    other = await desk.create(SHOP.id, NewCart(cart_id="c", lines=(CartLine("L-1", 2),)), "k")
    assert isinstance(other, Refusal)
    assert other.field == "key"
    anew = ok(await desk.create(SHOP.id, cart, "k2"))
    assert ok(await desk.view(SHOP.id, first.checkout.id)).checkout.state == "superseded"
    assert anew.checkout.state == "open"
    bad = await desk.create(SHOP.id, NewCart(cart_id="c", lines=(), return_url=""), "k3")
    assert isinstance(bad, Refusal)
    elsewhere = NewCart(cart_id="c", lines=(CartLine("L-1", 1),), return_url="https://lampes.example.evil/panier")
    assert getattr(await desk.create(SHOP.id, elsewhere, "k4"), "field", "") == "return_url"


async def test_a_cart_is_taken_up_again_beside_another_one(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    first = ok(await desk.create(SHOP.id, NewCart(cart_id="c1", lines=(CartLine("L-1", 1),)), "k1"))
    second = ok(await desk.create(SHOP.id, NewCart(cart_id="c2", lines=(CartLine("F-1", 2),)), "k2"))
    token = await desk.issue(SHOP.id, "cart.restore", str(first.checkout.id))
    assert ok(await desk.restored(token)).checkout.id == first.checkout.id
    both = ok(await desk.take_up(token, second.checkout.id, "add"))
    assert {(line.sku, line.quantity) for line in both.record.lines} == {("L-1", 1), ("F-1", 2)}
    assert ok(await desk.view(SHOP.id, second.checkout.id)).checkout.state == "superseded"
    assert isinstance(await desk.open(token, "order.view"), Refusal)
    clock.passes(days=31)
    assert isinstance(await desk.restored(token), Refusal)


async def test_a_code_unmasks_an_order_and_is_tried_few_times(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    pressed = await ordered(desk, await at_recap(desk, means=TRANSFER))
    token = await desk.issue(SHOP.id, "order.view", str(pressed.order_id))
    assert await desk.send_code(token, "order.view") is None
    code = await _code(store)
    for _ in range(5):
        assert isinstance(await desk.enter_code(token, "order.view", "no code"), Refusal)
    assert isinstance(await desk.enter_code(token, "order.view", code), Refusal)
    clock.passes(minutes=16)
    assert await desk.send_code(token, "order.view") is None
    entered = ok(await desk.enter_code(token, "order.view", await _code(store)))
    assert entered.subject == str(pressed.order_id)


async def test_who_asks_for_a_link_never_learns_whether_the_order_exists(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    pressed = await ordered(desk, await at_recap(desk, means=TRANSFER))
    for order_id, email in (
        (str(pressed.order_id), "someone@else.example"), (str(uuid4()), "k1@example.org"), ("", ""),
    ):  # fmt: skip
        await desk.send_link(SHOP.id, order_id, email)
    assert not await _messages(store)
    await desk.send_link(SHOP.id, str(pressed.order_id), "K1@example.org ")
    assert await _messages(store) == ["order.link"]


async def test_who_has_the_number_alone_keeps_nobody_from_his_link(store: Store, clock: Clock) -> None:
    desk = await open_shop(store, clock)
    order_id = str((await ordered(desk, await at_recap(desk, means=TRANSFER))).order_id)
    for place in range(3 * desk.terms.code_tries):
        await desk.send_link(SHOP.id, order_id, f"stranger{place % 4}@else.example")
    for _ in range(3 * desk.terms.code_tries):
        await desk.send_link(SHOP.id, order_id, "k1@example.org")
    assert await _messages(store) == ["order.link"] * desk.terms.code_tries, "and the letters to one address are few"


async def _code(store: Store) -> str:
    requests = [decode_request(one.value) for one in await _sent(store) if one.topic == "checkout.messages.v1"]
    return str([one for one in requests if one.kind == "code"][-1].facts["code"])


async def _messages(store: Store) -> list[str]:
    return [decode_request(one.value).kind for one in await _sent(store) if one.topic == "checkout.messages.v1"]


async def _sent(store: Store) -> list[Message]:
    return list(await Outbox(store.database, lambda: 0).unsent(1_000))
