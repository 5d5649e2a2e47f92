"""A shop that sells a magazine by subscription, its subscribers, and the days that pass."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from relance.events.messages import MessageOutcome, MessageRequest
from relance.evidence.entries import Entry, decode
from services.checkout.application.aftercaring import AfterView, Words
from services.checkout.application.daily import Daily
from services.checkout.application.desk import Desk
from services.checkout.domain.articles import Article
from services.checkout.domain.contracts import Contract
from services.checkout.domain.offers import Price
from services.checkout.domain.orders import Received
from services.checkout.store import Store
from tests.integration.checkout.desk_kit import AT, SHOP, Clock, at_recap, ok, open_shop, ordered
from tests.integration.checkout.owing_kit import letters, works

ADA = Words(name="Ada Martin", text="Je résilie.", address="k1@example.org")
YEAR = {"term_months": 12, "renews_tacitly": True, "refusal_days": 31, "monthly_total_minor": 900,
        "period_total_minor": 10800, "duration": "12 mois"}  # fmt: skip


def magazine(**subscription: Any) -> Article:
    """By the year, unless something else is said."""
    facts = {"characteristics": "un numéro par mois", "delivery_days": 0, "subscription": YEAR | subscription}
    return Article(sku="A-1", product_id="magazine", name="Abonnement", kind="service", facts=facts)


async def press(store: Store, clock: Clock, **subscription: Any) -> Desk:
    """The shop, open."""
    legal = msgspec.structs.replace(SHOP.legal, sells=("goods", "digital", "service"))
    opened = await open_shop(store, clock, shop=msgspec.structs.replace(SHOP, legal=legal))
    assert await opened.put_articles(SHOP.id, [magazine(**subscription)]) is None
    price = Price(id="p1", since=AT - timedelta(days=60), price_minor=900)
    assert await opened.put_prices(SHOP.id, "A-1", [price]) is None
    return opened


async def subscribed(desk: Desk, key: str = "k1") -> tuple[UUID, Contract]:
    """An order of the magazine that is paid, and its contract."""
    order_id = (await ordered(desk, await at_recap(desk, key, sku="A-1", means="transfer"))).order_id
    await works(desk)
    total = ok(await desk.order(SHOP.id, order_id)).order.total_minor
    ok(await desk.act(SHOP.id, order_id, Received(amount_minor=total, received_at=desk.clock())))
    await works(desk)
    return order_id, (await seen(desk, order_id)).contracts[0]


async def seen(desk: Desk, order_id: UUID) -> AfterView:
    found = ok(await desk.aftercare(SHOP.id, order_id))
    assert isinstance(found, AfterView)
    return found


async def only(desk: Desk, order_id: UUID) -> Contract:
    """The one contract of an order."""
    (contract,) = (await seen(desk, order_id)).contracts
    assert isinstance(contract, Contract)
    return contract


async def told(store: Store, order_id: UUID, kind: str) -> list[MessageRequest]:
    """The letters of a kind."""
    return [one for one in await letters(store, order_id) if one.kind == kind]


async def noted(store: Store, order_id: UUID, what: str) -> list[Entry]:
    """Evidence of contracts, or of claims."""
    async with store.reading() as tx:
        found = [decode(one) for one in await tx.entries(SHOP.id, str(order_id))]
    return [one for one in found if (one.what == what and "contract" in one.facts) or one.what == what == "guarantees"]


async def lives(desk: Desk, clock: Clock, until: date) -> None:
    """The job of each day, at its Paris midnight or a little later."""
    daily = Daily(desk)
    while clock.at.date() < until:
        clock.passes(days=1)
        await daily.run(clock.at)
        await works(desk)


def bounced(notice: MessageRequest, clock: Clock) -> MessageOutcome:
    """It came back."""
    return MessageOutcome(
        id=uuid4(), request_id=notice.id, shop=SHOP.id, order_id=notice.order_id, kind=notice.kind, outcome="bounced",
        at=clock.at,
    )  # fmt: skip
