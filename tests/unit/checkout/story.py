"""A checkout and an order to tell stories about: a lamp of 49.90 EUR, twice, and 4.90 EUR for the way."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from relance.events.codec import check, decode, encode
from relance.events.envelope import Item
from relance.rules.law.book import default_book
from relance.rules.law.totals import Percent
from services.checkout.domain import checkouts, lifecycle, stock
from services.checkout.domain.attempts import News
from services.checkout.domain.cart import Basket, Line, cost
from services.checkout.domain.checkouts import (
    ChangeCart,
    Checkout,
    ChooseDelivery,
    ChooseMeans,
    ConsentGiven,
    Contact,
    GiveContact,
    ShowRecap,
)  # fmt: skip
from services.checkout.domain.events import Context
from services.checkout.domain.orders import Act, Order, OrderLine, OrderTerms, StartAttempt, still_to_ship
from services.checkout.domain.outcomes import Effect, Moved, Refusal
from services.checkout.domain.recap import Button, Chosen, Shown, compose
from services.checkout.domain.stock import Level
from services.checkout.domain.tenders import Tender

AT = datetime(2026, 11, 23, 10, tzinfo=UTC)
DAY = date(2026, 11, 23)
LAW = (default_book(), DAY)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CHECKOUT_ID = UUID("6e1ff1cc-53c6-4f0e-9a4e-6f3f5ce1d0aa")
ORDER_ID = UUID("0f0ff1cc-53c6-4f0e-9a4e-6f3f5ce1d0bb")
CONTEXT = Context(shop="lumen", cart_id="c1", visitor_id="v1", device="mobile", recovery_link_id="r1")
LAMPS = (Item(product_id="lamp", name="Lampe", quantity=2, price_minor=4990),)
CART = ChangeCart(items=LAMPS, total_minor=9980, needs_delivery=True)
CONTACT = GiveContact(
    contact=Contact(email="ada@example.org", locale="fr"),
    consents=(ConsentGiven(channel="email", purpose="marketing", granted=True, text_version="1"),),
    objected=True,
    objection_text_version="2",
)
HOME = ChooseDelivery(mode="home", address_hash="a1")
CARD = ChooseMeans(means="card")
LAMP = Line(
    id="1", product_id="lamp", sku="L-1", name="Lampe", quantity=2, unit_minor=4990, vat_percent=Percent("20"),
    offer_id="o1",
)  # fmt: skip
BOUND = Shown(
    checkout_id=str(CHECKOUT_ID),
    shop="lumen",
    delivery=Chosen(mode="home", address_hash="a1", expected_on=date(2026, 11, 26)),
    tenders=(Tender(means="card", kind="card", amount_minor=10470),),
    terms_version="2026-11",
    button=Button(text="Commander avec obligation de paiement", language="fr"),
    law_on=DAY,
)
RECAP = compose((LAMP,), cost(Basket(lines=(LAMP,)), 490), BOUND)

S = TypeVar("S")


def did(moved: Moved[S] | Refusal) -> Moved[S]:
    """The move, whose events all decode as they were said."""
    assert not isinstance(moved, Refusal), moved
    for event in moved.events:
        check(event)
        assert decode(encode(event)) == event
    return moved


def said(moved: Moved[S]) -> list[str]:
    return [str(type(event).__struct_config__.tag) for event in moved.events]


def data(moved: Moved[S], place: int = 0) -> dict[str, Any]:
    """What an event of the move says."""
    found: dict[str, Any] = msgspec.json.decode(encode(moved.events[place]))["data"]
    return found


def through(checkout: Checkout, *acts: checkouts.Act, at: datetime = AT) -> Checkout:
    for act in acts:
        checkout = did(checkouts.step(checkout, act, at)).state
    return checkout


def started() -> Checkout:
    return did(checkouts.begin(CHECKOUT_ID, CONTEXT, CART, AT)).state


def at_recap(recap_hash: str) -> Checkout:
    return through(started(), CONTACT, HOME, CARD, ShowRecap(recap_hash=recap_hash))


def placed(*tenders: Tender, terms: OrderTerms | None = None, days: int = 0) -> Moved[Order]:
    placement = lifecycle.Placement(
        order_id=ORDER_ID,
        checkout_id=str(CHECKOUT_ID),
        recap_hash="h",
        context=CONTEXT,
        lines=(
            OrderLine(id="1", product_id="lamp", name="Lampe", sku="L-1", quantity=2, unit_minor=4990, net_minor=9980),
        ),
        tenders=tenders or BOUND.tenders,
        delivery_minor=490,
        discount_minor=0,
        total_minor=10470,
        pay_within_days=days,
        terms=terms or OrderTerms(),
    )
    return did(lifecycle.place(placement, AT))


def paying(order: Order, at: datetime = AT) -> Order:
    return did(lifecycle.step(order, StartAttempt(means="card", psp="simulator"), at)).state


def news(order: Order, status: str, at: datetime = AT, amount_minor: int = 10470, **more: object) -> News:
    return msgspec.convert(
        {
            "type": "payment_news",
            "attempt_id": order.attempts[-1].id,
            "status": status,
            "psp_at": at,
            "amount_minor": amount_minor,
            **more,
        },
        News,
    )


def after(order: Order, *acts: Act, at: datetime = AT) -> Moved[Order]:
    """The last of some moves."""
    moved = Moved(order)
    for act in acts:
        moved = did(lifecycle.step(moved.state, act, at))
    return moved


def refused(moved: object) -> Refusal:
    assert isinstance(moved, Refusal), moved
    return moved


def shelved(levels: Mapping[str, Level], effect: Effect, order: Order) -> dict[str, Level]:
    """The shelf of lamps once an effect on it is done."""
    order_id = str(order.id)
    if effect.kind == "commit_stock":
        changed = stock.commit(levels, order_id)
    elif effect.kind == "release_stock":
        changed = stock.release(levels, order_id, still_to_ship(order))
    elif effect.kind == "promise_stock":
        changed = stock.promise(levels, order_id, still_to_ship(order))
    else:
        units = next(one.units for one in order.parcels if one.id == effect.ref)
        left = stock.ship(levels["L-1"], order_id, units["1"])
        assert not isinstance(left, Refusal), left
        changed = (left,)
    return {**levels, **{level.sku: level for level in changed}}


def promised(level: Level, order: Order) -> int:
    """Units held or committed for an order."""
    hold = level.holds.get(str(order.id))
    return level.committed.get(str(order.id), 0) + (hold.quantity if hold is not None else 0)
