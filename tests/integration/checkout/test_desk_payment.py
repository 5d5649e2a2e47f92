"""Orders that are paid, or not, at a bank that speaks as Stripe does; confirmations that follow."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from prometheus_client import CollectorRegistry

from relance.events.messages import MessageOutcome, Outcome, decode_request, outcome_id, request_id
from relance.events.topics import MESSAGES
from relance.evidence.entries import decode
from relance.rules.law.book import RULES
from services.checkout.adapters.printing import Printing
from services.checkout.application.desk import Desk
from services.checkout.application.effects import EffectRunner
from services.checkout.application.timing import Timekeeper
from services.checkout.domain.orders import Cancel, kept_minor
from services.checkout.domain.presenting import OrderView, Pressed
from services.checkout.domain.stock import Level
from services.checkout.metrics import DeskMetrics
from services.checkout.store import Store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of, running_bank
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, now_utc, ok, open_shop, ordered

APPROVED = "4242424242424242"


class Till:
    """A desk with all that works behind it."""

    def __init__(self, desk: Desk, printing: Printing) -> None:
        metrics = DeskMetrics(CollectorRegistry())
        self.desk = desk
        self.effects = EffectRunner(desk, printing.confirmation, metrics)
        self.time = Timekeeper(desk, metrics)

    async def order(self, pressed: Pressed) -> OrderView:
        found = ok(await self.desk.order(SHOP.id, pressed.order_id))
        assert isinstance(found, OrderView)
        return found


@pytest.fixture(scope="module")
def printing() -> Iterator[Printing]:
    made = Printing(RULES)
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock(now_utc())


@pytest.fixture
async def till(store: Store, clock: Clock, bank: RunningBank, printing: Printing) -> AsyncIterator[Till]:
    async with provider_of(bank.url) as provider:
        yield Till(await open_shop(store, clock, {"bank": provider}), printing)


async def test_an_order_is_paid_and_confirmed(till: Till, bank: RunningBank, store: Store) -> None:
    view = await at_recap(till.desk)
    pressed = await ordered(till.desk, view)
    assert pressed.redirect_url is not None
    bank.pay(pressed.redirect_url, APPROVED)
    order = ok(await till.desk.look_now(SHOP.id, pressed.order_id))
    assert (order.order.state, order.order.paid_at is not None) == ("confirmed", True)
    await till.effects.drain()
    order = await till.order(pressed)
    assert set(order.documents) == {"confirmation.pdf", "terms.pdf"}, order.alerts
    async with store.transaction() as tx:
        pdf = await tx.blob(SHOP.id, order.documents["confirmation.pdf"])
        level = await tx.get(Level, SHOP.id, "L-1")
        terms = await tx.blob(SHOP.id, order.documents["terms.pdf"])
        acts = [(entry.act, entry.what) for entry in map(decode, await tx.entries(SHOP.id, str(pressed.order_id)))]
    for paper in (pdf, terms):
        assert paper is not None
        assert paper.startswith(b"%PDF-")
    (asked,) = [
        decode_request(message.value) for message in await store.outbox.unsent(1_000) if message.topic == MESSAGES.name
    ]
    assert {each.name: each.sha256 for each in asked.documents} == order.documents
    assert asked.body_sha256 is not None
    async with store.transaction() as tx:
        plain = await tx.blob(SHOP.id, asked.body_sha256.text)
    assert plain is not None
    assert till.desk.url_of("order.view", "") in plain.decode()
    assert level is not None
    assert sum(level.committed.values()) == 1
    for wanted in (("shown", "recap"), ("accepted", "terms"), ("accepted", "button"), ("happened", "payment"),
                   ("shown", "confirmation"), ("declared", "contact"), ("chosen", "delivery")):  # fmt: skip
        assert wanted in acts


async def test_a_declined_card_leads_to_another_means(till: Till, bank: RunningBank, store: Store) -> None:
    pressed = await ordered(till.desk, await at_recap(till.desk, "declined"))
    assert pressed.redirect_url is not None
    bank.pay(pressed.redirect_url, "4000000000009995")
    await till.desk.look_now(SHOP.id, pressed.order_id)
    left = ok(await till.desk.leave_payment(SHOP.id, pressed.order_id))
    assert (left.order.state, left.order.attempts[-1].state) == ("placed", "failed")
    await till.effects.drain()
    assert "payment.failed" in await said(store)
    after = ok(await till.desk.start_payment(SHOP.id, pressed.order_id, "transfer"))
    assert isinstance(after, OrderView)
    assert (after.order.state, after.order.tenders[-1].state) == ("confirmed", "awaited")
    assert not bank.charged(left.order.attempts[0].id)


async def test_another_click_on_pay_goes_on_where_the_page_is_open(till: Till) -> None:
    pressed = await ordered(till.desk, await at_recap(till.desk, "again"))
    pages = await asyncio.gather(*(till.desk.start_payment(SHOP.id, pressed.order_id) for _ in range(5)))
    assert set(pages) == {pressed.redirect_url}
    assert len((await till.order(pressed)).order.attempts) == 1


async def test_a_page_left_open_fails_and_the_order_lapses_with_nothing_kept(
    till: Till, bank: RunningBank, store: Store, clock: Clock
) -> None:
    pressed = await ordered(till.desk, await at_recap(till.desk, "left"))
    assert pressed.redirect_url is not None
    clock.passes(minutes=31)
    await till.time.round()
    order = (await till.order(pressed)).order
    assert (order.state, order.attempts[0].state, order.attempts[0].category) == (
        "placed", "failed", "abandoned_at_bank",
    )  # fmt: skip
    clock.passes(hours=24)
    await till.time.round()
    await till.effects.drain()
    order = (await till.order(pressed)).order
    assert order.state == "lapsed"
    await till.effects.drain()
    async with store.reading() as tx:
        level = await tx.get(Level, SHOP.id, "L-1")
    assert level is not None
    assert level.free == level.on_hand
    assert "order.lapsed" in await said(store)
    assert not bank.charged(order.attempts[0].id)


async def test_a_payment_without_webhooks_is_found_by_asking(
    till: Till, bank: RunningBank, clock: Clock
) -> None:  # fmt: skip
    pressed = await ordered(till.desk, await at_recap(till.desk, "silent"))
    assert pressed.redirect_url is not None
    bank.pay(pressed.redirect_url, APPROVED)
    clock.passes(seconds=21)
    await till.time.round()
    assert (await till.order(pressed)).order.state == "confirmed"


async def test_money_that_comes_after_the_lapse_goes_back(till: Till, bank: RunningBank, clock: Clock) -> None:
    pressed = await ordered(till.desk, await at_recap(till.desk, "late"))
    assert pressed.redirect_url is not None
    ok(await till.desk.act(SHOP.id, pressed.order_id, Cancel(reason="changed my mind")))
    bank.pay(pressed.redirect_url, APPROVED)  # before the provider was told to let go
    await till.effects.drain()
    order = (await till.order(pressed)).order
    assert order.state == "cancelled"
    clock.passes(seconds=21)
    await till.time.round()
    await till.effects.drain()
    order = (await till.order(pressed)).order
    assert [refund.state for refund in order.refunds] == ["succeeded"]
    assert kept_minor(order) == 0


async def test_a_webhook_is_a_hint_and_said_twice_changes_nothing(
    store: Store, clock: Clock, printing: Printing
) -> None:  # fmt: skip
    async with Receiver() as receiver:
        with running_bank("--webhook", receiver.url) as told:
            async with provider_of(told.url) as provider:
                till = Till(await open_shop(store, clock, {"bank": provider}), printing)
                pressed = await ordered(till.desk, await at_recap(till.desk, "hint"))
                assert pressed.redirect_url is not None
                await asyncio.to_thread(told.pay, pressed.redirect_url, APPROVED)
                await receiver.until(1)
                body, headers = receiver.bodies[-1]
                assert not await till.desk.heard("bank", body + b" ", headers)
                assert not await till.desk.heard("other", body, headers)
                for _ in range(2):
                    assert await till.desk.heard("bank", body, headers)
                await till.effects.drain()
                order = (await till.order(pressed)).order
                assert order.state == "confirmed"
                assert order.version == (await till.order(pressed)).order.version


async def test_a_confirmation_that_bounced_is_shown_with_its_order(till: Till, store: Store, clock: Clock) -> None:
    pressed = await ordered(till.desk, await at_recap(till.desk, "bounced", means="transfer"))
    await till.effects.drain()
    assert await said(store) == ["order.confirmation"]
    request = request_id(pressed.order_id, "order.confirmation", 0)
    outcomes: tuple[Outcome, ...] = ("accepted", "bounced", "bounced")
    for outcome in outcomes:
        told = MessageOutcome(
            id=outcome_id(request, outcome), request_id=request, shop=SHOP.id, order_id=pressed.order_id,
            kind="order.confirmation", outcome=outcome, at=clock.at, status="5.1.1" if outcome == "bounced" else "",
        )  # fmt: skip
        await till.desk.message_sent(told)
    order = await till.order(pressed)
    assert [(alert.kind, alert.detail) for alert in order.alerts] == [("order.confirmation.bounced", "5.1.1")]
    async with store.reading() as tx:
        acts = [decode(data) for data in await tx.entries(SHOP.id, str(pressed.order_id))]
    assert [act.facts["outcome"] for act in acts if act.what == "message"] == ["accepted", "bounced"]


async def said(store: Store) -> list[str]:
    """The kinds of all messages asked for."""
    messages = await Outbox(store.database, lambda: 0).unsent(1_000)
    return [decode_request(one.value).kind for one in messages if one.topic == "checkout.messages.v1"]
