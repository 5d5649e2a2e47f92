"""Direct debits: the shopper has done his part, and the money comes days later, or does not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from relance.events.messages import MessageRequest, decode_request
from relance.rules.law.calendar import paris_date
from services.checkout.domain.outcomes import Refusal
from services.checkout.domain.shops import OfferedMeans, Shop, check_shop
from services.checkout.domain.tenders import Means
from services.checkout.store import Store
from services.checkout.store.outbox import Outbox
from tests.integration.checkout.bank_kit import Receiver, RunningBank, provider_of, running_bank
from tests.integration.checkout.desk_kit import SHOP, Clock, at_recap, ok, ordered
from tests.integration.checkout.payments_kit import Till, open_till

replace = msgspec.structs.replace
TOTAL = 5_480
DAY = 24 * 60
PAYS, REFUSED = "FR14 2004 1010 0505 0001 3M02 606", "FR84 2004 1010 0505 0001 3M02 607"
DEBIT = OfferedMeans(
    means=Means(id="debit", kind="wallet", methods=("sepa_debit",), patience_days=14), label={"fr": "Prélèvement"}
)


def shop_with(offered: OfferedMeans) -> Shop:
    return replace(SHOP, means=(*SHOP.means, offered))


@pytest.fixture(scope="module")
def bank() -> Iterator[RunningBank]:
    with running_bank("--settle-s", str(5 * DAY * 60)) as running:
        yield running


@pytest.fixture
async def till(store: Store, clock: Clock, bank: RunningBank) -> AsyncIterator[Till]:
    async with Receiver() as door, provider_of(bank.url, now=clock) as provider:
        opened = await open_till(store, clock, bank, door, provider)
        assert await opened.desk.put_shop(shop_with(DEBIT)) is None
        yield opened
        bank.control("webhooks", url="")


async def debited(till: Till, iban: str) -> UUID:
    """An order whose shopper gave this account on the bank's page."""
    pressed = await ordered(till.desk, await at_recap(till.desk, f"debit-{uuid4().hex[:8]}", means="debit"))
    assert pressed.redirect_url is not None
    answer = await asyncio.to_thread(till.bank.pay_by_debit, pressed.redirect_url, iban)
    assert answer.status_code == 303
    ok(await till.desk.look_now(SHOP.id, pressed.order_id))
    return pressed.order_id


async def told(till: Till, kind: str) -> list[MessageRequest]:
    queued = await Outbox(till.store.database, lambda: 0).unsent(10_000)
    asked = [decode_request(one.value) for one in queued if one.topic == "checkout.messages.v1"]
    return [one for one in asked if one.kind == kind]


async def test_the_order_waits_for_days_and_is_confirmed_when_the_money_comes(till: Till) -> None:
    order_id = await debited(till, PAYS)
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state, order.attempts[0].slow) == ("placed", "sent", True)
    assert order.deadline == order.attempts[0].created_at + timedelta(days=14)
    assert not (await till.view(order_id)).pay_url, "nothing is left for the shopper to do"
    await till.works()
    (letter,) = await told(till, "payment.pending")
    days = {"amount": "54,80 EUR", "means": "Prélèvement", "until": paris_date(order.deadline).isoformat()}
    assert days.items() <= letter.facts.items()
    again = await till.desk.start_payment(SHOP.id, order_id)
    assert isinstance(again, Refusal)
    assert "days" in again.reason
    await till.lives_through(60, DAY, DAY)
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state) == ("placed", "sent")
    assert (await till.said(order_id))["payment.failed"] == 0
    await till.lives_through(3 * DAY, 30)
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state) == ("confirmed", "captured")
    assert till.at_bank(order_id) == (1, TOTAL)
    await till.agrees(order_id)


async def test_a_debit_that_is_refused_days_later_fails_and_another_means_pays(till: Till) -> None:
    order_id = await debited(till, REFUSED)
    await till.lives_through(5 * DAY, 30)
    order = await till.order(order_id)
    assert (order.state, order.attempts[0].state, order.attempts[0].category) == (
        "placed", "failed", "insufficient_funds",
    )  # fmt: skip
    assert (await till.said(order_id))["payment.failed"] == 1
    page = ok(await till.desk.start_payment(SHOP.id, order_id, "card"))
    assert await till.pays(page) == 303
    ok(await till.desk.look_now(SHOP.id, order_id))
    assert (await till.order(order_id)).state == "confirmed"
    assert till.at_bank(order_id) == (1, TOTAL)


async def test_what_never_comes_lapses_once_the_provider_has_proven_it(till: Till) -> None:
    order_id = await debited(till, REFUSED)
    await till.lives_through(5 * DAY, 30)
    await till.lives_through(10 * DAY, 60)
    order = await till.order(order_id)
    assert order.state == "lapsed"
    assert till.at_bank(order_id)[1] == 0


@pytest.mark.parametrize(
    ("means", "field", "rule"),
    [
        (Means(id="d", kind="wallet", methods=("sepa_debit",)), "patience_days", ""),
        (Means(id="d", kind="wallet", methods=("sepa_debit",), patience_days=31), "patience_days", ""),
        (Means(id="d", kind="card", patience_days=3), "patience_days", ""),
        (Means(id="d", kind="card", methods=("card", "sepa_debit"), patience_days=3), "methods", ""),
        (Means(id="d", kind="card", methods=("cash",)), "methods", ""),
        (Means(id="d", kind="offline", methods=("card",)), "methods", ""),
        (Means(id="d", kind="wallet", methods=("klarna",)), "methods", "F12"),
    ],
)
def test_methods_that_cannot_be_asked_for_are_refused_when_the_shop_is_put(
    means: Means, field: str, rule: str
) -> None:  # fmt: skip
    refused = check_shop(shop_with(OfferedMeans(means=means, label={"fr": "X"})))
    assert refused is not None
    assert (refused.field, refused.rule) == (f"means.3.means.{field}", rule)


def test_a_wallet_of_several_methods_is_taken() -> None:
    means = Means(id="w", kind="wallet", methods=("paypal", "revolut_pay"))
    assert check_shop(shop_with(OfferedMeans(means=means, label={"fr": "X"}))) is None
